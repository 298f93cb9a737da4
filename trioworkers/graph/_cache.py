"""What a cache of results is, and under which keys results are found in it."""

import hashlib
import re
from collections.abc import Iterable
from typing import Any, Protocol

import attrs

from ._canonical import canonical_text, public_text, qualified_name

#: Part of every key: whoever changes how keys or values are made counts it up.
CACHE_FORMAT = 1


@attrs.frozen
class CacheLabel:
    """What an entry is about, for people who look into a cache.

    Attributes:
      worker: Name of the worker whose outputs they are.
      input_type: Name of the type of the task it consumed.
      output_types: Names of the types of the outputs, each once, sorted.
    """

    worker: str
    input_type: str
    output_types: tuple[str, ...] = ()


@attrs.frozen
class CacheStatistics:
    """What a cache has done since it was opened, and what it holds.

    Attributes:
      hits: Answers of `ResultCache.get` that were a value.
      misses: Answers that were None.
      stored: Entries put and kept.
      refused: Entries put and not kept: too large, or something went wrong.
      evicted: Entries that made room for others.
      dropped: Entries that were damaged, or no longer fitted the worker.
    """

    hits: int = 0
    misses: int = 0
    stored: int = 0
    refused: int = 0
    evicted: int = 0
    dropped: int = 0


class ResultCache(Protocol):
    """Keeps results as bytes under keys; a `CachedTaskWorker` asks it.

    It may forget any entry at any time. After the moment it was opened it raises
    nothing but `trio.Cancelled`: trouble is a miss or a refusal, and a warning in
    the log. All methods are called from Trio tasks, several at once.
    """

    async def get(self, key: str) -> bytes | None:
        """Return the value last put under ``key``, or None. A checkpoint."""

    async def put(self, key: str, value: bytes, label: CacheLabel) -> bool:
        """Keep ``value`` under ``key`` in place of what was there. A checkpoint.

        Returns:
          Whether it was kept.
        """

    async def drop(self, key: str, value: bytes) -> None:
        """Forget ``key`` if it still has ``value``, which is of no use. A checkpoint."""

    def statistics(self) -> CacheStatistics:
        """Return the counts until now."""


_ADDRESS = re.compile(r" at 0x[0-9a-f]+", re.IGNORECASE)


def _type_text(cls: Any) -> list[Any]:
    """Return name and fields of a task type, so that one that has changed has other keys."""
    fields = [(field.name, _annotation_text(field.type)) for field in attrs.fields(cls)]
    return [qualified_name(cls), [list(field) for field in fields if field[0][0] != "_"]]


def _annotation_text(annotation: Any) -> str:
    if isinstance(annotation, str):
        return annotation
    if isinstance(annotation, type) and not hasattr(annotation, "__args__"):
        return qualified_name(annotation)
    return _ADDRESS.sub("", repr(annotation))


def worker_text(name: str, cls: type, output_types: Iterable[type]) -> str:
    """Return a worker's part of its keys: who it is, and what it may publish.

    Args:
      name: The worker's name.
      cls: Its class.
      output_types: In any order.
    """
    outputs = sorted(map(_type_text, output_types))
    return canonical_text([CACHE_FORMAT, name, qualified_name(cls), outputs])


def cache_key(worker: str, task: Any, extra: str = "") -> str:
    """Return the key of what a worker makes of a task, 64 hexadecimal digits.

    It is the SHA-256 of the worker's text, the task's class and public fields, and
    ``extra``. Equal content gives equal keys in all processes, whatever their hash
    seed; the task's provenance and private fields don't count.

    Args:
      worker: What `worker_text` says of it.
      task: The consumed task.
      extra: What else the outputs depend on.

    Raises:
      TypeError: A field's value has no canonical text, see `canonical_text`; or
        ``extra`` is no text.
      ValueError: A field's value is nested too deeply.
    """
    if not isinstance(extra, str):
        raise TypeError(f"extra_cache_key must return a str, not {type(extra).__name__}")
    text = f"[{worker},{public_text(task)},{canonical_text(extra)}]"
    return hashlib.sha256(text.encode()).hexdigest()
