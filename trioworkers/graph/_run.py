"""A graph while it runs: what becomes of each task, and what follows from that."""

import math
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping
from contextvars import Context
from itertools import count
from typing import Any

import attrs
import trio
from trio.lowlevel import (
    Abort,
    ParkingLot,
    RaiseCancelT,
    enable_ki_protection,
    reschedule,
    wait_task_rescheduled,
)

from ..errors import (
    GraphInvariantError,
    HeldTasksError,
    JoinError,
    StoppedError,
)
from ._aborts import abort, drop_aborted, miss
from ._attempt import Attempt, PutAside
from ._failures import Failures, TaskFailure
from ._limits import give_back, take
from ._outlet import Outlet
from ._outputs import commit, hold_own
from ._phases import ENDED, QUEUED, READY, RESUMING, RETRYING, RUNNING
from ._provenance import Group, Node, Pair, ProvenanceChain, ProvenanceTree, nearest
from ._retries import Retries
from ._runners import Runners
from ._sorting import sort_by_provenance
from ._sources import Source
from ._states import Extra, Turns, extra_of, outlet_of
from ._stations import Station
from ._statistics import GraphStatistics
from ._task import Task
from ._trace import Trace, Tracer
from ._wiring import INITIAL
from ._worker import InitialTaskWorker, TaskWorker


@attrs.frozen(kw_only=True)
class RunSettings:
    """What a graph can be told about its runs; see `Graph`."""

    window: int = 1000
    max_held: int = 1_000_000
    max_running: int = 1000
    max_threads: int = 40
    random: Callable[[], float]


