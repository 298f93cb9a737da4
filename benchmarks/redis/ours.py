"""The library: two runners on a `RedisBus`, each in a process of its own."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from typing import Any

import trio

from trioworkers import BaseWorker, WorkerRunner
from trioworkers.bus.redis import RedisBus

from .._resident import resident_bytes
from .._timing import Stopwatch
from ..ours._workers import Worker
from ._helpers import forget_everything, helper, ready, server_pid, server_url
from ._measuring import CHUNK_LENGTH, PAYLOAD, median_and_p99, now, warm_up

run = trio.run

NAMESPACE = "benchmarks"


def _runner(name: str) -> WorkerRunner:
    return WorkerRunner(name=name, bus=RedisBus(server_url(), namespace=NAMESPACE))


async def serve(*, bystanders: int) -> None:
    """Host the worker that is asked, and idle ones; for a helper process."""
    async with _runner("host") as runner:
        await runner.add_workers(Worker("worker"))
        await runner.add_workers(*(BaseWorker(f"idle{number}") for number in range(bystanders)))
        await runner.registry.wait_ready(*(worker.name for worker in runner.workers))
        ready()
        await trio.sleep_forever()


async def crowd(*, runners: int) -> None:
    """Be so many other runners, each with a worker; for a helper process."""
    async with AsyncExitStack() as stack:
        for number in range(runners):
            runner = await stack.enter_async_context(_runner(f"other{number}"))
            await runner.add_workers(BaseWorker(f"other-worker{number}"))
        ready()
        await trio.sleep_forever()


@asynccontextmanager
async def requester(
    *, bystanders: int = 0, runners: int = 0
) -> AsyncIterator[tuple[WorkerRunner, int]]:
    """Yield a runner that knows the worker, and the process id of the worker's host."""
    forget_everything()
    with ExitStack() as helpers:
        if runners:
            helpers.enter_context(helper(__name__, "crowd", runners=runners))
        host = helpers.enter_context(helper(__name__, "serve", bystanders=bystanders))
        async with _runner("requester") as runner:
            await runner.registry.wait_ready("worker")
            yield runner, host


async def _ask(runner: WorkerRunner, count: int) -> None:
    for _ in range(count):
        response = await runner.call("worker", name="echo", payload=PAYLOAD)
        assert response == PAYLOAD


async def round_trip(count: int, **others: int) -> tuple[float, float]:
    """Do ``count`` jobs one after another; return the median and the 99th percentile in seconds.

    Args:
      count: How many.
      others: As in `requester`.
    """
    samples = []
    async with requester(**others) as (runner, _):
        await _ask(runner, warm_up(count))
        for _ in range(count):
            start = now()
            await _ask(runner, 1)
            samples.append(now() - start)
    return median_and_p99(samples)


async def concurrent(count: int, *, requesters: int, **others: int) -> float:
    """Let ``requesters`` Trio tasks do ``count`` jobs each, at once; return seconds per job."""
    async with requester(**others) as (runner, _):
        for each in warm_up(count), count:
            with Stopwatch() as watch:
                async with trio.open_nursery() as nursery:
                    for _ in range(requesters):
                        nursery.start_soon(_ask, runner, each)
    return watch.seconds / count / requesters


async def _read_stream(runner: WorkerRunner, chunks: int) -> float:
    payload = {"chunks": chunks, "length": CHUNK_LENGTH}
    start, first, received = now(), 0.0, 0
    async with runner.job("worker", name="stream", payload=payload) as job:
        async for _ in job:
            first = first or now() - start
            received += 1
    assert received == chunks
    return first


async def stream(count: int, *, chunks: int) -> float:
    """Stream ``chunks`` to a requester that iterates, ``count`` times; return seconds per chunk."""
    async with requester() as (runner, _):
        await _read_stream(runner, warm_up(chunks))
        with Stopwatch() as watch:
            for _ in range(count):
                await _read_stream(runner, chunks)
    return watch.seconds / chunks / count


async def first_chunk(count: int, *, chunks: int) -> float:
    """Return the median of the seconds until a requester has the first of ``chunks``."""
    async with requester() as (runner, _):
        for _ in range(warm_up(count)):
            await _read_stream(runner, chunks)
        return median_and_p99([await _read_stream(runner, chunks) for _ in range(count)])[0]


async def slow_stream(count: int, *, chunks: int, length: int) -> float:
    """Return the most bytes gained while a requester takes ``count`` chunks, 1 ms each.

    Gained by requester, worker and server together.

    Args:
      count: How many chunks it takes.
      chunks: How many the handler would send.
      length: Characters in each.
    """
    most = taken = 0
    payload: dict[str, Any] = {"chunks": chunks, "length": length}
    async with requester() as (runner, host):
        await _ask(runner, 1)
        processes = (None, host, server_pid())
        before = sum(map(resident_bytes, processes))
        async with runner.job("worker", name="stream", payload=payload) as job:
            async for _ in job:
                await trio.sleep(0.001)
                most = max(most, sum(map(resident_bytes, processes)) - before)
                taken += 1
                if taken == count:
                    break
    return most
