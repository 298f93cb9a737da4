"""A state machine that does to workers whatever may be done to them."""

import functools
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import ClassVar

import trio
import trio.testing
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from ..bus import (
    BusActivateWorkerMessage,
    BusCancelWorkerMessage,
    BusDeactivateWorkerMessage,
    BusEndWorkerMessage,
    BusMessage,
)
from ..errors import (
    DuplicateWorkerError,
    JobError,
    NotAttachedError,
    StoppedError,
    UnknownWorkerError,
)
from ..workers import BaseWorker, WorkerErrorData, WorkerRunner
from ..workers._life_cycle import CLEANUP_SECONDS
from ._blocks import Block
from ._bus import SimulatedBus
from ._decision_strategies import all_decisions
from ._decisions import Decisions, InOrder, Recorder
from ._job_scripts import CleanUp, job_name
from ._leftovers import (
    LeftoverError,
    busy_statistics,
    live_tasks,
    named,
    unfinished,
    wait_idle,
)
from ._logged import logged_to
from ._machine import TrioStateMachine
from ._plans import GroupPlan, PlannedError
from ._scripted import ScriptedWorker
from ._strategies import DURATIONS, group_plans
from ._timeline import Timeline

#: What workers are called. Few, so that a name comes again after its worker has left.
NAMES = ("w0", "w1", "w2", "w3")

_names = st.lists(st.sampled_from(NAMES), min_size=1, unique=True)
#: Rather many, so that there is somebody to ask; shrinks to one.
_first_names = st.integers(1, 2 * len(NAMES)).map(lambda count: NAMES[:count])
_plans_of = functools.lru_cache(100)(group_plans)
_plans: st.SearchStrategy[GroupPlan] = st.runner().flatmap(lambda machine: machine.plans())


def _cleans_up_in_time(plan: GroupPlan) -> bool:
    """Whether a worker that stops waits for all of it: not longer than for a clean-up."""
    clean_ups = [step.seconds for step in plan.script.all_steps() if isinstance(step, CleanUp)]
    return sum(clean_ups) < CLEANUP_SECONDS


