"""What the model of a stream server holds: the keys of a real one, as plain dicts."""

import copy
import itertools
from collections.abc import Iterator
from typing import Self

import attrs

from ...bus.redis._store import DATA, SYSTEM, Received

#: Which stream: an incarnation's lane.
Lane = tuple[str, int]


def _position(entry_id: bytes) -> tuple[int, int]:
    milliseconds, _, number = entry_id.partition(b"-")
    return int(milliseconds), int(number)


@attrs.define(eq=False)
class Stream:
    """The entries of one lane that are there still, the oldest first."""

    entries: list[Received] = attrs.field(factory=list)

    def __len__(self) -> int:
        return len(self.entries)

    def delete_to(self, last: bytes) -> None:
        """Delete what comes up to ``last``, included."""
        limit = _position(last)
        self.entries = [e for e in self.entries if _position(e.id) > limit]

    def after(self, last: bytes, count: int) -> list[Received]:
        """Return up to ``count`` entries that come after ``last``."""
        limit = _position(last)
        return [e for e in self.entries if _position(e.id) > limit][:count]


@attrs.define(eq=False)
class Keys:
    """All that a server holds for one namespace. Times are in its milliseconds.

    Attributes:
      leases: When each incarnation's lease expires; it has expired at that time.
      about: What each has told about itself.
      names: Who has each name.
      owned: Which names each has.
      former: When each has given up which names.
      streams: The lanes that there are.
      sent: By destination, the last number that each incarnation has put into a lane.
      waiting: By lane, which incarnations wait for room in it.
      numbers: Makes ids of entries increase; goes on when old keys are restored.
    """

    leases: dict[str, int] = attrs.field(factory=dict)
    about: dict[str, bytes] = attrs.field(factory=dict)
    names: dict[str, str] = attrs.field(factory=dict)
    owned: dict[str, dict[str, None]] = attrs.field(factory=dict)
    former: dict[str, dict[str, int]] = attrs.field(factory=dict)
    streams: dict[Lane, Stream] = attrs.field(factory=dict)
    sent: dict[str, dict[Lane, int]] = attrs.field(factory=dict)
    waiting: dict[Lane, dict[str, None]] = attrs.field(factory=dict)
    numbers: Iterator[int] = attrs.field(factory=lambda: itertools.count(1))

    def copied(self) -> Self:
        """Return a copy that shares nothing but the numbers of entries."""
        return attrs.evolve(
            self,
            leases=dict(self.leases),
            about=dict(self.about),
            names=dict(self.names),
            owned=copy.deepcopy(self.owned),
            former=copy.deepcopy(self.former),
            streams={lane: Stream(list(s.entries)) for lane, s in self.streams.items()},
            sent=copy.deepcopy(self.sent),
            waiting=copy.deepcopy(self.waiting),
        )

    def emptied(self) -> Self:
        """Return keys of a server that has lost everything."""
        return type(self)(numbers=self.numbers)

    def lives(self, incarnation: str, now: int) -> bool:
        """Whether an incarnation has a lease, swept or not."""
        return self.leases.get(incarnation, now) > now

    def living(self, now: int) -> tuple[str, ...]:
        """Return all that have a lease."""
        return tuple(name for name, expiry in self.leases.items() if expiry > now)

    def add(self, lane: Lane, now: int, *fields: bytes) -> None:
        """Put an entry into a lane."""
        entry_id = b"%d-%d" % (now, next(self.numbers))
        self.streams.setdefault(lane, Stream()).entries.append(Received(entry_id, fields))

    def end(self, incarnation: str, now: int) -> None:
        """End a lease: delete all that is the incarnation's, and tell those that live."""
        del self.leases[incarnation]
        self.about.pop(incarnation, None)
        for name in self.owned.pop(incarnation, {}):
            self.disown(incarnation, name)
        self.former.pop(incarnation, None)
        self.sent.pop(incarnation, None)
        for lane in ((incarnation, SYSTEM), (incarnation, DATA)):
            self.streams.pop(lane, None)
            self.waiting.pop(lane, None)
        for other in self.living(now):
            for number in (SYSTEM, DATA):
                self.sent.get(other, {}).pop((incarnation, number), None)
            self.add((other, SYSTEM), now, b"gone", incarnation.encode())

    def disown(self, incarnation: str, name: str) -> None:
        """Let a name be free, if it is this incarnation's."""
        if self.names.get(name) == incarnation:
            del self.names[name]
