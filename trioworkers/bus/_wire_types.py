"""Finds the wire form of whatever type a field is declared with."""

import enum
import types
import typing
from collections.abc import Callable
from typing import Any

import attrs
import cattrs

from ._messages import Deadline
from ._misfit import Misfit, cut
from ._wire_classes import ClassForm
from ._wire_collections import collection_form, dict_form, tuple_form, union_form
from ._wire_forms import (
    FLOAT,
    JSON,
    JSON_DICT,
    WireForm,
    converted_form,
    deadline_form,
    no_form,
    same_form,
    table_form,
)

_COLLECTIONS = (list, tuple, set, frozenset)


class WireTypes:
    """The wire forms of types, each made when it is first asked for.

    Args:
      now: Returns the time on the clock of `Deadline` fields.
      converter: Has hooks for types of a user's own.
    """

    def __init__(self, now: Callable[[], float], converter: cattrs.Converter) -> None:
        self._converter = converter
        self._classes: dict[type, ClassForm] = {}
        self._deadline = deadline_form(now)
        self._simple: dict[Any, WireForm] = {
            Any: JSON,
            float: FLOAT,
            dict: JSON_DICT,
            **{kind: same_form(kind) for kind in (str, int, bool, types.NoneType)},
            **{kind: collection_form(kind, JSON) for kind in _COLLECTIONS},
        }

    def of_class(self, cls: type[Any]) -> ClassForm:
        """Return the form of an attrs class.

        Raises:
          Misfit: A field has a type that has no form.
        """
        known = self._classes.get(cls)
        if known is not None:
            return known
        form = self._classes[cls] = ClassForm(cls)
        try:
            form.set_fields(self._fields(cls))
        except BaseException:
            # Forms made meanwhile may refer to this one, which is unfinished.
            self._classes.clear()
            raise
        return form

    def _fields(self, cls: type[Any]) -> dict[str, WireForm]:
        if "__attrs_attrs__" not in vars(cls) and vars(cls).get("__annotations__"):
            raise Misfit(f"{cls.__name__} has fields, but is not decorated with @attrs.define")
        try:
            hints = typing.get_type_hints(cls, include_extras=True)
        except Exception as error:  # noqa: BLE001 - evaluating annotations may raise anything
            raise Misfit(
                f"the types of its fields are not there at run time ({cut(str(error))}); "
                "import them outside `if TYPE_CHECKING`"
            ) from None
        forms: dict[str, WireForm] = {}
        for field in attrs.fields(cls):
            if field.init:
                try:
                    forms[field.name] = self.of(hints.get(field.name, field.type))
                except Misfit as fault:
                    raise fault.inside(field.name) from None
        return forms

    def of(self, hint: Any) -> WireForm:
        """Return the form of a type, as it stands in an annotation.

        Raises:
          Misfit: It has none.
        """
        hint = getattr(hint, "__value__", hint)  # of a `type` statement, from Python 3.12 on
        if hint == Deadline:
            return self._deadline
        origin, arguments = typing.get_origin(hint), typing.get_args(hint)
        if origin is None:
            return self._of_plain(hint)
        if origin is typing.Annotated:
            return self.of(arguments[0])
        if origin in (typing.Union, types.UnionType):
            return self._of_union(arguments)
        if origin is typing.Literal:
            return table_form([(value, value) for value in arguments])
        if origin is tuple and arguments[1:] != (...,):
            return tuple_form([self.of(item) for item in arguments])
        if origin in _COLLECTIONS and arguments:
            return collection_form(origin, self.of(arguments[0]))
        if origin is dict and arguments[:1] == (str,):
            item = self.of(arguments[1])
            return JSON_DICT if item is JSON else dict_form(item)
        raise no_form(str(hint))

    def _of_union(self, arguments: tuple[Any, ...]) -> WireForm:
        forms = [self.of(item) for item in arguments]
        if JSON in forms:
            return JSON
        if FLOAT in forms:  # which takes an int, and leaves it one
            forms = [form for form in forms if form.same is not int]
        return union_form(forms)

    def _of_plain(self, hint: Any) -> WireForm:
        if hint in self._simple:
            return self._simple[hint]
        if isinstance(hint, typing.NewType):
            return self.of(hint.__supertype__)
        if not isinstance(hint, type) or typing.is_typeddict(hint):
            raise no_form(str(hint))
        if issubclass(hint, enum.Enum):
            return table_form([(member, member.value) for member in hint])
        if attrs.has(hint):
            return self.of_class(hint).form
        return converted_form(hint, self._converter)
