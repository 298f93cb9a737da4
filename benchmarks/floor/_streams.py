"""Streams over a bounded memory channel."""

from typing import Any

import trio

from .._resident import resident_bytes, settled_bytes
from .._timing import Stopwatch

Chunk = dict[str, Any]

#: Chunks that the channel holds; as many as the library lets a handler be ahead.
BUFFER = 128


async def _produce(sender: trio.MemorySendChannel[Chunk], chunks: int, length: int) -> None:
    async with sender:
        for number in range(chunks):
            data = {"number": number}
            await sender.send(data | {"text": "x" * length} if length else data)


async def stream(count: int, *, chunks: int) -> float:
    """Send ``chunks``, ``count`` times; return seconds per chunk."""
    received = 0
    async with trio.open_nursery() as nursery:
        with Stopwatch() as watch:
            for _ in range(count):
                sender, receiver = trio.open_memory_channel[Chunk](BUFFER)
                nursery.start_soon(_produce, sender, chunks, 0)
                async for _ in receiver:
                    received += 1
    assert received == chunks * count
    return watch.seconds / chunks / count


async def slow_stream(count: int, *, chunks: int, length: int) -> float:
    """Return the most bytes gained while a reader takes ``count`` chunks, 1 ms each."""
    most = taken = 0
    async with trio.open_nursery() as nursery:
        before = settled_bytes()
        sender, receiver = trio.open_memory_channel[Chunk](BUFFER)
        nursery.start_soon(_produce, sender, chunks, length)
        async for _ in receiver:
            await trio.sleep(0.001)
            most = max(most, resident_bytes() - before)
            taken += 1
            if taken == count:
                break
        nursery.cancel_scope.cancel()
    return most
