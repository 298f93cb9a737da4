"""``async with worker.job(...)`` and ``async with worker.job_group(...)``."""

from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from trio.lowlevel import checkpoint, checkpoint_if_cancelled, current_task, enable_ki_protection

from ..bus import CREDIT_WINDOW
from ._events import BATCH
from ._group import JobGroup
from ._outcomes import JobEvent, JobGroupEvent, JobOutcome
from ._request import JobRequest
from ._requester import Requester
from ._scope import leave

EventT = TypeVar("EventT", JobEvent, JobGroupEvent)

#: The batch of a context that has not been iterated; nothing is ever put in.
_NO_EVENTS: list[Any] = []


class _GroupScope(Generic[EventT]):
    """What `JobContext` and `JobGroupContext` share."""

    __slots__ = (
        "_batch",
        "_group",
        "_inside",
        "_iterated_by",
        "_request",
        "_requester",
        "_unscheduled",
    )

    def __init__(self, requester: Requester, request: JobRequest) -> None:
        self._requester = requester
        self._request = request
        self._group: JobGroup | None = None
        self._inside = False
        self._iterated_by: object = None
        self._batch: list[Any] = _NO_EVENTS
        self._unscheduled = 0

    @property
    def group(self) -> JobGroup:
        """The book-keeping of the members; there from enter on."""
        if self._group is None:
            raise RuntimeError("the job has not been requested yet: use `async with` first")
        return self._group

    @property
    def job_id(self) -> str:
        """The id that all members share."""
        return self.group.job_id

    @property
    def outcomes(self) -> dict[str, JobOutcome]:
        """How each member ended, of those that have, by worker name."""
        return self.group.outcomes

    @enable_ki_protection
    async def __aenter__(self) -> Self:
        if self._group is not None:
            raise RuntimeError("a job context can be entered once: call the method again")
        requester, request = self._requester, self._request
        group = self._group = requester.new_group(request)
        group.scope.__enter__()
        try:
            if not requester.can_send(request.worker_names):
                await requester.wait_to_send(group)
            requester.send(group)
        except BaseException as error:
            if await leave(requester, group, error):
                raise group.make_unasked_error() from None
            raise
        self._inside = True
        return self

    @enable_ki_protection
    def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> Coroutine[Any, Any, bool]:
        self._inside = False
        return leave(self._requester, self.group, exc)

    def __aiter__(self) -> Self:
        task = current_task()
        if self._iterated_by not in (None, task):
            raise RuntimeError("the events of a job are already iterated by another Trio task")
        self._iterated_by = task
        self._batch = self.group.events.batch
        return self

    @enable_ki_protection
    async def __anext__(self) -> EventT:
        if len(self._batch) > 1:
            await checkpoint_if_cancelled()
            return self._batch.pop()  # type: ignore[no-any-return]
        return await self._next_between_batches()

    async def _next_between_batches(self) -> EventT:
        """Do what `__anext__` does where a batch begins or ends."""
        if self._batch:
            await checkpoint_if_cancelled()
        else:
            await self._wait_batch()
        event: EventT = self._batch.pop()
        if not self._batch:
            self.group.events.end_batch()
        return event

    async def _wait_batch(self) -> None:
        """Wait until there are events in the batch, which is empty.

        Always a cancellation point, and a schedule point at least once per
        `CREDIT_WINDOW` events.
        """
        if not self._inside:
            raise RuntimeError("the events of a job can only be iterated inside its block")
        group = self.group
        events = group.events
        batch = self._batch = events.batch
        if events.items:
            if self._unscheduled + BATCH <= CREDIT_WINDOW:
                await checkpoint_if_cancelled()
            else:
                self._unscheduled = 0
                await checkpoint()
        while not (batch or events.items):
            if not group.open_members:
                await checkpoint()
                raise StopAsyncIteration
            if events.has_reader:
                raise RuntimeError("the events of a job are already being iterated")
            self._unscheduled = 0
            await events.wait_change()
            if not self._inside:
                raise RuntimeError("the block was left while its events were iterated")
        if not batch:
            self._unscheduled += events.fill_batch()


class JobGroupContext(_GroupScope[JobGroupEvent]):
    """Several jobs as one scope; see `BaseWorker.job_group`.

    Entering waits until all members are ready and sends the requests. Leaving
    waits for every outcome; whichever way it is left, every handler has
    returned by then. ``async for`` inside gives the members' events.

    Checkpoints on exit, not necessarily on entry.
    """

    __slots__ = ()

    @property
    def responses(self) -> dict[str, dict[str, Any]]:
        """What the members that completed have answered, by worker name."""
        return self.group.responses

    @property
    def label(self) -> str | None:
        """What to call the group in front of a person."""
        return self._request.label


class JobContext(_GroupScope[JobEvent]):
    """One job as a scope; see `BaseWorker.job`. Like `JobGroupContext` for one."""

    __slots__ = ()

    @property
    def response(self) -> dict[str, Any]:
        """What the worker answered.

        Raises:
          RuntimeError: The job has not completed.
        """
        outcome = self.group.outcomes.get(self._request.worker_names[0])
        if outcome is None or outcome.response is None:
            raise RuntimeError(f"job {self.job_id} has no response: leave the block first")
        return outcome.response


@enable_ki_protection
async def call(context: JobContext) -> dict[str, Any]:
    """Do one job from request to response. Always a checkpoint."""
    async with context:
        pass
    return context.response
