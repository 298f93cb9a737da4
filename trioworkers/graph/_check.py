"""Finds all that is wrong with a graph before it runs."""

from collections.abc import Iterator

from ..errors import GraphFaultsError
from ._routes import Flows, Routes, make_routes
from ._task import Task
from ._wiring import INITIAL, Wiring, join_type_of, reachable
from ._worker import InitialTaskWorker, TaskWorker


def check(wiring: Wiring) -> Routes:
    """Return the routes of a graph in which nothing is wrong.

    Raises:
      GraphFaultsError: Something is; it lists everything.
    """
    flows: Flows = {}
    faults = [
        *_names(wiring),
        *_edges(wiring, flows),
        *_entries(wiring),
        *_outputs(wiring, flows),
        *_reached(wiring),
        *_joins(wiring, flows),
    ]
    if faults:
        raise GraphFaultsError(wiring.graph, tuple(faults))
    return make_routes(wiring, flows)


def _listed(classes: "Iterator[type] | list[type[Task]]") -> str:
    return ", ".join(cls.__name__ for cls in classes) or "nothing"


def _names(wiring: Wiring) -> Iterator[str]:
    """Names may have been changed since their workers were added."""
    seen = {INITIAL}
    for worker in wiring.workers:
        if worker.name in seen:
            yield f"two workers are named {worker.name!r}; give each its own `name=`"
        seen.add(worker.name)


def _takes(worker: TaskWorker) -> list[type[Task]]:
    """Return what a worker takes, or nothing if that is wrong, which is told elsewhere."""
    try:
        return worker.get_task_classes()
    except TypeError:
        return []


def _edges(wiring: Wiring, flows: Flows) -> Iterator[str]:
    """Find the types that go along each edge."""
    for worker in wiring.workers:
        try:
            worker.get_task_classes()
        except TypeError as error:
            yield f"{worker.name}: {error}"
    for (upstream, downstream), edge in wiring.edges.items():
        takes = _takes(downstream)
        fits = [
            cls for cls in dict.fromkeys(upstream.output_types) if issubclass(cls, tuple(takes))
        ]
        way = f"{upstream.name} -> {downstream.name}"
        flows[upstream, downstream] = tuple(fits)
        if edge.types is not None:
            flows[upstream, downstream] = tuple(cls for cls in fits if cls in edge.types)
            for cls in edge.types:
                if cls not in fits:
                    yield (
                        f"{way}: {cls.__name__} can't go this way: {upstream.name} publishes "
                        f"{_listed(upstream.output_types)}; {downstream.name} takes "
                        f"{_listed(takes)}"
                    )
        elif not takes:
            continue  # What is wrong there has been told.
        elif not fits:
            yield (
                f"{way}: the types don't fit: {upstream.name} publishes "
                f"{_listed(upstream.output_types)}; {downstream.name} takes {_listed(takes)}"
            )
        else:
            yield from _ambiguous(way, fits, takes)


def _ambiguous(way: str, fits: list[type[Task]], takes: list[type[Task]]) -> Iterator[str]:
    """Several types that only a common base lets through may not all be meant."""
    for base in takes:
        through = [cls for cls in fits if issubclass(cls, base)]
        if len(through) > 1 and not all(cls in takes for cls in through):
            yield (
                f"{way}: several types fit {base.__name__}: {_listed(through)}; annotate "
                f"`{' | '.join(cls.__name__ for cls in through)}`, or choose with "
                "set_dependency(..., types=[...])"
            )


def _entries(wiring: Wiring) -> Iterator[str]:
    if not wiring.workers:
        yield "the graph has no workers; call add_workers()"
    elif not wiring.entries:
        yield "the graph has no entry; call set_entry() with the workers that get initial tasks"


def _outputs(wiring: Wiring, flows: Flows) -> Iterator[str]:
    """Every output must go somewhere."""
    gone = {(upstream, cls) for (upstream, _), types in flows.items() for cls in types}
    gone |= {(sink.worker, sink.output_type) for sink in wiring.sinks}
    for worker in wiring.workers:
        for cls in dict.fromkeys(worker.output_types):
            if (worker, cls) not in gone and worker is not wiring.exit:
                yield (
                    f"{worker.name}: nobody takes its {cls.__name__}; call set_dependency() with a "
                    "worker that does, or set_sink(), or leave it out of output_types"
                )


def _reached(wiring: Wiring) -> Iterator[str]:
    """Every worker must be reached from an entry."""
    if wiring.entries:
        reached = reachable(wiring.entries, wiring.downstream)
        for worker in wiring.workers:
            if worker not in reached:
                yield f"{worker.name}: no entry leads to it; call set_dependency() or set_entry()"


def _joins(wiring: Wiring, flows: Flows) -> Iterator[str]:
    for join in wiring.workers:
        join_type = join_type_of(join)
        if join_type is None:
            continue
        yield from _merged(wiring, flows, join)
        if not isinstance(join_type, type) or not issubclass(join_type, TaskWorker):
            yield f"{join.name}: join_type must be a subclass of TaskWorker, not {join_type!r}"
        elif issubclass(join_type, InitialTaskWorker):
            if join in wiring.entries and set(wiring.upstream(join)) <= {join}:
                yield from _always_one(join, join_type)
        else:
            yield from _joined_on(wiring, join, join_type)


def _always_one(join: TaskWorker, join_type: type[TaskWorker]) -> Iterator[str]:
    yield (
        f"{join.name}: joins on {join_type.__name__}, which is right before it, so that each "
        "group would be a single task; join on a worker further up"
    )


def _joined_on(wiring: Wiring, join: TaskWorker, join_type: type[TaskWorker]) -> Iterator[str]:
    """What a join joins on must be above it, not right above it alone, and not passed by."""

    def up_to_joined(worker: TaskWorker) -> Iterator[TaskWorker]:
        if worker is join or not isinstance(worker, join_type):
            yield from wiring.upstream(worker)

    def past_joined(worker: TaskWorker) -> Iterator[TaskWorker]:
        return (one for one in wiring.downstream(worker) if not isinstance(one, join_type))

    before = [worker for worker in reachable([join], up_to_joined) if worker is not join]
    if not any(isinstance(worker, join_type) for worker in before):
        yield (
            f"{join.name}: joins on {join_type.__name__}, which is not above it in the graph; "
            "join on a worker that is, or on InitialTaskWorker"
        )
    elif all(isinstance(worker, join_type) for worker in before):
        yield from _always_one(join, join_type)
    else:
        starts = [worker for worker in wiring.entries if not isinstance(worker, join_type)]
        if join in reachable(starts, past_joined):
            yield (
                f"{join.name}: tasks can get to it from an entry without coming through a "
                f"{join_type.__name__}, and so would belong to no group"
            )


def _merged(wiring: Wiring, flows: Flows, join: TaskWorker) -> Iterator[str]:
    """Every type that is merged must be published by somebody right above."""
    arriving = [
        cls for (_, downstream), types in flows.items() if downstream is join for cls in types
    ]
    for cls in getattr(join, "merged_types", ()):
        if not any(issubclass(one, cls) for one in arriving):
            yield f"{join.name}: no worker right above it publishes {cls.__name__}, which it merges"
