"""Groups whose life somebody observes.

They are classes of their own, so that all other groups pay nothing for it.
"""

from collections.abc import Callable

import attrs

from ._events import EventBuffer
from ._group import JobGroup
from ._ports import Asker
from ._request import JobRequest
from ._streams import EventMessage, MemberStream, ResponseMessage


class ObservedGroup(JobGroup):
    """A `JobGroup` whose request has an observer."""

    __slots__ = ("_observer",)

    def __init__(self, asker: Asker, request: JobRequest, *, keeps_events: bool) -> None:
        super().__init__(asker, request, keeps_events=keeps_events)
        assert request.observer is not None
        self._observer = request.observer

    @property
    def events(self) -> EventBuffer:
        """The group's events, each of which the observer is told first."""
        if self.buffer is None:
            self.buffer = _ObservedEvents(
                self._asker.hooks,
                self.request.single,
                self._post_credit,
                self.keeps_events,
                observe=self._observe,
            )
        return self.buffer

    def _observe(self, message: EventMessage) -> None:
        self._observer.received(self, message)

    def _settle(self, message: ResponseMessage) -> None:
        super()._settle(message)
        self._observer.settled(self, message.source)

    def end(self) -> None:
        """Mark the group as ended, and tell the observer."""
        super().end()
        self._observer.ended(self)


@attrs.define(eq=False)
class _ObservedEvents(EventBuffer):
    observe: Callable[[EventMessage], None] = attrs.field(kw_only=True)

    def _enter(self, stream: MemberStream, message: EventMessage) -> None:
        self.observe(message)
        super()._enter(stream, message)
