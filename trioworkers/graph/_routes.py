"""What a run needs to know of a graph, found out once, when the graph is checked."""

from collections.abc import Mapping

import attrs

from ._task import Task
from ._wiring import Sink, Wiring, join_type_of
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

    A worker leads to a join if what would have come of its task could have arrived
    there in a group that is there already: on some way no worker that the join joins
    on, itself included, adds its pair. Another join on the way takes the place of
    what comes in: if it lacks the task itself, that way ends there, and what it does
    then is what counts. But if the group in which it would have got something never
    came to be, as what it joins on would have been on the way too, nobody would tell:
    the way goes on from it.
    """
    joins = {
        worker: join_type_of(worker)
        for worker in wiring.workers
        if join_type_of(worker) is not None
    }
    # By worker: who may have added the pair before its own. Before a join's pair that is
    # what it joins on, as its outputs have the provenance of the group; found as we go.
    before = {
        worker: [] if worker in joins else list(wiring.upstream(worker))
        for worker in wiring.workers
    }
    # By join: whose pair may be among those that follow its group's in what arrives there.
    # Those that it joins on are there too, but nothing before them is.
    within: dict[TaskWorker, dict[TaskWorker, None]] = {join: {} for join in joins}
    # By join: the joins that have it there.
    outer: dict[TaskWorker, list[TaskWorker]] = {join: [] for join in joins}
    pending = [(join, worker) for join in joins for worker in wiring.upstream(join)]
    while pending:
        join, worker = pending.pop()
        if worker in within[join]:
            continue
        within[join][worker] = None
        if isinstance(worker, joins[join]):
            before[join].append(worker)
            pending.extend((other, worker) for other in outer[join])
        else:
            pending.extend((join, other) for other in before[worker])
            if worker in joins:
                outer[worker].append(join)
    return {
        worker: tuple(
            join
            for join, found in within.items()
            if worker in found and worker is not join and not isinstance(worker, joins[join])
        )
        for worker in wiring.workers
    }
