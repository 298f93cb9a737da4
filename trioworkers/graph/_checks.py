"""Checks that a Python value is of a declared type, containers and all.

Nothing is converted. Of the builtin types exactly the type is asked for, so that
``True`` is no ``int`` and a subclass is not silently dumped as its base; only a
``float`` may be an ``int``. Instances of other classes may be of subclasses.
"""

import collections.abc
import enum
import inspect
import types
import typing
from collections.abc import Callable, Sequence
from typing import Any

from ..bus import Misfit, cut, shown

#: Raises `Misfit` if a value is not of the type.
Check = Callable[[Any], None]

#: The type whose instances need no further look, if there is one; and the check,
#: None if anything will do.
Checked = tuple[type | None, Check | None]

_EXACT: tuple[type, ...] = (str, int, bool, bytes, types.NoneType)
_CONTAINERS: tuple[type, ...] = (list, tuple, set, frozenset, dict)
_TEXTS = (str, bytes, bytearray)


def _wrong(expected: str, value: object) -> Misfit:
    got = shown(value)
    kind = type(value).__name__
    return Misfit(
        f"expected {expected}, got {got if got == kind or value is None else f'{got} ({kind})'}"
    )


def _exactly(cls: type) -> Check:
    name = "None" if cls is types.NoneType else cls.__name__

    def check(value: Any) -> None:
        if type(value) is not cls:
            raise _wrong(name, value)

    return check


def _check_float(value: Any) -> None:
    if type(value) is not float and type(value) is not int:
        raise _wrong("float", value)


def _instance_of(cls: type) -> Check:
    name = cls.__name__

    def check(value: Any) -> None:
        if not isinstance(value, cls):
            raise _wrong(name, value)

    return check


def _class_below(bases: tuple[type, ...]) -> Check:
    name = f"a subclass of {' or '.join(base.__name__ for base in bases)}"

    def check(value: Any) -> None:
        if not isinstance(value, type) or not issubclass(value, bases):
            raise Misfit(
                f"expected {name}, got "
                f"{value.__name__ if isinstance(value, type) else shown(value)}"
            )

    return check


def _literal(values: Sequence[Any]) -> Check:
    name = cut("one of " + ", ".join(shown(value) for value in values))

    def check(value: Any) -> None:
        if not any(type(value) is type(one) and value == one for one in values):
            raise _wrong(name, value)

    return check


def _each(kind: Check, item: Checked) -> Check:
    """Return the check of a collection: first as a whole, then its items."""
    same, check = item
    if check is None:
        return kind
    # Sets of types find a list of texts good at the speed of C.
    only = {same}

    def check_all(value: Any) -> None:
        kind(value)
        if not {*map(type, value)} <= only:
            for index, one in enumerate(value):
                if type(one) is not same:
                    try:
                        check(one)
                    except Misfit as fault:
                        raise fault.inside(index) from None

    def check_each(value: Any) -> None:
        kind(value)
        for index, one in enumerate(value):
            try:
                check(one)
            except Misfit as fault:
                raise fault.inside(index) from None

    return check_each if same is None else check_all


def _entries(kind: Check, key: Checked, item: Checked) -> Check:
    """Return the check of a mapping."""
    check_key, check_item = key[1], item[1]
    if check_key is None and check_item is None:
        return kind
    same_key, same_item = key[0], item[0]

    def check(value: Any) -> None:
        kind(value)
        for name, one in value.items():
            if check_key is not None and type(name) is not same_key:
                try:
                    check_key(name)
                except Misfit as fault:
                    fault.problem = f"a key: {fault.problem}"
                    raise
            if check_item is not None and type(one) is not same_item:
                try:
                    check_item(one)
                except Misfit as fault:
                    raise fault.inside(name if type(name) in (str, int) else shown(name)) from None

    return check


def _tuple(items: Sequence[Checked]) -> Check:
    is_tuple = _exactly(tuple)

    def check(value: Any) -> None:
        is_tuple(value)
        if len(value) != len(items):
            raise Misfit(f"expected {len(items)} items, got {len(value)}")
        for index, (one, (_, check_one)) in enumerate(zip(value, items, strict=True)):
            if check_one is not None:
                try:
                    check_one(one)
                except Misfit as fault:
                    raise fault.inside(index) from None

    return check


def _union(hints: Sequence[Any]) -> Checked:
    parts = [check_of(hint) for hint in hints]
    if any(check is None for _, check in parts):
        return None, None
    same = frozenset(kind for kind, _ in parts if kind is not None)
    checks = [check for _, check in parts if check is not None]
    name = " or ".join(_name(hint) for hint in hints)

    def check_union(value: Any) -> None:
        if type(value) in same:
            return
        inner = None
        for check in checks:
            try:
                check(value)
            except Misfit as fault:
                # What is wrong inside a container says more than what is around it.
                inner = fault if fault.path else inner
            else:
                return
        raise inner or _wrong(name, value)

    return None, check_union


