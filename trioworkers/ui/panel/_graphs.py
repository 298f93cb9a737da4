"""What the panel tells of graphs: drawings, counts, and how they are called."""

from collections.abc import Iterable, Sequence
from itertools import count
from typing import Any

import attrs

from ...errors import JobError
from ...graph import Graph, GraphStatistics, GraphWorker
from ...workers import WorkerRunner
from ._input import clip

#: Graphs that are listed.
MAX_GRAPHS = 50
#: Boxes of all drawings together, and arrows.
MAX_BOXES = 500
MAX_ARROWS = 2_000

_COUNTS = ("in_flight", "queued", "running", "retrying", "held", "done", "failed", "aborted")
_WORKER_COUNTS = (*_COUNTS[1:], "retries", "cached")


@attrs.define(eq=False)
class Graphs:
    """The graphs that a panel shows: some that it was given, and those of `GraphWorker`s.

    Attributes:
      runner: Whose workers to look at.
      given: Those that it was given.
    """

    runner: WorkerRunner
    given: Sequence[Graph] = ()
    _ids: dict[Graph, str] = attrs.field(factory=dict)
    _numbers: "count[int]" = attrs.field(factory=lambda: count(1))

    def find(self) -> dict[Graph, str | None]:
        """Return the graphs that there are now, and the names of the workers that serve them."""
        found: dict[Graph, str | None] = dict.fromkeys(self.given)
        for worker in self.runner.workers:
            if isinstance(worker, GraphWorker):
                found[worker.graph] = worker.name
        for gone in self._ids.keys() - found.keys():
            del self._ids[gone]
        return found

    def id_of(self, graph: Graph) -> str:
        """Return what clients call a graph: the same for as long as it is there."""
        name = self._ids.get(graph)
        if name is None:
            name = self._ids[graph] = f"g{next(self._numbers)}"
        return name

    def get(self, name: str) -> Graph:
        """Return the graph that clients call so.

        Raises:
          JobError: There is none.
        """
        for graph in self.find():
            if self._ids.get(graph) == name:
                return graph
        raise JobError(f"there is no graph {clip(name, 40)!r}: ask for panel.graphs again")

    def describe(self, found: dict[Graph, str | None]) -> dict[str, Any]:
        """Return drawings and counts of graphs, of those that have run or are to run.

        The first `MAX_GRAPHS`, `MAX_BOXES` and `MAX_ARROWS`; what is left out is counted, as
        ``more_graphs``, and in each graph as ``more_boxes`` and ``more_arrows``.
        """
        boxes_left, arrows_left = MAX_BOXES, MAX_ARROWS
        listed = []
        for graph, worker in list(found.items())[:MAX_GRAPHS]:
            entry = self._described(graph, worker, boxes_left, arrows_left)
            boxes_left -= len(entry["boxes"])
            arrows_left -= len(entry["arrows"])
            listed.append(entry)
        return {"graphs": listed, "more_graphs": max(0, len(found) - MAX_GRAPHS)}

    def _described(
        self, graph: Graph, worker: str | None, max_boxes: int, max_arrows: int
    ) -> dict[str, Any]:
        drawing, stands = graph.drawing(), graph.statistics()
        boxes = drawing.boxes[:max_boxes]
        keys = {box.key for box in boxes}
        arrows = [one for one in drawing.arrows if one.start in keys and one.end in keys]
        arrows = arrows[:max_arrows]
        return {
            "id": self.id_of(graph),
            "name": clip(graph.name),
            "worker": None if worker is None else clip(worker),
            "running": graph.is_running,
            "boxes": [
                {
                    "key": box.key,
                    "text": clip(box.text),
                    "kind": box.kind,
                    "worker": None if box.worker is None else clip(box.worker),
                }
                for box in boxes
            ],
            "more_boxes": len(drawing.boxes) - len(boxes),
            "arrows": [
                {"start": arrow.start, "end": arrow.end, "text": clip(arrow.text)}
                for arrow in arrows
            ],
            "more_arrows": len(drawing.arrows) - len(arrows),
            "totals": {name: getattr(stands, name) for name in _COUNTS},
            "workers": _worker_counts(stands, (box.worker for box in boxes)),
        }


def _worker_counts(
    stands: GraphStatistics, names: Iterable[str | None]
) -> dict[str, dict[str, int]]:
    """Return the counts of some workers, by name."""
    counts = {}
    for name in names:
        one = None if name is None else stands.workers.get(name)
        if name is not None and one is not None:
            counts[clip(name)] = {field: getattr(one, field) for field in _WORKER_COUNTS}
    return counts
