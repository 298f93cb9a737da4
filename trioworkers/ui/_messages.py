"""What UI workers and the servers of browsers say to each other over the bus.

A server attaches to a UI worker by the job `ATTACH_JOB`, and while that is open it is sent what
becomes of the groups that users may see, and commands. What users do goes the other way.
"""

from typing import Any, ClassVar

import attrs

from ..bus import BusDataMessage, BusSystemMessage, JobStatus, wire_tag

#: The job by which a server is told of groups and commands, for as long as it is open.
ATTACH_JOB = "ui.attach"

#: Reserved events: a person cancels a group; a client describes its page; a person has typed.
CANCEL_EVENT = "__cancel_task"
SNAPSHOT_EVENT = "__ui_snapshot"
TEXT_EVENT = "__send_text"
#: What newer clients of pipecat call `CANCEL_EVENT`.
CANCEL_EVENT_ALIAS = "__cancel_job_group"


@wire_tag("ui.event")
@attrs.define
class BusUIEventMessage(BusSystemMessage):
    """A client has done something: for a UI worker.

    In the system lane, so that no click waits behind data.

    Attributes:
      event_name: What; names that begin with two underscores are reserved.
      payload: What the client sent along: a JSON value that nobody has checked.
      session: Whose client it is; None if nobody's.
      request_id: Comes back in the `BusUIResponseMessage`; None if none is wanted.
    """

    event_name: str
    payload: Any = None
    session: str | None = attrs.field(default=None, kw_only=True)
    request_id: str | None = attrs.field(default=None, kw_only=True)

    may_miss: ClassVar[bool] = True
    waits_for_room: ClassVar[bool] = False


@attrs.define
class BusUIMessage(BusDataMessage):
    """Something for clients: for the server that they are connected to.

    Attributes:
      session: Whose clients it is for; None for all.
    """

    session: str | None = attrs.field(default=None, kw_only=True)

    may_miss: ClassVar[bool] = True


@wire_tag("ui.response")
@attrs.define
class BusUIResponseMessage(BusUIMessage):
    """What came of a `BusUIEventMessage`: at most one for each, so it waits for no room.

    Attributes:
      request_id: Of the event.
      data: What its handler has returned.
      error: Why there is no data, for a person to read; None if there is.
    """

    request_id: str
    data: Any = None
    error: str | None = None

    waits_for_room: ClassVar[bool] = False


@wire_tag("ui.command")
@attrs.define
class BusUICommandMessage(BusUIMessage):
    """Tells pages to do something.

    Attributes:
      command_name: What.
      payload: What it needs to know.
    """

    command_name: str
    payload: Any = None


@wire_tag("ui.text")
@attrs.define
class BusUITextMessage(BusUIMessage):
    """Something to say to a person."""

    text: str


@attrs.define
class BusUIGroupMessage(BusUIMessage):
    """News of a job group that users may see.

    Attributes:
      job_id: Of the group.
      at: When it happened, in milliseconds since 1970.
    """

    job_id: str
    at: int = attrs.field(default=0, kw_only=True)


@wire_tag("ui.group.started")
@attrs.define
class BusUIJobGroupStartedMessage(BusUIGroupMessage):
    """A group has been started.

    Attributes:
      workers: The names of its members.
      label: What to call it in front of a person.
      cancellable: Whether a person may cancel it.
    """

    workers: tuple[str, ...]
    label: str | None = None
    cancellable: bool = True


@wire_tag("ui.job.update")
@attrs.define
class BusUIJobUpdateMessage(BusUIGroupMessage):
    """A member has sent an update, or a part of its stream.

    Attributes:
      worker_name: Which member.
      data: What it sent; of a part of a stream ``{"type": ..., "data": ...}``, where the type is
        one of those of a `JobGroupEvent`.
      is_chunk: Whether it is a part of a stream, so that the next one doesn't replace it.
    """

    worker_name: str
    data: dict[str, Any] | None = None
    is_chunk: bool = False


@wire_tag("ui.job.completed")
@attrs.define
class BusUIJobCompletedMessage(BusUIGroupMessage):
    """A member has ended: there is one for each, and it is the last of that member.

    Attributes:
      worker_name: Which member.
      status: How it ended.
      response: What it answered.
      error: Why it did not complete, for a person to read.
    """

    worker_name: str
    status: JobStatus
    response: dict[str, Any] | None = None
    error: str | None = None


@wire_tag("ui.group.completed")
@attrs.define
class BusUIJobGroupCompletedMessage(BusUIGroupMessage):
    """A group has ended: the last of its messages."""
