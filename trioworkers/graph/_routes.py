"""What a run needs to know of a graph, found out once, when the graph is checked."""

from collections.abc import Iterator, Mapping

import attrs

from ._task import Task
from ._wiring import Sink, Wiring, join_type_of, reachable
from ._worker import TaskWorker


@attrs.frozen(eq=False)
class Routes:
    """Where the tasks of a checked graph go.

    Attributes:
      workers: All, in the order in which they were added.
      entries: Who may get initial tasks.
      exit: Whose outputs nobody here need take.
      consumers: By worker, then type of output: who takes it. Every output type
        of every worker is there, some with nobody.
      sinks: The same, for what is collected.
      missing_from: By worker: the joins that lack something when a task that
        it consumes is lost. A join is among its own.
      missing_after: By join: the joins that lack something when it fails.
      limits: By worker: the classes of `Wiring.limits` that it is an instance of.
    """

    workers: tuple[TaskWorker, ...]
    entries: tuple[TaskWorker, ...]
    exit: TaskWorker | None
    consumers: Mapping[TaskWorker, Mapping[type[Task], tuple[TaskWorker, ...]]]
    sinks: Mapping[TaskWorker, Mapping[type[Task], tuple[Sink, ...]]]
    missing_from: Mapping[TaskWorker, tuple[TaskWorker, ...]]
    missing_after: Mapping[TaskWorker, tuple[TaskWorker, ...]]
    limits: Mapping[TaskWorker, tuple[type[TaskWorker], ...]]


#: By publishing and taking worker: the types that go that way.
Flows = dict[tuple[TaskWorker, TaskWorker], tuple[type[Task], ...]]


def make_routes(wiring: Wiring, flows: Flows) -> Routes:
    """Return the routes of a wiring without faults."""
    consumers: dict[TaskWorker, dict[type[Task], tuple[TaskWorker, ...]]] = {}
    sinks: dict[TaskWorker, dict[type[Task], tuple[Sink, ...]]] = {}
    for worker in wiring.workers:
        consumers[worker] = dict.fromkeys(worker.output_types, ())
        sinks[worker] = {
            cls: tuple(
                sink for sink in wiring.sinks if sink.worker is worker and sink.output_type is cls
            )
            for cls in worker.output_types
        }
    for (upstream, downstream), types in flows.items():
        for cls in types:
            consumers[upstream][cls] += (downstream,)
    lost = missing_sets(wiring)
    joins = [worker for worker in wiring.workers if join_type_of(worker) is not None]
    return Routes(
        workers=tuple(wiring.workers),
        entries=tuple(wiring.entries),
        exit=wiring.exit,
        consumers=consumers,
        sinks=sinks,
        missing_from={
            worker: (worker,) if worker in joins else lost[worker] for worker in wiring.workers
        },
        missing_after={worker: lost[worker] for worker in joins},
        limits={
            worker: tuple(cls for cls in wiring.limits if isinstance(worker, cls))
            for worker in wiring.workers
        },
    )


def missing_sets(wiring: Wiring) -> dict[TaskWorker, tuple[TaskWorker, ...]]:
    """Return for each worker the joins that would have got something of what it does.

    That is each join that it leads to without another join in between, which
    would take the place of what came in, and without a worker that the join
    joins on, from which on there would be another group; unless it is one itself.
    """
    found: dict[TaskWorker, tuple[TaskWorker, ...]] = dict.fromkeys(wiring.workers, ())
    for join in wiring.workers:
        join_type = join_type_of(join)
        if join_type is None:
            continue

        def before(worker: TaskWorker, join: TaskWorker = join) -> Iterator[TaskWorker]:
            if worker is not join and join_type_of(worker) is not None:
                return
            for other in wiring.upstream(worker):
                if not isinstance(other, join_type_of(join)):
                    yield other

        for worker in reachable([join], before):
            if worker is not join:
                found[worker] += (join,)
    return found
