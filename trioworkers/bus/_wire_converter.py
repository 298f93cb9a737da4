"""Types that are no JSON, and how cattrs makes texts of them."""

import base64
import datetime
import decimal
import uuid
from collections.abc import Callable
from typing import Any

import cattrs


def _datetime_text(value: datetime.datetime) -> str:
    """Return a time in ISO 8601, if that says all there is to it."""
    if value.fold or not isinstance(value.tzinfo, datetime.timezone | None):
        raise ValueError("a time zone would be lost; use .astimezone(datetime.timezone.utc)")
    return value.isoformat()


_TEXTS: dict[type, tuple[Callable[[Any], str], Callable[[str], Any]]] = {
    bytes: (lambda value: base64.b64encode(value).decode(), base64.b64decode),
    datetime.datetime: (_datetime_text, datetime.datetime.fromisoformat),
    datetime.date: (datetime.date.isoformat, datetime.date.fromisoformat),
    decimal.Decimal: (str, decimal.Decimal),
    uuid.UUID: (str, uuid.UUID),
}


def wire_converter() -> cattrs.Converter:
    """Return a new converter for `MessageCodec`, to which you may add hooks.

    It knows ``bytes`` (as base64), ``datetime`` (without a time zone, or with
    a fixed offset), ``date``, ``Decimal`` and ``UUID``. A hook must make a
    text or a number of a value, and the same value of that again; what does
    not come back so is refused. ::

        converter = wire_converter()
        converter.register_unstructure_hook(Money, str)
        converter.register_structure_hook(Money, lambda text, _: Money.parse(text))
        codec = MessageCodec(converter=converter)
    """
    converter = cattrs.Converter()
    for cls, (to_text, from_text) in _TEXTS.items():
        converter.register_unstructure_hook(cls, to_text)
        converter.register_structure_hook(cls, _one_argument(from_text))
    return converter


def _one_argument(from_text: Callable[[str], Any]) -> Callable[[str, Any], Any]:
    return lambda text, _: from_text(text)