class WorkerMachine(TrioStateMachine):
    """Adds, stops and crashes workers, sends them jobs, cancels, and lets time pass.

    A `WorkerRunner` runs on a `SimulatedBus`; Hypothesis draws who decides on
    its deliveries. Rules add root workers and children, end, stop, cancel and crash
    them, activate them, open job groups in blocks in the background, cancel
    these or fail them from outside, send groups that nobody waits for, and let
    virtual time pass, or only a few rounds of Trio's loop.

    After each rule and at the end, what ``docs/promises.md`` says is checked: of
    each block as `play` does it, and from then on that no handler works for it;
    that names are unique; that crashes are told. In the end everything is
    cancelled: then all statistics are back to zero, and when the runner has ended,
    nothing of it is left. A failure shows the timeline of its run.

    Subclass it: override `make_worker`, add rules and invariants. ``None`` in
    place of a rule takes it away.

    Example::

        class MyMachine(WorkerMachine):
            def make_worker(self, name):
                return MyWorker(name)

            @rule(worker=WorkerMachine.workers)
            def count(self, worker):
                self.start_soon(self.runner.call, worker.name, ...)

        TestMyWorkers = MyMachine.TestCase

    Attributes:
      runner: Hosts the workers. It isn't strict: what crashes is told and goes on.
      bus: Its bus.
      timeline: What has happened.
      made: All workers that were added, oldest first, also those that have left.
      opened: All blocks that were opened, oldest first.
      told: What the runner was told of errors.
      reported: The errors themselves.
    """

    workers: ClassVar[Bundle[BaseWorker]] = Bundle("workers")
    blocks: ClassVar[Bundle[Block]] = Bundle("blocks")

    def __init__(self) -> None:
        super().__init__()
        self.timeline = Timeline()
        self._decisions = Recorder(InOrder())
        self.bus = SimulatedBus(self._decisions, self.timeline)
        self.runner = WorkerRunner(name="runner", bus=self.bus, strict=False)
        self.runner.add_event_handler("on_error", self._note_error)
        self.made: list[BaseWorker] = []
        self.opened: list[Block] = []
        self.told: list[WorkerErrorData] = []
        self.reported: list[BaseException] = []
        self._crashes: Counter[str] = Counter()

    # To override

    def make_worker(self, name: str) -> BaseWorker:
        """Return a new worker of that name.

        If it is a `ScriptedWorker`, others ask it for what `plans` say.
        """
        return ScriptedWorker(name)

    def plans(self) -> st.SearchStrategy[GroupPlan]:
        """Return a strategy for what the next block does."""
        names = tuple(sorted({worker.name for worker in self._scripted if self._hosts(worker)}))
        # Seldom somebody who isn't there: such a request waits.
        return st.sampled_from((*[names or NAMES] * 7, NAMES)).flatmap(_plans_of)

    def expects(self, error: BaseException) -> bool:
        """Return whether an error that a worker has reported is no fault: a rule caused it.

        By default those that `crash_worker` raises, and those of jobs that nobody
        waited for; all others make the example fail.
        """
        return isinstance(error, PlannedError | JobError)

    def report(self) -> str:
        """Return the timeline."""
        return str(self.timeline)

    def on_stuck(self) -> None:
        """Answer the open jobs: nobody else will."""
        self.bus.answer_lost("the example was stuck")

    @asynccontextmanager
    async def around(self) -> AsyncIterator[None]:
        """Run the runner; look for what is left at the end."""
        before = live_tasks()
        with logged_to(self.timeline, self.reported):
            async with self.runner:
                yield
                await self._come_to_rest()
            _expect_none("the runner has ended", unfinished(self.runner, tuple(self.made)))
            await trio.testing.wait_all_tasks_blocked()
            left = live_tasks() - before
            _expect_none("the runner has ended", f"Trio tasks: {named(left)}" if left else None)

    @initialize(decisions=all_decisions())
    def begin_deliveries(self, decisions: Decisions) -> None:
        """Say who decides what is delivered next; until then, what was sent first."""
        self._decisions.decisions = decisions

    # Workers

    @initialize(target=workers, names=_first_names)
    def begin_workers(self, names: Sequence[str]) -> "MultipleResults[BaseWorker]":
        """Add the first root workers."""
        return self._add(self.runner, names)

    @rule(target=workers, names=_names)
    def add_workers(self, names: Sequence[str]) -> "MultipleResults[BaseWorker]":
        """Add root workers: all of them, or none if a name is taken."""
        return self._add(self.runner, names)

    @rule(target=workers, parent=workers, names=_names)
    def add_children(
        self, parent: BaseWorker, names: Sequence[str]
    ) -> "MultipleResults[BaseWorker]":
        """Add workers to another one: all, or none if a name is taken or it doesn't run."""
        return self._add(parent, names)

    def _add(
        self, host: BaseWorker | WorkerRunner, names: Sequence[str]
    ) -> "MultipleResults[BaseWorker]":
        if not {worker.name for worker in self.made}.isdisjoint(names):
            # A request that is still under way to a worker that has left would go to
            # the next one of that name, even if the first had answered its cancel.
            self.run_until_blocked()
        workers = [self.make_worker(name) for name in names]
        taken = set(self.bus.names)
        try:
            self.run(host.add_workers, *workers)
        except DuplicateWorkerError:
            if not taken.union(self.bus.names).intersection(names):
                raise
            return multiple()
        except (StoppedError, NotAttachedError):
            if host is self.runner:
                raise
            return multiple()
        self.made += workers
        return multiple(*workers)

    @rule(worker=workers, how=st.sampled_from(("end", "cancel", "stop")))
    def remove_worker(self, worker: BaseWorker, how: str) -> None:
        """End a worker when it has finished, cancel it by message, or stop it now."""
        if how == "stop":
            self.start_soon(worker.stop, name=f"stop of {worker.name}")
        else:
            kind = BusEndWorkerMessage if how == "end" else BusCancelWorkerMessage
            self.bus.post(kind("by a rule", source=self.runner.name, target=worker.name))

    @rule(worker=consumes(workers))
    def crash_worker(self, worker: BaseWorker) -> None:
        """Let background work of a worker raise."""
        with suppress(RuntimeError):  # it does not run yet, or any more
            worker.nursery.start_soon(self._crash, worker.name)

    async def _crash(self, name: str) -> None:
        self._crashes[name] += 1
        raise PlannedError(f"{name} was crashed by a rule")

    @rule(worker=workers, active=st.booleans())
    def activate_worker(self, worker: BaseWorker, active: bool) -> None:
        """Tell a worker to become active, or inactive."""
        kind = BusActivateWorkerMessage if active else BusDeactivateWorkerMessage
        message = kind(source=self.runner.name, target=worker.name)
        self.start_soon(self._send, message, name=f"activation of {worker.name}")

    async def _send(self, message: BusMessage) -> None:
        with suppress(UnknownWorkerError):  # the worker has left
            await self.bus.send(message)

    # Jobs

    @precondition(lambda self: self.runner.workers)
    @rule(target=blocks, plans=st.lists(_plans, min_size=1, max_size=3))
    def open_blocks(self, plans: list[GroupPlan]) -> "MultipleResults[Block]":
        """Open blocks in which the runner asks."""
        return multiple(*(self._open(plan, self.runner) for plan in plans))

    @rule(target=blocks, requester=workers, plan=_plans.filter(_cleans_up_in_time))
    def open_block_of_worker(self, requester: BaseWorker, plan: GroupPlan) -> Block:
        """Open a block in which a worker asks, in a Trio task that isn't its own."""
        return self._open(plan, requester)

    def _open(self, plan: GroupPlan, requester: BaseWorker | WorkerRunner) -> Block:
        block = Block(plan, requester)
        self.opened.append(block)
        block.started = self.start_soon(
            block.play, self._scripted, name=f"block {len(self.opened)} of {requester.name}"
        )
        return block

    @rule(block=consumes(blocks))
    def cancel_block(self, block: Block) -> None:
        """Cancel a block from outside."""
        block.cancel()

    @rule(block=blocks)
    def fail_block(self, block: Block) -> None:
        """Fail the group of a block from outside."""
        block.fail("failed by a rule")

    @rule(requester=workers, plan=_plans)
    def send_and_forget(self, requester: BaseWorker, plan: GroupPlan) -> None:
        """Let a worker ask for a group that nobody waits for."""
        self.start_soon(self._request, requester, plan, name=f"request of {requester.name}")

    async def _request(self, requester: BaseWorker, plan: GroupPlan) -> None:
        with suppress(StoppedError, JobError):  # it stops, or a member was not ready in time
            await requester.request_job_group(
                *plan.members,
                name=job_name(in_turn=plan.in_turn),
                payload=plan.script,
                timeout=plan.timeout,
                cancel_on_error=plan.cancel_on_error,
            )

    # Time

    @rule(seconds=st.sampled_from(DURATIONS))
    def let_time_pass(self, seconds: float) -> None:
        """Let virtual time pass, or none: then until all wait."""
        self.advance(seconds)

    @rule(rounds=st.integers(1, 5))
    def go_on(self, rounds: int) -> None:
        """Go on for a few rounds, and stop there with things half done."""
        self.run_rounds(rounds)

    # What holds at all times

    @invariant()
    def promises_are_kept(self) -> None:
        """Check what holds after each rule; see the class."""
        # The place for what else watches: `self.bus.monitor`, once it says what is broken.
        for block in self.opened:
            block.check(self._scripted)
        self._check_names()
        self._check_reports()

    def _check_names(self) -> None:
        """Runner, registry and bus agree on who is there."""
        hosted = [worker.name for worker in self.runner.workers]
        ready, known = set(self.runner.registry.local_workers), set(self.bus.names)
        if len(set(hosted)) != len(hosted):
            raise AssertionError(f"P11: the runner has two workers of one name: {hosted}")
        if not ready.issubset(hosted):
            raise AssertionError(f"P9: the registry has {ready}, but the runner {hosted}")
        if not known.issuperset(hosted):
            raise AssertionError(f"P9: the runner has {hosted}, but the bus {known}")

    def _check_reports(self) -> None:
        """No worker has failed of its own."""
        for error in self.reported:
            group = BaseExceptionGroup("workers have failed, and no rule made them", [error])
            unexpected = group.split(lambda error: self.expects(error))[1]  # 3.11: no method
            if unexpected is not None:
                raise unexpected

    # Behind the scenes

    @property
    def _scripted(self) -> list[ScriptedWorker]:
        return [worker for worker in self.made if isinstance(worker, ScriptedWorker)]

    def _hosts(self, worker: BaseWorker) -> bool:
        return self.runner.get_worker(worker.name) is worker

    def _note_error(self, _: object, data: WorkerErrorData) -> None:
        self.told.append(data)

    async def _come_to_rest(self) -> None:
        """Fail what was sent and forgotten; wait until nothing happens; then all is zero."""
        for worker in self.runner.workers:
            for group in worker.job_groups.values():
                group.fail("the example has ended")
        await wait_idle(self.runner)
        await trio.testing.wait_all_tasks_blocked()
        self._check_reports()
        _expect_none("all has ended but the workers", busy_statistics(self.runner))
        untold = self._crashes - Counter(data.worker_name for data in self.told)
        _expect_none("P6: a crash was not told", str(dict(untold)) if untold else None)


def _expect_none(where: str, what: str | None) -> None:
    if what is not None:
        raise LeftoverError(where, what)
