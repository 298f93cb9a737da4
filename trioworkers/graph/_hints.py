"""Annotations of classes that are made into attrs classes, evaluated when that is possible.

A forward reference may name a class that is defined later; so what can't be
evaluated when a class is defined is tried again when it is first used.
"""

import contextlib
import sys
import types
import typing
from collections.abc import Mapping
from typing import Any

import attrs


def defining_locals() -> dict[str, Any]:
    """Return the local names of the function that defines a class; none at module level.

    To be called, directly or not, from ``__init_subclass__``.
    """
    frame: types.FrameType | None = sys._getframe(1)
    inside = False
    while frame is not None and not (inside and frame.f_code.co_name != "__init_subclass__"):
        inside = inside or frame.f_code.co_name == "__init_subclass__"
        frame = frame.f_back
    return {} if frame is None or frame.f_locals is frame.f_globals else dict(frame.f_locals)


def evaluate(hint: Any, module: str, local_names: Mapping[str, Any]) -> Any:
    """Return ``hint`` with all names in it, and in its texts, looked up.

    Raises:
      Exception: Whatever evaluating it raises, such as a `NameError`.
    """
    holder = types.SimpleNamespace(__annotations__={"hint": hint})
    names = vars(sys.modules[module]) if module in sys.modules else {}
    return typing.get_type_hints(holder, names, dict(local_names), include_extras=True)["hint"]


def evaluate_early(cls: type, local_names: Mapping[str, Any]) -> None:
    """Put into ``cls``'s own annotations what can be evaluated now."""
    annotations = vars(cls).get("__annotations__", {})
    names = {**local_names, cls.__name__: cls}
    for name, hint in annotations.items():
        # What can't be evaluated is tried again at first use, which tells.
        with contextlib.suppress(Exception):
            annotations[name] = evaluate(hint, cls.__module__, names)


def field_hints(cls: type[Any]) -> dict[str, Any]:
    """Return the types of the fields of an attrs class, by name, evaluated.

    Raises:
      TypeError: One can't be evaluated.
    """
    hints: dict[str, Any] = {}
    for field in attrs.fields(cls):
        for base in cls.__mro__:
            annotations = vars(base).get("__annotations__", {})
            if field.name in annotations:
                hints[field.name] = _evaluate_late(base, field.name, annotations)
                break
        else:
            hints[field.name] = Any if field.type is None else field.type
    return hints


def _evaluate_late(cls: type, name: str, annotations: dict[str, Any]) -> Any:
    names = {**vars(cls), cls.__name__: cls}
    try:
        return evaluate(annotations[name], cls.__module__, names)
    except Exception as error:  # noqa: BLE001 - evaluating may raise anything
        raise TypeError(
            f"{cls.__name__}.{name}: its type {annotations[name]!r} can't be evaluated "
            f"({type(error).__name__}: {error}). Define or import what it names in the module "
            f"{cls.__module__}, outside `if TYPE_CHECKING`."
        ) from None
