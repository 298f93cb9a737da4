"""Compares the library's public names with the reference's, as `faces.toml` lists them.

    python tests/reference/faces.py     # print what is missing; fail if anything is

A call that is valid there must be valid here: same names, same order, same
defaults. More parameters, members and values are ours to add.
"""

import ast
import inspect
import sys
import tomllib
from collections.abc import Coroutine, Iterator
from enum import Enum
from pathlib import Path
from types import ModuleType
from typing import Any, get_origin

import attrs

import trioworkers
import trioworkers.graph

TABLE = Path(__file__).with_name("faces.toml")

_NO_FRAMES = "frames belong to a part of the package that is not there"
_NO_LLM = "language models belong to a part of the package that is not there"
_BY_METHOD = "made by methods of workers and runners, not by hand"

#: Names of theirs to names of ours: classes, and parameters or fields of a class.
RENAMED = {
    "AsyncQueueBus": "MemoryChannelBus",
    "WorkerParams.loop": "nursery",
}

#: What is not here on purpose, and why.
ABSENT = {
    "BusBridgeProcessor": _NO_FRAMES,
    "BusFrameMessage": _NO_FRAMES,
    "BusTTSSpeakMessage": _NO_FRAMES,
    "JobGroup.timeout_task": "the deadline of the group's scope does that work",
    "JobGroup.event_queue": "a bounded buffer under credit does that work",
    "JobGroup.init": _BY_METHOD,
    "JobGroupContext.init": _BY_METHOD,
    "JobContext.init": _BY_METHOD,
    "WorkerBus.init": "takes options of its own, not arguments for a base class",
    "AsyncQueueBus.init": "takes options of its own, not arguments for a base class",
    "LLMTaskWorker": _NO_LLM,
    "CachedLLMTaskWorker": _NO_LLM,
}


def complaints(module: ModuleType = trioworkers) -> dict[str, str]:
    """Return what of the table ``module`` doesn't have: place to what is wrong there."""
    with TABLE.open("rb") as file:
        table: dict[str, dict[str, Any]] = tomllib.load(file)
    found: dict[str, str] = {}
    for name, face in table.items():
        home = getattr(module, face["module"]) if "module" in face else module
        cls = getattr(home, RENAMED.get(name, name), None)
        if not isinstance(cls, type):
            found[name] = "no such class"
            continue
        for member, wrong in _class_complaints(module, name, cls, face):
            found[f"{name}.{member}"] = wrong
    return found


def unexplained(module: ModuleType = trioworkers) -> dict[str, str]:
    """Return `complaints` but for those that are so on purpose."""
    return {place: wrong for place, wrong in complaints(module).items() if place not in ABSENT}


def _class_complaints(
    module: ModuleType, name: str, cls: type, face: dict[str, Any]
) -> Iterator[tuple[str, str]]:
    for base in face.get("bases", ()):
        if base not in {b.__name__ for b in cls.__mro__}:
            yield f"bases.{base}", f"{cls.__name__} is no {base}"
    for field in face.get("fields", ()):
        if RENAMED.get(f"{name}.{field}", field) not in _members(cls):
            yield field, "no such field"
    for name_ in face.get("properties", ()):
        if not isinstance(inspect.getattr_static(cls, name_, None), property):
            yield name_, "no such property"
    for constant, value in face.get("constants", {}).items():
        if getattr(cls, constant, None) != value:
            yield constant, f"is not {value!r}"
    for event in face.get("events", ()):
        try:
            cls().add_event_handler(event, print)
        except ValueError as error:
            yield f"event {event}", str(error)
    if "init" in face and not issubclass(cls, Enum):
        wrong = _call_complaint(name, face["init"], cls.__init__, bound=False)
        if wrong:
            yield "init", wrong
    for kind in ("methods", "async_methods"):
        for signature in face.get(kind, ()):
            method, _, parameters = signature.removesuffix(")").partition("(")
            wrong = _method_complaint(name, cls, method, parameters, kind == "async_methods")
            if wrong:
                yield method, wrong


def _members(cls: type) -> set[str]:
    fields = {field.name for field in attrs.fields(cls)} if attrs.has(cls) else set()
    return fields | set(dir(cls))


def _method_complaint(
    class_name: str, cls: type, method: str, parameters: str, is_async: bool
) -> str | None:
    static = inspect.getattr_static(cls, method, None)
    if static is None:
        return "no such method"
    function = getattr(cls, method)
    if _is_awaited(function) != is_async:
        return f"is {'not ' if is_async else ''}async"
    return _call_complaint(class_name, parameters, function, bound=inspect.ismethod(function))


def _is_awaited(function: Any) -> bool:
    """Whether it is an async function, or a plain one that returns the coroutine of one."""
    function = inspect.unwrap(function)
    returns = inspect.get_annotations(function).get("return")
    return inspect.iscoroutinefunction(function) or get_origin(returns) is Coroutine


def _call_complaint(class_name: str, theirs: str, function: Any, *, bound: bool) -> str | None:
    """Return how a call that fits the signature ``theirs`` would not fit ``function``."""
    wanted = ast.parse(f"lambda {theirs}: 0", mode="eval").body
    assert isinstance(wanted, ast.Lambda)
    arguments = wanted.args
    ours = list(inspect.signature(function).parameters.values())[0 if bound else 1 :]
    if arguments.kwarg is not None:
        return f"takes no **{arguments.kwarg.arg}"
    positional = [p for p in ours if p.kind is p.POSITIONAL_OR_KEYWORD]
    by_keyword = {p.name: p for p in ours if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    defaults = [None] * (len(arguments.args) - len(arguments.defaults)) + arguments.defaults
    seen = set()
    for index, (argument, default) in enumerate(zip(arguments.args, defaults, strict=True)):
        name = RENAMED.get(f"{class_name}.{argument.arg}", argument.arg)
        seen.add(name)
        if index >= len(positional) or positional[index].name != name:
            return f"parameter {index + 1} is not {name!r}"
        if wrong := _default_complaint(positional[index], default):
            return wrong
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        seen.add(argument.arg)
        if argument.arg not in by_keyword:
            return f"takes no {argument.arg!r}"
        if wrong := _default_complaint(by_keyword[argument.arg], default):
            return wrong
    if arguments.vararg and not any(p.kind is p.VAR_POSITIONAL for p in ours):
        return f"takes no *{arguments.vararg.arg}"
    for name, parameter in by_keyword.items():
        if name not in seen and parameter.default is parameter.empty:
            return f"needs {name!r}, which callers don't give"
    return None


def _default_complaint(parameter: inspect.Parameter, default: ast.expr | None) -> str | None:
    if default is None:
        return None
    expected = ast.literal_eval(default)
    if isinstance(expected, list):
        expected = tuple(expected)  # ours are not changed by accident
    if parameter.default is parameter.empty:
        return f"{parameter.name!r} has no default"
    if expected is not ... and parameter.default != expected:
        return f"{parameter.name!r} is {parameter.default!r} by default, not {expected!r}"
    return None


def main() -> int:
    """Print what is missing, and what is absent on purpose; return the exit status."""
    missing = unexplained()
    for place, wrong in missing.items():
        print(f"{place}: {wrong}")
    for place, why in ABSENT.items():
        print(f"({place}: {why})")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
