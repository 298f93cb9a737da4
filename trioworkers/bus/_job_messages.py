"""Messages of the job protocol, between one requester and one responder.

A request goes out; updates, stream messages and one response come back, each
with the next ``seq`` of that job; a cancel, credit, or a question for an
update may follow the request. The bus only carries them.
"""

import math
from enum import StrEnum
from typing import Any, ClassVar, Self

import attrs

from ._messages import BusDataMessage, BusSystemMessage, Deadline, wire_tag

#: Events that a responder may send before the requester has taken any.
CREDIT_WINDOW = 128


class JobStatus(StrEnum):
    """How a job ended. Values compare and serialise as plain strings.

    Attributes:
      COMPLETED: The handler succeeded.
      CANCELLED: The requester cancelled it, or its worker stopped gracefully.
      FAILED: The handler raised `JobError`, or answered so.
      ERROR: The handler raised something unexpected.
      TIMED_OUT: Its time was up.
      LOST: Its worker crashed, vanished, or was never there.
    """

    COMPLETED = "completed"
    CANCELLED = "cancelled"
    FAILED = "failed"
    ERROR = "error"
    TIMED_OUT = "timed_out"
    LOST = "lost"


@attrs.frozen
class JobFailure:
    """Why a job did not complete, in a form that crosses processes.

    Attributes:
      type: Name of the exception's class, or a word such as ``"Cancelled"``.
      message: What a person should read.
      traceback: The formatted traceback where the handler ran, if it raised.
    """

    type: str
    message: str
    traceback: str | None = None

    def __str__(self) -> str:
        return f"{self.type}: {self.message}" if self.message else self.type


@attrs.define
class BusJobDataMessage(BusDataMessage):
    """A message of the job protocol in the data lane.

    Attributes:
      job_id: The job that it is about.
    """

    job_id: str

    # Their number is bounded by jobs and credit, so nobody waits for room.
    waits_for_room: ClassVar[bool] = False
    may_miss: ClassVar[bool] = True


@attrs.define
class BusJobSystemMessage(BusSystemMessage):
    """A message of the job protocol in the system lane.

    Attributes:
      job_id: The job that it is about.
    """

    job_id: str

    waits_for_room: ClassVar[bool] = False
    may_miss: ClassVar[bool] = True


@wire_tag("job.request")
@attrs.define
class BusJobRequestMessage(BusJobDataMessage):
    """Asks a worker to do a job.

    Attributes:
      job_id: Identifies the job; shared by all members of a group.
      job_name: Which `@job` handler is meant, or None for `on_job_request`.
      payload: What the job is about.
      deadline: When the requester stops waiting, on the sender's Trio clock.
      parent_job_id: The job whose handler asked, if one did.
      ancestors: The jobs above that parent, outermost first.
      asked: The workers that those ancestors, and last the parent, were asked of:
        the members of a group share their job id.
      awaited: Whether that parent waits for the job.
      attempt: Which try this is, from 1.
      trace: Trace context, for distributed tracing.
      credit: Events the responder may send before more credit comes.
    """

    job_name: str | None = None
    payload: dict[str, Any] | None = None
    deadline: Deadline = attrs.field(default=math.inf, kw_only=True)
    parent_job_id: str | None = attrs.field(default=None, kw_only=True)
    ancestors: tuple[str, ...] = attrs.field(default=(), kw_only=True)
    asked: tuple[str, ...] = attrs.field(default=(), kw_only=True)
    awaited: bool = attrs.field(default=True, kw_only=True)
    attempt: int = attrs.field(default=1, kw_only=True)
    trace: dict[str, str] | None = attrs.field(default=None, kw_only=True)
    credit: int = attrs.field(default=CREDIT_WINDOW, kw_only=True)

    may_miss: ClassVar[bool] = False

    def bounce(self, why: str | None = None) -> "BusJobResponseMessage":
        """Return the outcome LOST: the worker has gone while the request was under way."""
        why = why or f"nobody on the bus is named {self.target!r}"
        failure = JobFailure("NotDelivered", why)
        return BusJobResponseMessage(
            self.job_id,
            JobStatus.LOST,
            error=failure,
            source=self.target or "",
            target=self.source,
        )


