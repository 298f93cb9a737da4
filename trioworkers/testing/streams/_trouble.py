"""Lets the timed faults of a server of streams happen."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import trio

from .._faults import Crash, Pause
from ._faults import (
    EVERYTHING,
    Foreign,
    Mute,
    OutOfMemory,
    Restart,
    TimedStreamFault,
    Unreachable,
)

if TYPE_CHECKING:
    from ._network import StreamNetwork


async def make_trouble(
    network: "StreamNetwork",
    faults: Iterable[TimedStreamFault],
    scope: trio.CancelScope,
    background: trio.Nursery,
) -> None:
    """Let ``faults`` begin and heal at their times, until ``scope`` is cancelled.

    A restart of a runner that has begun goes on in ``background``, whatever heals.
    """
    with scope:
        async with trio.open_nursery() as nursery:
            for fault in faults:
                nursery.start_soon(_happen, network, fault, background)


async def _happen(
    network: "StreamNetwork", fault: TimedStreamFault, background: trio.Nursery
) -> None:
    if isinstance(fault, Restart):
        await _restart_server(network, fault)
        return
    await trio.sleep(fault.at)
    match fault:
        case Unreachable(client=client, seconds=seconds):
            await network.cut_off(client, seconds)
        case Mute(client=client, seconds=seconds, deaf=deaf):
            await network.mute(client, seconds, deaf=deaf)
        case OutOfMemory(seconds=seconds):
            await network.fill_memory(seconds)
        case Foreign(client=client, lane=lane, fields=fields):
            network.put_foreign(client, lane, fields)
        case Pause(runner=runner, seconds=seconds):
            await network.pause(runner, seconds)
        case Crash(runner=runner, restart_after=None):
            network.crash(runner)
        case Crash(runner=runner, restart_after=seconds):
            network.crash(runner)
            await trio.sleep(seconds or 0)
            background.start_soon(_restart, network, runner)


async def _restart_server(network: "StreamNetwork", fault: Restart) -> None:
    keys = None
    if fault.loses == EVERYTHING:
        await trio.sleep(fault.at)
        keys = network.server.model.keys.emptied()
    elif fault.loses:
        before = max(0.0, fault.at - fault.loses)
        await trio.sleep(before)
        keys = network.server.model.keys.copied()
        await trio.sleep(fault.at - before)
    else:
        await trio.sleep(fault.at)
    await network.restart_server(fault.seconds, keys)


async def _restart(network: "StreamNetwork", runner: str) -> None:
    """Let a runner come back, unless another fault has brought it back already."""
    if not network.is_up(runner):
        await network.restart(runner)
