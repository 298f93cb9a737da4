"""Follows a running graph by what its handlers do, and says what is wrong with that."""

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import attrs

from ...errors import HeldTasksError, JoinError
from ...graph import GraphStatistics, TaskFailure
from ._build import LIMITED, Built, Parcel
from ._ledger import Ledger
from ._plan import FlowPlan
from ._shape import INITIAL
from ._values import (
    Chain,
    FlowBroken,
    Said,
    Work,
    below,
    flat_tasks,
    labels,
    shown,
)


class FlowModel(Ledger):
    """Follows the run of one graph, and raises `FlowBroken` if that does what it must not.

    Args:
      plan: What is played.
      built: Its graph.
      failures: Returns what has failed for good until now.
      note: Is told each thing that happens.
    """

    def __init__(
        self,
        plan: FlowPlan,
        built: Built,
        failures: Callable[[], Sequence[TaskFailure]],
        note: Callable[[str, str, str], None],
    ) -> None:
        super().__init__(plan, built, note)
        self.graph = built.graph
        self.workers = built.workers
        self.failures = failures
        self.over = False
        self._seen = 0
        self._limits = [(LIMITED[number], most) for number, most in plan.limits]

    # What happens

    def pulls(self) -> None:
        """The next initial task is asked for."""
        self._look()
        if len(self.open) >= self.plan.window and not self.stopped:
            self._broke("P8", f"an initial task came while {len(self.open)} were in flight")

    def submitted(self, worker: int, task: Parcel) -> None:
        """An initial task begins, now."""
        chain = self.number((), INITIAL)
        self.chains[task.serial] = chain
        self.note("begins", chain[0][0], f"{shown(chain)} for {self.names[worker]}")
        self.enter(worker, task, chain)

    def begins(self, index: int, task: Parcel) -> Work:
        """A handler was called."""
        self._check_not_over(index)
        self._look()
        work = self._find(lambda one: one.worker == index and one.task is task and not one.is_sink)
        if work is None:
            self._broke("P12", f"{self.names[index]} got a task that was not published for it")
        if task.provenance() != work.label:
            self._broke("provenance", f"is {task.provenance()}, not {work.label}")
        if task.retry_count != work.tries:
            self._broke("retries", f"retry_count is {task.retry_count}, not {work.tries}")
        self._begin(work)
        return work

    def joins(self, index: int, tasks: Any) -> Work:
        """A join was called."""
        self._check_not_over(index)
        self._look()
        place: Chain = tasks.prefix
        work = self._find(
            lambda one: (
                one.worker == index
                and one.group is not None
                and not one.is_watch
                and one.group.place == place
            )
        )
        name = self.names[index]
        if work is None or work.refused:
            why = "was called too early" if work is None else "was called against its policy"
            self._broke("P13", f"{name} {why} at {shown(place)}; in flight: {self._in_flight()}")
        group = work.group
        assert group is not None
        got = list(flat_tasks(tasks))
        want = [task for _, task in sorted(group.held, key=lambda pair: pair[0])]
        if isinstance(tasks, dict):
            got.sort(key=Parcel.provenance)
            for kind, some in tasks.items():
                if not some or any(type(one).__name__ != kind for one in some):
                    self._broke("P13", f"{name} got {kind}: {some}")
        if len(got) != len(want) or any(a is not b for a, b in zip(got, want, strict=True)):
            self._broke("P13", f"{name} got {labels(got)} and not {labels(want)}")
        missing = sorted((one.worker, one.provenance) for one in tasks.missing)
        if missing != sorted(group.missing) or tasks.missing_count != len(missing):
            self._broke("P13", f"{name} lacks {sorted(group.missing)}, was told {missing}")
        self.used["a join fires"] += 1
        self.used["a join lacks something, and fires"] += bool(missing)
        self._begin(work)
        return work

    def _check_not_over(self, index: int) -> None:
        if self.over or self.stopped:
            self._broke("P2", f"{self.names[index]} was called after the run had been ended")

    def _begin(self, work: Work) -> None:
        name = self.names[work.worker]
        self.note("begins", name, f"{shown(work.label)}, try {work.tries + 1}")
        if work.aborted:
            self._broke("P1", f"{name} was called for what was aborted")
        if work.running:
            self._broke("P12", f"{name} was called twice at once for one task")
        work.running = True
        self._check_limits()
        self._compare()

    def resumes(self, work: Work) -> None:
        """A source goes on after a ``yield``."""
        work.resting = False
        self._look()
        count = sum(below(one.chain, work.chain) and one is not work for one in self.open)
        if count >= self.plan.window:
            self._broke("P8", f"a source was pulled while {count} of its tasks were in flight")
        self._check_limits()

    def _check_limits(self) -> None:
        active = [one for one in self.open if one.running and not one.resting]
        if len(active) > self.plan.max_running:
            self._broke("P8", f"{len(active)} handlers run at once")
        for cls, most in self._limits:
            count = sum(isinstance(self.workers[one.worker], cls) for one in active)
            if count > most:
                self._broke("P8", f"{count} of {cls.__name__} run at once, not {most}")

    def yields(self, work: Work, said: Said) -> None:
        """A source is about to yield; what it yields is published if it wasn't aborted."""
        self._look()
        self._compare()
        if not work.aborted and not self.stopped:
            self.commit(work, said)
        work.resting = True
        self.settle()

    def returned(self, work: Work, said: Said) -> None:
        """A handler has returned."""
        self._look()
        self._compare()
        work.running = work.resting = False
        name = self.names[work.worker]
        if self.stopped:
            return
        if work.aborted:
            self.note("dropped", name, shown(work.label))
            self.end_aborted(work)
        elif any(self.states[key] != seen for key, seen in said.counts.items()):
            self.note("again", name, shown(work.label))
            self.used["a handler runs again for its state"] += 1
            self.tallies[work.worker].reruns += 1
            return
        else:
            self.note("returns", name, shown(work.label))
            self.commit(work, said)
            if self.too_many:
                return
            self.tallies[work.worker].done += 1
            self.end(work)
        self.settle()

    def failed(self, work: Work, error: Exception) -> None:
        """A handler has raised."""
        self._look()
        self._compare()
        work.running = work.resting = False
        name = self.names[work.worker]
        self.note("raises", name, f"{shown(work.label)}: {type(error).__name__}")
        if self.stopped:
            return
        kind = type(error).__name__
        tries = work.tries + 1
        if work.aborted:
            self.expect(work, tries, kind)
            self.end_aborted(work)
        elif tries <= self.plan.workers[work.worker].retries and not self._is_source(work):
            work.tries = tries
            self.tallies[work.worker].retries += 1
            self.used["a task is tried again"] += 1
            return
        else:
            self.expect(work, tries, kind)
            self.lose(work)
        self.settle()

    def cancelled(self, work: Work) -> None:
        """A handler was cancelled, and raises that."""
        work.running = work.resting = False
        name = self.names[work.worker]
        self.note("cancelled", name, shown(work.label))
        if self.stopped:
            return
        self._look()
        if not work.aborted:
            self._broke("P1", f"{name} was cancelled at {shown(work.label)}, which nobody aborted")
        self.used["a handler is cancelled"] += 1
        self.end_aborted(work)
        self.settle()

    def _is_source(self, work: Work) -> bool:
        return self.plan.workers[work.worker].kind == "source"

    def sunk(self, index: int, task: Parcel) -> None:
        """A sink was called."""
        self._check_not_over(index)
        self._look()
        work = self._find(lambda one: one.is_sink and one.worker == index and one.task is task)
        if work is None or work.aborted or self.over:
            self._broke("P12", f"a sink of {self.names[index]} got what was not published")
        self.note("sunk", self.names[index], shown(work.label))
        if not self.stopped:
            self.end(work)
            self.settle()

    def notified(self, index: int, prefix: Chain) -> None:
        """A watch was told."""
        self._check_not_over(index)
        self._look()
        work = self._find(lambda one: one.worker == index and one.is_watch and one.label == prefix)
        if work is None or work.aborted or self.over:
            self._broke(
                "completion",
                f"{self.names[index]} was told that {shown(prefix)} is complete; in flight: "
                f"{self._in_flight()}",
            )
        self.note("complete", self.names[index], shown(prefix))
        self.used["a watch is told"] += 1
        if not self.stopped:
            self.end(work)
            self.settle()

    def told(self, status: str) -> None:
        """A status callback was called."""
        if self.stopped:
            return
        if not self.statuses[status]:
            self._broke("P12", f"status {status!r} was told, which is not so, or twice")
        self.statuses[status] -= 1

    def counted(self, index: int, prefix: Chain, value: int) -> int:
        """A handler has looked at its state; return what was committed."""
        if value != self.states[index, prefix]:
            self._broke(
                "P12",
                f"{self.names[index]} reads {value} at {shown(prefix)}, where "
                f"{self.states[index, prefix]} tries have succeeded",
            )
        return self.states[index, prefix]

    def aborts(self, chain: Chain, abort: Callable[[Chain], bool]) -> None:
        """Abort a provenance."""
        self._look()
        self._compare()
        if self.stopped:
            return
        expected = any(one.comes_of(chain) for one in self.open) or any(
            below(place, chain)
            or any(below(held, chain) for held, _ in group.held)
            or any(below(held, chain) for held in group.dropped)
            for (_, place, _), group in self.groups.items()
        )
        self.note("aborts", "", shown(chain))
        self.used["an abort"] += 1
        self.used["an abort stops something"] += expected
        self.abort(chain)
        self.settle()
        done = abort(chain)
        if done != expected:
            self._broke("abort", f"abort_work({shown(chain)}) is {done}, not {expected}")
        self._compare()

    def stops(self) -> None:
        """All is cancelled."""
        self.note("stops", "", "all is cancelled")
        self.used["a run is cancelled"] += 1
        self.stopped = True

    # What can be seen of the graph

    def _look(self) -> None:
        """See what joins have refused to be called since the last time."""
        failures = self.failures()
        for failure in failures[self._seen :]:
            self._seen += 1
            error = failure.error
            what = (failure.worker, failure.provenance, failure.attempts, type(error).__name__)
            if isinstance(error, JoinError) and not self.stopped:
                self._refused(failure, error)
            elif not self.stopped and not self.expected[what]:
                self._broke("P6", f"there is a failure that is none: {failure}")
            self.expected[what] -= 1

    def _refused(self, failure: TaskFailure, error: JoinError) -> None:
        work = self._find(
            lambda one: (
                one.refused
                and self.names[one.worker] == failure.worker
                and one.label == failure.provenance
            )
        )
        if work is None or work.aborted:
            self._broke("P13", f"a join failed too early, or needlessly: {failure}")
        group = work.group
        assert group is not None
        missing = sorted((one.worker, one.provenance) for one in error.missing)
        if missing != sorted(group.missing) or error.count != len(missing):
            self._broke("P13", f"{failure.worker} lacks {sorted(group.missing)}, says {missing}")
        if error.arrived != len(group.held):
            self._broke("P13", f"{failure.worker} has {len(group.held)}, says {error.arrived}")
        self.note("refused", failure.worker, shown(work.label))
        self.used["a join refuses"] += 1
        self.expected[failure.worker, failure.provenance, failure.attempts, "JoinError"] += 1
        self.lose(work)
        self.settle()

    def _compare(self) -> None:
        """Hold the statistics against what is in flight."""
        if self.stopped or self.over:
            return
        now: GraphStatistics = self.graph.statistics()
        for index, name in enumerate(self.names):
            one = now.workers[name]
            mine = [
                work
                for work in self.open
                if work.worker == index and not work.is_sink and not work.is_watch
            ]
            in_flight = one.queued + one.running + one.retrying
            running = sum(work.running for work in mine)
            held = sum(
                len(group.held) + len(group.dropped)
                for (join, _, _), group in self.groups.items()
                if join == index
            )
            if (in_flight, one.running, one.held) != (len(mine), running, held):
                self._broke(
                    "statistics",
                    f"{name} has {len(mine)} in flight, {running} running, {held} held, and says "
                    f"{in_flight}, {one.running}, {one.held}; {self._in_flight()}",
                )
        roots = {work.chain[0] for work in self.open}
        if now.in_flight != len(roots):
            self._broke("statistics", f"{len(roots)} initial tasks in flight, not {now.in_flight}")

    def at_end(self, raised: BaseException | None) -> None:
        """The run has ended."""
        self.over = True
        for work in self.open:
            if work.running:
                self._broke("P2", f"{self.names[work.worker]} still runs after the run")
        now = self.graph.statistics()
        if self.too_many:
            if not isinstance(raised, HeldTasksError):
                self._broke("P8", f"joins hold too much, and the run raises {raised!r}")
            self.used["joins hold too much"] += 1
            return
        if raised is not None:
            raise raised
        if self.stopped:
            return
        self._look()
        if self.open or self.groups:
            waiting = [(self.names[join], shown(place)) for join, place, _ in self.groups]
            self._broke("P10", f"the run has ended with {self._in_flight()} and {waiting} left")
        left = {what: count for what, count in self.expected.items() if count}
        if left:
            self._broke("P6", f"failures that were not told: {left}")
        if any(self.statuses.values()):
            self._broke("P12", f"statuses that were not told: {+self.statuses}")
        got = self.graph.get_output_tasks()
        if list(map(id, got)) != list(map(id, self.collected)):
            self._broke("P12", f"sinks have {labels(got)}, not {labels(self.collected)}")
        for name, tally in zip(self.names, self.tallies, strict=True):
            one = now.workers[name]
            counts = (one.done, one.failed, one.aborted, one.retries, one.reruns)
            if counts != attrs.astuple(tally):
                self._broke("statistics", f"{name} has {tally}, says {one}")
        if (now.in_flight, now.queued, now.running, now.retrying, now.held) != (0, 0, 0, 0, 0):
            self._broke("P10", f"the run has ended, and counts are not zero: {now}")

    def nth_in_flight(self, number: int) -> Chain | None:
        """Return the provenance of something in flight or held, or None if nothing is."""
        chains = {work.label for work in self.open if work.label}
        chains |= {held for group in self.groups.values() for held, _ in group.held}
        ordered = sorted(chains)
        return ordered[number % len(ordered)] if ordered else None

    def _find(self, is_it: Callable[[Work], bool]) -> Work | None:
        return next((one for one in self.open if is_it(one)), None)

    def _in_flight(self) -> str:
        return ", ".join(f"{self.names[work.worker]} {shown(work.chain)}" for work in self.open)

    def _broke(self, promise: str, what: str) -> NoReturn:
        self.note("broken", "", f"{promise}: {what}")
        raise FlowBroken(f"{promise}: {what}")
