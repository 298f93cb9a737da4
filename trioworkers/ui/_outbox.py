"""What waits to be told to somebody who may be slow: bounded, and nothing of importance lost."""

import sys
from collections import deque
from collections.abc import Hashable, Iterable

import attrs
import trio

from ._messages import (
    BusUIJobCompletedMessage,
    BusUIJobUpdateMessage,
    BusUIMessage,
)
from ._recent import MAX_CHUNKS as MAX_CHUNKS
from ._sizes import size_of

#: Messages that may wait, besides those that others replace.
MAX_WAITING = 5_000
#: Bytes of all parts of streams that may wait, but for a single one; about.
MAX_STREAM_BYTES = 16 * 2**20


class Overflow(Exception):
    """Too much waits: whom it is for does not read."""


@attrs.define(eq=False)
class Outbox:
    """Messages in the order in which they came, for one reader.

    An update that is newer takes the place of one of the same member that waits. Of the parts
    of a member's stream the newest `MAX_CHUNKS` wait, and all streams together take at most
    half of the room, and `MAX_STREAM_BYTES`. All other messages are kept, up to a limit.

    Attributes:
      limit: How many may wait.
      merged: Counts updates that a newer one has replaced, and chunks that were too many.
    """

    limit: int = MAX_WAITING
    merged: int = 0
    _waiting: dict[Hashable, BusUIMessage] = attrs.field(factory=dict)
    _chunks: dict[tuple[str, str], deque[tuple[int, int]]] = attrs.field(factory=dict)
    _chunk_count: int = 0
    _chunk_bytes: int = 0
    _number: int = 0
    _woken: bool = False
    _changed: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot)
    _emptied: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot)

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, message: BusUIMessage) -> None:
        """Add a message; never waits.

        Raises:
          Overflow: The limit is reached; it was not added.
        """
        self._number += 1
        key: Hashable = self._number
        if isinstance(message, BusUIJobUpdateMessage):
            member = message.job_id, message.worker_name
            if not message.is_chunk:
                key = member
                self.merged += key in self._waiting
            elif not self._make_room_for_chunk(member, size_of(message.data)):
                self.merged += 1
                return
        elif isinstance(message, BusUIJobCompletedMessage):
            self._chunks.pop((message.job_id, message.worker_name), None)
        if key not in self._waiting and len(self._waiting) >= self.limit:
            raise Overflow
        self._waiting[key] = message
        self._changed.unpark_all()

    def replay(self, messages: Iterable[BusUIMessage]) -> None:
        """Add what somebody who comes late has to be told, however much it is.

        That room is given in addition to the limit.
        """
        limit, before, self.limit = self.limit, len(self._waiting), sys.maxsize
        for message in messages:
            self.put(message)
        self.limit = limit + len(self._waiting) - before

    def _make_room_for_chunk(self, member: tuple[str, str], size: int) -> bool:
        """Note that the next number is that of a chunk; return False if it can't be added.

        One that is too many takes the place of the oldest of the same member.
        """
        numbers = self._chunks.setdefault(member, deque())
        while numbers and (len(numbers) >= MAX_CHUNKS or self._lacks_room(size)):
            number, freed = numbers.popleft()
            del self._waiting[number]
            self._chunk_count -= 1
            self._chunk_bytes -= freed
            self.merged += 1
        if self._lacks_room(size):
            return False
        numbers.append((self._number, size))
        self._chunk_count += 1
        self._chunk_bytes += size
        return True

    def _lacks_room(self, size: int) -> bool:
        """Whether a chunk of ``size`` bytes is too much, with those of all members that wait."""
        too_large = self._chunk_bytes > 0 and self._chunk_bytes + size > MAX_STREAM_BYTES
        return too_large or self._chunk_count >= self.limit // 2

    @property
    def has_room(self) -> bool:
        """Whether less waits than half of the limit."""
        return len(self._waiting) < self.limit // 2

    async def wait_room(self) -> None:
        """Wait until all has been taken, or `wake`. Always a checkpoint."""
        await self._emptied.park()

    def wake(self) -> None:
        """Let `take` return, though there may be nothing, and those who wait for room look."""
        self._woken = True
        self._changed.unpark_all()
        self._emptied.unpark_all()

    async def take(self) -> list[BusUIMessage]:
        """Wait until there is something, or `wake`; return all of it. Always a checkpoint."""
        await trio.lowlevel.checkpoint()
        while not self._waiting and not self._woken:
            await self._changed.park()
        self._woken = False
        taken = list(self._waiting.values())
        self._waiting.clear()
        self._chunks.clear()
        self._chunk_count = self._chunk_bytes = 0
        self._emptied.unpark_all()
        return taken
