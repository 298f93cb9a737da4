"""Blocks that a state machine has opened: job groups in the background, held to the promises."""

from collections.abc import Iterable, Iterator
from typing import Any, cast

import attrs

from ..errors import StoppedError
from ..jobs import JobGroup, JobGroupContext
from ..workers import BaseWorker, WorkerRunner
from ._plans import GroupPlan, PlanResult, PromiseBroken, play
from ._scripted import ScriptedWorker
from ._started import Started


@attrs.define(eq=False)
class Block:
    """One ``async with requester.job_group(...)`` in a Trio task of its own.

    Attributes:
      plan: What it asks for, and what its body does.
      requester: Who asks.
      started: The Trio task, once there is one.
      context: What was entered, once it was.
      result: What was seen of it, if it was left without being cancelled.
      was_failed: Whether `fail` has failed its group.
    """

    plan: GroupPlan
    requester: BaseWorker | WorkerRunner
    started: Started[None] | None = None
    context: JobGroupContext | None = None
    result: PlanResult | None = None
    was_failed: bool = False

    async def play(self, workers: Iterable[ScriptedWorker]) -> None:
        """Open the block, and check it as `play` does.

        Raises:
          PromiseBroken: An AssertionError; see `play`.
        """
        try:
            # It takes what it needs of a requester from `job_group` below.
            self.result = await play(self.plan, cast("WorkerRunner", self), workers)
        except StoppedError:
            if isinstance(self.requester, WorkerRunner):
                raise
            # A worker that has stopped asks nobody, and says so.

    def job_group(self, *worker_names: str, **options: Any) -> JobGroupContext:
        """Ask as the requester, and keep the context."""
        self.context = self.requester.job_group(*worker_names, **options)
        return self.context

    @property
    def group(self) -> JobGroup | None:
        """Its group, once the block was entered."""
        try:
            return self.context.group if self.context is not None else None
        except RuntimeError:  # not entered yet
            return None

    @property
    def is_left(self) -> bool:
        """Whether the block has been left."""
        return self.started is not None and self.started.is_done

    def cancel(self) -> None:
        """Cancel the block from outside. It is left when the run goes on."""
        if self.started is not None:
            self.started.cancel()

    def fail(self, reason: str) -> None:
        """Fail the group from outside, if it is there and not done."""
        group = self.group
        if group is not None and not group.is_done:
            group.fail(reason)
            self.was_failed = True

    def check(self, workers: Iterable[ScriptedWorker]) -> None:
        """Check P1, P2 and P6 of a block that has been left, for as long as the run lasts.

        Raises:
          PromiseBroken: An AssertionError; it says which promise, and how.
        """
        group = self.group
        faults = tuple(self._faults(group, workers)) if group is not None and self.is_left else ()
        if faults and group is not None:
            seen = PlanResult(self.plan, job_id=group.job_id, outcomes=dict(group.outcomes))
            raise PromiseBroken(faults, seen)

    def _faults(self, group: JobGroup, workers: Iterable[ScriptedWorker]) -> Iterator[str]:
        for worker in workers:
            if worker.working_for(group.job_id):
                yield f"P2: a handler of {worker.name!r} runs for a block that has been left"
            if worker.begun[group.job_id] > 1:
                yield f"P1: {worker.name!r} was called {worker.begun[group.job_id]} times"
        if set(group.outcomes) != set(self.plan.members):
            yield f"P1: there are outcomes of {sorted(group.outcomes)} after the block"
        result = self.result
        if self.was_failed and result is not None and not (result.raised or result.cancelled):
            yield "P6: the group was failed, but the block did not raise"
