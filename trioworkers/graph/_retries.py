"""Tasks that wait until it is time to try again."""

import heapq
from collections.abc import Callable

import attrs
import trio
from trio.lowlevel import enable_ki_protection

from ._provenance import Node
from ._sweeper import Sweeper


@attrs.define(eq=False)
class Retries:
    """Tasks that are to be tried again, by the time when; one Trio task watches for all."""

    _due: list[tuple[float, int, Node]] = attrs.field(factory=list)
    _count: int = 0
    _alarm: trio.CancelScope | None = None
    _sweeper: Sweeper = attrs.field(factory=Sweeper)

    def add(self, node: Node, due: float) -> bool:
        """Add a task that is due at ``due``; return whether nobody watches yet."""
        self._count += 1
        heapq.heappush(self._due, (due, self._count, node))
        if self._alarm is None:
            self._alarm = trio.CancelScope(deadline=due)
            return True
        if due < self._alarm.deadline:
            self._alarm.deadline = due
        return False

    def drop(self) -> None:
        """Note that a task has ended before it was due."""
        if self._sweeper.note(self._due, lambda entry: entry[2].ended):
            heapq.heapify(self._due)

    @enable_ki_protection
    async def watch(self, begin: Callable[[list[Node]], None]) -> None:
        """Call ``begin`` with tasks as they get due, until none is left."""
        while self._alarm is not None:
            with self._alarm:
                await trio.sleep_forever()
            now, nodes = trio.current_time(), []
            while self._due and (self._due[0][0] <= now or self._due[0][2].ended):
                nodes.append(heapq.heappop(self._due)[2])
            begin(nodes)
            due = self._due[0][0] if self._due else None
            self._alarm = None if due is None else trio.CancelScope(deadline=due)
