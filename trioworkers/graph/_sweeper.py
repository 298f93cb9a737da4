"""Queues whose entries may be over before their turn."""

from collections import deque
from collections.abc import Callable
from typing import TypeVar

import attrs

E = TypeVar("E")


@attrs.define(eq=False)
class Sweeper:
    """Counts the entries of one queue that are over, and takes them out when they are many.

    So a queue that doesn't move keeps no more of them than it has others, at a cost
    per entry that doesn't grow with the queue. Those whose turn came meanwhile are
    counted as well, which only makes it look sooner.
    """

    count: int = 0

    def note(self, queue: deque[E] | list[E], is_over: Callable[[E], bool]) -> bool:
        """Note that one more is over; return whether the queue was swept."""
        self.count += 1
        if self.count * 2 <= len(queue):
            return False
        self.count = 0
        kept = [entry for entry in queue if not is_over(entry)]
        queue.clear()
        queue.extend(kept)
        return True
