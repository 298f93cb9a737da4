"""The newest parts of one stream: those that wait, or are told to somebody who comes late."""

from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

import attrs

T = TypeVar("T")

#: How many of one member are kept.
MAX_CHUNKS = 50
#: Bytes of those together, about; the newest one is kept in any case.
MAX_CHUNK_BYTES = 256 * 1024


@attrs.define(eq=False)
class Recent(Generic[T]):
    """What stands for the parts of one stream, the oldest first."""

    _parts: deque[tuple[T, int]] = attrs.field(factory=deque)
    _bytes: int = 0

    def __iter__(self) -> Iterator[T]:
        return (part for part, _ in self._parts)

    def add(self, part: T, size: int) -> list[T]:
        """Add one of ``size`` bytes; return those that go for it."""
        self._parts.append((part, size))
        self._bytes += size
        gone = []
        while len(self._parts) > 1 and (
            len(self._parts) > MAX_CHUNKS or self._bytes > MAX_CHUNK_BYTES
        ):
            oldest, freed = self._parts.popleft()
            self._bytes -= freed
            gone.append(oldest)
        return gone
