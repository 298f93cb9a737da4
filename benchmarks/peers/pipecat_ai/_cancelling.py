"""Cancelling handlers that run."""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

from pipecat.bus.messages import BusDataMessage
from pipecat.pipeline.job_context import JobGroupParams
from pipecat.pipeline.job_decorator import job
from pipecat.workers.base_worker import BaseWorker

from ._workers import running


@dataclass
class _Noise(BusDataMessage):
    """A message that has nothing to do with jobs."""


class _Sleeper(BaseWorker):
    """Counts the handlers that run and have ended; its hook is stuck at noise."""

    started = 0
    ended = 0
    last_end = 0.0

    async def on_bus_message(self, message: Any) -> None:
        if isinstance(message, _Noise):
            await asyncio.Event().wait()
        await super().on_bus_message(message)

    @job(name="wait")
    async def wait_forever(self, message: Any) -> None:
        self.started += 1
        try:
            await asyncio.Event().wait()
        finally:
            self.ended += 1
            self.last_end = time.perf_counter()


async def cancel(count: int, *, size: int, queued: int = 0) -> float:
    """Cancel groups of ``size`` waiting handlers; return seconds until all of one have ended.

    A message goes to everybody's queue, whoever its target is; so each of the
    members has ``queued`` before it. They come once the first group waits: a
    worker whose hook is stuck takes no more requests.
    """
    assert count == 1 or not queued
    requester = BaseWorker("requester")
    sleepers = [_Sleeper(f"member{number}") for number in range(size)]
    names = [sleeper.name for sleeper in sleepers]
    params = JobGroupParams(name="wait")
    seconds = 0.0
    async with running(requester, *sleepers) as runner:
        for number in range(1, count + 1):
            job_id = await requester.request_job_group(*names, params=params)
            while not all(sleeper.started == number for sleeper in sleepers):
                await asyncio.sleep(0)
            for place in range(queued):
                await runner.bus.send(_Noise(source="requester", target=names[place % size]))
            if queued:
                subscription = runner.bus._subscriptions[names[0]]
                while subscription.data_queue.qsize() < queued - 1:
                    await asyncio.sleep(0)
            started = time.perf_counter()
            await requester.cancel_job_group(job_id, reason="measured")
            while not all(sleeper.ended == number for sleeper in sleepers):
                await asyncio.sleep(0)
            seconds += max(sleeper.last_end for sleeper in sleepers) - started
    return seconds / count
