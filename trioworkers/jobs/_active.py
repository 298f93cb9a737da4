"""One job at its responder, from request to outcome."""

import math
from contextvars import ContextVar

import attrs
import trio
from trio.lowlevel import ParkingLot

from ..bus import (
    BusJobCancelMessage,
    BusJobRequestMessage,
)
from ._answers import Answer
from ._handlers import JobHandler


@attrs.define(eq=False)
class ActiveJob:
    """A job that a responder works on.

    Attributes:
      request: What was asked.
      handler: What serves it.
      scope: Around the handler; has the deadline that travelled with the request.
      cancel: The requester's cancel, once it has come.
      is_abandoned: Whether it was cancelled since nothing is heard of the requester.
      answer: The outcome, once it is fixed. It goes out when the handler returns.
      seq: Events of this job sent so far: the number of the next.
      credit: Events that may be sent in all, until more credit comes.
      rest_at: The number of the event before which a schedule point is due.
      waiting: Trio tasks that wait for credit.
    """

    request: BusJobRequestMessage
    handler: JobHandler
    scope: trio.CancelScope
    cancel: BusJobCancelMessage | None = None
    is_abandoned: bool = False
    answer: Answer | None = None
    seq: int = 0
    credit: float = math.inf
    rest_at: int = 1
    waiting: ParkingLot | None = None

    @property
    def lineage(self) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
        """The job's own id, of those that wait for it, and the workers of all, outermost first."""
        request = self.request
        worker = request.target or ""
        if request.parent_job_id is None or not request.awaited:
            return request.job_id, (), (worker,)
        ancestors = (*request.ancestors, request.parent_job_id)
        return request.job_id, ancestors, (*request.asked, worker)

    @property
    def is_stopping(self) -> bool:
        """Whether its handler is cancelled, or out of time."""
        return self.cancel is not None or self.scope.cancel_called

    def grant(self, credit: int | None) -> None:
        """Let ``credit`` more events be sent; None lets any number."""
        self.credit = math.inf if credit is None else self.credit + credit
        self.wake()

    def wake(self) -> None:
        """Wake all Trio tasks that wait for credit."""
        if self.waiting is not None:
            self.waiting.unpark_all()

    async def wait_credit(self) -> None:
        """Wait until `wake`. Always a checkpoint."""
        self.waiting = self.waiting or ParkingLot()
        await self.waiting.park()


#: The job whose handler is running, for the jobs that it requests in turn.
current_job: ContextVar[ActiveJob | None] = ContextVar("trioworkers_current_job", default=None)
