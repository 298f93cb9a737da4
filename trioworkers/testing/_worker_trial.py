"""One clause of a worker's contract that is being checked, with its worker and a runner."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

import attrs
import trio
import trio.testing

from ..errors import JobError
from ..workers import BaseWorker, WorkerRunner
from ._conformance import Trial
from ._leftovers import busy_statistics, live_tasks, named, unfinished, wait_idle

#: A job name that no worker has a handler for.
NO_SUCH_JOB = "no such job, asked by check_worker"


@attrs.define(eq=False)
class WorkerTrial(Trial):
    """A `Trial` of a worker.

    Attributes:
      worker: A fresh one, which nobody has added.
      make_worker: Makes another.
      jobs: Payloads of jobs that it does, by job name.
    """

    worker: BaseWorker = attrs.field(kw_only=True)
    make_worker: Callable[[], Awaitable[BaseWorker]] = attrs.field(kw_only=True)
    jobs: Mapping[str, object] = attrs.field(kw_only=True)

    @asynccontextmanager
    async def hosted(self, *, strict: bool = True) -> AsyncIterator[WorkerRunner]:
        """Run the worker at a runner of its own until it is ready; check what both leave."""
        worker, before = self.worker, live_tasks()
        runner = WorkerRunner(name="check_worker", strict=strict)
        async with runner:
            await runner.add_workers(worker)
            with trio.move_on_after(self.within):
                await runner.registry.wait_ready(worker.name)
            self.expect(
                worker.name in runner.registry, f"It was not ready after {self.within:g} s."
            )
            yield runner
        await self.expect_gone(runner, before)

    async def expect_gone(
        self, runner: WorkerRunner, before: frozenset[trio.lowlevel.Task]
    ) -> None:
        """Check that the worker and its runner, which have ended, have left nothing.

        Args:
          runner: The runner.
          before: The Trio tasks there were before it.
        """
        self.expect_none(unfinished(runner, (self.worker,)))
        await trio.testing.wait_all_tasks_blocked()
        left = live_tasks() - before
        self.expect(not left, f"Trio tasks are left: {named(left)}.")

    def expect_none(self, what: str | None) -> None:
        """Raise the error if something is wrong."""
        if what is not None:
            self.broken(f"{what[0].upper()}{what[1:]}.")

    async def expect_end(self, what: str) -> None:
        """Wait until the worker has stopped; ``what`` asked for it."""
        with trio.move_on_after(self.within) as scope:
            await self.worker.wait()
        self.expect(not scope.cancelled_caught, f"It did not stop in time after {what}.")

    async def expect_idle(self, runner: WorkerRunner) -> None:
        """Wait until all is idle, and check that all statistics are zero then."""
        with trio.move_on_after(self.within):
            await wait_idle(runner)
        self.expect_none(busy_statistics(runner))

    async def ask(self, runner: WorkerRunner, name: str, payload: object = None) -> str | None:
        """Ask for one job; return None if it completed, else what its error says."""
        said = None
        with trio.move_on_after(self.within) as scope:
            await trio.lowlevel.checkpoint()
            try:
                await runner.call(self.worker.name, name=name, payload=payload)
            except JobError as error:
                said = "\n".join([str(error), *map(_told, error.outcomes.values())])
        late = f"Job {name!r} had no outcome after {self.within:g} s."
        self.expect(not scope.cancelled_caught, late)
        return said


def _told(outcome: object) -> str:
    return str(getattr(outcome, "error", None))
