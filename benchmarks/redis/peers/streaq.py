"""streaq on Trio, as shipped: a task queue on streams, results by publish/subscribe.

Leaving coredis' ``pubsub()``, which each result needs, waits 0.1 s; so a round
trip takes that long. With coredis' default of 64 connections 100 results at once
starve one another, so it gets 400.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio
from streaq import Worker

from ..._timing import Stopwatch
from .._helpers import forget_everything, helper, ready, server_url
from .._measuring import MOST_AT_ONCE, PAYLOAD, median_and_p99, now, warm_up

run = trio.run


async def _echo(payload: dict[str, Any]) -> dict[str, Any]:
    return payload


def _make_worker() -> tuple[Worker, Any]:
    worker = Worker(
        redis_url=server_url(),
        concurrency=MOST_AT_ONCE,
        anyio_backend="trio",
        redis_kwargs={"max_connections": 400},
    )
    return worker, worker.task(name="echo")(_echo)


async def serve() -> None:
    """Host the worker; for a helper process."""
    worker, _ = _make_worker()
    async with trio.open_nursery() as nursery:
        await nursery.start(worker.run_async)
        await trio.sleep(0.3)
        ready()


@asynccontextmanager
async def _requester() -> AsyncIterator[Any]:
    forget_everything()
    with helper(__name__, "serve"):
        worker, task = _make_worker()
        async with worker:
            yield task


async def _ask(task: Any, count: int) -> None:
    for _ in range(count):
        sent = await task.enqueue(PAYLOAD)
        result = await sent.result(timeout=30)
        assert result.result == PAYLOAD


async def round_trip(count: int) -> tuple[float, float]:
    """Do one task after another; return the median and the 99th percentile in seconds."""
    samples = []
    async with _requester() as task:
        await _ask(task, warm_up(count))
        for _ in range(count):
            start = now()
            await _ask(task, 1)
            samples.append(now() - start)
    return median_and_p99(samples)


async def concurrent(count: int, *, requesters: int) -> float:
    """Let ``requesters`` do ``count`` tasks each; return seconds per task."""
    async with _requester() as task:
        await _ask(task, 1)
        with Stopwatch() as watch:
            async with trio.open_nursery() as nursery:
                for _ in range(requesters):
                    nursery.start_soon(_ask, task, count)
    return watch.seconds / count / requesters
