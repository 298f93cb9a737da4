"""What a requester sees of its jobs: outcomes and events."""

from typing import Any, ClassVar

import attrs

from ..bus import (
    BusJobStreamDataMessage,
    BusJobStreamEndMessage,
    BusJobStreamStartMessage,
    BusJobUpdateMessage,
    BusJobUpdateUrgentMessage,
    BusMessage,
    JobFailure,
    JobStatus,
)


@attrs.define
class JobOutcome:
    """How one member of a job or job group ended.

    Attributes:
      status: How it ended.
      response: What it answered; None unless it answered.
      error: Why it did not complete; None if it did.
    """

    status: JobStatus
    response: dict[str, Any] | None = None
    error: JobFailure | None = None


@attrs.frozen
class JobGroupResponse:
    """The responses of a job group whose members have all ended.

    Attributes:
      job_id: The job.
      responses: Of the members that completed, by worker name.
    """

    job_id: str
    responses: dict[str, dict[str, Any]]


@attrs.define
class JobEvent:
    """An update or a part of the stream of a single job.

    Attributes:
      type: One of the constants of this class.
      data: What the worker sent along.
    """

    UPDATE: ClassVar[str] = "update"
    STREAM_START: ClassVar[str] = "stream_start"
    STREAM_DATA: ClassVar[str] = "stream_data"
    STREAM_END: ClassVar[str] = "stream_end"

    type: str
    data: dict[str, Any] | None = None


@attrs.define
class JobGroupEvent:
    """An update or a part of a stream of one member of a job group.

    Attributes:
      type: One of the constants of this class.
      worker_name: Which member sent it.
      data: What the worker sent along.
    """

    UPDATE: ClassVar[str] = "update"
    STREAM_START: ClassVar[str] = "stream_start"
    STREAM_DATA: ClassVar[str] = "stream_data"
    STREAM_END: ClassVar[str] = "stream_end"

    type: str
    worker_name: str
    data: dict[str, Any] | None = None


#: What the event of each message class is called.
EVENTS: dict[type[BusMessage], str] = {
    BusJobUpdateMessage: JobEvent.UPDATE,
    BusJobUpdateUrgentMessage: JobEvent.UPDATE,
    BusJobStreamStartMessage: JobEvent.STREAM_START,
    BusJobStreamDataMessage: JobEvent.STREAM_DATA,
    BusJobStreamEndMessage: JobEvent.STREAM_END,
}
