"""Streams: how fast they are, and how much memory a slow consumer costs."""

import trio

from .._resident import resident_bytes, settled_bytes
from .._timing import Stopwatch
from ._workers import Worker, running


async def stream(count: int, *, chunks: int) -> float:
    """Stream ``chunks`` to a requester that iterates, ``count`` times; return seconds per chunk."""
    received = 0
    async with running(Worker("worker")) as runner:
        with Stopwatch() as watch:
            for _ in range(count):
                async with runner.job("worker", name="stream", payload={"chunks": chunks}) as job:
                    async for _ in job:
                        received += 1
    assert received == chunks * count
    return watch.seconds / chunks / count


async def slow_stream(count: int, *, chunks: int, length: int) -> float:
    """Return the most bytes gained while a requester takes ``count`` chunks, 1 ms each.

    Args:
      count: How many chunks it takes.
      chunks: How many the handler would send.
      length: Characters in each.
    """
    most = taken = 0
    async with running(Worker("worker")) as runner:
        before = settled_bytes()
        payload = {"chunks": chunks, "length": length}
        async with runner.job("worker", name="stream", payload=payload) as job:
            async for _ in job:
                await trio.sleep(0.001)
                most = max(most, resident_bytes() - before)
                taken += 1
                if taken == count:
                    break
    return most