@wire_tag("job.response")
@attrs.define
class BusJobResponseMessage(BusJobDataMessage):
    """The one outcome of a job.

    Attributes:
      job_id: The job.
      status: How it ended.
      response: Its result.
      error: Why it did not complete.
      seq: How many messages of this job its worker sent before; None when
        they are not numbered.
    """

    status: JobStatus
    response: dict[str, Any] | None = None
    error: JobFailure | None = attrs.field(default=None, kw_only=True)
    seq: int | None = attrs.field(default=None, kw_only=True)


@wire_tag("job.response.urgent")
@attrs.define
class BusJobResponseUrgentMessage(BusJobSystemMessage):
    """A `BusJobResponseMessage` that overtakes the job's own events."""

    status: JobStatus
    response: dict[str, Any] | None = None
    error: JobFailure | None = attrs.field(default=None, kw_only=True)
    seq: int | None = attrs.field(default=None, kw_only=True)


@wire_tag("job.update")
@attrs.define
class BusJobUpdateMessage(BusJobDataMessage):
    """Progress of a job."""

    update: dict[str, Any] | None = None
    seq: int | None = attrs.field(default=None, kw_only=True)

    @property
    def data(self) -> dict[str, Any] | None:
        """The update, under the name that what is sent along has in all other events."""
        return self.update


@wire_tag("job.update.urgent")
@attrs.define
class BusJobUpdateUrgentMessage(BusJobSystemMessage):
    """Progress of a job that overtakes its other events."""

    update: dict[str, Any] | None = None
    seq: int | None = attrs.field(default=None, kw_only=True)

    @property
    def data(self) -> dict[str, Any] | None:
        """The update, under the name that what is sent along has in all other events."""
        return self.update


@wire_tag("job.stream.start")
@attrs.define
class BusJobStreamStartMessage(BusJobDataMessage):
    """A job begins to stream; ``data`` describes the stream."""

    data: dict[str, Any] | None = None
    seq: int | None = attrs.field(default=None, kw_only=True)


@wire_tag("job.stream.data")
@attrs.define
class BusJobStreamDataMessage(BusJobDataMessage):
    """One chunk of a job's stream."""

    data: dict[str, Any] | None = None
    seq: int | None = attrs.field(default=None, kw_only=True)

    @classmethod
    def numbered(
        cls, job_id: str, data: dict[str, Any] | None, seq: int, source: str, target: str
    ) -> Self:
        """Return what the class does if called, in half the time.

        Python makes a dict of the keywords that a class is called with, which
        takes as long as all else that making a message does.
        """
        chunk = object.__new__(cls)
        chunk.job_id = job_id
        chunk.data = data
        chunk.seq = seq
        chunk.source = source
        chunk.target = target
        return chunk


@wire_tag("job.stream.end")
@attrs.define
class BusJobStreamEndMessage(BusJobDataMessage):
    """A job's stream has ended; ``data`` becomes the job's response."""

    data: dict[str, Any] | None = None
    seq: int | None = attrs.field(default=None, kw_only=True)


@wire_tag("job.cancel")
@attrs.define
class BusJobCancelMessage(BusJobSystemMessage):
    """Cancels a job; the response still comes, once the handler has stopped."""

    reason: str | None = None


@wire_tag("job.update.request")
@attrs.define
class BusJobUpdateRequestMessage(BusJobDataMessage):
    """Asks a worker for a progress update on a job."""

    waits_for_room: ClassVar[bool] = True


@wire_tag("job.credit")
@attrs.define
class BusJobCreditMessage(BusJobSystemMessage):
    """Lets a responder send ``credit`` more events of a job; None means any number."""

    credit: int | None