def _name(hint: Any) -> str:
    if hint is types.NoneType:
        return "None"
    return cut(hint.__name__ if isinstance(hint, type) and not typing.get_args(hint) else str(hint))


def _collection(value: Any) -> None:
    if isinstance(value, _TEXTS):
        raise _wrong("a collection", value)


def check_of(hint: Any) -> Checked:
    """Return how a value of a type, as it stands in an annotation, is checked.

    Raises:
      Misfit: It can't be; the problem says what to do.
    """
    try:
        return _check_of(hint)
    except RecursionError:
        raise Misfit("its type contains itself: use Any, or a class") from None


def _check_of(hint: Any) -> Checked:
    hint = getattr(hint, "__value__", hint)  # of a `type` statement, from Python 3.12 on
    if hint is Any or hint is object:
        return None, None
    if hint is typing.Tuple:  # noqa: UP006 - with nothing said of what is in it
        hint = tuple
    if hint is None:
        hint = types.NoneType
    if isinstance(hint, typing.NewType):
        return check_of(hint.__supertype__)
    if isinstance(hint, typing.TypeVar):
        if hint.__constraints__:
            return _union(hint.__constraints__)
        return check_of(hint.__bound__) if hint.__bound__ is not None else (None, None)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is None:
        return _plain(hint)
    if origin in (typing.Annotated, typing.Final, typing.Required, typing.NotRequired):
        return check_of(arguments[0])
    if origin in (typing.Union, types.UnionType):
        return _union(arguments)
    if origin is typing.Literal:
        return None, _literal(arguments)
    if origin is type:
        return None, _class_check(arguments[0])
    if origin is collections.abc.Callable:
        return None, _check_callable
    return _container(origin, arguments)


def _class_check(hint: Any) -> Check:
    if hint is Any or isinstance(hint, typing.TypeVar):
        return _instance_of(type)
    bases = typing.get_args(hint) or (hint,)
    return _class_below(tuple(typing.get_origin(base) or base for base in bases))


def _check_callable(value: Any) -> None:
    if not callable(value):
        raise _wrong("a callable", value)


def _plain(hint: Any) -> Checked:
    if hint in _EXACT:
        return hint, _exactly(hint)
    if hint is float:
        return float, _check_float
    if hint in _CONTAINERS:
        return hint, _exactly(hint)
    if typing.is_typeddict(hint):
        return None, _typed_dict(hint)
    if hint is typing.Self:
        return None, None
    if not isinstance(hint, type):
        raise Misfit(f"a value of type {cut(str(hint))} can't be checked; declare it as Any")
    if getattr(hint, "_is_protocol", False) and not getattr(hint, "_is_runtime_protocol", False):
        return None, None
    if issubclass(hint, enum.Enum):
        return hint, _instance_of(hint)
    return (None if inspect.isabstract(hint) else hint), _instance_of(hint)


def _typed_dict(hint: Any) -> Check:
    fields = {name: check_of(one)[1] for name, one in typing.get_type_hints(hint).items()}
    required = hint.__required_keys__
    is_dict = _exactly(dict)

    def check(value: Any) -> None:
        is_dict(value)
        for name in required - value.keys():
            raise Misfit("is missing", [name])
        for name, one in value.items():
            if name not in fields:
                raise Misfit("unknown key", [name if type(name) is str else shown(name)])
            check_one = fields[name]
            if check_one is not None:
                try:
                    check_one(one)
                except Misfit as fault:
                    raise fault.inside(name) from None

    return check


def _container(origin: Any, arguments: tuple[Any, ...]) -> Checked:
    if not isinstance(origin, type):
        raise Misfit(f"a value of type {cut(str(origin))} can't be checked; declare it as Any")
    if origin is tuple:
        if arguments[1:] == (...,):
            return None, _each(_exactly(tuple), check_of(arguments[0]))
        return None, _tuple([check_of(one) for one in arguments])
    kind = _exactly(origin) if origin in _CONTAINERS else _instance_of(origin)
    if issubclass(origin, collections.abc.Mapping) and len(arguments) == 2:
        return None, _entries(kind, check_of(arguments[0]), check_of(arguments[1]))
    if issubclass(origin, collections.abc.Collection) and len(arguments) == 1:
        if origin in _CONTAINERS:
            return None, _each(kind, check_of(arguments[0]))

        def kind_but_no_text(value: Any) -> None:
            kind(value)
            _collection(value)

        return None, _each(kind_but_no_text, check_of(arguments[0]))
    return None, kind
