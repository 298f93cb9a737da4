"""The running half of each worker: its queue, its places, its counts, where its outputs go."""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from enum import Enum, auto
from itertools import count
from typing import Any

import attrs
from trio.lowlevel import disable_ki_protection

from ._join_policy import JoinPolicy, as_policy
from ._limits import Limit
from ._provenance import Node
from ._retry import RetryPolicy
from ._routes import Routes
from ._statistics import TaskWorkerStatistics
from ._strict import strict
from ._sweeper import Sweeper
from ._task import Task
from ._wiring import INITIAL, Sink
from ._worker import TaskWorker


class Kind(Enum):
    """What becomes of a task that comes to a station."""

    ASYNC = auto()
    THREAD = auto()
    SOURCE = auto()
    JOIN = auto()
    NOTIFY = auto()
    WATCH = auto()
    COLLECT = auto()


@attrs.define(eq=False)
class JoinRule:
    """What a join waits for.

    Attributes:
      names: The workers whose pairs it groups by.
      at_root: Whether those are the initial tasks alone.
      policy: What to do when inputs are missing.
    """

    names: frozenset[str]
    at_root: bool
    policy: JoinPolicy


@attrs.define(eq=False)
class Station:
    """A worker, or a sink, while its graph runs.

    Attributes:
      name: The worker's.
      worker: Whose tasks; of a sink, whose outputs.
      kind: What becomes of tasks here.
      handler: The worker's method, or what a sink notifies; None for one that collects.
      in_thread: Whether the handler is a plain ``def``, for a thread.
      retry: When a task is tried again; None for never.
      limits: Places that a task must have before its handler is called.
      join: What it waits for, of a join.
      rank: Of what waits at one node, the lowest comes first.
      lacking: The joins that lack something if a task here is lost.
      numbers: What its outputs are numbered with.
      targets: By type of output: where it goes; not there if it is not clear.
      chosen: By type of output and consumer: where it goes then.
      line: Tasks that wait for places.
      sweeper: Takes those out of it that have ended.
      forget: Told of each task that was aborted, if it may have been put aside.
      is_traced: Of a join, whether what happens to its groups is kept.
    """

    name: str
    worker: TaskWorker
    kind: Kind
    handler: Callable[..., Any] | None = None
    in_thread: bool = False
    retry: RetryPolicy | None = None
    limits: tuple[Limit, ...] = ()
    join: JoinRule | None = None
    rank: tuple[int, ...] = (0,)
    lacking: "tuple[Station, ...]" = ()
    numbers: "count[int]" = attrs.field(factory=lambda: count(1))
    targets: "dict[type[Task], Station | Fork]" = attrs.field(factory=dict)
    chosen: "dict[tuple[type[Task], object], Station | Fork]" = attrs.field(factory=dict)
    line: deque[Node] = attrs.field(factory=deque)
    sweeper: Sweeper = attrs.field(factory=Sweeper)
    forget: Callable[[Node], None] | None = None
    is_traced: bool = False

    accepted: int = 0
    running: int = 0
    retrying: int = 0
    held: int = 0
    done: int = 0
    failed: int = 0
    aborted: int = 0
    retries: int = 0
    reruns: int = 0
    cached: int = 0

    def target(self, task: Task, consumer: object) -> "Station | Fork":
        """Return where an output goes.

        Raises:
          ValueError: It is of a type that the worker doesn't publish, or it is
            not clear, or not so, who consumes it.
        """
        cls = type(task)
        found = self.targets.get(cls) if consumer is None else self.chosen.get((cls, consumer))
        if found is not None:
            return found
        takers = ", ".join(
            sorted(other.name for kind, other in self.chosen if kind is cls)  # type: ignore[attr-defined]
        )
        if cls not in self.worker.output_types:
            names = ", ".join(one.__name__ for one in self.worker.output_types) or "nothing"
            raise ValueError(
                f"{self.name} published a {cls.__name__}, but its output_types are {names}: "
                "add it there"
            )
        if consumer is None:
            raise ValueError(
                f"{self.name} published a {cls.__name__}, which several workers take: {takers}. "
                "Say which with consumer="
            )
        raise ValueError(
            f"{self.name} published a {cls.__name__} for "
            f"{getattr(consumer, 'name', consumer)!r}, which takes none from it; those that do: "
            f"{takers or 'nobody'}"
        )

    def statistics(self) -> TaskWorkerStatistics:
        """Return how its tasks stand."""
        over = self.done + self.failed + self.aborted
        return TaskWorkerStatistics(
            queued=self.accepted - self.running - self.retrying - over,
            running=self.running,
            retrying=self.retrying,
            held=self.held,
            done=self.done,
            failed=self.failed,
            aborted=self.aborted,
            retries=self.retries,
            reruns=self.reruns,
            cached=self.cached,
        )


@attrs.frozen(eq=False)
class Fork:
    """Several stations that one output goes to: a consumer, and sinks."""

    stations: tuple[Station, ...]


