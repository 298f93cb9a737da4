"""Event handlers: functions that users add to a worker's or a runner's events."""

import inspect
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from ..errors import known_names

EventHandler = Callable[..., Any]
H = TypeVar("H", bound=EventHandler)


class EventHandlers:
    """The handlers of one object's events, in the order added.

    Args:
      events: The names of the events there are.
    """

    __slots__ = ("_by_event", "_events")

    def __init__(self, events: Iterable[str]) -> None:
        self._events = frozenset(events)
        self._by_event: dict[str, list[EventHandler]] | None = None

    def add(self, event: str, handler: EventHandler) -> None:
        """Add a handler.

        Raises:
          ValueError: There is no such event.
          TypeError: The handler can't be called.
        """
        if event not in self._events:
            raise ValueError(f"there is no event {event!r}; events: {known_names(self._events)}")
        if not callable(handler):
            raise TypeError(f"an event handler must be callable, not {handler!r}")
        if self._by_event is None:
            self._by_event = {}
        self._by_event.setdefault(event, []).append(handler)

    def of(self, event: str) -> list[EventHandler]:
        """Return the handlers of ``event``."""
        return self._by_event.get(event, []) if self._by_event is not None else []


async def call_handler(handler: EventHandler, *args: object) -> object:
    """Call a handler, sync or async, and return its value."""
    result = handler(*args)
    return await result if inspect.isawaitable(result) else result
