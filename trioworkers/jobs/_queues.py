"""Whose turn it is: sequential handlers. And early cancels: tombstones."""

from collections import OrderedDict, deque

import attrs
import trio

from ..bus import BusJobCancelMessage, BusJobRequestMessage
from ..errors import WaitingCircleError
from ._active import ActiveJob

#: Cancels remembered whose request has not come.
MAX_TOMBSTONES = 1000
#: Seconds that a cancel without a request is remembered.
TOMBSTONE_LIFE = 30.0


@attrs.define(eq=False)
class Turns:
    """The queue of one sequential handler: the first in it is running.

    The place in the queue is taken at delivery, so the order is that of
    arrival, whatever Trio's scheduler does.
    """

    handler_name: str
    _queue: deque[ActiveJob] = attrs.field(factory=deque)
    _wake: dict[ActiveJob, trio.Event] = attrs.field(factory=dict)

    def join(self, job: ActiveJob) -> None:
        """Take the last place."""
        self._queue.append(job)

    def check_circle(self, request: BusJobRequestMessage) -> None:
        """Refuse a request that would wait for its own ancestor.

        Raises:
          WaitingCircleError: The job that has its turn is an ancestor.
        """
        if not self._queue or request.parent_job_id is None or not request.awaited:
            return
        holder = self._queue[0].request.job_id
        chain = (*request.ancestors, request.parent_job_id)
        if holder in chain:
            what = f"sequential handler {self.handler_name!r} of {request.target!r}"
            raise WaitingCircleError(what, (*chain[chain.index(holder) :], request.job_id))

    async def wait_turn(self, job: ActiveJob) -> None:
        """Wait until ``job`` is the first. A checkpoint only if it waits."""
        if self._queue[0] is not job:
            event = self._wake[job] = trio.Event()
            await event.wait()

    def leave(self, job: ActiveJob) -> None:
        """Give up the place, and wake who is first now."""
        self._queue.remove(job)
        self._wake.pop(job, None)
        if self._queue and (event := self._wake.pop(self._queue[0], None)) is not None:
            event.set()


@attrs.define(eq=False)
class Tombstones:
    """Cancels that came before their requests, for a while."""

    _graves: OrderedDict[str, tuple[float, str]] = attrs.field(factory=OrderedDict)

    def add(self, cancel: BusJobCancelMessage) -> None:
        """Remember ``cancel``; forget the oldest beyond `MAX_TOMBSTONES`."""
        self._expire()
        self._graves[cancel.job_id] = (trio.current_time() + TOMBSTONE_LIFE, cancel.source)
        self._graves.move_to_end(cancel.job_id)  # the first to expire stay first
        if len(self._graves) > MAX_TOMBSTONES:
            self._graves.popitem(last=False)

    def take(self, job_id: str) -> bool:
        """Whether that job was cancelled before its request came. Once per cancel."""
        if not self._graves:
            return False
        self._expire()
        return self._graves.pop(job_id, None) is not None

    def forget_requester(self, name: str) -> None:
        """Drop the cancels of a requester that has gone."""
        for job_id in [j for j, (_, source) in self._graves.items() if source == name]:
            del self._graves[job_id]

    def count(self) -> int:
        """Return how many are remembered."""
        self._expire()
        return len(self._graves)

    def _expire(self) -> None:
        now = trio.current_time()
        while self._graves and next(iter(self._graves.values()))[0] <= now:
            self._graves.popitem(last=False)
