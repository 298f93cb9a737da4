"""arq: a sorted set that is polled, and results in keys that are polled, too.

As shipped every 0.5 s, so a round trip takes that long; `arq_tuned` looks more often.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from arq import create_pool
from arq.connections import RedisSettings
from arq.worker import Worker

from ..._timing import Stopwatch
from .._helpers import forget_everything, helper, ready, server_url
from .._measuring import MOST_AT_ONCE, PAYLOAD, median_and_p99, now, warm_up

logging.disable(logging.CRITICAL)

#: Milliseconds between looks, as shipped.
INTERVAL = 500


def run(measure: Callable[[], Any]) -> Any:
    """Run one measurement."""
    return asyncio.run(measure())


async def echo(_context: dict[Any, Any], payload: dict[str, Any]) -> dict[str, Any]:
    """Return the payload."""
    return payload


async def serve(*, interval: int) -> None:
    """Host the worker; for a helper process."""
    worker = Worker(
        functions=[echo],
        redis_settings=RedisSettings.from_dsn(server_url()),
        max_jobs=MOST_AT_ONCE,
        poll_delay=interval / 1000,
        handle_signals=False,
    )
    working = asyncio.create_task(worker.main())
    await asyncio.sleep(0.5)
    ready()
    await working


@asynccontextmanager
async def _requester(interval: int) -> AsyncIterator[Any]:
    forget_everything()
    with helper(__name__, "serve", interval=interval):
        pool = await create_pool(RedisSettings.from_dsn(server_url()))
        yield pool
        await pool.aclose()


async def _ask(pool: Any, count: int, interval: int) -> None:
    for _ in range(count):
        job = await pool.enqueue_job("echo", PAYLOAD)
        assert await job.result(timeout=30, poll_delay=interval / 1000) == PAYLOAD


async def round_trip(count: int, *, interval: int = INTERVAL) -> tuple[float, float]:
    """Enqueue one job after another; return the median and the 99th percentile in seconds.

    Args:
      count: How many.
      interval: Milliseconds between looks, on both sides.
    """
    samples = []
    async with _requester(interval) as pool:
        await _ask(pool, warm_up(count), interval)
        for _ in range(count):
            start = now()
            await _ask(pool, 1, interval)
            samples.append(now() - start)
    return median_and_p99(samples)


async def concurrent(count: int, *, requesters: int, interval: int = INTERVAL) -> float:
    """Let ``requesters`` enqueue ``count`` jobs each; return seconds per job."""
    async with _requester(interval) as pool:
        await _ask(pool, 1, interval)
        with Stopwatch() as watch:
            await asyncio.gather(*(_ask(pool, count, interval) for _ in range(requesters)))
    return watch.seconds / count / requesters