def make_stations(
    routes: Routes,
    places: Mapping[type[TaskWorker], int],
    numbers: "dict[TaskWorker, count[int]]",
    *,
    is_strict: bool = False,
) -> dict[TaskWorker, Station]:
    """Return the stations of a checked graph by worker.

    Args:
      routes: The graph's.
      places: How many tasks of the instances of a class may be worked on at once.
      numbers: What the outputs of each worker are numbered with; filled in.
      is_strict: Whether handlers must not change what they are given.
    """
    limits = {cls: Limit(number) for cls, number in places.items()}
    stations: dict[TaskWorker, Station] = {}
    ranks = _ranks(routes)
    for worker in routes.workers:
        station = _worker_station(worker, routes, limits, numbers, is_strict)
        station.rank = (ranks[worker],)
        stations[worker] = station
    for station in stations.values():
        station.lacking = tuple(stations[join] for join in _lacking(routes, station.worker))
        for limit in station.limits:
            limit.stations.append(station)
        _connect(station, stations, routes)
    return stations


def _lacking(routes: Routes, worker: TaskWorker) -> Iterable[TaskWorker]:
    after = routes.missing_after.get(worker)
    return routes.missing_from[worker] if after is None else after


def _worker_station(
    worker: TaskWorker,
    routes: Routes,
    limits: Mapping[type[TaskWorker], Limit],
    numbers: "dict[TaskWorker, count[int]]",
    is_strict: bool,
) -> Station:
    wrapper = worker._wrapper_name
    handler = interruptible(getattr(worker, wrapper or worker._handler_name))
    join = _join_rule(worker, routes)
    consume_kind = "async" if wrapper is not None else str(worker._consume_kind)
    if is_strict:
        handler = strict(worker.name, handler, consume_kind)
    kind = Kind.JOIN if join is not None else Kind[consume_kind.upper()]
    retry = None
    if worker.num_retries:
        retry = RetryPolicy(worker.num_retries, worker.retry_on, worker.backoff)
    return Station(
        worker.name,
        worker,
        kind,
        handler,
        in_thread=consume_kind == "thread",
        retry=retry,
        limits=tuple(limits[cls] for cls in routes.limits[worker]),
        join=join,
        is_traced=bool(getattr(worker, "enable_trace", False)),
        forget=getattr(worker, "_forget", None),
        numbers=numbers.setdefault(worker, count(1)),
    )


def interruptible(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let Ctrl-C stop a user's function, also where it is called by one it must not stop."""
    plain = getattr(function, "__func__", function)
    if hasattr(plain, "__code__"):
        disable_ki_protection(plain)
    return function


def watch_station(station: Station, callback: Callable[..., Any]) -> Station:
    """Return where a watch of a worker is told."""
    return Station(
        station.name,
        station.worker,
        Kind.WATCH,
        interruptible(callback),
        rank=(*station.rank, 1),
        lacking=station.lacking,
        numbers=station.numbers,
        targets=station.targets,
        chosen=station.chosen,
    )


def _join_rule(worker: TaskWorker, routes: Routes) -> JoinRule | None:
    join_type = getattr(worker, "join_type", None)
    if join_type is None:
        return None
    policy = as_policy(getattr(worker, "join_policy", "all"))
    names = frozenset(one.name for one in routes.workers if isinstance(one, join_type))
    at_root = not names
    return JoinRule(names or frozenset({INITIAL}), at_root, policy)


def _ranks(routes: Routes) -> dict[TaskWorker, int]:
    """Return how many workers are before each one in the graph, and not behind it too.

    It is lower for whatever leads to a worker than for the worker, whichever
    ways there are between them, unless there is a way back.
    """
    # Sets of workers as the bits of a number: whoever is before one, itself included.
    before = {worker: 1 << index for index, worker in enumerate(routes.workers)}
    pending = deque(routes.workers)
    while pending:
        worker = pending.popleft()
        for takers in routes.consumers[worker].values():
            for taker in takers:
                if before[taker] | before[worker] != before[taker]:
                    before[taker] |= before[worker]
                    pending.append(taker)
    # Those with the same before them are before and behind each other.
    circles = Counter(before.values())
    return {worker: found.bit_count() - circles[found] for worker, found in before.items()}


def _connect(station: Station, stations: Mapping[Any, Station], routes: Routes) -> None:
    """Fill in where the outputs of a station go."""
    worker = station.worker
    for cls, takers in routes.consumers[worker].items():
        sinks = [_sink_station(sink) for sink in routes.sinks[worker].get(cls, ())]
        if not takers and not sinks:  # the exit, of which everything is kept
            sinks = [Station(worker.name, worker, Kind.COLLECT)]
        if not takers:
            station.targets[cls] = _together(sinks)
        for taker in takers:
            target = _together([stations[taker], *sinks])
            station.chosen[cls, taker] = target
            if len(takers) == 1:
                station.targets[cls] = target


def _sink_station(sink: Sink) -> Station:
    name = f"sink of {sink.worker.name}"
    if sink.notify is None:
        return Station(name, sink.worker, Kind.COLLECT)
    return Station(name, sink.worker, Kind.NOTIFY, interruptible(sink.notify))


def _together(stations: list[Station]) -> Station | Fork:
    return stations[0] if len(stations) == 1 else Fork(tuple(stations))
