"""Streams: how fast they are, and how much memory a slow consumer costs."""

import asyncio
from typing import Any

from pipecat.pipeline.job_context import JobEvent, JobParams
from pipecat.pipeline.job_decorator import job
from pipecat.workers.base_worker import BaseWorker

from ..._resident import resident_bytes, settled_bytes
from ..._timing import Stopwatch
from ._workers import running


class _Streamer(BaseWorker):
    @job(name="stream")
    async def stream(self, message: Any) -> None:
        length = message.payload.get("length", 0)
        for number in range(message.payload["chunks"]):
            data = {"number": number}
            await self.send_job_stream_data(
                message.job_id, data | {"text": "x" * length} if length else data
            )
        await self.send_job_stream_end(message.job_id)


async def stream(count: int, *, chunks: int) -> float:
    """Stream ``chunks`` to a requester that iterates, ``count`` times; return seconds per chunk."""
    received = 0
    requester = BaseWorker("requester")
    params = JobParams(name="stream", payload={"chunks": chunks})
    async with running(requester, _Streamer("worker")):
        with Stopwatch() as watch:
            for _ in range(count):
                async with requester.job("worker", params=params) as events:
                    async for event in events:
                        received += event.type == JobEvent.STREAM_DATA
    assert received == chunks * count
    return watch.seconds / chunks / count


async def slow_stream(count: int, *, chunks: int, length: int) -> float:
    """Return the most bytes gained while a requester takes ``count`` chunks, 1 ms each."""
    most = taken = 0
    requester = BaseWorker("requester")
    params = JobParams(name="stream", payload={"chunks": chunks, "length": length})
    async with running(requester, _Streamer("worker")):
        before = settled_bytes()
        async with requester.job("worker", params=params) as events:
            async for _ in events:
                await asyncio.sleep(0.001)
                most = max(most, resident_bytes() - before)
                taken += 1
                if taken == count:
                    break
    return most
