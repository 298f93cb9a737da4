"""Requests that wait for a pool's members. Pure: no waiting, no sending."""

import heapq
import math
from collections import OrderedDict

import attrs

from ..bus import BusJobRequestMessage

#: Deadlines that are kept though nobody waits for them any more, besides as many as do.
_SPARE = 64


@attrs.define(eq=False)
class WaitingLine:
    """Requests in order of arrival, each with its deadline.

    Everything takes constant or logarithmic time, and what has left leaves
    nothing behind for long.
    """

    _requests: OrderedDict[str, BusJobRequestMessage] = attrs.field(factory=OrderedDict)
    _deadlines: list[tuple[float, str]] = attrs.field(factory=list)  # a heap

    def __len__(self) -> int:
        return len(self._requests)

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._requests

    @property
    def requests(self) -> dict[str, BusJobRequestMessage]:
        """Those that wait, by job id, first come first."""
        return dict(self._requests)

    def join(self, request: BusJobRequestMessage) -> None:
        """Wait behind all others."""
        self._requests[request.job_id] = request
        if request.deadline == math.inf:
            return
        if len(self._deadlines) > 2 * len(self._requests) + _SPARE:
            waiting = self._requests.values()
            self._deadlines = [(r.deadline, r.job_id) for r in waiting if r.deadline != math.inf]
            heapq.heapify(self._deadlines)
        else:
            heapq.heappush(self._deadlines, (request.deadline, request.job_id))

    def pop(self) -> BusJobRequestMessage:
        """Take the first out; there must be one."""
        return self._requests.popitem(last=False)[1]

    def leave(self, job_id: str) -> BusJobRequestMessage | None:
        """Take one out; return None if it isn't there."""
        return self._requests.pop(job_id, None)

    def clear(self) -> tuple[BusJobRequestMessage, ...]:
        """Take all out, first come first."""
        requests = tuple(self._requests.values())
        self._requests.clear()
        self._deadlines.clear()
        return requests

    def pop_due(self, now: float) -> tuple[BusJobRequestMessage, ...]:
        """Take out those whose deadline is not after ``now``, the earliest first."""
        due = []
        while self.next_deadline <= now:
            due.append(self._requests.pop(heapq.heappop(self._deadlines)[1]))
        return tuple(due)

    @property
    def next_deadline(self) -> float:
        """The earliest deadline of those that wait; infinite if none has one."""
        while self._deadlines:
            deadline, job_id = self._deadlines[0]
            request = self._requests.get(job_id)
            if request is not None and request.deadline == deadline:
                return deadline
            heapq.heappop(self._deadlines)
        return math.inf
