"""Aborting: a provenance, and all that has come of it, and nothing else."""

from typing import TYPE_CHECKING

from trio.lowlevel import enable_ki_protection

from ..errors import TaskAbortedError
from ._failures import TaskFailure
from ._join_policy import MAX_MISSING
from ._provenance import Aborted, Group, Node, ProvenanceChain, nearest, upwards
from ._seats import Seat
from ._task import Task

if TYPE_CHECKING:
    from ._run import GraphRun
    from ._stations import Station

#: Provenances that a group keeps to drop what comes of them, or as many as it holds tasks.
MAX_DROPPED = 1000


@enable_ki_protection
def abort(run: "GraphRun", chain: ProvenanceChain) -> bool:
    """Abort what has a provenance, and all that comes of it; see `Graph.abort_work`."""
    nodes = run.tree.find_all(chain)
    if not nodes:
        return _abort_held(run, chain)
    if all(node.aborted for node in nodes):
        return True
    found = Aborted()
    for node in nodes:
        part = run.tree.abort(node)
        found.nodes += part.nodes
        found.groups += part.groups
    # Joins in the subtree, which can't be called any more; those of other joins are added.
    joins: dict[tuple[Node, Station], None] = {}
    for one in found.nodes:
        task = one.task if isinstance(one.task, Task) else None
        _lacks(run, one.parent if one.is_firing else one, one.worker, task, joins)
    for group in found.groups:
        if group.tasks:
            run.held -= len(group.tasks)
            group.worker.held -= len(group.tasks)
        if group.worker.join is not None:
            joins[group.node, group.worker] = None
    told: set[tuple[Node, Station]] = set()
    while len(told) < len(joins):
        for place, join in [pair for pair in joins if pair not in told]:
            told.add((place, join))
            _lacks(run, place, join, None, joins)
    for above in upwards(nodes[0].parent):
        for group in (above.waiting or {}).values():
            if group.tasks:
                _drop(run, group, chain)
    for one in found.nodes:
        if isinstance(one.seat, Seat):
            one.seat.cancel()
        else:
            run.aborted(one, one.worker)
    if run.runners.ready:
        run.runners.wake()
    return True


def _lacks(
    run: "GraphRun",
    start: Node | None,
    station: "Station",
    task: Task | None,
    joins: dict[tuple[Node, "Station"], None],
) -> None:
    """Tell the joins behind something that was aborted that they lack it.

    Args:
      run: The run.
      start: The node of the task; of a join, the one that it joins at.
      station: Who would have worked on it.
      task: The task; None for a join.
      joins: Is added those that were aborted themselves.
    """
    failure: TaskFailure | None = None
    for join in station.lacking:
        assert join.join is not None
        place = nearest(start, join.join.names)
        if place is None:
            continue
        if place.aborted:
            joins[place, join] = None
            continue
        group = run.tree.group(place, join, join, join.rank)
        if failure is None and group.missing_count < MAX_MISSING:
            chain = start.chain() if start is not None else ()
            attempts = 0 if task is None else task._retry_count
            failure = TaskFailure(station.name, chain, task, TaskAbortedError(), attempts)
        group.missing_count += 1
        if group.missing_count <= MAX_MISSING and failure is not None:
            group.missing.append(failure)


def _abort_held(run: "GraphRun", chain: ProvenanceChain) -> bool:
    """Abort what is complete but for its descendants that joins hold."""
    found = False
    for above in upwards(run.tree.find_deepest(chain)):
        for group in (above.waiting or {}).values():
            if any(task.provenance()[: len(chain)] == chain for task in group.tasks):
                _drop(run, group, chain)
                found = True
    return found


def _drop(run: "GraphRun", group: Group, chain: ProvenanceChain) -> None:
    """Have a group do without what comes of a provenance, among what it holds.

    That is seen to when it fires, all at once; but what is to be dropped doesn't become
    much more than what there is to drop it from.
    """
    group.drop(chain)
    if len(group.dropped or ()) > max(len(group.tasks), MAX_DROPPED):
        count = len(group.tasks)
        drop_aborted(group, group.worker)
        count -= len(group.tasks)
        run.held -= count
        group.worker.held -= count


def drop_aborted(group: Group, station: "Station") -> None:
    """Take out of a group what was aborted while it was held."""
    dropped = group.dropped or set()
    lengths = {len(chain) for chain in dropped}
    kept = []
    for task in group.tasks:
        chain = task.provenance()
        if any(chain[:length] in dropped for length in lengths):
            miss(group, TaskFailure(station.name, chain, task, TaskAbortedError(), 0))
        else:
            kept.append(task)
    group.tasks = kept
    group.dropped = None


def miss(group: Group, failure: TaskFailure) -> None:
    """Note that a group lacks something."""
    group.missing_count += 1
    if len(group.missing) < MAX_MISSING:
        group.missing.append(failure)
