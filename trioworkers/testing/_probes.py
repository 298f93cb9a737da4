"""Messages and subscribers that tell what a bus does with them."""

from typing import ClassVar

import attrs
import trio
from trio.lowlevel import ParkingLot

from ..bus import (
    BusDataMessage,
    BusLocalMessage,
    BusMessage,
    BusSubscriber,
    BusSystemMessage,
    Hook,
    wire_tag,
)


@wire_tag("testing.note")
@attrs.define
class ProbeNote(BusDataMessage):
    """A numbered message in the data lane."""

    number: int = 0


@wire_tag("testing.alarm")
@attrs.define
class ProbeAlarm(BusSystemMessage):
    """A numbered message in the system lane."""

    number: int = 0


@wire_tag("testing.posted")
@attrs.define
class ProbePosted(BusDataMessage):
    """A numbered message that may be posted: it takes no room."""

    number: int = 0

    waits_for_room: ClassVar[bool] = False


@attrs.define
class ProbeLocal(BusLocalMessage, BusDataMessage):
    """A message that can't leave the process: it has no wire tag."""

    number: int = 0


Probe = ProbeNote | ProbeAlarm | ProbePosted | ProbeLocal
PROBES: tuple[type[BusMessage], ...] = (ProbeNote, ProbeAlarm, ProbePosted, ProbeLocal)


class ProbeSubscriber(BusSubscriber):
    """Notes what it is sent, at delivery and in its hooks.

    Args:
      name: Its name on the bus.
      changed: Whom to wake at each note.
      interests: As in `BusSubscriber`.
      stuck: Whether hooks of its data lane wait until `open`.
      error: Where it raises: ``"delivery"``, ``"hook"``, or None.

    Attributes:
      delivered: The probes that were delivered.
      heard: The probes whose hook has run, the waiting included.
      left: How often `on_unsubscribed` was called.
      inside: Hooks that are running now.
    """

    def __init__(
        self,
        name: str,
        changed: ParkingLot,
        interests: tuple[type[BusMessage], ...] = PROBES,
        *,
        stuck: bool = False,
        error: str | None = None,
    ) -> None:
        self._name = name
        self._changed = changed
        self._interests = interests
        self._gate = trio.Event()
        if not stuck:
            self._gate.set()
        self._error = error
        self.delivered: list[Probe] = []
        self.heard: list[Probe] = []
        self.left = 0
        self.inside = 0

    @property
    def name(self) -> str:
        """Its name on the bus."""
        return self._name

    @property
    def interests(self) -> tuple[type[BusMessage], ...]:
        """Probes, or fewer."""
        return self._interests

    def open(self) -> None:
        """Let the hooks of the data lane go on."""
        self._gate.set()

    def numbers(self, kind: type[BusMessage] = BusMessage, source: str | None = None) -> list[int]:
        """Return the numbers it has heard, of one kind, from one sender or all."""
        return [
            message.number
            for message in self.heard
            if isinstance(message, kind) and source in (None, message.source)
        ]

    def on_delivery(self, message: BusMessage) -> Hook | None:
        """Note a probe; ignore what else a bus may carry."""
        if not isinstance(message, PROBES):
            return None
        self.delivered.append(message)  # type: ignore[arg-type]
        self._changed.unpark_all()
        if self._error == "delivery":
            raise ValueError("raised by a conformance check, at delivery")
        return self.on_bus_message

    async def on_bus_message(self, message: BusMessage) -> None:
        """Note a probe, after waiting where it is stuck."""
        if not isinstance(message, PROBES):
            return
        self.inside += 1
        self._changed.unpark_all()
        try:
            if not message.is_system:
                await self._gate.wait()
            self.heard.append(message)  # type: ignore[arg-type]
        finally:
            self.inside -= 1
            self._changed.unpark_all()
        if self._error == "hook":
            raise ValueError("raised by a conformance check, in a hook")

    def on_unsubscribed(self) -> None:
        """Note it."""
        self.left += 1
