"""Lets the timed faults of a simulated network happen."""

from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Protocol, TypeVar

import trio

from ._faults import Crash, Cut, Pause, SlowConsumer, TimedFault

if TYPE_CHECKING:
    from ._network import SimulatedNetwork


N = TypeVar("N", bound="Breakable")
F = TypeVar("F")


class Breakable(Protocol):
    """A network whose runners can be paused, crash, and come back."""

    def is_up(self, name: str) -> bool:
        """Whether a runner runs."""

    async def pause(self, name: str, seconds: float) -> None:
        """Let a runner do nothing for a while; return after that."""

    def crash(self, name: str) -> None:
        """Let a runner vanish."""

    async def restart(self, name: str) -> None:
        """Let a runner that has crashed come back."""


async def make_trouble(
    happen: Callable[[N, F, trio.Nursery], Awaitable[None]],
    network: N,
    faults: Iterable[F],
    scope: trio.CancelScope,
    background: trio.Nursery,
) -> None:
    """Let ``faults`` begin and heal at their times, until ``scope`` is cancelled.

    Args:
      happen: Lets one of them happen.
      network: Where.
      faults: Which.
      scope: Ends all of it.
      background: Where a restart that has begun goes on, whatever heals meanwhile.
    """
    with scope:
        async with trio.open_nursery() as nursery:
            for fault in faults:
                nursery.start_soon(happen, network, fault, background)


async def let_happen(
    network: "SimulatedNetwork", fault: TimedFault, background: trio.Nursery
) -> None:
    """Let a fault of a network of links begin and heal at its time."""
    await trio.sleep(fault.at)
    match fault:
        case Cut(source=source, target=target, seconds=seconds):
            network.cut(source, target)
            await trio.sleep(seconds)
            network.restore(source, target)
        case SlowConsumer(runner=runner, seconds=seconds, per_message=per_message):
            await network.slow(runner, seconds, per_message)
        case _:
            await hit_runner(network, fault, background)


async def hit_runner(network: "Breakable", fault: Pause | Crash, background: trio.Nursery) -> None:
    """Let a fault of a runner happen now."""
    match fault:
        case Pause(runner=runner, seconds=seconds):
            await network.pause(runner, seconds)
        case Crash(runner=runner, restart_after=None):
            network.crash(runner)
        case Crash(runner=runner, restart_after=seconds):
            network.crash(runner)
            await trio.sleep(seconds or 0)
            background.start_soon(_restart, network, runner)


async def _restart(network: "Breakable", runner: str) -> None:
    """Let a runner come back, unless another fault has brought it back already."""
    if not network.is_up(runner):
        await network.restart(runner)
