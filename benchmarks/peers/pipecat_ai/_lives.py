"""What workers and jobs cost by being there."""

import asyncio

from pipecat.pipeline.job_context import JobParams
from pipecat.workers.base_worker import BaseWorker

from ..._resident import settled_bytes
from ..._timing import Stopwatch
from ._workers import Waiter, running, settle


async def start_stop(count: int, *, size: int) -> float:
    """Start ``size`` workers, wait until all are ready, stop them; return seconds each time."""
    with Stopwatch() as watch:
        for _ in range(count):
            async with running(bystanders=size):
                pass
    return watch.seconds / count


async def idle_memory(count: int) -> float:
    """Start ``count`` workers; return bytes per worker."""
    async with running(BaseWorker("worker")) as runner:
        before = settled_bytes()
        names = [f"idle{number}" for number in range(count)]
        await runner.add_workers(*(BaseWorker(name) for name in names))
        while not all(name in runner.registry for name in names):
            await asyncio.sleep(0)
        await settle(runner)
        gained = settled_bytes() - before
    return gained / count


async def job_memory(count: int) -> float:
    """Have ``count`` jobs in flight, each in a block of its own; return bytes per job."""
    requester, waiter = BaseWorker("requester"), Waiter("worker")
    params = JobParams(name="wait")

    async def ask() -> None:
        async with requester.job("worker", params=params):
            pass

    async with running(requester, waiter):
        before = settled_bytes()
        tasks = [asyncio.create_task(ask()) for _ in range(count)]
        while waiter.started < count:
            await asyncio.sleep(0)
        gained = settled_bytes() - before
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return gained / count