@attrs.define(eq=False)
class GraphRun:
    """One run of a graph. All of it but the calls of handlers is synchronous book-keeping.

    A task that was published becomes a node of the tree, and a place in the queue;
    when its handler has succeeded, all its outputs do, in one step, and then it
    ends. What joins hold needs no node.

    Attributes:
      name: The graph's.
      stations: By worker.
      settings: The graph's.
      context: What they start in a copy of.
      initial_numbers: What initial tasks are numbered with.
      outputs: What sinks have collected.
      failures: What has failed for good.
      nursery: Where handlers run; there from `start` on.
      runners: Who runs them; the same.
      tree: What is in flight.
      intake: The window of the initial tasks.
      held: How many tasks joins hold.
      fatal: What ends the run at once, if something does.
      is_cancelled: Whether it was cancelled, or has ended, so that nothing counts any more.
      threads: How many handlers may run in threads.
      outlets: Those that initial tasks are, or may be, given with.
      told_failures: How many failures were given to outlets.
      tracer: Keeps what happens below some prefixes; None if nobody has asked for that.
      status_numbers: What statuses are numbered with that outlets have.
    """

    name: str
    stations: Mapping[TaskWorker, Station]
    settings: RunSettings
    context: Context
    initial_numbers: Any
    outputs: list[Task]
    failures: Failures = attrs.field(init=False)
    tree: ProvenanceTree = attrs.field(init=False, factory=ProvenanceTree)
    intake: Source = attrs.field(init=False)
    nursery: trio.Nursery = attrs.field(init=False)
    runners: Runners = attrs.field(init=False)
    held: int = attrs.field(init=False, default=0)
    fatal: BaseException | None = attrs.field(init=False, default=None)
    is_cancelled: bool = attrs.field(init=False, default=False)
    threads: trio.CapacityLimiter = attrs.field(init=False)
    _retries: Retries = attrs.field(init=False, factory=Retries)
    outlets: set[Outlet] = attrs.field(init=False, factory=set)
    told_failures: int = attrs.field(init=False, default=0)
    tracer: Tracer | None = attrs.field(init=False, default=None)
    status_numbers: Iterator[int] = attrs.field(init=False, factory=lambda: count(1))
    _idle: ParkingLot = attrs.field(init=False, factory=ParkingLot)
    _turns: Turns = attrs.field(init=False, factory=Turns)
    _lots: set[ParkingLot] = attrs.field(init=False, factory=set)

    def __attrs_post_init__(self) -> None:
        self.failures = Failures(self.name)
        self.intake = Source(None, self.settings.window)
        self.threads = trio.CapacityLimiter(self.settings.max_threads)

    def start(self, nursery: trio.Nursery) -> None:
        """Run handlers in ``nursery`` from now on."""
        self.nursery = nursery
        self.runners = Runners(self, nursery, self.context, self.settings.max_running)
        self.context.run(nursery.start_soon, self._notice_cancel)

    @enable_ki_protection
    async def _notice_cancel(self) -> None:
        """Wait until the run is cancelled, from inside or outside, or has ended.

        Trio tells all who wait in one step, before it lets any of them go on. So
        handlers that make nothing of it are known without asking Trio after each.
        """

        def leave(_: RaiseCancelT) -> Abort:
            self.is_cancelled = True
            return Abort.SUCCEEDED

        await wait_task_rescheduled(leave)

    # Beginning

    @enable_ki_protection
    def submit(self, worker: TaskWorker, task: Task, extra: Extra | None = None) -> Pair:
        """Begin with an initial task; return its pair. The arguments have been checked."""
        pair = (INITIAL, next(self.initial_numbers))
        source = self.intake
        if extra is not None and extra.outlet is not None:
            extra.outlet.roots[pair] = None
            source = extra.outlet.source
        task._pair = pair
        task._worker = InitialTaskWorker
        task._published = True
        station = self.stations[worker]
        node = self.begin(None, pair, task, station, source)
        node.extra = extra
        if station.join is not None:
            hold_own(self, node, station)
        else:
            self.queue(node, station)
        if self.runners.ready:
            self.runners.wake()
        return pair

    def begin(
        self, parent: Node | None, pair: Pair, task: Task, station: Station, source: Source
    ) -> Node:
        """Put a task into the tree, and count it."""
        node = self.tree.open(parent, pair, task, station)
        node.source = source
        above: Source | None = source
        while above is not None:
            above.count += 1
            above = above.above
        station.accepted += 1
        if self.tracer is not None:
            self.tracer.begun(node)
        return node

    def queue(self, node: Node, station: Station) -> None:
        """Let a task wait for a runner, or for places before that."""
        if not station.limits or (not station.line and take(station.limits)):
            node.phase = READY
            self.runners.ready.append(node)
        else:
            node.phase = QUEUED
            station.line.append(node)

    def pump(self, station: Station) -> None:
        """Give back the places of one task, and let others have them."""
        give_back(station.limits)
        for limit in station.limits:
            stations = limit.stations
            for _ in range(len(stations)):
                if not limit.has_room:
                    break
                other = stations[0]
                stations.rotate(-1)
                self._admit(other)

    def _admit(self, station: Station) -> None:
        """Let tasks of one station have places while there are some."""
        line = station.line
        while line:
            node = line[0]
            if node.phase == ENDED:
                line.popleft()
                continue
            if not take(station.limits):
                return
            line.popleft()
            if node.phase == RESUMING:
                node.phase = RUNNING
                reschedule(node.seat.task)
            else:
                node.phase = READY
                self.runners.ready.append(node)
        # Runners that end a task look at what is ready; whoever else calls this wakes one.

    # Success

    def succeeded(self, attempt: Attempt) -> bool:
        """Make what a handler has said visible, all of it in one step, and end its task.

        Returns:
          Whether statuses are to be told before the task may be ended.
        """
        attempt.is_open = False
        node = attempt.node
        if node.aborted:
            attempt.drop()
            self.aborted(node, attempt.station)
            return False
        if self.is_cancelled:  # whatever the handler has made of it
            attempt.drop()
            self._cut_short(node, attempt.station)
            return False
        stale = attempt.states.stale() if attempt.states is not None else None
        if stale is not None:
            attempt.drop()
            attempt.station.reruns += 1
            self._work_over(node, attempt.station)
            if self._turns.take(node, stale):
                self.queue(node, attempt.station)
            return False
        commit(self, attempt)
        attempt.station.done += 1
        if attempt.statuses is not None:
            return True
        self.finish(node)
        return False

    # The end of a task

    def finish(self, node: Node) -> None:
        """Note that a task has ended for good, and begin what was waiting for that."""
        station: Station = node.worker
        if node.phase == RUNNING:
            station.running -= 1
            if station.limits:
                self.pump(station)
        elif node.phase == READY and station.limits:
            self.pump(station)
        if self.tracer is not None:
            self.tracer.ended(node)
        node.phase = ENDED
        node.seat = None
        source: Source | None = node.source
        while source is not None:
            source.leave()
            source = source.above
        if self._turns:
            self._end_turn(node)
        tree = self.tree
        tree.end(node)
        if tree.fired:
            self._fire()
        if tree.completed:
            self._complete()
        if not tree.roots:
            self._idle.unpark_all()

    def _fire(self) -> None:
        """Queue the joins, and watches, whose time has come."""
        for node in self.tree.fired:
            station: Station = node.worker
            group: Group = node.task
            place = group.node
            source: Source | None = place.source
            node.source = source
            while source is not None:
                source.count += 1
                source = source.above
            station.accepted += 1
            count = len(group.tasks)
            self.held -= count
            station.held -= count
            if group.dropped:
                drop_aborted(group, station)
            sort_by_provenance(group.tasks, place)
            if self.tracer is not None:
                self.tracer.begun(node)
            self.queue(node, station)
        self.tree.fired.clear()

    def _complete(self) -> None:
        for node in self.tree.completed:
            extra: Extra = node.extra
            if extra.waiters is not None:
                extra.waiters.unpark_all()
                self._lots.discard(extra.waiters)
            if extra.outlet is not None:
                extra.outlet.root_done(node)
            if extra.trace is not None and self.tracer is not None:
                self.tracer.completed(extra.trace, node)
        self.tree.completed.clear()

    # What is taken from outlets

    def taken(self, node: Node) -> None:
        """Note that an output, or a status, was taken out of its outlet and told."""
        if node.phase != ENDED:
            self.finish(node)
            if self.runners.ready:
                self.runners.wake()

    def refuse(self, node: Node, error: Exception) -> None:
        """Note that what was taken out of an outlet can't be told."""
        station: Station = node.worker
        task = node.task
        if isinstance(task, tuple):
            station, task = task[:2]
        self.keep(node, TaskFailure(station.name, task.provenance(), task, error, 1))
        self.taken(node)

    @enable_ki_protection
    async def stop(self, outlet: Outlet) -> None:
        """Abort all that an outlet is for, and wait until nothing of it runs.

        If the run has been cancelled meanwhile, its runners end without ending what
        they were at; that is as good.
        """
        for pair in list(outlet.roots):
            abort(self, (pair,))
        with trio.CancelScope(shield=True):
            while outlet.roots and self.runners.count:
                await outlet.wait()

    def runners_gone(self) -> None:
        """Note that nothing runs any more."""
        for outlet in self.outlets:
            outlet.wake()

    # Failure

    def failed(self, attempt: Attempt, error: Exception) -> None:
        """Note that a handler has failed: its task is tried again, or ended."""
        node, station = attempt.node, attempt.station
        if type(error) is PutAside:
            self._put_aside(attempt)
            return
        attempt.drop()
        if node.aborted:
            if not isinstance(error, JoinError):
                self._note(node, station, error)
            self.aborted(node, station)
            return
        retry = station.retry
        if (
            retry is not None
            and not isinstance(error, JoinError)
            and trio.current_effective_deadline() != -math.inf
        ):
            delay = retry.delay(error, _tries(node) + 1, self.settings.random)
            if delay is not None:
                _count_try(node)
                station.retries += 1
                if self.tracer is not None:
                    self.tracer.failed(node, error, again=True)
                self._retry(node, station, delay)
                return
        station.failed += 1
        self._lost(node, station, self._note(node, station, error))
        self.finish(node)

    def _note(self, node: Node, station: Station, error: Exception) -> TaskFailure:
        task = node.task if isinstance(node.task, Task) else None
        chain = node.chain() if task is None else task.provenance()
        failure = TaskFailure(station.name, chain, task, error, _tries(node) + 1)
        self.keep(node, failure)
        if self.tracer is not None:
            self.tracer.failed(node, error)
        return failure

    def keep(self, node: Node, failure: TaskFailure) -> None:
        """Keep a failure for whom it is of interest to."""
        outlet = outlet_of(node)
        if outlet is None:
            self.failures.add(failure)
        else:
            outlet.failures.add(failure)
            self.told_failures += 1

    def _work_over(self, node: Node, station: Station) -> None:
        """Note that the handler of a task doesn't run, and will be called again."""
        station.running -= 1
        node.phase = QUEUED
        node.seat = None
        if station.limits:
            self.pump(station)

    def _put_aside(self, attempt: Attempt) -> None:
        """Let a task wait, without a place, until `bring_back`."""
        attempt.is_open = False
        node, station = attempt.node, attempt.station
        if node.aborted:
            attempt.drop()
            self.aborted(node, station)
            return
        self._work_over(node, station)
        if self._turns:
            self._end_turn(node)

    def bring_back(self, node: Node) -> None:
        """Let a task that was put aside be worked on again, if it was not aborted."""
        if not node.ended:
            self.queue(node, node.worker)
            if self.runners.ready:
                self.runners.wake()

    def _end_turn(self, node: Node) -> None:
        following = self._turns.leave(node)
        if following is not None:
            self.queue(following, following.worker)

    def _retry(self, node: Node, station: Station, delay: float) -> None:
        self._work_over(node, station)
        if self._turns:
            self._end_turn(node)
        if delay <= 0:
            self.queue(node, station)
            return
        station.retrying += 1
        node.phase = RETRYING
        if self._retries.add(node, trio.current_time() + delay):
            # Not in the context of the handler that has failed, which it would keep.
            self.context.run(self.nursery.start_soon, self._retries.watch, self._try_again)

    def _try_again(self, nodes: list[Node]) -> None:
        """Queue what is to be tried again now."""
        for node in nodes:
            if node.phase == RETRYING:
                node.worker.retrying -= 1
                self.queue(node, node.worker)
        if self.runners.ready:
            self.runners.wake()

    def _lost(self, node: Node, station: Station, failure: TaskFailure) -> None:
        """Tell the joins that lack what would have come of a task."""
        start = node.parent if node.is_firing else node
        is_refusal = isinstance(failure.error, JoinError) or (
            station.join is not None and not node.task.tasks
        )
        if is_refusal and start is not None:
            extra = start.extra if isinstance(start.extra, Extra) else None
            extra = start.extra = extra or Extra()
            extra.refused = extra.refused or set()
            extra.refused.add(station)
        for join in station.lacking:
            rule = join.join
            assert rule is not None
            place = nearest(start, rule.names)
            if place is None or place.aborted:
                continue
            if is_refusal and join in _refused(place):
                continue  # joins in a circle, each failing since the other has
            miss(self.tree.group(place, join, join, join.rank), failure)

    # Abort

    def aborted(self, node: Node, station: Station) -> None:
        """End an aborted task, whose handler doesn't run."""
        phase = node.phase
        if phase == RETRYING:
            station.retrying -= 1
        if station.forget is not None:
            station.forget(node)
        station.aborted += 1
        if self.tracer is not None:
            self.tracer.said(node, "aborted")
        self.finish(node)
        if phase == READY:
            self.runners.sweeper.note(self.runners.ready, _has_ended)
        elif phase == QUEUED:
            station.sweeper.note(station.line, _has_ended)
        elif phase == RETRYING:
            self._retries.drop()

    def _cut_short(self, node: Node, station: Station) -> None:
        """Note that the handler of a task has ended well, in a run that was cancelled.

        As with all others that run then, the task stays in the tree: nothing that waits
        for its end is to be told of it, as if there was something to go on with.
        """
        station.running -= 1
        station.aborted += 1
        if self.tracer is not None:
            self.tracer.said(node, "aborted")

    def stopped(self, attempt: Attempt, error: Exception | None) -> None:
        """End a task whose handler was cancelled.

        Args:
          attempt: What was cancelled.
          error: What it has raised beside that.
        """
        node, station = attempt.node, attempt.station
        is_done = not attempt.is_open  # only the statuses were not told
        attempt.drop()
        if not node.aborted or isinstance(error, GraphInvariantError | HeldTasksError):
            self.crash(error or GraphInvariantError(f"{node!r} was cancelled by nobody"))
            return
        if error is not None:
            self._note(node, station, error)
        if is_done:
            self.finish(node)
        else:
            self.aborted(node, station)

    # The end of the run

    def crash(self, error: BaseException) -> None:
        """End the run at once, with an error that is no task's."""
        if self.fatal is None:
            self.fatal = error
        self.nursery.cancel_scope.cancel()

    def interrupted(self, attempt: Attempt | None, stop: BaseException) -> bool:
        """Take what has ended a runner; return whether it is to go on up."""
        if attempt is not None:
            attempt.drop()
        if isinstance(stop, trio.Cancelled):
            return True
        rest: BaseException | None = stop
        if isinstance(stop, BaseExceptionGroup):
            rest = stop.split(trio.Cancelled)[1]
        if rest is None:
            return True
        self.crash(rest)
        return False

    @property
    def is_closing(self) -> bool:
        """Whether it has been, or is being, left."""
        return self.intake.closed is not None

    def close(self) -> None:
        """Let nobody wait any more for what won't come."""
        self.intake.close(StoppedError(f"graph {self.name!r} has ended", "open it again"))
        for lot in self._lots:
            lot.unpark_all()

    async def wait_completed(self, chain: ProvenanceChain) -> None:
        """Wait until nothing is left of a provenance. Always a checkpoint.

        Raises:
          StoppedError: The run has ended before.
        """
        await trio.lowlevel.checkpoint()
        for node in self.tree.find_all(chain):
            if not node.open:
                continue  # it has completed while another was waited for
            extra = extra_of(node)
            if extra.waiters is None:
                extra.waiters = ParkingLot()
                self._lots.add(extra.waiters)
            if not self.is_closing:
                await extra.waiters.park()
            if node.open:
                raise StoppedError(
                    f"graph {self.name!r} has ended with work left of what was waited for",
                    "wait inside the block of Graph.open()",
                )

    @enable_ki_protection
    def trace(self, node: Node) -> Trace:
        """Begin to keep what happens below a node; see `Graph.trace`."""
        if self.tracer is None:
            self.tracer = Tracer()
        return self.tracer.trace(node)

    def traces(self) -> tuple[Trace, ...]:
        """Return all traces, the oldest first."""
        return () if self.tracer is None else tuple(self.tracer.traces.values())

    async def wait_idle(self) -> None:
        """Wait until nothing is in flight. Always a checkpoint."""
        await trio.lowlevel.checkpoint()
        while self.tree.roots:
            await self._idle.park()

    async def pull(self, tasks: Any, submit: Callable[[Any], object]) -> None:
        """Submit what an iterable gives, while there is room in the window."""
        if not hasattr(tasks, "__aiter__"):
            given = iter(tasks)
            try:
                for item in given:
                    submit(item)
                    if self.intake.is_full:
                        await self.intake.wait_room()
            finally:
                if isinstance(given, Generator):
                    given.close()
            return
        items: AsyncIterator[Any] = aiter(tasks)
        try:
            async for item in items:
                submit(item)
                if self.intake.is_full:
                    await self.intake.wait_room()
        finally:
            if hasattr(items, "aclose"):
                await items.aclose()

    def statistics(self) -> GraphStatistics:
        """Return how it stands."""
        workers = {station.name: station.statistics() for station in self.stations.values()}

        def total(what: str) -> int:
            return sum(getattr(one, what) for one in workers.values())

        return GraphStatistics(
            workers=workers,
            in_flight=len(self.tree.roots),
            queued=total("queued"),
            running=total("running"),
            retrying=total("retrying"),
            held=self.held,
            done=total("done"),
            failed=self.failures.count + self.told_failures,
            aborted=total("aborted"),
            handler_tasks=self.runners.count,
        )


def _tries(node: Node) -> int:
    """Return how often a task was tried before now."""
    task: Any = node.task
    if type(task) is Group:
        return task.tries
    return int(task._retry_count)


def _has_ended(node: Node) -> bool:
    return node.ended


def _refused(node: Node) -> set[object]:
    extra = node.extra
    return (isinstance(extra, Extra) and extra.refused) or set()


def _count_try(node: Node) -> None:
    task: Any = node.task
    if type(task) is Group:
        task.tries += 1
    else:
        task._retry_count += 1
