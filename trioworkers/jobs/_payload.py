"""Payloads: plain dicts on the bus, attrs classes at the edges.

cattrs alone would turn ``1`` into ``"1"`` where a string is declared; here a
value of the wrong type is refused, and the field named.
"""

from typing import Any, TypeVar

import attrs
import cattrs
from cattrs import Converter, transform_error
from cattrs.v import format_exception

from ..errors import JobError

T = TypeVar("T")


def _make_converter() -> Converter:
    converter = Converter(forbid_extra_keys=True)

    def exactly(expected: type, *also: type) -> None:
        accepted = (expected, *also)

        def check(value: object, _: object) -> object:
            if type(value) not in accepted:
                raise TypeError(f"expected {expected.__name__}, not {value!r}")
            return expected(value)

        converter.register_structure_hook(expected, check)

    exactly(str)
    exactly(bool)
    exactly(int)
    exactly(float, int)
    exactly(bytes)
    return converter


_converter = _make_converter()


def _describe(error: BaseException, expected: type | None) -> str:
    """Return what is wrong with one field. A validator's own words say it best."""
    return (
        str(error) if type(error) in (TypeError, ValueError) else format_exception(error, expected)
    )


def to_dict(value: object, what: str) -> dict[str, Any] | None:
    """Return ``value`` as it goes over the bus.

    Dicts pass as they are, not copied; attrs instances become dicts.

    Raises:
      TypeError: It is neither, nor None; ``what`` says what it was for.
    """
    if value is None or type(value) is dict:
        return value
    if isinstance(value, dict):
        return dict(value)
    if attrs.has(type(value)):
        unstructured: dict[str, Any] = _converter.unstructure(value)
        return unstructured
    raise TypeError(f"{what} must be a dict, an attrs instance or None, not {value!r}")


def from_dict(payload: dict[str, Any] | None, cls: type[T]) -> T:
    """Return ``payload`` as an instance of the attrs class ``cls``.

    Raises:
      JobError: It doesn't fit; the reason names each field that is wrong.
    """
    try:
        return _converter.structure({} if payload is None else payload, cls)
    except (cattrs.BaseValidationError, cattrs.StructureHandlerNotFoundError) as error:
        faults = "; ".join(transform_error(error, path="payload", format_exception=_describe))
        raise JobError(f"bad payload for {cls.__name__}: {faults}") from None
