"""Job groups of many workers."""

from typing import Any

import attrs
import trio

from .._timing import Stopwatch

Payload = dict[str, Any]


@attrs.define(eq=False)
class _Group:
    open: int
    done: trio.Event = attrs.field(factory=trio.Event)
    responses: dict[str, Payload] = attrs.field(factory=dict)


async def _echo(payload: Payload) -> Payload:
    return payload


async def _serve_member(
    group: _Group, name: str, payload: Payload, scope: trio.CancelScope
) -> None:
    with scope:
        group.responses[name] = await _echo(payload)
    group.open -= 1
    if not group.open:
        group.done.set()


async def group(count: int, *, size: int) -> float:
    """Do ``count`` groups of ``size`` members; return seconds per member."""
    payload = {"number": 1}
    names = [f"member{number}" for number in range(size)]
    async with trio.open_nursery() as workers:
        with Stopwatch() as watch:
            for _ in range(count):
                members = _Group(size)
                for name in names:
                    workers.start_soon(_serve_member, members, name, payload, trio.CancelScope())
                await members.done.wait()
                assert len(members.responses) == size
    return watch.seconds / size / count
