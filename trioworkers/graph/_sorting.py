"""The order in which a join gets its tasks: by provenance, at the cost of each pair once."""

from typing import Any

from ._provenance import Node, Pair
from ._task import Task

#: Pairs below a group's node up to which provenances are compared as they are.
SHORT = 32

#: What is at one place below the node: the tasks there, and the places below by their pair.
_Place = tuple[list[Task], dict[Pair, Any]]


def sort_by_provenance(tasks: list[Task], node: Node) -> None:
    """Sort the tasks of a group at ``node``, of which all of them come.

    What is above the node is the same for all, and is not looked at. Of deep ones, which
    have most of their way in common, no part is looked at twice.
    """
    if len(tasks) < 2:
        return
    depth = -1
    keys: dict[int, list[Pair]] = {}
    for task in tasks:
        if task._base is None and task._inputs and task._inputs[0] is node.task:
            keys[id(task)] = [task._pair]  # type: ignore[list-item]
            continue
        pairs: list[Pair] = []
        one = task
        while one is not node.task and one._base is None and len(pairs) < SHORT:
            pairs.append(one._pair)  # type: ignore[arg-type]
            one = one._inputs[0]
        if one is not node.task:
            if depth < 0:
                depth = len(node.chain())
            base = one._base
            if base is None or len(base) - depth > SHORT:
                _sort_deep(tasks, node, depth)
                return
            pairs.append(one._pair)  # type: ignore[arg-type]
            pairs += reversed(base[depth:])
        pairs.reverse()
        keys[id(task)] = pairs
    tasks.sort(key=lambda task: keys[id(task)])


def _sort_deep(tasks: list[Task], node: Node, depth: int) -> None:
    """Sort tasks by a walk over the tree of all that is between them and ``node``."""
    top: _Place = ([], {})
    places: dict[int, _Place] = {id(node.task): top}  # by the ids of tasks, and of bases
    for task in tasks:
        way: list[Task] = []
        one = task
        while id(one) not in places:
            way.append(one)
            if one._base is not None:
                break
            one = one._inputs[0]
        else:
            _down(places[id(one)], way, places)[0].append(task)
            continue
        base = one._base
        assert base is not None
        place = places.get(id(base))
        if place is None:
            place = top
            for pair in base[depth:]:
                place = place[1].setdefault(pair, ([], {}))
            places[id(base)] = place
        _down(place, way, places)[0].append(task)
    tasks.clear()
    pending = [top]
    while pending:
        here, below = pending.pop()
        tasks += here
        pending += [below[pair] for pair in sorted(below, reverse=True)]


def _down(place: _Place, way: list[Task], places: dict[int, _Place]) -> _Place:
    """Return the place at the end of a way, which leads down from ``place``."""
    while way:
        task = way.pop()
        pair: Any = task._pair
        place = place[1].setdefault(pair, ([], {}))
        places[id(task)] = place
    return place
