"""The `@ui_event` decorator, and the table of handlers that a class has."""

import inspect
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from trio.lowlevel import disable_ki_protection

from ..jobs import check_name, is_async

F = TypeVar("F", bound=Callable[..., Coroutine[Any, Any, object]])

#: A handler of an event: takes the worker and the message.
UIEventHandler = Callable[..., Awaitable[object]]

_MARK = "__trioworkers_ui_event__"


def ui_event(name: str) -> Callable[[F], F]:
    """Make a method of a `BaseUIWorker` the handler for events called ``name``.

    The method is ``async def f(self, message: BusUIEventMessage)``. Each event is a Trio task
    of the worker's nursery, in a copy of the worker's own context. What the method returns
    (None, an attrs instance or anything that JSON can hold) is the response. `JobError` tells
    the client its reason; of any other exception it learns the type alone.

    Args:
      name: What clients call the event; not empty. Names that begin with two underscores are
        reserved.

    Raises:
      TypeError: The decorated thing is not such a method.
      ValueError: The name is empty or reserved.
    """
    check_name(name, "the name of a @ui_event")
    if name.startswith("__"):
        raise ValueError(f"@ui_event({name!r}): names that begin with '__' are reserved")

    def mark(function: F) -> F:
        if not is_async(function):
            raise TypeError(f"@ui_event handler {function!r} must be `async def`")
        if len(inspect.signature(function).parameters) != 2:
            raise TypeError(f"@ui_event handler {function.__qualname__} must take (self, message)")
        setattr(function, _MARK, name)
        return function

    return mark


def collect_event_handlers(cls: type) -> dict[str, UIEventHandler]:
    """Return the `@ui_event` handlers of ``cls`` by event name.

    A method that overrides a handler is one too, decorated or not; None in its place takes the
    event out of service.

    Raises:
      TypeError: Two methods serve one event.
    """
    found: dict[str, UIEventHandler] = {}
    owners: dict[str, str] = {}
    for attribute in dict.fromkeys(name for base in cls.__mro__ for name in vars(base)):
        members = [vars(base)[attribute] for base in cls.__mro__ if attribute in vars(base)]
        name = next((getattr(m, _MARK) for m in members if hasattr(m, _MARK)), None)
        if name is None or getattr(cls, attribute) is None:
            continue
        if name in found:
            raise TypeError(
                f"{cls.__name__} has two handlers for event {name!r}: "
                f"{owners[name]} and {attribute}. Give each its own name."
            )
        owners[name] = attribute
        # It is called from protected book-keeping, but is the user's own code.
        found[name] = disable_ki_protection(getattr(cls, attribute))
    return found
