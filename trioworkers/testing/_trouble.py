"""Lets the timed faults of a simulated network happen."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import trio

from ._faults import Crash, Cut, Pause, SlowConsumer, TimedFault

if TYPE_CHECKING:
    from ._network import SimulatedNetwork


async def make_trouble(
    network: "SimulatedNetwork",
    faults: Iterable[TimedFault],
    scope: trio.CancelScope,
    background: trio.Nursery,
) -> None:
    """Let ``faults`` begin and heal at their times, until ``scope`` is cancelled.

    A restart that has begun goes on in ``background``, whatever heals meanwhile.
    """
    with scope:
        async with trio.open_nursery() as nursery:
            for fault in faults:
                nursery.start_soon(_happen, network, fault, background)


async def _happen(network: "SimulatedNetwork", fault: TimedFault, background: trio.Nursery) -> None:
    await trio.sleep(fault.at)
    match fault:
        case Cut(source=source, target=target, seconds=seconds):
            network.cut(source, target)
            await trio.sleep(seconds)
            network.restore(source, target)
        case SlowConsumer(runner=runner, seconds=seconds, per_message=per_message):
            await network.slow(runner, seconds, per_message)
        case Pause(runner=runner, seconds=seconds):
            await network.pause(runner, seconds)
        case Crash(runner=runner, restart_after=None):
            network.crash(runner)
        case Crash(runner=runner, restart_after=seconds):
            network.crash(runner)
            await trio.sleep(seconds or 0)
            background.start_soon(_restart, network, runner)


async def _restart(network: "SimulatedNetwork", runner: str) -> None:
    """Let a runner come back, unless another fault has brought it back already."""
    if not network.is_up(runner):
        await network.restart(runner)
