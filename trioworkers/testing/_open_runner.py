"""A runner around a test, which must be able to end after it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from ..bus import WorkerBus
from ..workers import WorkerRunner
from ._leftovers import LeftoverError

#: Seconds, virtual ones under a mock clock, in which the workers of a test must end.
END_SECONDS = 60.0


@asynccontextmanager
async def open_runner(bus: WorkerBus) -> AsyncIterator[WorkerRunner]:
    """Run a runner on ``bus``; when the block is left normally, end its workers gracefully.

    Raises:
      LeftoverError: They had not ended after `END_SECONDS`, and were cancelled. A
        `WorkerRunner` by itself waits for ever; a test that left a job open would hang.
      ExceptionGroup: Workers crashed, or hooks raised.
    """
    async with WorkerRunner(name="runner", bus=bus) as runner:
        yield runner
        runner.end_nowait("the test has ended")
        with trio.move_on_after(END_SECONDS) as scope:
            while workers := runner.workers:
                await workers[0].wait()
        if scope.cancelled_caught:
            what = f"{_unended(runner)}. Wait for this in the test, or cancel it."
            raise LeftoverError(f"{END_SECONDS:g} s after the test", what)


def _unended(runner: WorkerRunner) -> str:
    """Return which workers have not ended, and what they wait for."""
    return "; ".join(
        f"worker {name!r} has not ended: {worker.active_jobs} handlers run, "
        f"{worker.job_groups} job groups are open"
        for name, worker in runner.statistics().workers.items()
    )
