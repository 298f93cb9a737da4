"""Looks into job groups, without changing what they do: who settles, what enters and leaves.

Containers are replaced by ones that tell who puts in and takes out.
"""

from collections import deque
from typing import Any, Protocol

from ..jobs import EventMessage, JobGroup, JobOutcome, Requester


class GroupWatcher(Protocol):
    """Told what becomes of groups, at the moment it happens. Must not raise."""

    def opened(self, requester: Any, group: JobGroup) -> None:
        """A group was opened; ``requester`` is who was given to `watch_groups`."""

    def settled(self, group: JobGroup, name: str, outcome: JobOutcome, *, again: bool) -> None:
        """A member has an outcome, perhaps not its first."""

    def closed(self, group: JobGroup) -> None:
        """The owner of a group has left it."""

    def entered(self, group: JobGroup, event: EventMessage) -> None:
        """An event is in the buffer."""

    def taken(self, group: JobGroup, event: EventMessage) -> None:
        """A reader has taken an event."""

    def discarded(self, group: JobGroup, events: list[EventMessage]) -> None:
        """Unread events were discarded, perhaps none."""


def watch_groups(requester: Requester, asker: object, watcher: GroupWatcher) -> None:
    """Watch the groups of a requester from now on; ``asker`` is whom the watcher is told."""
    requester.groups = _Groups(asker, watcher)


class _Groups(dict[str, JobGroup]):
    """The open groups of one requester."""

    def __init__(self, asker: object, watcher: GroupWatcher) -> None:
        self._asker = asker
        self._watcher = watcher

    def __setitem__(self, job_id: str, group: JobGroup) -> None:
        super().__setitem__(job_id, group)
        group.outcomes = Outcomes(group, self._watcher)
        self._watcher.opened(self._asker, group)

    def pop(self, job_id: str, *default: Any) -> Any:
        group = self.get(job_id)
        super().pop(job_id, *default)
        if group is not None:
            self._watcher.closed(group)
        return group


class Outcomes(dict[str, JobOutcome]):
    """The outcomes of one group, that notes who got more than one.

    Attributes:
      again: Who did.
    """

    def __init__(self, group: JobGroup, watcher: GroupWatcher | None = None) -> None:
        super().__init__(group.outcomes)
        self.again: list[str] = []
        self._group = group
        self._watcher = watcher

    def __setitem__(self, name: str, outcome: JobOutcome) -> None:
        again = name in self
        if again:
            self.again.append(name)
        super().__setitem__(name, outcome)
        if self._watcher is not None:
            watch_buffer(self._group, self._watcher)
            self._watcher.settled(self._group, name, outcome, again=again)

    def __reduce__(self) -> tuple[type[dict[str, JobOutcome]], tuple[dict[str, JobOutcome]]]:
        # Errors carry outcomes; their copies are for users, and need no watcher.
        return dict, (dict(self),)


def watch_outcomes(group: JobGroup) -> Outcomes:
    """Return the outcomes of ``group``, watched from now on if they weren't."""
    if not isinstance(group.outcomes, Outcomes):
        group.outcomes = Outcomes(group)
    return group.outcomes


def watch_buffer(group: JobGroup, watcher: GroupWatcher) -> None:
    """Watch the events of ``group`` from now on, if it has a buffer by now."""
    if group.has_events and type(group.events.items) is deque:
        items = group.events.items
        group.events.items = _Items(items, group, watcher)
        for event in items:
            watcher.entered(group, event)


class _Items(deque[EventMessage]):
    """The unread events of one group."""

    def __init__(self, items: deque[EventMessage], group: JobGroup, watcher: GroupWatcher) -> None:
        super().__init__(items)
        self._group = group
        self._watcher = watcher

    def append(self, event: EventMessage) -> None:
        super().append(event)
        self._watcher.entered(self._group, event)

    def popleft(self) -> EventMessage:
        event = super().popleft()
        self._watcher.taken(self._group, event)
        return event

    def clear(self) -> None:
        events = list(self)
        super().clear()
        self._watcher.discarded(self._group, events)
