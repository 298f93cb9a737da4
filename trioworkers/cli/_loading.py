"""From ``module:factory`` to workers; all that can be wrong is told before any of them runs."""

import importlib
import inspect
import os
import sys
import traceback
from collections.abc import Callable, Iterable
from types import ModuleType, TracebackType
from typing import Any

import click

from trioworkers import BaseWorker


class LoadFault(click.ClickException):
    """There are no workers to run."""

    exit_code = 2


def load_factory(place: str) -> Callable[[], Any]:
    """Return what ``place`` names: ``module:name``, or ``package.module:Class.name``.

    The current directory is searched first, as by ``python -m``.

    Raises:
      LoadFault: There is nothing of that name that can be called.
    """
    name, colon, path = place.partition(":")
    if not (colon and name and path):
        raise LoadFault(f"{place!r} is not MODULE:FACTORY, such as shop.workers:make_workers")
    found: Any = _import(name)
    at = f"module {name!r}"
    for part in path.split("."):
        if not hasattr(found, part):
            raise LoadFault(f"{at} has no {part!r}; it has {_callables(found)}")
        found = getattr(found, part)
        at = f"{part!r} of {at}"
    if not callable(found):
        raise LoadFault(
            f"{at} is a {type(found).__name__}, not a function that returns workers, "
            "or a class of worker"
        )
    return found  # type: ignore[no-any-return]


def _import(name: str) -> ModuleType:
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise _raised(f"module {name!r} can't be imported", error) from None
        raise LoadFault(
            f"there is no module {error.name!r}, neither in {here} nor among what is installed"
        ) from None
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told
        raise _raised(f"module {name!r} can't be imported", error) from None


def _callables(where: object) -> str:
    names = [
        name
        for name, value in vars(where).items()
        if not name.startswith("_")
        and callable(value)
        and getattr(value, "__module__", None) == getattr(where, "__name__", None)
    ]
    return ", ".join(repr(name) for name in names[:20]) or "nothing that can be called"


async def make_workers(place: str, factory: Callable[[], Any]) -> tuple[BaseWorker, ...]:
    """Return the workers that a factory makes, one or more; it may be async.

    Raises:
      LoadFault: It raised, or returned anything else.
    """
    try:
        made = factory()
        if inspect.isawaitable(made):
            made = await made
        workers = _as_workers(made)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told
        raise _raised(f"{place} has raised", error) from None
    if workers is None:
        raise LoadFault(
            f"{place} has returned {made!r:.200}; "
            "it must return a worker, or several in a list, of classes that derive from BaseWorker"
        )
    if not workers:
        raise LoadFault(f"{place} has returned no workers")
    return workers


def _as_workers(made: object) -> tuple[BaseWorker, ...] | None:
    if isinstance(made, BaseWorker):
        return (made,)
    if not isinstance(made, Iterable) or isinstance(made, str | bytes):
        return None
    workers = tuple(made)
    return workers if all(isinstance(worker, BaseWorker) for worker in workers) else None


def _raised(what: str, error: Exception) -> LoadFault:
    """Return a fault that shows ``error``, from the first frame that is not ours."""
    frame = error.__traceback__
    while frame is not None and _is_ours(frame):
        frame = frame.tb_next
    shown = error.with_traceback(frame)
    return LoadFault(f"{what}:\n{''.join(traceback.format_exception(shown)).rstrip()}")


def _is_ours(frame: TracebackType) -> bool:
    name = str(frame.tb_frame.f_globals.get("__name__"))
    return name == __name__ or name.partition(".")[0] == "importlib"
