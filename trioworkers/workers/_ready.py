"""The `@worker_ready` decorator."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from ..jobs import check_name, is_async

F = TypeVar("F", bound=Callable[..., Awaitable[None]])

_MARK = "__trioworkers_worker_ready__"


def worker_ready(*, name: str) -> Callable[[F], F]:
    """Make a method run whenever the worker called ``name`` gets ready.

    The method is ``async def f(self, data: WorkerReadyData)``; it runs in the
    data lane. The name is watched from the worker's start to its end.

    Raises:
      TypeError: The name is not a str, or the method is not ``async def``.
      ValueError: The name is empty.
    """
    check_name(name, "@worker_ready(name=...)")

    def mark(function: F) -> F:
        if not is_async(function):
            raise TypeError(f"@worker_ready handler {function!r} must be `async def`")
        setattr(function, _MARK, name)
        return function

    return mark


def collect_ready_handlers(cls: type) -> dict[str, str]:
    """Return worker name to method name, of the `@worker_ready` methods of ``cls``.

    A method that overrides one is one too, decorated or not.

    Raises:
      TypeError: Two methods watch one name.
    """
    found: dict[str, str] = {}
    for attribute in dict.fromkeys(name for base in cls.__mro__ for name in vars(base)):
        members = [vars(base)[attribute] for base in cls.__mro__ if attribute in vars(base)]
        watched = next((getattr(m, _MARK) for m in members if hasattr(m, _MARK)), None)
        if watched is None:
            continue
        if watched in found:
            raise TypeError(
                f"{cls.__name__} has two @worker_ready handlers for {watched!r}: "
                f"{found[watched]} and {attribute}"
            )
        found[watched] = attribute
    return found
