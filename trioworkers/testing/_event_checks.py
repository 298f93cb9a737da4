"""Checks of P3, and of P8 for buffers: what becomes of the events of each job."""

import math

import attrs

from ..bus import CREDIT_WINDOW, BusJobCreditMessage, JobStatus
from ..jobs import EventMessage, JobGroup, JobOutcome
from ._findings import Findings
from ._members import Member, Members
from ._situations import Situation


@attrs.define(eq=False)
class EventChecks:
    """Follows each event from its handler to the reader, by its number.

    Events without a number, of responders that aren't ours, are let through.

    Attributes:
      findings: Where to tell what is wrong.
      seen: What was seen so far.
    """

    findings: Findings
    seen: Members

    # At the worker

    def sent(self, event: EventMessage) -> None:
        """Check an event as it is sent."""
        member = self.seen.member(event.job_id, event.source)
        events = member.known_events()
        if event.seq is not None:
            events.sent.add(event.seq)
        if member.answers and not member.is_running:
            self._broke("P1", member, "sent an event after its answer")
        events.credit -= 1
        if events.credit < 0 and len(member.calls) <= 1:
            self._broke("P8", member, "sent an event without credit")
        elif events.credit == 0:
            self.findings.met(Situation.OUT_OF_CREDIT)

    def credit_came(self, message: BusJobCreditMessage) -> None:
        """Note that more may be sent."""
        events = self.seen.member(message.job_id, message.target or "").known_events()
        events.credit += math.inf if message.credit is None else message.credit

    # At the requester

    def came(self, event: EventMessage) -> None:
        """Note that an event is delivered."""
        events = self.seen.member(event.job_id, event.source).known_events()
        if event.seq is not None:
            events.came.add(event.seq)
        group = self.seen.groups.get(event.job_id)
        if group is not None and (group.closing or group.closed):
            self.findings.met(Situation.EVENT_AFTER_BLOCK)

    def entered(self, event: EventMessage) -> None:
        """Check an event that is in the buffer now."""
        member = self.seen.member(event.job_id, event.source)
        events = member.known_events()
        if event.seq is not None:
            if event.seq in events.entered:
                self._broke("P3", member, f"has event {event.seq} twice in the buffer")
            events.entered.add(event.seq)
        events.unread += 1
        if events.unread > CREDIT_WINDOW:
            self._broke("P8", member, f"has {events.unread} events in the buffer")

    def taken(self, event: EventMessage) -> None:
        """Check an event that a reader has taken."""
        member = self.seen.member(event.job_id, event.source)
        events, seq = member.known_events(), event.seq
        events.unread -= 1
        if seq is None:
            return
        if seq in events.taken:
            self._broke("P3", member, f"gave its reader event {seq} twice")
        events.taken.add(seq)
        if event.is_system:
            return  # urgent ones come out of turn
        if seq < events.last_taken:
            self._broke("P3", member, f"gave its reader event {seq} after {events.last_taken}")
        events.last_taken = seq

    def discarded(self, group: JobGroup, unread: list[EventMessage]) -> None:
        """Check that unread events are discarded only when the block is left."""
        for event in unread:
            self.seen.member(event.job_id, event.source).known_events().unread -= 1
        if unread and group.keeps_events:
            what = f"job group {group.job_id} discarded events that could still be read"
            self.findings.broke("P3", what)

    def settled(self, group: JobGroup, name: str, outcome: JobOutcome) -> None:
        """Check that no event is missing when a normal outcome has come."""
        member = self.seen.member(group.job_id, name)
        events = member.events
        if events is None or outcome.status is not JobStatus.COMPLETED or len(member.calls) > 1:
            return
        missing = events.sent - events.came
        if member.urgent:
            if missing:
                self.findings.met(Situation.OUTCOME_OVERTOOK_EVENTS)
        elif missing:
            self._broke("P3", member, f"completed while events {sorted(missing)} were under way")
        elif group.keeps_events and events.sent - events.entered:
            lost = sorted(events.sent - events.entered)
            self._broke("P3", member, f"completed, and events {lost} were lost on arrival")

    def closed(self, group: JobGroup) -> None:
        """Check that nothing of a group is in its buffer any more."""
        if group.has_events and (group.events.items or group.events.batch):
            what = f"job group {group.job_id} has ended with events in its buffer"
            self.findings.broke("P8", what)

    def _broke(self, promise: str, member: Member, what: str) -> None:
        self.findings.broke(promise, f"job {member.job_id} of {member.name!r} {what}")
