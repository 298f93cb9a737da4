"""Several workers that take jobs from one queue."""

import math
from typing import Any

import attrs
import trio

from .._timing import Stopwatch

Payload = dict[str, Any]

PAYLOAD: Payload = {"number": 1}


@attrs.define(eq=False)
class _Job:
    payload: Payload
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    done: trio.Event = attrs.field(factory=trio.Event)
    response: Payload | None = None


async def _work(payload: Payload) -> Payload:
    await trio.lowlevel.checkpoint()
    return payload


async def _member(queue: trio.MemoryReceiveChannel[_Job]) -> None:
    async for job in queue:
        with job.scope:
            job.response = await _work(job.payload)
        job.done.set()


async def _ask(queue: trio.MemorySendChannel[_Job]) -> None:
    job = _Job(PAYLOAD)
    queue.send_nowait(job)
    await job.done.wait()
    assert job.response is PAYLOAD


async def pool(count: int, *, size: int, jobs: int) -> float:
    """Ask ``size`` Trio tasks for ``jobs`` jobs at once, ``count`` times; return seconds per job.

    Each job is awaited by a Trio task of its own, and waits for one checkpoint.
    """
    sender, receiver = trio.open_memory_channel[_Job](math.inf)
    async with trio.open_nursery() as members:
        for _ in range(size):
            members.start_soon(_member, receiver)
        with Stopwatch() as watch:
            for _ in range(count):
                async with trio.open_nursery() as requesters:
                    for _ in range(jobs):
                        requesters.start_soon(_ask, sender)
        sender.close()
    return watch.seconds / jobs / count
