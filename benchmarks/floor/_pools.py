"""Several workers that take jobs from one queue."""

import math

import trio

from .._timing import Stopwatch
from ._jobs import PAYLOAD, Job, Payload


async def _work(payload: Payload) -> Payload:
    await trio.lowlevel.checkpoint()
    return payload


async def _member(queue: trio.MemoryReceiveChannel[Job]) -> None:
    async for job in queue:
        with job.scope:
            job.response = await _work(job.payload)
        job.done.set()


async def _ask(queue: trio.MemorySendChannel[Job]) -> None:
    job = Job(PAYLOAD)
    queue.send_nowait(job)
    await job.done.wait()
    assert job.response is PAYLOAD


async def pool(count: int, *, size: int, jobs: int) -> float:
    """Ask ``size`` Trio tasks for ``jobs`` jobs at once, ``count`` times; return seconds per job.

    Each job is awaited by a Trio task of its own, and waits for one checkpoint.
    """
    sender, receiver = trio.open_memory_channel[Job](math.inf)
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
