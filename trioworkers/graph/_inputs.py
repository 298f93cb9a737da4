"""Which tasks a worker takes, by the annotation of its handler."""

import inspect
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any

from ._hints import evaluate
from ._task import Task


def input_hint(handler: Callable[..., Any], local_names: Mapping[str, Any]) -> Any:
    """Return the annotation of a handler's one parameter, evaluated.

    Args:
      handler: A function whose first parameter is ``self``.
      local_names: Names to look up besides those of its module.

    Raises:
      TypeError: It has not exactly one parameter, or no annotation, or one that
        can't be evaluated.
    """
    where = getattr(handler, "__qualname__", repr(handler))
    parameters = list(inspect.signature(handler).parameters.values())[1:]
    wanted = [one for one in parameters if one.default is inspect.Parameter.empty]
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if not parameters or len(wanted) > 1 or parameters[0].kind not in positional:
        raise TypeError(
            f"{where} must take one parameter besides self, not ({', '.join(map(str, parameters))})"
        )
    hint = parameters[0].annotation
    if hint is inspect.Parameter.empty:
        raise TypeError(
            f"{where}: say what it takes, as in `def {where.rpartition('.')[2]}"
            f"(self, {parameters[0].name}: Query)`"
        )
    try:
        return evaluate(hint, handler.__module__, local_names)
    except Exception as error:  # noqa: BLE001 - evaluating may raise anything
        raise TypeError(
            f"{where}: the type {hint!r} can't be evaluated ({type(error).__name__}: {error}). "
            "Define or import what it names in the module, outside `if TYPE_CHECKING`."
        ) from None


def filled_in(hint: Any, cls: type, handler_name: str) -> Any:
    """Return an annotation of a generic class with what its type variables are in a subclass.

    Args:
      hint: The annotation, evaluated.
      cls: The class, such as ``class Sorter(Step[Query])``.
      handler_name: Whose annotation it is: a method of ``cls`` or of a base.
    """
    if not isinstance(hint, typing.TypeVar) and not getattr(hint, "__parameters__", ()):
        return hint
    # By class: what its own type variables are, in ``cls``. Derived classes come first.
    known: dict[type, dict[Any, Any]] = {}
    for one in cls.__mro__:
        given = known.get(one, {})
        if handler_name in vars(one):
            break
        for base in vars(one).get("__orig_bases__", ()):
            origin = typing.get_origin(base)
            values = [filled_by(given, argument) for argument in typing.get_args(base)]
            if isinstance(origin, type) and origin is not typing.Generic:
                names = getattr(origin, "__parameters__", ())
                known.setdefault(origin, dict(zip(names, values, strict=False)))
    return filled_by(given, hint)


def filled_by(values: Mapping[Any, Any], hint: Any) -> Any:
    """Return an annotation with values in place of type variables."""
    if isinstance(hint, typing.TypeVar):
        return values.get(hint, hint)
    names = getattr(hint, "__parameters__", ())
    if isinstance(hint, type) and typing.get_origin(hint) is None:
        return hint  # a generic class
    return hint[tuple(values.get(name, name) for name in names)] if names else hint


def task_classes(hint: Any, where: str) -> tuple[type[Task], ...]:
    """Return the task classes that an annotation names: one, or the members of a union.

    Raises:
      TypeError: It names something else.
    """
    if typing.get_origin(hint) is typing.Annotated:
        hint = typing.get_args(hint)[0]
    union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    members = typing.get_args(hint) if union else (hint,)
    for member in members:
        if isinstance(member, typing.TypeVar):
            raise TypeError(
                f"{where} takes {member}, and nobody has said what that is: subclass its class "
                "with a Task class in brackets, as in `class Sorter(Step[Query])`"
            )
        if not isinstance(member, type) or not issubclass(member, Task):
            raise TypeError(
                f"{where}: expected a Task class or a union of them, not "
                f"{getattr(member, '__name__', member)}"
            )
    return members


def listed_task_classes(hint: Any, where: str) -> tuple[type[Task], ...]:
    """Return the task classes that ``list[...]`` holds, for the handlers of joins.

    Raises:
      TypeError: It is no list of tasks.
    """
    origin = typing.get_origin(hint)
    if not isinstance(origin, type) or not issubclass(origin, list):
        raise TypeError(f"{where}: expected a list of tasks, as in `list[Query]`, not {hint}")
    return task_classes(typing.get_args(hint)[0], where)
