"""Waiting in a circle: who holds a place, and can't give it back before others get one."""

import math

import attrs

from ..bus import BusJobRequestMessage
from ..errors import WaitingCircleError
from ._active import ActiveJob


@attrs.define(eq=False)
class _Holder:
    """A job that holds a place.

    Attributes:
      job: Which one.
      below: How many of the jobs that it waits for wait for a place themselves.
    """

    job: ActiveJob
    below: int = 0


@attrs.define(eq=False)
class Holders:
    """Who holds the places that one worker has: a handler's turn, a pool's members.

    A holder gives its place back when its handler returns, and that can't be
    before the jobs below have ended: those that it waits for, and those that they
    wait for. So once each holder has one below that waits for a place, no place
    is ever given back.

    Attributes:
      what: What the places are of, for a person to read.
      places: How many there are, >= 1.
    """

    what: str
    places: int = 1
    _held: dict[str, _Holder] = attrs.field(factory=dict)

    @property
    def is_full(self) -> bool:
        """Whether no place is free."""
        return len(self._held) >= self.places

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._held

    def take(self, job: ActiveJob) -> None:
        """Give a place to ``job``."""
        self._held[job.request.job_id] = _Holder(job)

    def give_back(self, job_id: str) -> None:
        """Note that a holder has ended."""
        del self._held[job_id]

    def begin_wait(self, request: BusJobRequestMessage) -> None:
        """Note that ``request`` waits for a place, from now until `end_wait`.

        One with a time limit of its own ends by itself, and holds nobody up for ever.
        """
        if request.deadline == math.inf:
            self._count(request, 1)

    def end_wait(self, request: BusJobRequestMessage) -> None:
        """Note that ``request`` waits no longer, for whatever reason."""
        if request.deadline == math.inf:
            self._count(request, -1)

    def _count(self, request: BusJobRequestMessage, change: int) -> None:
        for job_id in ancestors_here(request):
            holder = self._held.get(job_id)
            if holder is not None:
                holder.below += change

    def check_circle(self, request: BusJobRequestMessage) -> None:
        """Refuse a request that would wait for a place that it keeps from being given back.

        Raises:
          WaitingCircleError: Each holder would wait for a job that waits for a place.
        """
        own = [job_id for job_id in ancestors_here(request) if job_id in self._held]
        if not own or not self.is_full:
            return
        for job_id, holder in self._held.items():
            if not (holder.below or job_id in own) or holder.job.is_stopping:
                return
        chain = (*request.ancestors, request.parent_job_id or "", request.job_id)
        raise WaitingCircleError(self.what, chain[chain.index(own[0]) :])


def ancestors_here(request: BusJobRequestMessage) -> tuple[str, ...]:
    """Return the jobs of the worker that is asked that wait for ``request``, outermost first."""
    if request.parent_job_id is None or not request.awaited:
        return ()
    chain = (*request.ancestors, request.parent_job_id)
    return tuple(
        job_id
        for job_id, worker in zip(chain, request.asked, strict=False)
        if worker == request.target
    )
