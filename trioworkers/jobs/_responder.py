"""The responder's half: runs handlers, and sends what they have to say.

A handler is a Trio task of the worker's nursery. One that has finished waits
for the next job instead of ending, since starting a task costs more than
waking one.
"""

import math
from collections.abc import Awaitable, Mapping
from contextvars import Context

import attrs
import trio
from trio.lowlevel import (
    Abort,
    RaiseCancelT,
    Task,
    current_task,
    enable_ki_protection,
    reschedule,
    wait_task_rescheduled,
)

from ..bus import (
    BusJobRequestMessage,
    BusJobResponseMessage,
    BusJobResponseUrgentMessage,
    JobFailure,
    JobStatus,
)
from ..errors import (
    CodecError,
    InactiveJobError,
    LaneFull,
    UnknownWorkerError,
    WaitingCircleError,
    known_names,
)
from ._active import ActiveJob, current_job
from ._answers import Answer, answer_of, failure_of, only_cancelled, stopped
from ._handlers import JobHandler
from ._intake import Intake
from ._payload import from_dict, to_dict
from ._ports import Hooks
from ._turns import Admission

#: Finished handler tasks that a worker keeps for the next job.
MAX_PARKED = 64


@attrs.define(eq=False)
class _Seat:
    """A handler's Trio task that has been parked, and the job that it was woken for."""

    task: Task
    scope: trio.CancelScope
    parked: list["_Seat"]
    job: ActiveJob | None = None

    def take(self) -> ActiveJob:
        """Return the job that its task was woken for."""
        job, self.job = self.job, None
        assert job is not None
        return job

    def leave(self, _: RaiseCancelT) -> Abort:
        """Wait no longer for a job."""
        self.parked.remove(self)
        return Abort.SUCCEEDED


