"""Tasks as dicts and as JSON, and back, strictly."""

import json
import re
from collections.abc import Callable
from typing import Any, TypeVar

import orjson

from ..bus import DEEPEST, Misfit, cut, find_depth_fault, find_fault
from ._forms import TaskTypes

T = TypeVar("T")

#: Characters or bytes of a text that is loaded, or dumped.
MAX_TEXT = 64 * 2**20

#: What may be a whole number beyond 64 bits.
_LONG_NUMBER = re.compile(rb"[0-9]{19}")

_types = TaskTypes()


def told(cls: type[Any], doing: str, fault: Misfit, error: type[Exception]) -> Exception:
    """Return ``fault`` as an exception that says which class it was about, and where."""
    where = fault.where()
    return error(f"can't {doing} {cls.__name__}: {where + ': ' if where else ''}{fault.problem}")


def checked(cls: type[Any], doing: str, error: type[Exception], step: Callable[[], T]) -> T:
    """Return what ``step`` does, its misfits told as an exception of class ``error``."""
    try:
        return step()
    except Misfit as fault:
        raise told(cls, doing, fault, error) from None
    except RecursionError:
        raise error(f"can't {doing} {cls.__name__}: nested too deep, or inside itself") from None


def to_dict(task: Any) -> dict[str, Any]:
    """Return the fields of a task as JSON values. See `Task.to_dict`."""
    cls = type(task)
    values: dict[str, Any] = checked(
        cls, "dump", TypeError, lambda: _types.form_of_task(cls).encode(task)
    )
    return values


def from_dict(cls: type[T], data: Any) -> T:
    """Return the task that some JSON values stand for. See `Task.from_dict`."""
    form = checked(cls, "load", TypeError, lambda: _types.form_of_task(cls))
    task: T = checked(cls, "load", ValueError, lambda: form.decode(data))
    return task


def check_size(cls: type[Any], text: str | bytes, doing: str) -> None:
    """Refuse a text that is too long.

    Raises:
      TypeError: It is no text.
      ValueError: It is too long.
    """
    if not isinstance(text, str | bytes):
        raise TypeError(
            f"can't {doing} {cls.__name__}: expected str or bytes, got {type(text).__name__}"
        )
    if len(text) > MAX_TEXT:
        raise ValueError(f"can't {doing} {cls.__name__}: longer than {MAX_TEXT} characters")


def json_values(task: Any) -> dict[str, Any]:
    """Return `to_dict`, all of which a text can hold.

    Raises:
      TypeError: There is something that it can't.
    """
    values = to_dict(task)
    try:
        orjson.dumps(values)
    except TypeError:
        # Numbers beyond 64 bits are no fault here; what else there is, is.
        fault = find_fault(_without_long_numbers(values))
        if fault is not None:
            raise told(type(task), "dump", fault, TypeError) from None
    return values


def _without_long_numbers(value: Any) -> Any:
    kind = type(value)
    if kind is dict:
        return {key: _without_long_numbers(one) for key, one in value.items()}
    if kind is list:
        return [_without_long_numbers(one) for one in value]
    return 0 if kind is int else value


def to_json(task: Any) -> str:
    """Return the fields of a task as a JSON text. See `Task.to_json`."""
    values = to_dict(task)
    try:
        text = orjson.dumps(values).decode()
    except TypeError:
        values = checked(type(task), "dump", TypeError, lambda: json_values(task))
        try:
            text = json.dumps(values, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        except (ValueError, RecursionError):  # thousands of digits
            raise TypeError(
                f"can't dump {type(task).__name__}: a number is too long, or it is nested too deep"
            ) from None
    check_size(type(task), text, "dump")
    return text


def from_json(cls: type[T], text: str | bytes) -> T:
    """Return the task that a JSON text stands for. See `Task.from_json`."""
    check_size(cls, text, "load")
    try:
        data = text.encode() if isinstance(text, str) else text
        values, fault = _read(data)
    except RecursionError:
        raise ValueError(f"can't load {cls.__name__}: nested too deep") from None
    except ValueError as error:
        raise ValueError(f"can't load {cls.__name__}: not JSON: {cut(str(error), 100)}") from None
    if fault is not None:
        raise told(cls, "load", fault, ValueError)
    return from_dict(cls, values)


def _read(data: bytes) -> tuple[Any, Misfit | None]:
    """Return the values of a JSON text, and what orjson would have refused in them."""
    if _LONG_NUMBER.search(data) is None:
        values = orjson.loads(data)
        return values, find_depth_fault(data, values, DEEPEST)
    # orjson would make a float of a whole number beyond 64 bits.
    values = json.loads(data)
    return values, find_fault(_without_long_numbers(values))
