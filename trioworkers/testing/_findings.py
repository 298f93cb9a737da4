"""What a monitor has found in one run: broken promises, and situations that were met."""

from collections.abc import Callable

import attrs
import trio

from ._timeline import Timeline, TimelineEvent

#: Broken promises that are kept of one run; what follows the first ones says little.
MOST = 20


@attrs.define(eq=False)
class Findings:
    """Collects what the checks of a `Monitor` find.

    Attributes:
      timeline: Where all is noted.
      broken: What was found; each begins with the promise's number.
      on_broken: Called at each finding.
      over: Whether nothing is a finding any more.
    """

    timeline: Timeline
    broken: list[str] = attrs.field(factory=list)
    on_broken: Callable[[], object] = lambda: None
    over: bool = False

    def broke(self, promise: str, what: str) -> None:
        """Note that ``promise``, as in ``"P1"``, is broken; the same only once."""
        text = f"{promise}: {what}"
        if self.over or text in self.broken or len(self.broken) >= MOST:
            return
        self.broken.append(text)
        self.note("broken", "", text)
        self.on_broken()

    def met(self, situation: str) -> None:
        """Count a `Situation`."""
        self.timeline.exercised[situation] += 1

    def note(self, what: str, where: str, detail: str) -> None:
        """Add an event to the timeline; after the run, at the time of the last one."""
        events = self.timeline.events
        if trio.lowlevel.in_trio_run():
            at = trio.current_time()
        else:
            at = events[-1].at if events else 0.0
        events.append(TimelineEvent(at, what, where, detail))