@attrs.define(eq=False)
class Responder(Intake):
    """The jobs that one worker works on, by calling its handlers.

    Attributes:
      worker: What handlers get as ``self``.
      hooks: The worker's.
      handlers: Its `@job` handlers, by job name.
      fallback: Serves what no handler is for, if the hook for that is used.
      context: What handlers start in a copy of.
      max_jobs: How many handlers may run at once; None is any number.
    """

    worker: object
    hooks: Hooks
    handlers: Mapping[str, JobHandler]
    fallback: JobHandler
    context: Context
    max_jobs: int | None = None
    _admission: Admission | None = attrs.field(init=False, default=None)
    _parked: list[_Seat] = attrs.field(init=False, factory=list)

    def __attrs_post_init__(self) -> None:
        if self.max_jobs is not None or any(h.sequential for h in self.handlers.values()):
            self._admission = Admission(self.name, self.max_jobs)

    @property
    def waiting(self) -> int:
        """How many jobs wait for their turn."""
        return self._admission.waiting if self._admission is not None else 0

    # Running

    def _accept(self, message: BusJobRequestMessage) -> None:
        """Start the handler for a request, or answer at once why not."""
        handler = self.handlers.get(message.job_name) if message.job_name else None
        if handler is None:
            if not self.hooks.wants("on_job_request"):
                self._refuse(message, self._no_handler(message))
                return
            handler = self.fallback
        if self._admission is not None:
            try:
                self._admission.check_circle(message, handler)
            except WaitingCircleError as error:
                self._refuse(message, Answer(JobStatus.FAILED, error=failure_of(error)))
                return
        deadline = message.deadline
        if self._parked:
            seat = self._parked.pop()
            scope = seat.scope
            if deadline != math.inf:
                scope.deadline = deadline
            seat.job = job = ActiveJob(message, handler, scope, credit=message.credit)
            seat.task.context = self.context.copy()
            reschedule(seat.task)
        else:
            job = ActiveJob(
                message, handler, trio.CancelScope(deadline=deadline), credit=message.credit
            )
            self.context.run(self._start, job)
        self.active[message.job_id] = job
        if self._admission is not None:
            self._admission.join(job)

    def _start(self, job: ActiveJob) -> None:
        # A name that is there already: Trio would make one up for each task.
        self.nursery.start_soon(self._serve, job, name=self.name)

    @enable_ki_protection
    async def _serve(self, job: ActiveJob) -> None:
        """Run one job after another, until one is cancelled; send each one's outcome.

        They share the cancel scope, since opening one costs as much as all the
        book-keeping of a job. A scope that was cancelled can't be used again.
        It awaits the handler itself, since a level of awaiting costs time and memory.
        """
        scope, seat, is_done = job.scope, None, False
        try:
            try:
                with scope:
                    while True:
                        try:
                            if self._admission is not None or (self.hooks.used and self.hooks.full):
                                await self._wait_turn(job)
                            if self._may_begin(job):
                                self._conclude(job, await self._call(job))
                        except Exception as error:  # noqa: BLE001 - it is the job's outcome
                            job.answer = answer_of(error)
                        if job.cancel is not None or (
                            job.request.deadline != math.inf and scope.cancel_called
                        ):
                            break
                        self._finish(job)
                        is_done = True
                        if self.closed is not None or len(self._parked) >= MAX_PARKED:
                            return
                        if job.request.deadline != math.inf:
                            scope.deadline = math.inf
                        seat = seat or _Seat(current_task(), scope, self._parked)
                        self._parked.append(seat)
                        await wait_task_rescheduled(seat.leave)
                        job, is_done = seat.take(), False
            except Exception as error:  # noqa: BLE001 - a group whose cancelled part is done with
                job.answer = answer_of(error)
            if job.answer is None or scope.cancelled_caught:
                await self._stopped_early(job)
        except BaseException as error:
            if is_done:
                raise
            rest = self._interrupted(job, error)
            if rest is error:
                raise
            raise rest from None
        finally:
            if not is_done:
                self._finish(job)

    async def _wait_turn(self, job: ActiveJob) -> None:
        """Wait until the hooks keep up and it is the job's turn, unless that is of no use."""
        if self._may_begin(job):
            if self.hooks.full:
                await self.hooks.wait_room()
            if self._admission is not None:
                await self._admission.wait(job)

    def _may_begin(self, job: ActiveJob) -> bool:
        """Whether its handler may be called: it isn't stopping, and neither is the worker."""
        if self.closed is not None:
            job.answer = self.closed
            return False
        return job.cancel is None and (
            job.request.deadline == math.inf or not job.scope.cancel_called
        )

    def _call(self, job: ActiveJob) -> Awaitable[object]:
        """Call the handler; return what is to be awaited for its result."""
        current_job.set(job)
        request, handler = job.request, job.handler
        if handler.payload_type is None:
            return handler.function(self.worker, request)
        payload: object = from_dict(request.payload, handler.payload_type)
        return handler.function(self.worker, request, payload)

    def _conclude(self, job: ActiveJob, result: object) -> None:
        """Fix the outcome of a handler that has returned ``result``."""
        if job.answer is not None:
            if result is not None:
                raise InactiveJobError(job.request.job_id, self.name)
        elif result is None or type(result) is dict:
            job.answer = Answer(JobStatus.COMPLETED, result)
        else:
            response = to_dict(result, "the value that a job handler returns")
            job.answer = Answer(JobStatus.COMPLETED, response)

    async def _stopped_early(self, job: ActiveJob) -> None:
        cancel = job.cancel
        if cancel is None:
            failure = JobFailure("TimedOut", "time is up")
            job.answer = job.answer or Answer(JobStatus.TIMED_OUT, error=failure)
            return
        why = cancel.reason or "cancelled by the requester"
        if job.is_abandoned:
            answer = Answer(JobStatus.LOST, error=JobFailure("RequesterLost", why))
        else:
            answer = Answer(JobStatus.CANCELLED, error=JobFailure("Cancelled", why))
        job.answer = job.answer or answer
        if self.hooks.wants("on_job_cancelled"):
            try:
                await self.hooks.run("on_job_cancelled", cancel)
            except Exception as error:  # noqa: BLE001 - `report` decides
                self.hooks.report(error)

    def _interrupted(self, job: ActiveJob, error: BaseException) -> BaseException:
        """Answer for a handler that something larger than its job has stopped.

        Returns:
          What must go on: ``error`` without the part that the answer tells.
        """
        told, rest = None, error
        if isinstance(error, BaseExceptionGroup):
            told, remaining = error.split(Exception)
            rest = error if remaining is None else remaining
        if told is not None:
            job.answer = Answer(JobStatus.ERROR, error=failure_of(told))
        elif isinstance(error, Exception):
            pass  # a hook's error, where those are strict; the outcome stands
        elif not only_cancelled(error):
            job.answer = Answer(JobStatus.LOST, error=failure_of(error))
        elif job.answer is None:
            job.answer = self.closed or stopped(JobStatus.LOST, self.name, "was cancelled")
        return rest

    def _finish(self, job: ActiveJob) -> None:
        """Send the outcome of a handler that has returned."""
        job_id = job.request.job_id
        self._end(job_id)
        if self._admission is not None:
            self._admission.leave(job)
        if job.waiting is not None:
            job.waiting.unpark_all()
        answer = job.answer or stopped(JobStatus.LOST, self.name, "lost the job")
        cls = BusJobResponseUrgentMessage if answer.urgent else BusJobResponseMessage
        response = cls(
            job_id,
            answer.status,
            answer.response,
            error=answer.error,
            seq=job.seq,
            source=self.name,
            target=job.request.source,
        )
        try:  # not by a further call, which every job would pay for
            self.bus.post(response)
        except (CodecError, LaneFull, UnknownWorkerError) as error:
            self._post_instead(response, error)
        if self._idle is not None and not self.active:
            self._idle.unpark_all()

    def _no_handler(self, request: BusJobRequestMessage) -> Answer:
        asked = "a job without a name" if request.job_name is None else f"job {request.job_name!r}"
        why = f"worker {self.name!r} has no handler for {asked}; "
        why += f"its handlers: {known_names(self.handlers)}"
        return Answer(JobStatus.ERROR, error=JobFailure("NoHandler", why))
