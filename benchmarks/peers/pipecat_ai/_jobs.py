"""Jobs of one worker: one after another, and many at once."""

import asyncio
from typing import Any

from pipecat.pipeline.job_context import JobParams
from pipecat.workers.base_worker import BaseWorker

from ..._timing import Stopwatch
from ._workers import Echo, running

PAYLOAD = {"number": 1}


async def _ask(requester: BaseWorker, count: int) -> None:
    params = JobParams(name="echo", payload=PAYLOAD)
    for _ in range(count):
        async with requester.job("worker", params=params) as job:
            pass
        assert job.response == PAYLOAD


async def round_trip(count: int, *, bystanders: int = 0, earlier: int = 0) -> float:
    """Do ``count`` jobs one after another; return seconds per job."""
    requester = BaseWorker("requester")
    async with running(requester, Echo("worker"), bystanders=bystanders):
        await _ask(requester, earlier)
        with Stopwatch() as watch:
            await _ask(requester, count)
    return watch.seconds / count


class _Listener(BaseWorker):
    heard = 0

    async def on_job_response(self, message: Any) -> None:
        self.heard += 1


async def hook(count: int) -> float:
    """As `round_trip`, for a worker that overrides `on_job_response`."""
    listener = _Listener("listener")
    async with running(listener, Echo("worker")):
        with Stopwatch() as watch:
            await _ask(listener, count)
        assert listener.heard == count
    return watch.seconds / count


async def concurrent(count: int, *, requesters: int) -> float:
    """Let ``requesters`` tasks do ``count`` jobs each; return seconds per job."""
    requester = BaseWorker("requester")
    async with running(requester, Echo("worker")):
        with Stopwatch() as watch:
            await asyncio.gather(*(_ask(requester, count) for _ in range(requesters)))
    return watch.seconds / count / requesters
