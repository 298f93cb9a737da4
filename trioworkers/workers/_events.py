"""Event handlers: functions that users add to a worker's or a runner's events."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from typing import Any, TypeVar

from ..errors import known_names

EventHandler = Callable[..., Any]
H = TypeVar("H", bound=EventHandler)


class EventHandlers:
    """The handlers of one object's events, in the order added.

    Args:
      events: The names of the events there are; kept, so that many can share it.
    """

    __slots__ = ("_by_event", "_events")

    def __init__(self, events: Collection[str]) -> None:
        self._events = events
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


class EventSource(ABC):
    """The face of what has events: workers and runners."""

    def event_handler(self, event: str) -> Callable[[H], H]:
        """Decorate a function to be an event handler; see `add_event_handler`.

        Raises:
          ValueError: There is no such event.
        """

        def add(handler: H) -> H:
            self.add_event_handler(event, handler)
            return handler

        return add

    @abstractmethod
    def add_event_handler(self, event: str, handler: EventHandler) -> None:
        """Call ``handler``, sync or async, with this object and the event's data.

        Raises:
          ValueError: There is no such event.
          TypeError: The handler can't be called.
        """
