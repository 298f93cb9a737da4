"""Strict graphs: a handler that changes what it was given has failed."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from typing import Any

from ._task import Task


def strict(name: str, handler: Callable[..., Any], kind: str) -> Callable[..., Any]:
    """Return a handler that raises a `ValueError` after one that has changed its tasks.

    Args:
      name: Of the worker.
      handler: Takes one task, a list of tasks, or a dict of such lists.
      kind: ``"async"``, ``"thread"`` or ``"source"``.
    """
    if kind == "thread":

        def in_thread(argument: Any) -> object:
            copies = _copies(argument)
            result = handler(argument)
            _compare(name, copies)
            return result

        return in_thread

    if kind == "source":

        async def source(argument: Any) -> AsyncIterator[Any]:
            copies = _copies(argument)
            async with aclosing(handler(argument)) as outputs:
                async for output in outputs:
                    _compare(name, copies)
                    yield output
            _compare(name, copies)

        return source

    async def in_trio(argument: Any) -> object:
        copies = _copies(argument)
        result = await handler(argument)
        _compare(name, copies)
        return result

    return in_trio


def _copies(argument: Any) -> list[tuple[Task, Task]]:
    if isinstance(argument, Task):
        return [(argument, argument.copy_public(deep=True))]
    lists = argument.values() if isinstance(argument, Mapping) else [argument]
    return [(task, task.copy_public(deep=True)) for tasks in lists for task in tasks]


def _compare(name: str, copies: list[tuple[Task, Task]]) -> None:
    for task, copy in copies:
        if task != copy:
            raise ValueError(
                f"{name} has changed the {type(task).__name__} that it was given, which others "
                "share: change task.copy_public() instead"
            )
