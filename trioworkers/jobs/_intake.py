"""Which jobs a worker accepts, cancels and refuses, whoever does them then."""

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Container

import attrs
import trio
from trio.lowlevel import ParkingLot

from ..bus import (
    BusJobCancelMessage,
    BusJobCreditMessage,
    BusJobRequestMessage,
    BusJobResponseMessage,
    JobFailure,
    JobStatus,
    WorkerBus,
)
from ..errors import CodecError, InactiveJobError, LaneFull, UnknownWorkerError
from ._active import ActiveJob
from ._answers import Answer, stopped
from ._streams import ResponseMessage
from ._tombstones import Tombstones

#: Why a job ends whose requester may have gone: if it hasn't, it is told so.
ABANDONED = "nothing is heard of the requester"
#: Jobs that are remembered to have ended, or to have been cancelled before they came.
MAX_ENDED = 1000


@attrs.define(eq=False)
class Intake(ABC):
    """The jobs that one worker has accepted, and its answers to those that it hasn't.

    A subclass does the jobs, by implementing `_accept`. All of it is synchronous
    book-keeping, called at delivery.

    Attributes:
      name: Who answers.
      nursery: The worker's own.
      active: Jobs that have begun and whose outcome has not gone out, by job id.
      tombstones: Cancels that came before their requests; None before the first.
      ending: Whether only requests from running handlers are accepted.
      closed: The outcome for everything, once the worker is stopping.
      duplicates: Requests that came twice.
    """

    name: str
    bus: WorkerBus
    nursery: trio.Nursery
    active: dict[str, ActiveJob] = attrs.field(init=False, factory=dict)
    tombstones: Tombstones | None = attrs.field(init=False, default=None)
    ending: bool = attrs.field(init=False, default=False)
    closed: Answer | None = attrs.field(init=False, default=None)
    duplicates: int = attrs.field(init=False, default=0)
    _ended: OrderedDict[str, None] | None = attrs.field(init=False, default=None)
    _idle: ParkingLot | None = attrs.field(init=False, default=None)

    # Book-keeping at delivery

    def request(self, message: BusJobRequestMessage) -> None:
        """Accept a request, or answer at once why not."""
        job_id = message.job_id
        if job_id in self.active or (self._ended is not None and job_id in self._ended):
            self.duplicates += 1  # also while it is closed: one answer is enough
        elif self.closed is not None:
            self._refuse(message, self.closed)
        elif self.ending and message.parent_job_id is None:
            self._refuse(message, stopped(JobStatus.CANCELLED, self.name, "is ending"))
        elif self.tombstones is not None and self.tombstones.take(job_id):
            self._remember(job_id)  # its cancel came first, and was answered
        else:
            self._accept(message)

    def _end(self, job_id: str) -> None:
        """Note that the outcome of a job goes out."""
        del self.active[job_id]
        self._remember(job_id)

    def _remember(self, job_id: str) -> None:
        """Ignore that request if it comes again, which between runners it can."""
        if not self.bus.made_job_id(job_id):
            self._ignore(job_id)

    def _ignore(self, job_id: str) -> None:
        """Ignore that request when it comes."""
        ended = self._ended = self._ended or OrderedDict()
        ended[job_id] = None
        if len(ended) > MAX_ENDED:
            ended.popitem(last=False)

    @abstractmethod
    def _accept(self, message: BusJobRequestMessage) -> None:
        """See to it that a job is done, or `_refuse` it."""

    def cancel(self, message: BusJobCancelMessage) -> None:
        """Cancel a job. One that is unknown is answered, and remembered."""
        job = self.active.get(message.job_id)
        if job is not None:
            if job.cancel is None:
                job.cancel = message
                job.scope.cancel()
            return
        self._post_answer(
            BusJobResponseMessage(
                message.job_id,
                JobStatus.CANCELLED,
                error=JobFailure("Cancelled", message.reason or "cancelled before it began"),
                source=message.target or self.name,
                target=message.source,
            )
        )
        if self.closed is None:
            self.tombstones = self.tombstones or Tombstones()
            self.tombstones.add(message)

    def credit(self, message: BusJobCreditMessage) -> None:
        """Let a job send more events."""
        job = self.active.get(message.job_id)
        if job is not None:
            job.grant(message.credit)

    def requesters_departed(self, names: Container[str]) -> None:
        """Cancel what requesters that have gone were waiting for."""
        if self.tombstones is not None:
            for job_id in self.tombstones.forget_requesters(names):
                self._ignore(job_id)  # its request may still be on its way
        for job in self.active.values():
            if job.request.source in names and job.cancel is None:
                job.cancel = BusJobCancelMessage(
                    job.request.job_id, ABANDONED, source=job.request.source, target=self.name
                )
                job.is_abandoned = True
                job.scope.cancel()

    def close(self, status: JobStatus, why: str) -> None:
        """From now on answer every request, and every interrupted job, with ``status``."""
        if self.closed is None:
            self.closed = stopped(status, self.name, why)

    def _refuse(self, request: BusJobRequestMessage, answer: Answer) -> None:
        self._post_answer(
            BusJobResponseMessage(
                request.job_id,
                answer.status,
                error=answer.error,
                seq=0,
                source=request.target or self.name,
                target=request.source,
            )
        )

    def _post_answer(self, response: ResponseMessage) -> None:
        """Send an outcome; if the bus can't carry it, one that says so."""
        try:
            self.bus.post(response)
        except (CodecError, LaneFull, UnknownWorkerError) as error:
            self._post_instead(response, error)

    def _post_instead(
        self, response: ResponseMessage, error: CodecError | LaneFull | UnknownWorkerError
    ) -> None:
        """Send what can be sent of an outcome that the bus has refused."""
        if isinstance(error, CodecError):  # otherwise the requester has gone
            self._post_fault(response, JobFailure("CodecError", str(error)))

    def _post_fault(self, response: ResponseMessage, failure: JobFailure | None) -> None:
        fault = attrs.evolve(response, status=JobStatus.ERROR, response=None, error=failure)
        try:
            self.bus.post(fault)
        except CodecError:  # of the text, which comes last of all
            if failure is None:
                raise
            self._post_fault(response, None)

    # How it stands

    @property
    def jobs(self) -> dict[str, BusJobRequestMessage]:
        """What it works on, or has waiting, and has not answered; by job id."""
        return {i: job.request for i, job in self.active.items() if job.answer is None}

    @property
    @abstractmethod
    def waiting(self) -> int:
        """How many of its jobs wait until they may begin."""

    @property
    def job_count(self) -> int:
        """How many jobs it has whose outcome has not gone out."""
        return len(self.active)

    @property
    def early_cancels(self) -> int:
        """How many cancels are remembered whose requests have not come."""
        return self.tombstones.count() if self.tombstones is not None else 0

    async def wait_idle(self) -> None:
        """Wait until there is no job. Always a checkpoint."""
        await trio.lowlevel.checkpoint()
        while self.job_count:
            self._idle = self._idle or ParkingLot()
            await self._idle.park()

    # For the senders

    def sending(self, job_id: str) -> ActiveJob:
        """Return the job that something is to be sent for.

        Raises:
          InactiveJobError: It is unknown here, or its outcome is fixed.
        """
        job = self.active.get(job_id)
        if job is None or job.answer is not None:
            raise InactiveJobError(job_id, self.name)
        return job
