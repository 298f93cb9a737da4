"""What JSON can hold without a change, and how deep.

orjson alone would turn NaN into null, tuples into lists, and enums, UUIDs and
dates into texts; whole numbers beyond 64 bits would come back as floats.
"""

import json
from collections.abc import Collection, Iterable
from math import isfinite
from types import NoneType
from typing import Any

from ._misfit import Misfit, shown

#: Whole numbers that survive: what orjson reads and writes as ``int``.
SMALLEST, LARGEST = -(2**63), 2**64 - 1

#: Nested objects and lists that orjson writes, with some to spare (it refuses 255).
DEEPEST = 250

#: Items of a list that are many.
_LONG = 16

_ATOMS: frozenset[type] = frozenset({str, int, bool, NoneType})
#: Types of the JSON values that have no parts.
JSON_SCALARS = _ATOMS | {float}
_CONTAINERS = frozenset({dict, list})
_FLOATS = frozenset({float})

# The characters of whole numbers become "0", all others a space: a number
# beyond 64 bits has at least 20 of them, its sign included.
_NUMBERS = bytes(ord("0" if char in b"-0123456789" else " ") for char in range(256))
_LONG_NUMBER = b"0" * 20


def holds_json(values: Collection[Any], room: int = DEEPEST) -> bool:
    """Return whether all ``values``, and all inside them, have the types of JSON.

    This is the fast look: text, keys and the size of numbers are left to
    orjson, which refuses them. `find_fault` says what is wrong, and where.
    """
    # One look at all types at once pays from some length on.
    if len(values) > _LONG:
        kinds = {*map(type, values)}
        if kinds <= _ATOMS or (kinds == _FLOATS and all(map(isfinite, values))):
            return True
    for value in values:
        kind = type(value)
        if kind is str or kind in _ATOMS:
            continue
        if kind is float:
            if not isfinite(value):
                return False
        elif kind is dict:
            if room <= 0 or not holds_json(value.values(), room - 1):
                return False
        elif kind is not list or room <= 0 or not holds_json(value, room - 1):
            return False
    return True


def _inside(values: Iterable[Any]) -> list[Any]:
    """Return the values that the dicts and lists among ``values`` hold."""
    inside: list[Any] = []
    for value in values:
        kind = type(value)
        if kind is dict:
            inside += value.values()
        elif kind is list:
            inside += value
    return inside


def find_fault(value: Any, room: int = DEEPEST) -> Misfit | None:
    """Return the first thing in ``value`` that JSON can't hold; None if it can hold all.

    Args:
      value: Whatever was to be sent.
      room: Nested dicts and lists that it may have, itself included.
    """
    kind = type(value)
    if kind is str:
        return None if _is_unicode(value) else Misfit(f"{shown(value)} has a lone surrogate")
    if kind is int:
        fits = SMALLEST <= value <= LARGEST
        return None if fits else Misfit("a whole number beyond 64 bits; send it as a text")
    if kind is float:
        return None if isfinite(value) else Misfit(f"JSON has no {value}; send None or a text")
    if kind in _CONTAINERS:
        return _fault_inside(value, room)
    if kind in _ATOMS:
        return None
    return Misfit(f"{shown(value)} is not JSON; send {_instead_of(value)}")


def _fault_inside(container: Any, room: int) -> Misfit | None:
    if room <= 0:
        return Misfit("nested too deep, or inside itself")
    if type(container) is list:
        for index, item in enumerate(container):
            if (fault := find_fault(item, room - 1)) is not None:
                return fault.inside(index)
        return None
    for key, item in container.items():
        if type(key) is not str:
            return Misfit(f"key {shown(key)} of a dict is not a str")
        if not _is_unicode(key):
            return Misfit(f"key {shown(key)} of a dict has a lone surrogate")
        if (fault := find_fault(item, room - 1)) is not None:
            return fault.inside(key)
    return None


def _instead_of(value: Any) -> str:
    if isinstance(value, list | tuple | set | frozenset):
        return "a list"
    plain = next((kind for kind in (dict, str, int, float) if isinstance(value, kind)), None)
    return f"a plain {plain.__name__}" if plain else "None, bool, int, float, str, list or dict"


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def find_depth_fault(data: bytes, value: Any, limit: int) -> Misfit | None:
    """Return where ``value``, which ``data`` stands for, is nested deeper than ``limit``.

    What is shorter than ``limit`` pairs of brackets, or has no more than
    ``limit`` of them, can't be deeper and is not looked at.
    """
    if len(data) <= 2 * limit or data.count(b"{") + data.count(b"[") <= limit:
        return None
    level = [value]
    for _ in range(limit):
        level = _inside(level)
        if _CONTAINERS.isdisjoint(map(type, level)):
            return None
    fault = find_fault(value, limit)
    assert fault is not None
    fault.problem = f"nested deeper than {limit}"
    return fault


def find_number_fault(data: bytes) -> Misfit | None:
    """Return where JSON has a whole number beyond 64 bits, which orjson reads as a float.

    ``data`` is JSON that orjson has read, and not deeper than `DEEPEST`. Only
    where a long row of digits occurs is it read again.
    """
    if _LONG_NUMBER not in data.translate(_NUMBERS):
        return None
    return find_fault(json.loads(data))
