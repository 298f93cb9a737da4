"""What happened in a simulated run, in virtual time."""

from collections import Counter
from collections.abc import Iterator

import attrs


@attrs.frozen
class TimelineEvent:
    """One thing that happened.

    Attributes:
      at: Virtual seconds since the start of the run.
      what: ``sent``, ``delivered``, ``dropped``, or a word of the user's.
      where: Whom it happened to: a worker's name, or ``source -> target``.
      detail: What it was about.
    """

    at: float
    what: str
    where: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.at:10.3f}  {self.what:<10} {self.where:<24} {self.detail}".rstrip()


@attrs.define(eq=False)
class Timeline:
    """All events of a run, oldest first, and how often what was exercised.

    Attributes:
      events: What happened.
      exercised: Counts of situations that a property should meet, by name.
    """

    events: list[TimelineEvent] = attrs.field(factory=list)
    exercised: Counter[str] = attrs.field(factory=Counter)

    def __iter__(self) -> Iterator[TimelineEvent]:
        return iter(self.events)

    def __len__(self) -> int:
        return len(self.events)

    def __str__(self) -> str:
        return "\n".join(map(str, self.events))

    def of(self, name: str) -> "list[TimelineEvent]":
        """Return the events that one worker had a part in."""
        return [event for event in self.events if name in event.where.split(" -> ")]

    def first_difference(self, other: "Timeline") -> int | None:
        """Return the index of the first event that differs, or None if none does."""
        for index, (mine, theirs) in enumerate(zip(self.events, other.events, strict=False)):
            if mine != theirs:
                return index
        return None if len(self) == len(other) else min(len(self), len(other))
