"""How the workers of a graph are connected: data, and the mistakes that show at once."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import attrs

from ..errors import DuplicateWorkerError
from ._ports import SinkCallback
from ._task import Task
from ._worker import InitialTaskWorker, TaskWorker

#: The name that provenance begins with.
INITIAL = InitialTaskWorker.__name__


@attrs.define(eq=False)
class Edge:
    """What one worker publishes goes to another.

    Attributes:
      upstream: Who publishes.
      downstream: Who takes it.
      types: Which of the types that fit; None for what the annotation names.
    """

    upstream: TaskWorker
    downstream: TaskWorker
    types: tuple[type[Task], ...] | None = None


@attrs.frozen(eq=False)
class Sink:
    """What one worker publishes of one type is collected.

    Attributes:
      worker: Who publishes.
      output_type: Which type.
      notify: Called with metadata and task instead of keeping the task.
    """

    worker: TaskWorker
    output_type: type[Task]
    notify: SinkCallback | None = None


@attrs.define(eq=False)
class Wiring:
    """The workers of one graph, and how they are connected.

    Attributes:
      graph: The graph's name, for messages.
      workers: In the order in which they were added.
      edges: By publishing and taking worker.
      entries: Who may get initial tasks.
      exit: Who may publish what nobody here takes.
      sinks: What is collected.
      limits: How many tasks of the instances of a class may be worked on at once.
    """

    graph: str
    workers: list[TaskWorker] = attrs.field(factory=list)
    edges: dict[tuple[TaskWorker, TaskWorker], Edge] = attrs.field(factory=dict)
    entries: list[TaskWorker] = attrs.field(factory=list)
    exit: TaskWorker | None = None
    sinks: list[Sink] = attrs.field(factory=list)
    limits: dict[type[TaskWorker], int] = attrs.field(factory=dict)
    _takers: dict[TaskWorker, list[TaskWorker]] = attrs.field(init=False, factory=dict)
    _givers: dict[TaskWorker, list[TaskWorker]] = attrs.field(init=False, factory=dict)

    def add(self, worker: TaskWorker) -> None:
        """Add a worker, and give it a name that is unique.

        Raises:
          TypeError: It is no worker, but perhaps the class of one.
          ValueError: It is in a graph already, or has another one's name.
        """
        self._require_worker(worker, "add_worker")
        if isinstance(worker, InitialTaskWorker):
            raise ValueError(
                f"an {INITIAL} stands for whoever submits the initial tasks and can't be added; "
                "name the workers that get those with set_entry()"
            )
        if worker._graph is not None:
            where = "this graph" if worker in self.workers else f"graph {worker._graph.name!r}"
            raise ValueError(
                f"worker {worker.name!r} is in {where} already; make another instance of "
                f"{type(worker).__name__}"
            )
        taken = {INITIAL, *(other.name for other in self.workers)}
        if worker.name in taken:
            if worker.name != type(worker).__name__ or worker.name == INITIAL:
                raise DuplicateWorkerError(worker.name, f"graph {self.graph!r}")
            number = 2
            while f"{worker.name}-{number}" in taken:
                number += 1
            worker.name = f"{worker.name}-{number}"
        self.workers.append(worker)

    def connect(
        self, upstream: TaskWorker, downstream: TaskWorker, types: Sequence[type[Task]] | None
    ) -> None:
        """Let what one worker publishes go to another. Twice is the same as once.

        Raises:
          TypeError: One is no worker, or ``types`` are no task classes.
          ValueError: One is not in the graph.
        """
        self.require(upstream, "set_dependency")
        self.require(downstream, "set_dependency")
        chosen = None if types is None else tuple(types)
        for cls in chosen or ():
            _require_class(cls, Task, "set_dependency")
        key = upstream, downstream
        if key not in self.edges:
            self.edges[key] = Edge(upstream, downstream, chosen)
            self._takers.setdefault(upstream, []).append(downstream)
            self._givers.setdefault(downstream, []).append(upstream)
        elif chosen is not None:
            self.edges[key].types = chosen

    def add_sink(
        self, worker: TaskWorker, output_type: type[Task], notify: SinkCallback | None
    ) -> None:
        """Collect what a worker publishes of one type.

        Raises:
          TypeError: An argument has the wrong type.
          ValueError: The worker is not in the graph, doesn't publish that type,
            or has that sink already.
        """
        self.require(worker, "set_sink")
        _require_class(output_type, Task, "set_sink")
        if notify is not None and not callable(notify):
            raise TypeError(f"set_sink: notify must be callable or None, not {notify!r}")
        if output_type not in worker.output_types:
            names = ", ".join(cls.__name__ for cls in worker.output_types) or "nothing"
            raise ValueError(
                f"worker {worker.name!r} can't have a sink for {output_type.__name__}: its "
                f"output_types are {names}"
            )
        for sink in self.sinks:
            if sink.worker is worker and sink.output_type is output_type:
                raise ValueError(
                    f"worker {worker.name!r} has a sink for {output_type.__name__} already"
                )
        self.sinks.append(Sink(worker, output_type, notify))

    def limit(self, worker_class: type[TaskWorker], count: int) -> None:
        """Let at most ``count`` tasks of a class's instances be worked on at once.

        Raises:
          TypeError: An argument has the wrong type.
          ValueError: ``count`` is less than 1.
        """
        _require_class(worker_class, TaskWorker, "set_max_parallel_tasks")
        if type(count) is not int:
            raise TypeError(f"set_max_parallel_tasks takes a whole number, not {count!r}")
        if count < 1:
            raise ValueError(f"set_max_parallel_tasks: must be >= 1, not {count}")
        self.limits[worker_class] = count

    def require(self, worker: TaskWorker, where: str) -> None:
        """Refuse what is no worker of this graph.

        Raises:
          TypeError: It is no worker.
          ValueError: It is one, but not of this graph.
        """
        self._require_worker(worker, where)
        if worker not in self.workers:
            raise ValueError(
                f"{where}: worker {worker.name!r} is not in graph {self.graph!r}; call "
                "add_workers() with it first"
            )

    @staticmethod
    def _require_worker(worker: object, where: str) -> None:
        if isinstance(worker, type) and issubclass(worker, TaskWorker):
            raise TypeError(f"{where} takes a worker, not its class: {worker.__name__}()")
        if not isinstance(worker, TaskWorker):
            raise TypeError(f"{where} takes a TaskWorker, not {worker!r}")

    def downstream(self, worker: TaskWorker) -> Iterator[TaskWorker]:
        """Yield the workers that take what one publishes."""
        return iter(self._takers.get(worker, ()))

    def upstream(self, worker: TaskWorker) -> Iterator[TaskWorker]:
        """Yield the workers whose outputs one takes."""
        return iter(self._givers.get(worker, ()))


def _require_class(cls: object, base: type, where: str) -> None:
    if not isinstance(cls, type) or not issubclass(cls, base):
        raise TypeError(f"{where} takes a subclass of {base.__name__}, not {cls!r}")


def join_type_of(worker: TaskWorker) -> Any:
    """Return what a join joins on; None if the worker is no join."""
    return getattr(worker, "join_type", None)


def reachable(
    starts: Sequence[TaskWorker], further: Callable[[TaskWorker], Iterator[TaskWorker]]
) -> dict[TaskWorker, None]:
    """Return the workers that can be come to from some, those included, nearest first."""
    found = dict.fromkeys(starts)
    pending = list(starts)
    for worker in pending:
        for other in further(worker):
            if other not in found:
                found[other] = None
                pending.append(other)
    return found
