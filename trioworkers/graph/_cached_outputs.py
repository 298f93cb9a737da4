"""The outputs of a handler as bytes, and back: JSON, of declared types only."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs
import orjson

from ._canonical import qualified_name
from ._task import Task

_FORMAT = 1


@attrs.frozen
class CachedOutput:
    """One output: a task, and the name of who consumes it, or "" if nobody does."""

    task: Task
    consumer: str


def types_by_name(output_types: Iterable[type[Task]]) -> dict[str, type[Task]]:
    """Return the types by their qualified names.

    Raises:
      TypeError: Two have the same.
    """
    found: dict[str, type[Task]] = {}
    for cls in output_types:
        if found.setdefault(qualified_name(cls), cls) is not cls:
            raise TypeError(f"two output_types are both named {qualified_name(cls)}")
    return found


def encode_outputs(outputs: Iterable[CachedOutput]) -> bytes:
    """Return outputs as JSON.

    Raises:
      TypeError: A field has a value that JSON has no form for.
    """
    parts = [
        f'{{"type":{json.dumps(qualified_name(type(output.task)))},'
        f'"consumer":{json.dumps(output.consumer)},"task":{output.task.to_json()}}}'
        for output in outputs
    ]
    return f'{{"format":{_FORMAT},"outputs":[{",".join(parts)}]}}'.encode()


def decode_outputs(value: bytes, types: Mapping[str, type[Task]]) -> Sequence[CachedOutput]:
    """Return new tasks, made of what `encode_outputs` returned.

    Args:
      value: The bytes; whatever they are, nothing but these types is made.
      types: By `types_by_name`.

    Raises:
      ValueError: It is something else, or of other types.
    """
    try:
        document = orjson.loads(value)
    except ValueError as error:
        raise ValueError(f"it is no JSON: {error}") from None
    if not isinstance(document, dict) or document.get("format") != _FORMAT:
        raise ValueError(f"it is not of format {_FORMAT}")
    outputs = document.get("outputs")
    if not isinstance(outputs, list):
        raise ValueError("it has no outputs")
    return [_decode(output, types) for output in outputs]


def _decode(output: Any, types: Mapping[str, type[Task]]) -> CachedOutput:
    if not isinstance(output, dict):
        raise ValueError("an output is no object")
    name, consumer, data = output.get("type"), output.get("consumer"), output.get("task")
    cls = types.get(name) if isinstance(name, str) else None
    if cls is None:
        raise ValueError(f"an output is of type {name!r:.100}, which is not one of output_types")
    if not isinstance(consumer, str) or not isinstance(data, dict):
        raise ValueError("an output lacks its consumer or its task")
    return CachedOutput(cls.from_dict(data), consumer)
