"""Where what a handler has published goes: to workers, joins, sinks and outlets."""

from typing import TYPE_CHECKING, Any

from ..errors import HeldTasksError
from ._attempt import Attempt, Status
from ._failures import TaskFailure
from ._outlet import Outlet
from ._provenance import Node, Pair, ProvenanceChain, beside, nearest
from ._sources import Source
from ._states import outlet_of
from ._stations import Fork, Kind, Station
from ._task import Task

if TYPE_CHECKING:
    from ._run import GraphRun


def commit(run: "GraphRun", attempt: Attempt) -> None:
    """Make what was said since the last time visible."""
    if attempt.states is not None:
        attempt.states.commit()
        attempt.states = None
    if attempt.watches is not None:
        _commit_watches(run, attempt)
    if not attempt.outputs:
        return
    station, source = attempt.station, attempt.source
    name, cls, numbers = station.name, type(station.worker), station.numbers
    outputs, base, group_inputs = attempt.take()
    node = attempt.node
    usual = group_inputs if base is not None else (node.task,)
    for task, target, parent, made_from in outputs:
        pair = (name, next(numbers))
        task._pair = pair
        task._worker = cls
        if made_from is None:
            task._inputs = usual
            if base is not None:
                task._base = base
        else:
            task._inputs = (made_from,)
        if isinstance(target, Fork):
            _fork(run, target, parent, pair, task, source)
        elif target.kind is Kind.JOIN:
            _hold(run, parent, pair, task, target, source)
        elif target.kind is Kind.COLLECT:
            _collect(run, parent, pair, task, target, source)
        else:
            run.queue(run.begin(parent, pair, task, target, source), target)


def _fork(
    run: "GraphRun", fork: Fork, parent: Node, pair: Pair, task: Task, source: Source
) -> None:
    """Let several have a task. Only the first of them has it under its pair."""
    for station in fork.stations:
        if station.kind is Kind.JOIN:
            _hold(run, parent, pair, task, station, source)
        elif station.kind is Kind.COLLECT:
            _collect(run, parent, pair, task, station, source)
        else:
            key = _free_key(parent, pair)
            run.queue(run.begin(parent, key, task, station, source), station)


def _collect(
    run: "GraphRun", parent: Node, pair: Pair, task: Task, station: Station, source: Source
) -> None:
    """Let a sink have a task."""
    outlet = outlet_of(parent)
    if outlet is None:
        run.outputs.append(task)
        if run.tracer is not None:
            run.tracer.passed(parent, task, station.name, "collected")
        return
    key = _free_key(parent, pair)
    outlet.put(run.begin(parent, key, task, station, source))


def put_status(run: "GraphRun", outlet: Outlet, attempt: Attempt, status: Status) -> None:
    """Let an outlet have a status."""
    key = (f"{attempt.station.name} ", -next(run.status_numbers))
    item: Any = (attempt.station, *status)
    outlet.put(run.begin(attempt.parent, key, item, outlet.statuses, attempt.source))


def _commit_watches(run: "GraphRun", attempt: Attempt) -> None:
    for node, key, station in attempt.watches or ():
        if station is None:
            run.tree.leave(node, key)
        else:
            run.tree.group(node, key, station, station.rank)
    attempt.watches = None


def _hold(
    run: "GraphRun", parent: Node, pair: Pair, task: Task, station: Station, source: Source
) -> None:
    """Let a task wait in a join for the others of its group."""
    rule = station.join
    assert rule is not None
    if rule.at_root:
        place: Node | None = parent.root
    elif pair[0] in rule.names:
        hold_own(run, run.begin(parent, pair, task, station, source), station)
        return
    else:
        place = nearest(parent, rule.names)
    if place is None:
        chain = (*parent.chain(), pair)
        _no_group(run, parent, task, chain, station)
        return
    arrive(run, place, task, station)


def hold_own(run: "GraphRun", node: Node, station: Station) -> None:
    """Let a task wait in a join that groups by the last pair, so that it is all alone."""
    rule = station.join
    assert rule is not None
    if node.pair[0] in rule.names:
        arrive(run, node, node.task, station)
    else:
        _no_group(run, node, node.task, (node.pair,), station)
    station.accepted -= 1  # it is counted when the group is
    run.finish(node)


def arrive(run: "GraphRun", place: Node, task: Task, station: Station) -> None:
    """Let a join hold a task, in the group at ``place``.

    Raises:
      HeldTasksError: Joins hold as many as they may.
    """
    rule = station.join
    assert rule is not None
    if run.held >= run.settings.max_held:
        raise HeldTasksError(run.name, run.settings.max_held, station.name)
    run.held += 1
    station.held += 1
    group = run.tree.group(place, station, station, station.rank)
    if station.is_traced and not group.tasks:
        run.trace(place)
    group.tasks.append(task)
    if run.tracer is not None:
        run.tracer.passed(place, task, station.name, "given to a join")


def _no_group(
    run: "GraphRun", node: Node, task: Task, chain: ProvenanceChain, station: Station
) -> None:
    rule = station.join
    assert rule is not None
    wanted = " or ".join(sorted(rule.names))
    error = ValueError(
        f"{station.name} joins on {wanted}, and no such worker has a part in this task: it "
        f"belongs to no group: join on InitialTaskWorker, or let all inputs come by {wanted}"
    )
    station.failed += 1
    station.accepted += 1
    run.keep(node, TaskFailure(station.name, chain, task, error, 0))


def _free_key(parent: Node, pair: Pair) -> Pair:
    """Return what a task is a child under that may be one of several with its pair."""
    if parent.children and pair in parent.children:
        return beside(pair)
    return pair
