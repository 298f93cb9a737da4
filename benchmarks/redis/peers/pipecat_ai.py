"""pipecat-ai: workers on its `RedisBus`, which publishes and subscribes.

So nothing is acknowledged, kept for a reader that is away, or bounded. redis-py
opens 100 connections at most and raises above that, so it is allowed 1,000.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from loguru import logger
from pipecat.bus.network.redis import RedisBus
from pipecat.pipeline.job_context import JobEvent, JobParams
from pipecat.workers.base_worker import BaseWorker
from pipecat.workers.runner import WorkerRunner
from redis.asyncio import Redis

from ..._resident import resident_bytes
from ..._timing import Stopwatch
from .._helpers import forget_everything, helper, ready, server_pid, server_url
from .._measuring import CHUNK_LENGTH, PAYLOAD, median_and_p99, now, warm_up

logger.remove()


def run(measure: Callable[[], Any]) -> Any:
    """Run one measurement."""
    return asyncio.run(measure())


class _Worker(BaseWorker):
    async def on_job_request(self, message: Any) -> None:
        payload = message.payload or {}
        if "chunks" not in payload:
            await self.send_job_response(message.job_id, payload)
            return
        text = "x" * payload["length"]
        for number in range(payload["chunks"]):
            await self.send_job_stream_data(message.job_id, {"number": number, "text": text})
        await self.send_job_stream_end(message.job_id, {})


@asynccontextmanager
async def _running(worker: BaseWorker, *awaited: str) -> AsyncIterator[None]:
    bus = RedisBus(redis=Redis.from_url(server_url(), max_connections=1000), channel="benchmarks")
    runner = WorkerRunner(handle_sigint=False, check_dangling_tasks=False, bus=bus)
    await runner.add_workers(worker)
    ending = asyncio.create_task(runner.run(auto_end=False))
    async with asyncio.timeout(20):
        while any(name not in runner.registry for name in (worker.name, *awaited)):
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.3)
    try:
        yield
    finally:
        with contextlib.suppress(Exception):
            async with asyncio.timeout(5):
                await runner.cancel()
                await ending


async def serve() -> None:
    """Host the worker; for a helper process."""
    async with _running(_Worker("worker")):
        ready()
        await asyncio.Event().wait()


@asynccontextmanager
async def _requester() -> AsyncIterator[tuple[BaseWorker, int]]:
    forget_everything()
    with helper(__name__, "serve") as host:
        requester = BaseWorker("requester")
        async with _running(requester, "worker"):
            yield requester, host


async def _ask(requester: BaseWorker, count: int) -> None:
    for _ in range(count):
        async with requester.job("worker", params=JobParams(payload=PAYLOAD, timeout=30)) as job:
            pass
        assert job.response == PAYLOAD


async def round_trip(count: int) -> tuple[float, float]:
    """Do one job after another; return the median and the 99th percentile in seconds."""
    samples = []
    async with _requester() as (requester, _):
        await _ask(requester, warm_up(count))
        for _ in range(count):
            start = now()
            await _ask(requester, 1)
            samples.append(now() - start)
    return median_and_p99(samples)


async def concurrent(count: int, *, requesters: int) -> float:
    """Let ``requesters`` do ``count`` jobs each; return seconds per job."""
    async with _requester() as (requester, _):
        await asyncio.gather(*(_ask(requester, warm_up(count)) for _ in range(requesters)))
        with Stopwatch() as watch:
            await asyncio.gather(*(_ask(requester, count) for _ in range(requesters)))
    return watch.seconds / count / requesters


async def _read_stream(requester: BaseWorker, chunks: int) -> float:
    payload = {"chunks": chunks, "length": CHUNK_LENGTH}
    start, first, received = now(), 0.0, 0
    async with requester.job("worker", params=JobParams(payload=payload, timeout=60)) as job:
        async for event in job:
            if event.type == JobEvent.STREAM_DATA:
                first = first or now() - start
                received += 1
    assert received == chunks
    return first


async def stream(count: int, *, chunks: int) -> float:
    """Stream ``chunks``, ``count`` times; return seconds per chunk."""
    async with _requester() as (requester, _):
        await _read_stream(requester, warm_up(chunks))
        with Stopwatch() as watch:
            for _ in range(count):
                await _read_stream(requester, chunks)
    return watch.seconds / chunks / count


async def first_chunk(count: int, *, chunks: int) -> float:
    """Return the median of the seconds until a requester has the first of ``chunks``."""
    async with _requester() as (requester, _):
        for _ in range(warm_up(count)):
            await _read_stream(requester, chunks)
        return median_and_p99([await _read_stream(requester, chunks) for _ in range(count)])[0]


async def slow_stream(count: int, *, chunks: int, length: int) -> float:
    """Return the most bytes gained while a requester takes ``count`` chunks, 1 ms each."""
    most = taken = 0
    payload = {"chunks": chunks, "length": length}
    async with _requester() as (requester, host):
        await _ask(requester, 1)
        processes = (None, host, server_pid())
        before = sum(map(resident_bytes, processes))
        async with requester.job("worker", params=JobParams(payload=payload)) as job:
            async for event in job:
                if event.type == JobEvent.STREAM_DATA:
                    await asyncio.sleep(0.001)
                    most = max(most, sum(map(resident_bytes, processes)) - before)
                    taken += 1
                    if taken == count:
                        break
    return most
