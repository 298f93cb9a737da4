"""aiojobs: a scheduler that spawns coroutines, limits them and closes them.

It knows no workers, names or messages: a job is a coroutine. So it is asked
for what needs none of these.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import aiojobs

from .._resident import resident_bytes, settled_bytes
from .._timing import Stopwatch

PAYLOAD = {"number": 1}


def run(measure: Callable[[], Any]) -> Any:
    """Run one measurement."""
    return asyncio.run(measure())


async def _echo(payload: dict[str, int]) -> dict[str, int]:
    return payload


async def _ask(scheduler: aiojobs.Scheduler, count: int) -> None:
    for _ in range(count):
        job = await scheduler.spawn(_echo(PAYLOAD))
        assert await job.wait() is PAYLOAD


async def round_trip(count: int, *, bystanders: int = 0, earlier: int = 0) -> float:
    """Spawn and await one job after another; return seconds per job."""
    assert not bystanders
    async with aiojobs.Scheduler(limit=None) as scheduler:
        await _ask(scheduler, earlier)
        with Stopwatch() as watch:
            await _ask(scheduler, count)
    return watch.seconds / count


async def concurrent(count: int, *, requesters: int) -> float:
    """Let ``requesters`` tasks do ``count`` jobs each; return seconds per job."""
    async with aiojobs.Scheduler(limit=None) as scheduler:
        with Stopwatch() as watch:
            await asyncio.gather(*(_ask(scheduler, count) for _ in range(requesters)))
    return watch.seconds / count / requesters


async def group(count: int, *, size: int) -> float:
    """Spawn ``size`` jobs, then await them all; return seconds per job."""
    async with aiojobs.Scheduler(limit=None) as scheduler:
        with Stopwatch() as watch:
            for _ in range(count):
                jobs = [await scheduler.spawn(_echo(PAYLOAD)) for _ in range(size)]
                for job in jobs:
                    await job.wait()
    return watch.seconds / size / count


async def pool(count: int, *, size: int, jobs: int) -> float:
    """Spawn ``jobs`` jobs of which ``size`` run at once; return seconds per job."""

    async def work() -> dict[str, int]:
        await asyncio.sleep(0)
        return PAYLOAD

    async def ask() -> None:
        job = await scheduler.spawn(work())
        assert await job.wait() is PAYLOAD

    async with aiojobs.Scheduler(limit=size, pending_limit=0) as scheduler:
        with Stopwatch() as watch:
            for _ in range(count):
                await asyncio.gather(*(ask() for _ in range(jobs)))
    return watch.seconds / jobs / count


async def cancel(count: int, *, size: int, queued: int = 0) -> float:
    """Close schedulers of ``size`` waiting jobs; return seconds until all of one have ended."""
    assert not queued
    watch = Stopwatch()
    for _ in range(count):
        scheduler = aiojobs.Scheduler(limit=None)
        for _ in range(size):
            await scheduler.spawn(asyncio.Event().wait())
        await asyncio.sleep(0)
        watch.start()
        await scheduler.close()
        watch.stop()
    return watch.seconds / count


async def job_memory(count: int) -> float:
    """Have ``count`` jobs in flight, each awaited by a task; return bytes per job."""
    started = 0

    async def wait() -> None:
        nonlocal started
        started += 1
        await asyncio.Event().wait()

    async def ask() -> None:
        job = await scheduler.spawn(wait())
        await job.wait()

    async with aiojobs.Scheduler(limit=None) as scheduler:
        before = settled_bytes()
        tasks = [asyncio.create_task(ask()) for _ in range(count)]
        while started < count:
            await asyncio.sleep(0)
        gained = settled_bytes() - before
        await scheduler.close()
        await asyncio.gather(*tasks, return_exceptions=True)
    return gained / count


async def soak(count: int) -> tuple[float, float]:
    """Do ``count`` jobs; return seconds per job, and bytes gained after the first tenth."""
    async with aiojobs.Scheduler(limit=None) as scheduler:
        await _ask(scheduler, count // 10)
        before = settled_bytes()
        with Stopwatch() as watch:
            await _ask(scheduler, count - count // 10)
        gained = resident_bytes() - before
    return watch.seconds / (count - count // 10), gained
