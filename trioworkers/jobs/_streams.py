"""One member's events, in order and under credit. Pure: no waiting, no sending."""

import attrs

from ..bus import (
    CREDIT_WINDOW,
    BusJobResponseMessage,
    BusJobResponseUrgentMessage,
    BusJobStreamDataMessage,
    BusJobStreamEndMessage,
    BusJobStreamStartMessage,
    BusJobUpdateMessage,
    BusJobUpdateUrgentMessage,
)

EventMessage = (
    BusJobUpdateMessage
    | BusJobUpdateUrgentMessage
    | BusJobStreamStartMessage
    | BusJobStreamDataMessage
    | BusJobStreamEndMessage
)

ResponseMessage = BusJobResponseMessage | BusJobResponseUrgentMessage


@attrs.define(eq=False)
class MemberStream:
    """Puts one member's events in order, and counts what credit to return.

    Numbered events come out once each and in the order of their numbers;
    urgent ones come out at once. An outcome is held until all before it is in.

    Attributes:
      worker_name: The member.
      taken: Events that need no room in the requester's buffer any more.
      hooked: Events whose hooks have run, or that have none.
      unlimited: Whether the member was told to send as it likes.
      expected: The number of the next event in order.
      ahead: Events that came before their turn; None for urgent ones, which
        have been let through.
    """

    worker_name: str
    taken: int = 0
    hooked: int = 0
    unlimited: bool = False
    expected: int = 0
    _returned: int = 0
    ahead: dict[int, EventMessage | None] = attrs.field(factory=dict)
    held: ResponseMessage | None = None

    def accept(self, message: EventMessage) -> tuple[EventMessage, ...]:
        """Take one arrival; return the events that are now due, in order."""
        seq = message.seq
        if seq is None:
            return (message,)
        if seq == self.expected:
            self.expected = seq + 1
            return (message, *self._contiguous()) if self.ahead else (message,)
        if seq < self.expected or seq in self.ahead:
            return ()
        if message.is_system:
            self.ahead[seq] = None
            return (message,)
        self.ahead[seq] = message
        return ()

    def _contiguous(self) -> list[EventMessage]:
        due: list[EventMessage] = []
        while self.expected in self.ahead:
            message = self.ahead.pop(self.expected)
            self.expected += 1
            if message is not None:
                due.append(message)
        return due

    def hold(self, outcome: ResponseMessage) -> bool:
        """Keep ``outcome`` if events that were sent before it are missing."""
        if outcome.seq is None or outcome.seq <= self.expected:
            return False
        self.held = self.held or outcome
        return True

    def due_outcome(self) -> ResponseMessage | None:
        """Return the held outcome once nothing before it is missing."""
        outcome = self.held
        if outcome is None or outcome.seq is None or outcome.seq > self.expected:
            return None
        self.held = None
        return outcome

    def due_credit(self) -> int:
        """Return the credit to give back now: 0, or at least half a window."""
        credit = min(self.taken, self.hooked) - self._returned
        if credit < CREDIT_WINDOW // 2 or self.unlimited:
            return 0
        self._returned += credit
        return credit
