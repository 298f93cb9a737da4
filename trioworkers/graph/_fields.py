"""Makes subclasses of `Task` and `TaskWorker` attrs classes whose types are checked."""

import copy
import inspect
import types
from collections.abc import Callable
from typing import Any

import attrs

from ..bus import Misfit
from ._checks import Check, check_of
from ._hints import defining_locals, evaluate_early, field_hints
from ._join_policy import Joined, Merged

#: Per class: name of each field, the one type that needs no further look, and the check.
_Plan = tuple[tuple[str, type | None, Check], ...]

#: As attrs calls them: with the instance, the attribute and its value.
Validator = Callable[[Any, Any, Any], None]

_plans: dict[type, _Plan] = {}
_MUTABLE = (list, dict, set)
_ATOMS = (str, int, float, bytes, type, types.NoneType)
#: What handlers of joins are given is kept in a field as what it is a subclass of.
_PLAIN: dict[type, type] = {Joined: list, Merged: dict}


def make_attrs_class(
    cls: type[Any],
    base: type[Any],
    *,
    eq: bool,
    check: Validator | None = None,
) -> None:
    """Make ``cls`` an attrs class, in place. To be called from ``__init_subclass__``.

    Its parameters are keywords; the types of all its fields are checked when an
    instance is made, before the user's validators run. A list, dict or set that
    is a default is copied for each instance. A plain ``name = value`` for an
    inherited field changes its default. What a join gets, a `Joined` or a `Merged`,
    becomes a plain list or dict where one is declared.

    Args:
      cls: The class, just made.
      base: The class whose ``__init_subclass__`` it is.
      eq: Whether instances are compared by their fields, or by identity.
      check: A validator that calls `check_types`, if there is more to check.

    Raises:
      TypeError: A field has the name of a method; or ``cls`` is decorated, too, or
        has an ``__init__``.
    """
    if "__attrs_attrs__" in vars(cls):
        raise TypeError(
            f"{cls.__name__} is an attrs class already: take the decorator away, as every "
            f"subclass of {base.__name__} becomes one by itself"
        )
    _annotate_overrides(cls)
    if cls is not base:
        _refuse_init(cls, base)
        _refuse_names(cls, base)
    first = check or check_types

    def transform(_: type, fields: list["attrs.Attribute[Any]"]) -> list["attrs.Attribute[Any]"]:
        return _checked_first([_own_default(field) for field in fields], first)

    options: dict[str, Any] = {"force_kw_only": True}  # which attrs's stubs don't know
    attrs.define(
        slots=False,
        kw_only=True,
        eq=eq,
        on_setattr=attrs.setters.NO_OP,
        field_transformer=transform,
        **options,
    )(cls)
    evaluate_early(cls, defining_locals())


def _annotate_overrides(cls: type[Any]) -> None:
    """Let ``name = value`` be a field where ``name`` is one that is inherited."""
    annotations: dict[str, Any] = {}
    inherited = {
        field.name: field
        for base in cls.__mro__[1:]
        for field in vars(base).get("__attrs_attrs__", ())
    }
    own = inspect.get_annotations(cls)
    for name, value in vars(cls).items():
        if name in inherited and name not in own:
            if isinstance(value, property | types.FunctionType | classmethod | staticmethod):
                raise TypeError(
                    f"{cls.__name__}.{name} is a field, and can't be a method or property: "
                    f"write `{name} = ...`, or set `self.{name}`"
                )
            annotations[name] = _inherited_hint(cls, name)
    if annotations:
        cls.__annotations__ = {**own, **annotations}


def _inherited_hint(cls: type[Any], name: str) -> Any:
    for base in cls.__mro__[1:]:
        hints = vars(base).get("__annotations__", {})
        if name in hints:
            return hints[name]
    return Any


def _refuse_init(cls: type[Any], base: type[Any]) -> None:
    """Refuse an ``__init__``, which would stand in for the one that sets all fields."""
    if "__init__" in vars(cls):
        later = "; what is for the run goes into init()" if hasattr(base, "init") else ""
        raise TypeError(
            f"{cls.__name__}.__init__: every subclass of {base.__name__} gets one by itself, which "
            "sets its fields. Make the parameters fields, as in `client: Any = None`, and do the "
            f"rest in __attrs_post_init__(self){later}"
        )


def _refuse_names(cls: type[Any], base: type[Any]) -> None:
    """Refuse fields that would stand in the way of the base class's own attributes."""
    own = vars(base)
    for name in vars(cls).get("__annotations__", {}):
        private = name.startswith("_") and name in own.get("__annotations__", {})
        if private or isinstance(own.get(name), types.FunctionType | property | classmethod):
            raise TypeError(
                f"{cls.__name__}.{name}: {base.__name__} uses this name itself; "
                "give the field another one"
            )


def _own_default(field: "attrs.Attribute[Any]") -> "attrs.Attribute[Any]":
    """Return the field with a default that instances don't share."""
    default: Any = field.default
    kind = type(default)
    if kind not in _MUTABLE:
        return field
    parts = default.values() if kind is dict else default
    if all(isinstance(part, _ATOMS) for part in parts):
        return field.evolve(default=attrs.Factory(lambda: kind(default)))
    return field.evolve(default=attrs.Factory(lambda: copy.deepcopy(default)))


def _checked_first(
    fields: list["attrs.Attribute[Any]"], check: Validator
) -> list["attrs.Attribute[Any]"]:
    """Return the fields with ``check`` as the first validator that runs.

    It looks at all fields at once: by then all have their values.
    """
    for index, field in enumerate(fields):
        if field.init or field.default is not attrs.NOTHING:
            validator = field.validator
            if validator is not check and getattr(validator, "first", None) is not check:
                both = check if validator is None else _Both(check, validator)
                fields[index] = field.evolve(validator=both)
            break
    return fields


@attrs.frozen
class _Both:
    """Two validators, one after the other."""

    first: Callable[[Any, Any, Any], Any]
    second: Callable[[Any, Any, Any], Any]

    def __call__(self, instance: Any, attribute: Any, value: Any) -> None:
        self.first(instance, attribute, value)
        self.second(instance, attribute, value)


def check_types(instance: Any, _: Any, __: Any) -> None:
    """Refuse an instance a field of which is not of its type. An attrs validator."""
    cls = type(instance)
    try:
        plan = _plans[cls]
    except KeyError:
        plan = _plans[cls] = _make_plan(cls)
    values = instance.__dict__
    try:
        for name, same, check in plan:
            value = values[name]
            kind = type(value)
            if kind is not same:
                if kind in _PLAIN:
                    value = values[name] = _PLAIN[kind](value)
                check(value)
    except Misfit:
        _raise_misfits(instance, plan)


def _raise_misfits(instance: Any, plan: _Plan) -> None:
    name = type(instance).__name__
    faults = []
    for field, _, check in plan:
        try:
            check(instance.__dict__[field])
        except Misfit as fault:
            fault.inside(field)
            faults.append(f"{name}.{fault.where()}: {fault.problem}")
    raise TypeError("; ".join(faults)) from None


def _make_plan(cls: type[Any]) -> _Plan:
    hints = field_hints(cls)
    plan = []
    for field in attrs.fields(cls):
        if field.init or field.default is not attrs.NOTHING:
            try:
                same, check = check_of(hints[field.name])
            except Misfit as fault:
                raise TypeError(f"{cls.__name__}.{field.name}: {fault.problem}") from None
            if check is not None:
                plan.append((field.name, same, check))
    return tuple(plan)
