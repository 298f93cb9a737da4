"""Canonical texts: equal values have equal ones, in every process.

A text is JSON, built so that values that differ in content or in type differ in
text: ``1``, ``1.0``, ``True`` and ``"1"`` are four texts. Dicts and sets come in
the order of their parts' texts, so neither ``PYTHONHASHSEED`` nor the order of
insertion shows. What JSON has no form for is an object with its type as the key.
"""

import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import math
import pathlib
import uuid
from collections.abc import Callable, Iterable, Mapping
from json.encoder import encode_basestring_ascii as quote
from typing import Any

import attrs

#: Whole numbers longer than this, in bits, are written in base 16: Python
#: refuses to write very long ones in base 10.
_LONG = 1_000


def qualified_name(cls: type) -> str:
    """Return module and name of a class."""
    return f"{cls.__module__}.{cls.__qualname__}"


def canonical_text(value: object) -> str:
    """Return the canonical text of a value.

    Knows None, bool, int, float (NaN included), complex, str, bytes and its
    like, dates and times, ``Decimal``, ``Fraction``, ``UUID``, paths, enums,
    classes, lists, tuples, sets, dicts, and instances of attrs classes and
    dataclasses, each with all its fields, private ones included.

    Raises:
      TypeError: Of a type that is none of these, naming it and where it is.
      ValueError: The value is nested too deeply, or contains itself.
    """
    try:
        return _text(value)
    except RecursionError:
        raise ValueError("a value is nested too deeply, or contains itself") from None


def public_text(task: Any) -> str:
    """Return the canonical text of an attrs instance's public fields, and its class.

    Raises:
      TypeError: A field's value has no canonical text; the message names the field.
      ValueError: One is nested too deeply.
    """
    cls: Any = type(task)
    return _fields_text(cls, ((name, getattr(task, name)) for name in public_names(cls)))


@functools.lru_cache(1024)
def public_names(cls: Any) -> tuple[str, ...]:
    """Return the names of an attrs class's public fields, in order."""
    return tuple(field.name for field in attrs.fields(cls) if not field.name.startswith("_"))


def _fields_text(cls: type, fields: Iterable[tuple[str, object]]) -> str:
    parts = []
    for name, value in fields:
        try:
            parts.append(f"{quote(name)}:{_text(value)}")
        except TypeError as error:
            raise TypeError(f"{name}: {error}") from None
        except RecursionError:
            raise ValueError(f"{name} is nested too deeply, or contains itself") from None
    return f'{{"{qualified_name(cls)}":{{{",".join(parts)}}}}}'


def _int_text(value: int) -> str:
    return str(value) if value.bit_length() <= _LONG else _tagged("int", hex(value))


def _tagged(tag: str, text: str) -> str:
    return f'{{"{tag}":{quote(text)}}}'


def _float_text(value: float) -> str:
    return repr(value) if math.isfinite(value) else _tagged("float", repr(value))


def _items_text(values: Iterable[object]) -> str:
    return "[" + ",".join([_text(value) for value in values]) + "]"


def _set_text(tag: str, values: Iterable[object]) -> str:
    return f'{{"{tag}":[{",".join(sorted([_text(value) for value in values]))}]}}'


def _dict_text(value: Mapping[Any, object]) -> str:
    pairs = sorted([f"[{_text(key)},{_text(item)}]" for key, item in value.items()])
    return f'{{"dict":[{",".join(pairs)}]}}'


def _time_text(value: datetime.datetime | datetime.time) -> str:
    # isoformat() says the offset; the fold and the zone's own name are told beside it.
    zone = "" if value.tzinfo is None else str(value.tzinfo)
    return _tagged(type(value).__name__, f"{value.isoformat()} {value.fold} {zone}")


def _exactly(tag: str, text: Callable[[Any], str]) -> Callable[[Any], str]:
    return lambda value: _tagged(tag, text(value))


_TEXTS: dict[type, Callable[[Any], str]] = {
    str: quote,
    int: _int_text,
    bool: lambda value: "true" if value else "false",
    type(None): lambda _: "null",
    float: _float_text,
    list: _items_text,
    tuple: lambda value: f'{{"tuple":{_items_text(value)}}}',
    dict: _dict_text,
    set: lambda value: _set_text("set", value),
    frozenset: lambda value: _set_text("frozenset", value),
    complex: _exactly("complex", repr),
    bytes: _exactly("bytes", bytes.hex),
    bytearray: _exactly("bytearray", bytearray.hex),
    datetime.datetime: _time_text,
    datetime.time: _time_text,
    datetime.date: _exactly("date", datetime.date.isoformat),
    datetime.timedelta: _exactly(
        "timedelta", lambda value: f"{value.days} {value.seconds} {value.microseconds}"
    ),
    decimal.Decimal: _exactly("Decimal", str),
    fractions.Fraction: _exactly("Fraction", str),
    uuid.UUID: _exactly("UUID", str),
}


def _text(value: Any) -> str:
    convert = _TEXTS.get(type(value))
    return convert(value) if convert is not None else _other_text(value)


def _other_text(value: Any) -> str:
    cls = type(value)
    if isinstance(value, enum.Enum):
        # By name: that is what makes a member; a flag of several has all their names,
        # one of bits without a name has none.
        name = getattr(value, "name", None) or repr(value.value)
        return f'{{"enum":[{quote(qualified_name(cls))},{quote(name)}]}}'
    if isinstance(value, type):
        return _tagged("class", qualified_name(value))
    if isinstance(value, pathlib.PurePath):
        return _tagged("path", value.as_posix())
    if attrs.has(cls):
        names = [field.name for field in attrs.fields(cls)]
        if hasattr(cls, "copy_public"):  # a task inside a task: what is public counts
            names = [name for name in names if not name.startswith("_")]
        return _fields_text(cls, ((name, getattr(value, name)) for name in names))
    if dataclasses.is_dataclass(cls):
        fields = dataclasses.fields(cls)
        return _fields_text(cls, ((field.name, getattr(value, field.name)) for field in fields))
    for base in cls.__mro__[1:-1]:
        # An instance of a subclass, such as a named tuple or a defaultdict.
        if base in _TEXTS:
            return f'{{"{qualified_name(cls)}":{_TEXTS[base](value)}}}'
    raise TypeError(
        f"a value of type {qualified_name(cls)} has no canonical text; use what JSON has, sets, "
        "bytes, times, enums, attrs classes, or make the field private and name what counts in "
        "extra_cache_key"
    )
