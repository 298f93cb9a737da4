"""Payloads: plain dicts on the bus, attrs classes at the edges.

cattrs alone would turn ``1`` into ``"1"`` where a string is declared; here a
value of the wrong type is refused, and the field named.
"""

from collections.abc import Callable, Mapping
from reprlib import repr as short_repr
from typing import Any, TypeVar, get_origin

import attrs
import cattrs
from cattrs import Converter, transform_error
from cattrs.cols import is_any_set, is_sequence
from cattrs.v import format_exception

from ..errors import JobError

T = TypeVar("T")

#: Faults of one payload that are named.
MAX_FAULTS = 20


def _make_converter() -> Converter:
    converter = Converter(forbid_extra_keys=True)

    def exactly(expected: type, *also: type) -> None:
        accepted = (expected, *also)

        def check(value: object, _: object) -> object:
            if type(value) not in accepted:
                raise TypeError(f"expected {expected.__name__}, not {short_repr(value)}")
            return expected(value)

        converter.register_structure_hook(expected, check)

    exactly(str)
    exactly(bool)
    exactly(int)
    exactly(float, int)
    exactly(bytes)
    _refuse_texts_as_lists(converter)
    return converter


def _refuse_texts_as_lists(converter: Converter) -> None:
    """Refuse strings and mappings where a list, tuple or set is declared.

    They are iterable, so cattrs would take their characters or keys.
    """
    looking_up: list[Any] = []

    def is_collection(cls: Any) -> bool:
        return cls not in looking_up and (
            is_sequence(cls) or is_any_set(cls) or get_origin(cls) is tuple
        )

    def make_hook(cls: Any) -> Callable[[Any, Any], Any]:
        looking_up.append(cls)
        try:
            structure = converter.get_structure_hook(cls, cache_result=False)
        finally:
            looking_up.remove(cls)

        def check(value: Any, _: Any) -> Any:
            if isinstance(value, str | bytes | Mapping):
                raise TypeError(f"expected a list, not {short_repr(value)}")
            return structure(value, cls)

        return check

    converter.register_structure_hook_factory(is_collection, make_hook)


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
    if payload is not None and not isinstance(payload, dict):
        raise JobError(
            f"bad payload for {cls.__name__}: expected a dict, not {short_repr(payload)}"
        )
    try:
        return _converter.structure({} if payload is None else payload, cls)
    except (cattrs.BaseValidationError, cattrs.StructureHandlerNotFoundError) as error:
        faults = transform_error(error, path="payload", format_exception=_describe)
        shown = "; ".join(faults[:MAX_FAULTS])
        more = f"; and {len(faults) - MAX_FAULTS} more" if len(faults) > MAX_FAULTS else ""
        raise JobError(f"bad payload for {cls.__name__}: {shown}{more}") from None
