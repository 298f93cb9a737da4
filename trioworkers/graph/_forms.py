"""How tasks, and what they hold, become JSON values, and come back.

The forms of most types are those of the bus, which change nothing to make it
fit. Here are those of attrs classes, with every field in them, of unions of
such classes, and of dicts whose keys are no texts.
"""

import collections.abc
import json
import math
import threading
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs

from ..bus import Misfit, WireForm, WireTypes, cut, shown, wire_converter
from ._hints import field_hints

#: Says which class of a union an object is of.
TAG = "$type"


def _expected(what: str, value: object) -> Misfit:
    return Misfit(f"expected {what}, got {shown(value)}")


class _ClassForm:
    """The form of an attrs class: an object with a key for each parameter."""

    def __init__(self, cls: type[Any]) -> None:
        self.cls = cls
        self.form = WireForm(
            cls.__name__, self._encode, self._decode, frozenset({cls}), frozenset({dict})
        )
        self._outward: tuple[tuple[str, str, type | None, Callable[[Any], Any]], ...] = ()
        self._inward: dict[str, tuple[type | None, Callable[[Any], Any]]] = {}
        self._required: tuple[str, ...] = ()

    def set_fields(self, forms: Mapping[str, WireForm]) -> None:
        """Say which forms the parameters have, by the names of their fields."""
        fields = [field for field in attrs.fields(self.cls) if field.init]
        self._outward = tuple(
            (
                field.alias or field.name,
                field.name,
                forms[field.name].same,
                forms[field.name].encode,
            )
            for field in fields
        )
        self._inward = {
            field.alias or field.name: (forms[field.name].same, forms[field.name].decode)
            for field in fields
        }
        self._required = tuple(
            field.alias or field.name for field in fields if field.default is attrs.NOTHING
        )

    def _encode(self, instance: Any) -> dict[str, Any]:
        if type(instance) is not self.cls:
            if isinstance(instance, self.cls):
                raise Misfit(
                    f"a {type(instance).__name__} where {self.form.name} is declared would come "
                    "back as the latter; declare a union of the two"
                )
            raise _expected(self.form.name, instance)
        wire, name = {}, ""
        try:
            for name, attribute, same, encode in self._outward:
                value = getattr(instance, attribute)
                wire[name] = value if type(value) is same else encode(value)
        except Misfit as fault:
            raise fault.inside(name) from None
        return wire

    def _decode(self, wire: Any) -> Any:
        if type(wire) is not dict:
            raise _expected(self.form.name, wire)
        values: dict[str, Any] = {}
        name = ""
        try:
            for name, value in wire.items():
                if name not in self._inward:
                    raise Misfit("unknown field")
                same, decode = self._inward[name]
                values[name] = value if type(value) is same else decode(value)
        except Misfit as fault:
            raise fault.inside(name if type(name) is str else shown(name)) from None
        for name in self._required:
            if name not in values:
                raise Misfit("is missing", [name])
        try:
            return self.cls(**values)
        except Exception as error:  # noqa: BLE001 - whatever a user's validators raise
            raise Misfit(f"{type(error).__name__}: {cut(str(error))}") from None


def _class_union(forms: Sequence[WireForm]) -> WireForm:
    """Return the form of one of several attrs classes: its object, with its name in it."""
    names = " or ".join(form.name for form in forms)
    by_type = {cls: form for form in forms for cls in form.types}
    by_name = {form.name: form for form in forms}
    if len(by_name) < len(forms):
        raise Misfit(f"two classes of {names} have one name, so they can't be told apart")

    def encode(value: Any) -> dict[str, Any]:
        form = by_type.get(type(value))
        if form is None:
            raise _expected(names, value)
        return {TAG: form.name, **form.encode(value)}

    def decode(wire: Any) -> Any:
        if type(wire) is not dict:
            raise _expected(names, wire)
        tag = wire.get(TAG)
        form = by_name.get(tag) if type(tag) is str else None
        if form is None:
            raise Misfit(f"expected one of {names}, got {shown(tag)}", [TAG])
        return form.decode({key: value for key, value in wire.items() if key != TAG})

    return WireForm(names, encode, decode, frozenset(by_type), frozenset({dict}))


def _keyed_form(key: WireForm, item: WireForm) -> WireForm:
    """Return the form of a dict whose keys are whole numbers, or what becomes a text."""

    def encode(value: Any) -> dict[str, Any]:
        if type(value) is not dict:
            raise _expected("dict", value)
        wire: dict[str, Any] = {}
        for name, inner in value.items():
            try:
                text = key.encode(name)
                wire[text if type(text) is str else str(text)] = item.encode(inner)
            except Misfit as fault:
                raise fault.inside(shown(name)) from None
        return wire

    def decode_key(text: Any) -> Any:
        if type(text) is not str:
            raise _expected("a text", text)
        if str in key.json_types:
            return key.decode(text)
        try:
            number = int(text)
        except ValueError:
            raise _expected(f"a key: {key.name}", text) from None
        if str(number) != text:
            raise _expected(f"a key: {key.name}", text)
        return key.decode(number)

    def decode(wire: Any) -> dict[Any, Any]:
        if type(wire) is not dict:
            raise _expected("dict", wire)
        value = {}
        for name, inner in wire.items():
            try:
                value[decode_key(name)] = item.decode(inner)
            except Misfit as fault:
                raise fault.inside(name if type(name) is str else shown(name)) from None
        return value

    return WireForm("dict", encode, decode, frozenset({dict}), frozenset({dict}))


