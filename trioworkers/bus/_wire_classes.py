"""How instances of one attrs class become JSON objects, and come back."""

from collections.abc import Mapping
from enum import Enum
from typing import Any, Never

import attrs

from ._misfit import Misfit, cut
from ._wire_forms import WireForm, misfit

#: Stands for "always sent": no value is it.
_NO_DEFAULT = object()


def _unknown(_: object) -> Never:
    raise Misfit("unknown field")


#: What a key that is no field is decoded with.
_UNKNOWN = (None, _unknown)


def _constant_default(field: "attrs.Attribute[Any]") -> Any:
    """Return a field's default if it can't change, so that it need not be sent."""
    default = field.default
    fixed = default is None or default == () or isinstance(default, bool | int | float | str | Enum)
    return default if fixed else _NO_DEFAULT


class ClassForm:
    """How instances of one attrs class become JSON objects, and come back.

    An object has a key for each parameter of the class, but for those whose
    value is the default: the very object, as an equal one may be of another
    type. The receiver's class fills them in. Fields that are no parameters
    (``init=False``) are not sent.

    It is made in two steps, so that classes can contain themselves.
    """

    def __init__(self, cls: type[Any]) -> None:
        self.cls = cls
        self.form = WireForm(
            cls.__name__, self._encode, self.from_wire, frozenset({cls}), frozenset({dict})
        )
        self._outward: tuple[tuple[str, str, Any, type | None, Any], ...] = ()
        self._inward: dict[str, tuple[type | None, Any]] = {}
        self._required: tuple[str, ...] = ()

    def set_fields(self, forms: Mapping[str, WireForm]) -> None:
        """Say which forms the class's parameters have, by the names of their fields."""
        fields = [field for field in attrs.fields(self.cls) if field.name in forms]
        # Wire names are those of the parameters: "x" for a field called "_x".
        names = {field.name: field.alias or field.name for field in fields}
        self._outward = tuple(
            (
                names[field.name],
                field.name,
                _constant_default(field),
                forms[field.name].same,
                forms[field.name].encode,
            )
            for field in fields
        )
        self._inward = {
            names[field.name]: (forms[field.name].same, forms[field.name].decode)
            for field in fields
        }
        self._required = tuple(
            names[field.name] for field in fields if field.default is attrs.NOTHING
        )

    def to_wire(self, value: Any, wire: dict[str, Any]) -> dict[str, Any]:
        """Add the fields of ``value``, an instance of exactly this class, to ``wire``.

        Raises:
          Misfit: A field has a value that its type does not allow.
        """
        name = ""
        try:
            for name, attribute, default, same, encode in self._outward:
                field = getattr(value, attribute)
                if field is not default:
                    wire[name] = field if type(field) is same else encode(field)
        except Misfit as fault:
            raise fault.inside(name) from None
        return wire

    def _encode(self, value: Any) -> dict[str, Any]:
        # An instance of a subclass would lose what its class adds.
        if type(value) is not self.cls:
            raise misfit(f"exactly {self.form.name}", value)
        return self.to_wire(value, {})

    def from_wire(self, wire: Any) -> Any:
        """Return the instance that the JSON object ``wire`` stands for.

        Raises:
          Misfit: It is no object; a field is unknown, missing or has a wrong
            value; or the class refuses the values.
        """
        if type(wire) is not dict:
            raise misfit(self.form.name, wire)
        inward = self._inward
        values: dict[str, Any] = {}
        name = ""
        try:
            for name, field in wire.items():
                same, decode = inward.get(name, _UNKNOWN)
                values[name] = field if type(field) is same else decode(field)
        except Misfit as fault:
            raise fault.inside(name) from None
        try:
            return self.cls(**values)
        except Exception as error:  # noqa: BLE001 - whatever a user's validators raise
            for name in self._required:
                if name not in values:
                    raise Misfit("is missing", [name]) from None
            raise Misfit(f"{type(error).__name__}: {cut(str(error))}") from None
