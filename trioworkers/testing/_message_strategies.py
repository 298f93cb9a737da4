"""Hypothesis strategies for what a bus carries: payloads and messages."""

import enum
import math
import types
import typing
from typing import Any

import attrs
from hypothesis import strategies as st

from ..bus import BusMessage, tagged_messages

_texts = st.text(st.characters(codec="utf-8"), max_size=20)
_whole = st.integers(-(2**53), 2**53)
_finite = st.floats(allow_nan=False, allow_infinity=False)
_json = st.recursive(
    st.none() | st.booleans() | _whole | _finite | _texts,
    lambda values: st.lists(values, max_size=3) | st.dictionaries(_texts, values, max_size=3),
    max_leaves=8,
)


def payloads() -> st.SearchStrategy[dict[str, Any]]:
    """Return a strategy for dicts that JSON can hold, nested to a small size.

    Whole numbers are within 53 bits, texts without surrogates, floats finite.
    """
    return st.dictionaries(_texts, _json, max_size=4)


# Messages

_names = st.sampled_from(("a", "b", "worker-1", "läufer"))

#: Fields whose values are narrower than their type says.
_BY_FIELD: dict[str, st.SearchStrategy[Any]] = {
    "source": _names,
    "target": _names,
    "attempt": st.integers(1, 5),
    "credit": st.integers(0, 1000),
    "seq": st.integers(0, 1000),
    "deadline": st.just(math.inf) | st.floats(0, 1e6),
}

_BY_TYPE: dict[Any, st.SearchStrategy[Any]] = {
    Any: _json,
    bool: st.booleans(),
    int: st.integers(0, 2**31),
    float: st.floats(0, 1e6),
    str: _texts.filter(bool),
}


def messages(*classes: type[BusMessage]) -> st.SearchStrategy[BusMessage]:
    """Return a strategy for messages, with values that fit their fields' types.

    Args:
      classes: Which; all that have a wire tag at the first draw if none are given.

    Raises:
      hypothesis.errors.ResolutionFailed: At the draw: a field has a type of your
        own; teach it to Hypothesis with `hypothesis.strategies.register_type_strategy`.
    """
    return st.deferred(lambda: st.one_of(*map(_instances, classes or tagged_messages().values())))


def _instances(cls: type[Any]) -> st.SearchStrategy[Any]:
    hints = typing.get_type_hints(cls)
    known = _BY_FIELD if issubclass(cls, BusMessage) else {}
    return st.builds(
        cls,
        **{
            field.alias: _values(hints[field.name], known.get(field.name))
            for field in attrs.fields(cls)
            if field.init and field.alias is not None
        },
    )


def _values(hint: Any, known: st.SearchStrategy[Any] | None = None) -> st.SearchStrategy[Any]:
    """Return a strategy for values of a type, None first where it may be.

    What is ``known`` of the values, other than None, goes before the type.
    """
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        rest = [_values(part, known) for part in arguments if part is not types.NoneType]
        return st.one_of(*([st.none()] if types.NoneType in arguments else []), *rest)
    if known is not None or hint in _BY_TYPE:
        return _BY_TYPE[hint] if known is None else known
    if origin is dict:
        return st.dictionaries(*map(_values, arguments), max_size=3)
    if origin is tuple and arguments[1:] == (...,):
        return st.lists(_values(arguments[0]), max_size=3).map(tuple)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return st.sampled_from(hint)
    if isinstance(hint, type) and attrs.has(hint):
        return _instances(hint)
    return st.from_type(hint)
