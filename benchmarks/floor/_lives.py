"""What workers and jobs cost by being there."""

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs
import trio
import trio.testing

from .._resident import settled_bytes
from .._timing import Stopwatch


@attrs.define(eq=False)
class _Start:
    """Tells when all workers run."""

    missing: int
    all_running: trio.Event = attrs.field(factory=trio.Event)

    def note(self) -> None:
        self.missing -= 1
        if not self.missing:
            self.all_running.set()


async def _worker(inbox: trio.MemoryReceiveChannel[object], start: _Start) -> None:
    async with trio.open_nursery():
        start.note()
        async for _ in inbox:
            pass


@asynccontextmanager
async def open_workers(size: int) -> AsyncIterator[None]:
    """Run ``size`` idle workers, each a Trio task with an inbox and a nursery."""
    async with trio.open_nursery() as nursery:
        if size:
            start = _Start(size)
            channels = [trio.open_memory_channel[object](math.inf) for _ in range(size)]
            for _, receiver in channels:
                nursery.start_soon(_worker, receiver, start)
            await start.all_running.wait()
        yield
        nursery.cancel_scope.cancel()


async def start_stop(count: int, *, size: int) -> float:
    """Start ``size`` workers, wait until all run, stop them; return seconds each time."""
    with Stopwatch() as watch:
        for _ in range(count):
            async with open_workers(size):
                pass
    return watch.seconds / count


async def idle_memory(count: int) -> float:
    """Start ``count`` workers; return bytes per worker."""
    async with open_workers(1):
        before = settled_bytes()
        async with open_workers(count):
            gained = settled_bytes() - before
    return gained / count


async def job_memory(count: int) -> float:
    """Have ``count`` jobs in flight, each awaited by a Trio task; return bytes per job."""

    async def serve(scope: trio.CancelScope, done: trio.Event) -> None:
        with scope:
            await trio.sleep_forever()
        done.set()

    async def ask(worker: trio.Nursery) -> None:
        done = trio.Event()
        worker.start_soon(serve, trio.CancelScope(), done)
        await done.wait()

    async with trio.open_nursery() as nursery:
        before = settled_bytes()
        for _ in range(count):
            nursery.start_soon(ask, nursery)
        await trio.testing.wait_all_tasks_blocked()
        gained = settled_bytes() - before
        nursery.cancel_scope.cancel()
    return gained / count
