"""Lets the timed faults of a server of streams happen."""

from typing import TYPE_CHECKING

import trio

from .._trouble import hit_runner
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


async def let_happen(
    network: "StreamNetwork", fault: TimedStreamFault, background: trio.Nursery
) -> None:
    """Let a fault of a server of streams, or of a runner, begin and heal at its time."""
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
        case _:
            await hit_runner(network, fault, background)


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
