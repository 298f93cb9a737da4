"""The `@job` decorator, and the table of handlers that a class has."""

import inspect
import typing
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import attrs
from trio.lowlevel import disable_ki_protection

F = TypeVar("F", bound=Callable[..., Coroutine[Any, Any, object]])

_MARK = "__trioworkers_job__"


@attrs.frozen
class _Mark:
    name: str
    sequential: bool
    takes_place: bool


@attrs.define(eq=False)
class JobHandler:
    """One `@job` method of a worker class.

    Attributes:
      name: The job name that it serves.
      function: The method, unbound.
      sequential: Whether its jobs run one at a time, in order of arrival.
      payload_type: The attrs class that the payload becomes, or None.
      takes_place: Whether its jobs count towards the worker's ``max_jobs``.
    """

    name: str | None
    function: Callable[..., Awaitable[object]]
    sequential: bool = False
    payload_type: type | None = None
    takes_place: bool = True


def job(*, name: str, sequential: bool = False, takes_place: bool = True) -> Callable[[F], F]:
    """Make a method of a worker the handler for jobs called ``name``.

    The method is ``async def f(self, message)`` or ``async def f(self,
    message, payload: T)`` with T an attrs class: then the payload is checked
    and structured first, and a bad one makes the job FAILED. What it returns
    (a dict, an attrs instance or None) is the response; what it raises is the
    failure. Each job is a Trio task of the worker's nursery.

    Args:
      name: Which requests it serves; not empty.
      sequential: Whether jobs run one at a time, in order of arrival. Waiting
        counts against the requester's timeout.
      takes_place: Whether jobs count towards the worker's ``max_jobs``; if not, they
        don't wait for a place either.

    Raises:
      TypeError: The decorated thing is not such a method.
      ValueError: The name is empty.
    """
    if not isinstance(name, str):
        raise TypeError(f"@job(name=...) takes a str, not {name!r}")
    if not name:
        raise ValueError("@job(name=...) must not be empty")

    def mark(function: F) -> F:
        if not is_async(function):
            raise TypeError(
                f"@job handler {function!r} must be `async def`; for blocking work await "
                "trio.to_thread.run_sync inside it"
            )
        if len(inspect.signature(function).parameters) not in (2, 3):
            raise TypeError(
                f"@job handler {function.__qualname__} must take (self, message) "
                "or (self, message, payload)"
            )
        setattr(function, _MARK, _Mark(name, sequential, takes_place))
        return function

    return mark


def is_async(function: object) -> bool:
    """Whether ``function`` is an ``async def``."""
    return inspect.iscoroutinefunction(function)


def collect_handlers(cls: type) -> dict[str, JobHandler]:
    """Return the `@job` handlers of ``cls`` by job name.

    A method that overrides a handler is one too, decorated or not; None in its
    place takes the job out of service.

    Raises:
      TypeError: Two methods serve one name.
    """
    found: dict[str, JobHandler] = {}
    owners: dict[str, str] = {}
    for attribute in dict.fromkeys(name for base in cls.__mro__ for name in vars(base)):
        mark = next(
            (
                getattr(vars(base)[attribute], _MARK)
                for base in cls.__mro__
                if hasattr(vars(base).get(attribute), _MARK)
            ),
            None,
        )
        if mark is None or getattr(cls, attribute) is None:
            continue
        if mark.name in found:
            raise TypeError(
                f"{cls.__name__} has two handlers for job {mark.name!r}: "
                f"{owners[mark.name]} and {attribute}. Give each its own name."
            )
        owners[mark.name] = attribute
        # It is called from protected book-keeping, but is the user's own code.
        function = disable_ki_protection(getattr(cls, attribute))
        found[mark.name] = JobHandler(
            mark.name, function, mark.sequential, takes_place=mark.takes_place
        )
    return found


def resolve_payload_type(handler: JobHandler) -> None:
    """Read the payload's type from the handler's annotations.

    Done when a worker is made, since annotations may name classes that are
    defined after it.

    Raises:
      TypeError: The annotation is missing, can't be resolved, or is no attrs
        class.
    """
    parameters = list(inspect.signature(handler.function).parameters.values())
    if len(parameters) < 3 or handler.payload_type is not None:
        return
    name = parameters[2].name
    where = f"parameter {name!r} of @job handler {handler.function.__qualname__}"
    try:
        hints: dict[str, Any] = typing.get_type_hints(handler.function)
    except NameError as error:
        raise TypeError(f"the type of {where} can't be resolved at run time: {error}") from error
    payload_type = hints.get(name)
    if not isinstance(payload_type, type) or not attrs.has(payload_type):
        raise TypeError(f"{where} must be annotated with an attrs class, not {payload_type!r}")
    handler.payload_type = payload_type
