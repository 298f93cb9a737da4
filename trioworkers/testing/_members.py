"""What a monitor has seen of each job at each of its workers, and of each group."""

import math

import attrs

from ..bus import JobStatus
from ..jobs import JobGroup
from ._watching import Watched


@attrs.define(eq=False)
class Call:
    """A handler function that was called.

    Attributes:
      worker: Whose it is.
      handler_name: The job name that it serves, or None for `on_job_request`.
      running: Whether it has not returned yet.
      cut_off: Whether it ended by something that is no `Exception`.
    """

    worker: Watched
    handler_name: str | None
    running: bool = True
    cut_off: bool = False


@attrs.define(eq=False)
class Events:
    """The events of one member, by their numbers.

    Attributes:
      sent: What its handler has sent.
      came: What was delivered to the requester.
      entered: What has entered the buffer.
      taken: What a reader has taken.
      last_taken: The last number that was taken in order.
      unread: How many are in the buffer.
      credit: How many more may be sent.
    """

    credit: float
    sent: set[int] = attrs.field(factory=set)
    came: set[int] = attrs.field(factory=set)
    entered: set[int] = attrs.field(factory=set)
    taken: set[int] = attrs.field(factory=set)
    last_taken: int = -1
    unread: int = 0


@attrs.define(eq=False)
class Member:
    """One job at one worker, or at one pool.

    Attributes:
      job_id: The job.
      name: Who was asked.
      worker: Who the request or its cancel has come to.
      job_name: What was asked for.
      asked: Whether a request was sent.
      doubled: Whether its request comes twice, on purpose.
      requests: How many requests have come to it.
      terminable: How many messages have come that are each answered at most once.
      nested: Whether a handler has asked.
      place: Its place among the requests that came to that worker.
      cancel_sent: Whether the requester has sent a cancel.
      cancelled_at: When the first cancel was taken note of, or None.
      cancelled_first: Whether no request had come then.
      calls: Of its handler.
      returned_at: When one returned last.
      raised: Whether that raised.
      answers: The statuses that were answered, in order.
      answered_at: When it was answered first.
      urgent: Whether that answer may overtake events.
      events: None before the first.
      window: Events that may be sent before any credit comes.
    """

    job_id: str
    name: str
    worker: Watched | None = None
    job_name: str | None = None
    asked: bool = False
    doubled: bool = False
    requests: int = 0
    terminable: int = 0
    nested: bool = False
    place: int = 0
    cancel_sent: bool = False
    cancelled_at: float | None = None
    cancelled_first: bool = False
    calls: list[Call] = attrs.field(factory=list)
    returned_at: float = -math.inf
    raised: bool = False
    answers: list[JobStatus] = attrs.field(factory=list)
    answered_at: float = -math.inf
    urgent: bool = False
    events: Events | None = None
    window: float = math.inf

    @property
    def is_running(self) -> bool:
        """Whether a handler runs that is to be reckoned with."""
        return any(call.running and not call.worker.crashed for call in self.calls)

    def known_events(self) -> Events:
        """Return its events; made when first asked for."""
        if self.events is None:
            self.events = Events(self.window)
        return self.events


@attrs.define(eq=False)
class Group:
    """A job or job group, at its requester.

    Attributes:
      group: What it is.
      requester: Who has asked.
      awaited: Whether somebody waits for it: not fire and forget.
      closing: Whether a cancel was sent.
      closed: Whether its owner has left it.
    """

    group: JobGroup
    requester: Watched
    awaited: bool
    closing: bool = False
    closed: bool = False


@attrs.define(eq=False)
class Members:
    """All that was seen, by job id and by job id and name."""

    members: dict[tuple[str, str], Member] = attrs.field(factory=dict)
    groups: dict[str, Group] = attrs.field(factory=dict)

    def member(self, job_id: str, name: str) -> Member:
        """Return what is known of one job at one worker."""
        member = self.members.get((job_id, name))
        if member is None:
            member = self.members[job_id, name] = Member(job_id, name)
        return member

    def of(self, group: JobGroup) -> list[Member]:
        """Return the members of a group that anything is known of."""
        found = (self.members.get((group.job_id, name)) for name in group.worker_names)
        return [member for member in found if member is not None]
