"""autogen-core: agents in a `SingleThreadedAgentRuntime`, asked by `send_message`.

An agent is made when its first message comes, so there is no such thing as an
idle one to start, stop or weigh; groups are messages that are gathered.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from autogen_core import (
    AgentId,
    MessageContext,
    RoutedAgent,
    SingleThreadedAgentRuntime,
    message_handler,
)

from .._timing import Stopwatch

logging.disable(logging.CRITICAL)


@dataclass
class _Ask:
    number: int


@dataclass
class _Order:
    item: str
    amount: int


class _Agent(RoutedAgent):
    def __init__(self) -> None:
        super().__init__("answers what it is asked")

    @message_handler
    async def on_ask(self, message: _Ask, ctx: MessageContext) -> _Ask:
        return message

    @message_handler
    async def on_order(self, message: _Order, ctx: MessageContext) -> _Order:
        return _Order(message.item, message.amount * 2)


def run(measure: Callable[[], Any]) -> Any:
    """Run one measurement."""
    return asyncio.run(measure())


@asynccontextmanager
async def _running(*names: str) -> AsyncIterator[SingleThreadedAgentRuntime]:
    runtime = SingleThreadedAgentRuntime()
    for name in names:
        await _Agent.register(runtime, name, _Agent)
    runtime.start()
    for name in names:  # so that each agent is there
        await runtime.send_message(_Ask(0), AgentId(name, "default"))
    yield runtime
    await runtime.stop()
    await runtime.close()


async def _ask(runtime: SingleThreadedAgentRuntime, count: int) -> None:
    target = AgentId("agent", "default")
    for number in range(count):
        answer = await runtime.send_message(_Ask(number), target)
        assert answer.number == number


async def round_trip(count: int, *, bystanders: int = 0, earlier: int = 0) -> float:
    """Send one message after another; return seconds per message."""
    async with _running("agent", *(f"idle{number}" for number in range(bystanders))) as runtime:
        await _ask(runtime, earlier)
        with Stopwatch() as watch:
            await _ask(runtime, count)
    return watch.seconds / count


async def typed(count: int) -> float:
    """As `round_trip`, with a dataclass of two fields; return seconds per message."""
    target, order = AgentId("agent", "default"), _Order("tea", 2)
    async with _running("agent") as runtime:
        with Stopwatch() as watch:
            for _ in range(count):
                answer = await runtime.send_message(order, target)
                assert answer.amount == 4
    return watch.seconds / count


async def concurrent(count: int, *, requesters: int) -> float:
    """Let ``requesters`` tasks send ``count`` messages each; return seconds per message."""
    async with _running("agent") as runtime:
        with Stopwatch() as watch:
            await asyncio.gather(*(_ask(runtime, count) for _ in range(requesters)))
    return watch.seconds / count / requesters


async def group(count: int, *, size: int) -> float:
    """Send to ``size`` agents and gather the answers; return seconds per agent."""
    names = [f"member{number}" for number in range(size)]
    targets = [AgentId(name, "default") for name in names]
    async with _running(*names) as runtime:
        with Stopwatch() as watch:
            for _ in range(count):
                answers = [runtime.send_message(_Ask(1), target) for target in targets]
                await asyncio.gather(*answers)
    return watch.seconds / size / count
