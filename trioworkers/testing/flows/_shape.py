"""What follows from how a graph is built: who lacks what, and who comes first."""

from collections.abc import Iterator

from ...graph import InitialTaskWorker
from ._build import JOINABLE, Built
from ._plan import FlowPlan
from ._values import Chain

INITIAL = InitialTaskWorker.__name__


class Shape:
    """Answers questions about the graph of a plan, by looking at all ways through it.

    Attributes:
      names: Of the workers, by number.
      joins: Numbers of those that are joins.
      lacking: By number: the joins that lack something if that one does not do its work.
      rank: By number: how many workers are before that one, and not behind it.
    """

    def __init__(self, plan: FlowPlan, built: Built) -> None:
        self.plan = plan
        self.workers = built.workers
        self.names = [worker.name for worker in built.workers]
        numbers = range(len(plan.workers))
        self.joins = [index for index in numbers if plan.workers[index].kind in ("join", "merge")]
        self._group_names = {index: self._names_of(index) for index in self.joins}
        self._next = [self._steps(index) for index in numbers]
        while self._go_past_joins():
            pass
        self.lacking = [self._joins_behind(index) for index in numbers]
        self.rank = [self._rank_of(index) for index in numbers]

    def place(self, join: int, chain: Chain) -> Chain | None:
        """Return where a join groups what has a provenance; None if nowhere."""
        names = self._group_names[join]
        for length in range(len(chain), 0, -1):
            if chain[length - 1][0] in names:
                return chain[:length]
        return None

    def _takers(self, index: int) -> Iterator[int]:
        for outlet in self.plan.outlets[index]:
            if outlet.consumer is not None:
                yield outlet.consumer

    def _joins_on(self, join: int, worker: int) -> bool:
        """Whether a join joins on what a worker publishes."""
        on = self.plan.workers[join].on
        return on is not None and isinstance(self.workers[worker], JOINABLE[on])

    def _names_of(self, join: int) -> set[str]:
        if self.plan.workers[join].on is None:
            return {INITIAL}
        return {
            self.names[index] for index in range(len(self.names)) if self._joins_on(join, index)
        }

    def _steps(self, index: int) -> set[int]:
        """Return whose pairs may follow one in a provenance, joins aside."""
        return {taker for taker in self._takers(index) if taker not in self.joins}

    def _go_past_joins(self) -> bool:
        """Let the pair of a join follow what it joins on; return whether that was new."""
        new = [
            (index, join)
            for join in self.joins
            for index in range(len(self.names))
            if join not in self._next[index]
            and self._joins_on(join, index)
            and self._leads(index, join)
        ]
        for index, join in new:
            self._next[index].add(join)
        return bool(new)

    def _joins_behind(self, start: int) -> list[int]:
        """Return the joins that lack something if ``start`` does not do its work."""
        return [
            join
            for join in self.joins
            if join != start and not self._joins_on(join, start) and self._leads(start, join)
        ]

    def _leads(self, start: int, join: int) -> bool:
        """Whether what follows ``start`` may arrive at a join before what that joins on."""
        seen, todo = {start}, [start]
        while todo:
            index = todo.pop()
            if join in self._takers(index):
                return True
            for other in self._next[index] - seen:
                if not self._joins_on(join, other):
                    seen.add(other)
                    todo.append(other)
        return False

    def _behind(self, start: int) -> set[int]:
        found = {start}
        todo = [start]
        while todo:
            for taker in self._takers(todo.pop()):
                if taker not in found:
                    found.add(taker)
                    todo.append(taker)
        return found

    def _rank_of(self, index: int) -> int:
        """Return how many workers are before this one, and not behind it."""
        behind = self._behind(index)
        return sum(
            index in self._behind(other) and other not in behind for other in range(len(self.names))
        )
