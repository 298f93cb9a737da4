"""Whose turn it is: sequential handlers, and workers that do a few jobs at once."""

from collections import OrderedDict

import attrs
import trio

from ..bus import BusJobRequestMessage
from ._active import ActiveJob
from ._circles import Holders
from ._handlers import JobHandler


@attrs.define(eq=False)
class Turns:
    """A queue for one of some places: the first to come are the first to get one.

    The position is taken in `join`, at delivery, so the order is that of
    arrival, whatever Trio's scheduler does.

    Attributes:
      holders: Who has a place now.
    """

    holders: Holders
    _announced: set[ActiveJob] = attrs.field(factory=set)
    _queue: OrderedDict[ActiveJob, trio.Event | None] = attrs.field(factory=OrderedDict)

    @property
    def waiting(self) -> int:
        """How many have joined and have no place."""
        return len(self._queue)

    def announce(self, job: ActiveJob) -> None:
        """Note that ``job`` will join later, so that it can close a circle already."""
        self._announced.add(job)
        self.holders.begin_wait(job.request)

    def join(self, job: ActiveJob) -> None:
        """Take a place, or the last position in the queue."""
        if job in self._announced:
            self._announced.remove(job)
        else:
            self.holders.begin_wait(job.request)
        if self.holders.is_full:
            self._queue[job] = None
        else:
            self._admit(job)

    async def wait_turn(self, job: ActiveJob) -> None:
        """Wait until ``job``, which has joined, has a place. A checkpoint only if it waits."""
        if job in self._queue:
            event = self._queue[job] = trio.Event()
            await event.wait()

    def leave(self, job: ActiveJob) -> None:
        """Give up the place, and let who is first have it; or the position."""
        if job.request.job_id in self.holders:
            self.holders.give_back(job.request.job_id)
            if self._queue:
                following, event = self._queue.popitem(last=False)
                self._admit(following)
                if event is not None:
                    event.set()
        else:
            self._queue.pop(job, None)
            self._announced.discard(job)
            self.holders.end_wait(job.request)

    def _admit(self, job: ActiveJob) -> None:
        self.holders.end_wait(job.request)
        self.holders.take(job)


@attrs.define(eq=False)
class Admission:
    """When the handlers of one worker may be called.

    A sequential handler's job waits for its turn first, and only then for one
    of the worker's places: so no place is held by a job that can't use it.

    Args:
      worker_name: Whose handlers they are.
      max_jobs: How many may run at once; None is any number.
    """

    worker_name: str
    max_jobs: int | None
    _places: Turns | None = attrs.field(init=False, default=None)
    _turns: dict[str | None, Turns] = attrs.field(init=False, factory=dict)

    def __attrs_post_init__(self) -> None:
        if self.max_jobs is not None:
            what = f"one of the {self.max_jobs} places of {self.worker_name!r}"
            self._places = Turns(Holders(what, self.max_jobs))

    @property
    def waiting(self) -> int:
        """How many jobs wait."""
        in_turn = sum(turns.waiting for turns in self._turns.values())
        return in_turn + (self._places.waiting if self._places is not None else 0)

    def check_circle(self, request: BusJobRequestMessage, handler: JobHandler) -> None:
        """Refuse a request that would wait for ever.

        Raises:
          WaitingCircleError: It would wait for its own ancestors, or they for it.
        """
        if handler.sequential:
            self._turns_of(handler).holders.check_circle(request)
        places = self._places_for(handler)
        if places is not None:
            places.holders.check_circle(request)

    def join(self, job: ActiveJob) -> None:
        """Take a position in the queues that ``job`` has to pass."""
        places = self._places_for(job.handler)
        if not job.handler.sequential:
            if places is not None:
                places.join(job)
            return
        self._turns_of(job.handler).join(job)
        if places is not None:
            places.announce(job)

    async def wait(self, job: ActiveJob) -> None:
        """Wait until the handler may be called. A checkpoint only if it waits."""
        places = self._places_for(job.handler)
        if job.handler.sequential:
            await self._turns_of(job.handler).wait_turn(job)
            if places is not None:
                places.join(job)
        if places is not None:
            await places.wait_turn(job)

    def leave(self, job: ActiveJob) -> None:
        """Let others have what ``job`` held; it has ended, or given up."""
        places = self._places_for(job.handler)
        if places is not None:
            places.leave(job)
        if job.handler.sequential:
            self._turns_of(job.handler).leave(job)

    def _places_for(self, handler: JobHandler) -> Turns | None:
        return self._places if handler.takes_place else None

    def _turns_of(self, handler: JobHandler) -> Turns:
        turns = self._turns.get(handler.name)
        if turns is None:
            what = f"sequential handler {handler.name!r} of {self.worker_name!r}"
            turns = self._turns[handler.name] = Turns(Holders(what))
        return turns
