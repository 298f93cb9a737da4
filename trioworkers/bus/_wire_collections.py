"""The wire forms of types with parts: dicts, collections, tuples and unions."""

from collections.abc import Callable, Iterable, Sequence
from itertools import repeat
from typing import Any

from ._misfit import Misfit, shown
from ._wire_forms import WireForm, misfit


def dict_form(item: WireForm) -> WireForm:
    """Return the form of a dict with texts as keys and values of one form."""

    def convert(value: Any, one: Callable[[Any], Any]) -> dict[str, Any]:
        if type(value) is not dict:
            raise misfit("dict", value)
        if item.same is not None and {*map(type, value.values())} <= {item.same}:
            return value
        key, result = "", {}
        try:
            for key, inner in value.items():
                result[key] = one(inner)
        except Misfit as fault:
            raise fault.inside(key if type(key) is str else shown(key)) from None
        return result

    return WireForm(
        "dict",
        lambda value: convert(value, item.encode),
        lambda value: convert(value, item.decode),
        frozenset({dict}),
        frozenset({dict}),
    )


def _require(value: object, expected: type) -> None:
    if type(value) is not expected:
        raise misfit(expected.__name__, value)


def _convert_each(ones: Iterable[Callable[[Any], Any]], values: Iterable[Any]) -> list[Any]:
    result: list[Any] = []
    try:
        for one, value in zip(ones, values, strict=False):
            result.append(one(value))
    except Misfit as fault:
        # As many as are done come before the one that failed.
        raise fault.inside(len(result)) from None
    return result


def collection_form(cls: type, item: WireForm) -> WireForm:
    """Return the form of a list, tuple, set or frozenset of any length: a list."""

    def convert(value: Any, expected: type, one: Callable[[Any], Any]) -> list[Any]:
        _require(value, expected)
        if item.same is not None and {*map(type, value)} <= {item.same}:
            return list(value)
        return _convert_each(repeat(one), value)

    def decode(value: Any) -> Any:
        items = convert(value, list, item.decode)
        try:
            whole = cls(items)
        except TypeError:
            raise Misfit("an item of a set can't be a list or dict") from None
        if len(whole) != len(items):
            raise Misfit("an item of a set is there twice")
        return whole

    return WireForm(
        cls.__name__,
        lambda value: convert(value, cls, item.encode),
        decode,
        frozenset({cls}),
        frozenset({list}),
    )


def tuple_form(items: Sequence[WireForm]) -> WireForm:
    """Return the form of a tuple of fixed length: a list."""
    encoders, decoders = [item.encode for item in items], [item.decode for item in items]

    def convert(value: Any, expected: type, ones: list[Callable[[Any], Any]]) -> list[Any]:
        _require(value, expected)
        if len(value) != len(ones):
            raise Misfit(f"expected {len(ones)} items, got {len(value)}")
        return _convert_each(ones, value)

    return WireForm(
        "tuple",
        lambda value: convert(value, tuple, encoders),
        lambda value: tuple(convert(value, list, decoders)),
        frozenset({tuple}),
        frozenset({list}),
    )


def union_form(forms: Sequence[WireForm]) -> WireForm:
    """Return the form of a value that has one of several forms, told apart by type.

    Raises:
      Misfit: Two of them can't be told apart, in Python or in JSON.
    """
    name = " or ".join(form.name for form in forms)
    encoders: dict[type, Callable[[Any], Any]] = {}
    decoders: dict[type, Callable[[Any], Any]] = {}
    for form in forms:
        for table, kinds, convert in (
            (encoders, form.types, form.encode),
            (decoders, form.json_types, form.decode),
        ):
            if not kinds.isdisjoint(table):
                raise Misfit(
                    f"the types of {name} can't be told apart on the wire; use a field for each"
                )
            table.update(dict.fromkeys(kinds, convert))

    def encode(value: Any) -> Any:
        convert = encoders.get(type(value))
        if convert is None:
            # An instance of a subclass: the form of its base knows what to say to it.
            found = (encoders[kind] for kind in encoders if isinstance(value, kind))
            convert = next(found, None)
            if convert is None:
                raise misfit(name, value)
        return convert(value)

    def decode(value: Any) -> Any:
        convert = decoders.get(type(value))
        if convert is None:
            raise misfit(name, value)
        return convert(value)

    same = [form.same for form in forms if form.same is not None]
    return WireForm(
        name,
        encode,
        decode,
        frozenset(encoders),
        frozenset(decoders),
        next((kind for kind in same if kind is not type(None)), None),
    )
