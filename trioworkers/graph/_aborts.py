"""Aborting: a provenance, and all that has come of it, and nothing else."""

from typing import TYPE_CHECKING

from trio.lowlevel import enable_ki_protection

from ..errors import TaskAbortedError
from ._failures import TaskFailure
from ._join_policy import MAX_MISSING
from ._provenance import Group, Node, ProvenanceChain, nearest, upwards
from ._seats import Seat
from ._task import Task

if TYPE_CHECKING:
    from ._run import GraphRun
    from ._stations import Station


@enable_ki_protection
def abort(run: "GraphRun", chain: ProvenanceChain) -> bool:
    """Abort what has a provenance, and all that comes of it; see `Graph.abort_work`."""
    node = run.tree.find(chain)
    if node is None:
        return _abort_held(run, chain)
    if node.aborted:
        return True
    found = run.tree.abort(node)
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
    for above in upwards(node.parent):
        for group in (above.waiting or {}).values():
            if group.tasks:
                group.drop(chain)
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
                group.drop(chain)
                found = True
    return found


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


def miss(group: Group, failure: TaskFailure) -> None:
    """Note that a group lacks something."""
    group.missing_count += 1
    if len(group.missing) < MAX_MISSING:
        group.missing.append(failure)
