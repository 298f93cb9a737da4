"""taskiq with taskiq-redis: a broker on streams, results in keys that are polled.

As shipped it looks for a result every 0.2 s, so a round trip takes that long;
`taskiq_redis_tuned` looks more often.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from taskiq.api import run_receiver_task
from taskiq_redis import RedisAsyncResultBackend, RedisStreamBroker

from ..._timing import Stopwatch
from .._helpers import forget_everything, helper, ready, server_url
from .._measuring import MOST_AT_ONCE, PAYLOAD, median_and_p99, now, warm_up

logging.disable(logging.CRITICAL)


def run(measure: Callable[[], Any]) -> Any:
    """Run one measurement."""
    return asyncio.run(measure())


async def _echo(payload: dict[str, Any]) -> dict[str, Any]:
    return payload


def _make_broker() -> tuple[RedisStreamBroker, Any]:
    results: Any = RedisAsyncResultBackend(server_url())
    broker = RedisStreamBroker(server_url()).with_result_backend(results)
    return broker, broker.task(task_name="echo")(_echo)


async def serve() -> None:
    """Host the worker; for a helper process."""
    broker, _ = _make_broker()
    broker.is_worker_process = True
    await broker.startup()
    receiving = asyncio.create_task(run_receiver_task(broker, max_async_tasks=MOST_AT_ONCE))
    await asyncio.sleep(0.5)
    ready()
    await receiving


@asynccontextmanager
async def _requester() -> AsyncIterator[Any]:
    forget_everything()
    with helper(__name__, "serve"):
        broker, task = _make_broker()
        await broker.startup()
        yield task
        await broker.shutdown()


async def _ask(task: Any, count: int, interval: float) -> None:
    for _ in range(count):
        sent = await task.kiq(PAYLOAD)
        result = await sent.wait_result(check_interval=interval, timeout=30)
        assert result.return_value == PAYLOAD


async def round_trip(count: int, *, interval: float = 0.2) -> tuple[float, float]:
    """Send one task after another; return the median and the 99th percentile in seconds.

    Args:
      count: How many.
      interval: Seconds between looks for the result.
    """
    samples = []
    async with _requester() as task:
        await _ask(task, warm_up(count), interval)
        for _ in range(count):
            start = now()
            await _ask(task, 1, interval)
            samples.append(now() - start)
    return median_and_p99(samples)


async def concurrent(count: int, *, requesters: int, interval: float = 0.2) -> float:
    """Let ``requesters`` send ``count`` tasks each; return seconds per task."""
    async with _requester() as task:
        await _ask(task, 1, interval)
        with Stopwatch() as watch:
            await asyncio.gather(*(_ask(task, count, interval) for _ in range(requesters)))
    return watch.seconds / count / requesters
