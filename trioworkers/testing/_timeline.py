"""What happened in a simulated run, in virtual time."""

from collections import Counter
from collections.abc import Iterator

import attrs

#: Events that the text of a timeline shows, at most: the last ones.
SHOWN = 300


@attrs.frozen
class TimelineEvent:
    """One thing that happened.

    Attributes:
      at: Virtual seconds since the start of the run.
      what: ``sent``, ``delivered``, ``dropped``; ``begins``, ``returns`` or
        ``raises`` of a handler; ``leaves`` of a block; ``broken``; what faults are
        called; or a word of the user's.
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

    Its text has the last `SHOWN` events, then the counts.

    Attributes:
      events: What happened.
      exercised: Counts of situations that a property should meet, by name; see
        `Situation`.
    """

    events: list[TimelineEvent] = attrs.field(factory=list)
    exercised: Counter[str] = attrs.field(factory=Counter)

    def __iter__(self) -> Iterator[TimelineEvent]:
        return iter(self.events)

    def __len__(self) -> int:
        return len(self.events)

    def __str__(self) -> str:
        lines = [str(event) for event in self.events[-SHOWN:]]
        if len(self.events) > SHOWN:
            lines.insert(0, f"({len(self.events) - SHOWN} earlier events)")
        counts = sorted(self.exercised.items(), key=lambda item: (-item[1], item[0]))
        lines += [f"{count:10}  times {name}" for name, count in counts]
        return "\n".join(lines)

    def of(self, name: str) -> "list[TimelineEvent]":
        """Return the events that one worker had a part in."""
        return [event for event in self.events if name in event.where.split(" -> ")]

    def first_difference(self, other: "Timeline") -> int | None:
        """Return the index of the first event that differs, or None if none does."""
        for index, (mine, theirs) in enumerate(zip(self.events, other.events, strict=False)):
            if mine != theirs:
                return index
        return None if len(self) == len(other) else min(len(self), len(other))
