"""How values of one declared type become JSON, and come back: `WireForm`.

Here are the forms of types without parts; see `_wire_collections` for others.
A form never changes a value's type to make it fit: what it accepts comes back
equal and of the same type, and all else is a `Misfit`.
"""

import math
from collections.abc import Callable, Iterable
from types import NoneType
from typing import Any

import attrs
import cattrs

from ._json_values import JSON_SCALARS, find_fault, holds_json
from ._misfit import Misfit, cut, shown

#: Characters of the list of values that an error offers.
_OFFERED = 120


@attrs.frozen
class WireForm:
    """How values of one declared type become JSON, and come back.

    Attributes:
      name: The type, for a person to read.
      encode: Returns the JSON value of a Python value, or raises `Misfit`.
      decode: Returns the Python value of a JSON value, or raises `Misfit`.
      types: Types of the Python values.
      json_types: Types of the JSON values, after parsing.
      same: Values of exactly this type are themselves in JSON, so neither
        function need be called; None if there is no such type.
    """

    name: str
    encode: Callable[[Any], Any]
    decode: Callable[[Any], Any]
    types: frozenset[type]
    json_types: frozenset[type]
    same: type | None = None


def misfit(expected: str, value: object) -> Misfit:
    """Return the misfit of a value that is not what was expected."""
    return Misfit(f"expected {expected}, got {shown(value)}")


def no_form(type_name: str) -> Misfit:
    """Return the misfit of a type that can't be sent."""
    return Misfit(
        f"type {cut(type_name)} has no wire form; use what JSON has, a list, tuple or set, an "
        "enum or an attrs class, or give MessageCodec a converter with hooks for the type"
    )


def same_form(cls: type) -> WireForm:
    """Return the form of ``str``, ``bool``, ``int`` or ``NoneType``: the value itself.

    Whether a text is Unicode and a number within 64 bits is left to orjson.
    """
    name = "None" if cls is NoneType else cls.__name__

    def check(value: Any) -> Any:
        if type(value) is not cls:
            raise misfit(name, value)
        return value

    return WireForm(name, check, check, frozenset({cls}), frozenset({cls}), cls)


_NUMBERS = frozenset({float, int})


def _check_float(value: Any) -> Any:
    if type(value) is float:
        if not math.isfinite(value):
            raise Misfit(f"JSON has no {value}; use None")
    # Where a float is declared Python takes an int; so does this, and it stays one.
    elif type(value) is not int:
        raise misfit("float", value)
    return value


#: The form of ``float``.
FLOAT = WireForm("float", _check_float, _check_float, _NUMBERS, _NUMBERS)


def deadline_form(now: Callable[[], float]) -> WireForm:
    """Return the form of a `Deadline`: the seconds that remain; null if it is infinite.

    Args:
      now: Returns the time on this process's clock. Called for finite ones only.
    """

    def encode(value: Any) -> float | None:
        if type(value) not in _NUMBERS:
            raise misfit("float", value)
        if value == math.inf:
            return None
        if value == -math.inf:  # Time that was always up is up now.
            return 0.0
        try:
            remaining = float(value) - now()
        except OverflowError:  # a huge int
            remaining = math.nan
        if math.isnan(remaining):
            raise misfit("a time", value)
        return remaining

    def decode(value: Any) -> float:
        if value is None:
            return math.inf
        if type(value) not in _NUMBERS:
            raise misfit("float or None", value)
        return now() + float(value)

    return WireForm("Deadline", encode, decode, _NUMBERS, _NUMBERS | {NoneType})


def _encode_json(value: Any) -> Any:
    if not holds_json((value,)):
        raise find_fault(value) or misfit("JSON", value)
    return value


#: The form of ``Any``: what JSON can hold.
JSON = WireForm("JSON", _encode_json, lambda value: value, frozenset(), frozenset())


def _encode_json_dict(value: Any) -> Any:
    if type(value) is not dict:
        raise misfit("dict", value)
    if not holds_json(value.values()):
        raise find_fault(value) or misfit("JSON", value)
    return value


def _decode_json_dict(value: Any) -> Any:
    if type(value) is not dict:
        raise misfit("dict", value)
    return value


#: The form of ``dict[str, Any]``. That keys are texts is left to orjson.
JSON_DICT = WireForm(
    "dict", _encode_json_dict, _decode_json_dict, frozenset({dict}), frozenset({dict})
)


def _require_scalar(scalar: Any, what: str) -> None:
    fault = find_fault(scalar, room=0)
    if fault is not None:
        raise Misfit(f"{what} is {shown(scalar)}, which is no JSON scalar")


def table_form(values: Iterable[tuple[Any, Any]]) -> WireForm:
    """Return the form of a few values, each with its own JSON scalar: enums and literals.

    Args:
      values: Pairs of a Python value and its JSON value.

    Raises:
      Misfit: A JSON value is not a scalar.
    """
    pairs = list(values)
    for _, scalar in pairs:
        _require_scalar(scalar, "value of an enum or literal")
    # By type too: else 1, 1.0 and True would all be found in place of one another.
    outward = {(type(value), value): scalar for value, scalar in pairs}
    inward = {(type(scalar), scalar): value for value, scalar in pairs}
    name = cut("one of " + ", ".join(shown(scalar) for _, scalar in inward), _OFFERED)

    def look_up(table: dict[tuple[type, Any], Any], value: Any) -> Any:
        try:
            return table[type(value), value]
        except (KeyError, TypeError):  # TypeError: a list or dict
            raise misfit(name, value) from None

    return WireForm(
        name,
        lambda value: look_up(outward, value),
        lambda value: look_up(inward, value),
        frozenset(kind for kind, _ in outward),
        frozenset(kind for kind, _ in inward),
    )


def converted_form(cls: type, converter: cattrs.Converter) -> WireForm:
    """Return the form of a type that cattrs makes a JSON scalar of.

    cattrs accepts more than it produces; here only what it produces is
    accepted: each way is checked by the other.

    Raises:
      Misfit: The converter has no hook for the type.
    """
    name = cls.__name__
    try:
        structure = converter.get_structure_hook(cls)
    except cattrs.StructureHandlerNotFoundError:
        raise no_form(name) from None
    unstructure = converter.get_unstructure_hook(cls)

    def encode(value: Any) -> Any:
        if not isinstance(value, cls):
            raise misfit(name, value)
        scalar = unstructure(value)
        _require_scalar(scalar, f"{name}, as the converter has it,")
        back = structure(scalar, cls)
        if type(back) is not type(value) or back != value:
            raise Misfit(f"this {name} would come back as another value")
        return scalar

    def decode(value: Any) -> Any:
        if type(value) not in JSON_SCALARS:
            raise misfit(name, value)
        result = structure(value, cls)
        again = unstructure(result)
        if type(again) is not type(value) or again != value:
            raise misfit(name, value)
        return result

    scalars = JSON_SCALARS - {NoneType}
    return WireForm(name, _telling(encode, name), _telling(decode, name), frozenset({cls}), scalars)


def _telling(convert: Callable[[Any], Any], name: str) -> Callable[[Any], Any]:
    """Return ``convert`` with whatever a user's hooks raise told as a `Misfit`."""

    def told(value: Any) -> Any:
        try:
            return convert(value)
        except Misfit:
            raise
        except Exception as error:  # noqa: BLE001 - whatever the hooks raise
            raise Misfit(f"expected {name}: {cut(str(error))}") from None

    return told
