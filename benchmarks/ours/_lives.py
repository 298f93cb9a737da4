"""What workers and jobs cost by being there."""

import trio
import trio.testing

from trioworkers import BaseWorker, WorkerRunner

from .._resident import settled_bytes
from .._timing import Stopwatch
from ._workers import Worker, running


async def start_stop(count: int, *, size: int) -> float:
    """Start ``size`` workers, wait until all are ready, stop them; return seconds each time."""
    with Stopwatch() as watch:
        for _ in range(count):
            async with running(bystanders=size):
                pass
    return watch.seconds / count


async def idle_memory(count: int) -> float:
    """Start ``count`` workers; return bytes per worker."""
    async with running(Worker("worker")) as runner:
        before = settled_bytes()
        await runner.add_workers(*(BaseWorker(f"idle{number}") for number in range(count)))
        await runner.registry.wait_ready(*runner.bus.names[1:])
        await trio.testing.wait_all_tasks_blocked()  # they are ready before they are idle
        gained = settled_bytes() - before
    return gained / count


async def job_memory(count: int) -> float:
    """Have ``count`` jobs in flight, each in a block of its own; return bytes per job."""

    async def ask(runner: WorkerRunner) -> None:
        async with runner.job("worker", name="wait"):
            pass

    async with running(Worker("worker")) as runner, trio.open_nursery() as nursery:
        before = settled_bytes()
        for _ in range(count):
            nursery.start_soon(ask, runner)
        await trio.testing.wait_all_tasks_blocked()
        assert runner.statistics().job_groups == count
        gained = settled_bytes() - before
        nursery.cancel_scope.cancel()
    return gained / count