def _sorted_form(form: WireForm) -> WireForm:
    """Return the form of a set with its items in an order that hashes don't change."""

    def encode(value: Any) -> list[Any]:
        items: list[Any] = form.encode(value)
        return sorted(items, key=json.dumps)

    return attrs.evolve(form, encode=encode)


class TaskTypes(WireTypes):
    """Finds the form of whatever type a task's field is declared with."""

    def __init__(self) -> None:
        super().__init__(lambda: math.nan, wire_converter())
        self._ready: dict[type, WireForm] = {}
        self._forms: dict[type, _ClassForm] = {}
        self._lock = threading.Lock()

    def form_of_task(self, cls: type[Any]) -> WireForm:
        """Return the form of a class of tasks. May be called from any thread.

        Raises:
          Misfit: A field has a type that has no form.
        """
        form = self._ready.get(cls)
        if form is None:
            with self._lock:
                form = self._ready[cls] = self.form_of(cls)
        return form

    def form_of(self, cls: type[Any]) -> WireForm:
        """Return the form of an attrs class.

        Raises:
          Misfit: A field has a type that has no form.
        """
        known = self._forms.get(cls)
        if known is not None:
            return known.form
        form = self._forms[cls] = _ClassForm(cls)
        try:
            form.set_fields(self._parameters(cls))
        except BaseException:
            # Forms made meanwhile may refer to this one, which is unfinished.
            self._forms.clear()
            raise
        return form.form

    def _parameters(self, cls: type[Any]) -> dict[str, WireForm]:
        try:
            hints = field_hints(cls)
        except TypeError as error:
            raise Misfit(cut(str(error))) from None
        forms = {}
        for field in attrs.fields(cls):
            if field.init:
                try:
                    forms[field.name] = self.of(hints[field.name])
                except Misfit as fault:
                    # Tasks have no codec that could be given hooks.
                    fault.problem = fault.problem.partition(", or give MessageCodec")[0]
                    raise fault.inside(field.name) from None
        return forms

    def of(self, hint: Any) -> WireForm:
        """Return the form of a type, as it stands in an annotation.

        Raises:
          Misfit: It has none.
        """
        if isinstance(hint, typing.TypeVar):
            return self.of(hint.__bound__ or Any)
        origin, arguments = typing.get_origin(hint), typing.get_args(hint)
        if hint is object:
            return super().of(Any)
        if origin is not None and not arguments:
            hint, origin = origin, None  # typing.List without more
        if hint in (collections.abc.Sequence, collections.abc.Mapping):
            return super().of(list if hint is collections.abc.Sequence else dict)
        if origin in (
            collections.abc.Sequence,
            collections.abc.Collection,
            collections.abc.Iterable,
        ):
            return super().of(list[arguments[0]])  # type: ignore[valid-type]
        if origin is collections.abc.Mapping:
            return self.of(dict[arguments[0], arguments[1]])  # type: ignore[valid-type]
        if hint in (set, frozenset) or origin in (set, frozenset):
            return _sorted_form(super().of(hint))
        if origin is dict and arguments[0] is not str:
            key = self.of(arguments[0])
            if key.json_types == {str} or key.json_types == {int}:
                return _keyed_form(key, self.of(arguments[1]))
        if isinstance(origin, type) and attrs.has(origin):
            return self.form_of(origin)  # a generic class
        return super().of(hint)

    def _of_union(self, arguments: tuple[Any, ...]) -> WireForm:
        classes = [hint for hint in arguments if isinstance(hint, type) and attrs.has(hint)]
        if len(classes) < 2:
            return super()._of_union(arguments)
        tagged = _class_union([self.form_of(cls) for cls in classes])
        others = [self.of(hint) for hint in arguments if hint not in classes]
        return self._join_forms(tagged, others)

    @staticmethod
    def _join_forms(tagged: WireForm, others: list[WireForm]) -> WireForm:
        if any(dict in form.json_types or not form.json_types for form in others):
            raise Misfit("classes and dicts in one union can't be told apart; use a field for each")
        if not others:
            return tagged

        def pick(value: Any, json: bool) -> WireForm:
            for form in others:
                if type(value) in (form.json_types if json else form.types):
                    return form
            return tagged

        return WireForm(
            " or ".join(form.name for form in [tagged, *others]),
            lambda value: pick(value, False).encode(value),
            lambda value: pick(value, True).decode(value),
            tagged.types.union(*(form.types for form in others)),
            tagged.json_types.union(*(form.json_types for form in others)),
        )

    def _of_plain(self, hint: Any) -> WireForm:
        if isinstance(hint, type) and attrs.has(hint):
            return self.form_of(hint)
        return super()._of_plain(hint)
