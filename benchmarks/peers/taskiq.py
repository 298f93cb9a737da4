"""taskiq: tasks sent to an `InMemoryBroker`, results awaited.

`wait_result` polls. As shipped it looks every 0.2 s, so a round trip takes
that long; here it looks all the time (``check_interval=0``), which is the best
it can do and keeps a processor busy.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel
from taskiq import InMemoryBroker

from .._timing import Stopwatch

logging.disable(logging.CRITICAL)


class Order(BaseModel):
    """A typed argument, and the result."""

    item: str
    amount: int


def run(measure: Callable[[], Any]) -> Any:
    """Run one measurement."""
    return asyncio.run(measure())


async def _echo(number: int) -> int:
    return number


async def _ask(task: Any, count: int) -> None:
    for number in range(count):
        sent = await task.kiq(number)
        result = await sent.wait_result(check_interval=0)
        assert result.return_value == number


async def round_trip(count: int, *, bystanders: int = 0, earlier: int = 0) -> float:
    """Send one task after another; return seconds per task."""
    assert not bystanders
    broker = InMemoryBroker()
    task = broker.task(task_name="echo")(_echo)
    await broker.startup()
    await _ask(task, earlier)
    with Stopwatch() as watch:
        await _ask(task, count)
    await broker.shutdown()
    return watch.seconds / count


async def typed(count: int) -> float:
    """As `round_trip`, with a pydantic model as argument and as result."""

    async def double(order: Order) -> Order:
        return Order(item=order.item, amount=order.amount * 2)

    broker = InMemoryBroker()
    task = broker.task(task_name="double")(double)
    await broker.startup()
    order = Order(item="tea", amount=2)
    with Stopwatch() as watch:
        for _ in range(count):
            sent = await task.kiq(order)
            result = await sent.wait_result(check_interval=0)
            assert result.return_value.amount == 4
    await broker.shutdown()
    return watch.seconds / count


async def concurrent(count: int, *, requesters: int) -> float:
    """Let ``requesters`` tasks send ``count`` tasks each; return seconds per task."""
    # By default results beyond the hundredth are thrown away, and awaited for ever.
    broker = InMemoryBroker(max_stored_results=10 * requesters)
    task = broker.task(task_name="echo")(_echo)
    await broker.startup()
    with Stopwatch() as watch:
        await asyncio.gather(*(_ask(task, count) for _ in range(requesters)))
    await broker.shutdown()
    return watch.seconds / count / requesters
