"""What waits to be told to somebody who may be slow: bounded, and nothing of importance lost."""

from collections import deque
from collections.abc import Hashable

import attrs
import trio

from ._messages import (
    BusUIJobCompletedMessage,
    BusUIJobUpdateMessage,
    BusUIMessage,
)

#: Messages that may wait, besides those that others replace.
MAX_WAITING = 5_000
#: Parts of a stream of one member that may wait, or are told to somebody who comes late.
MAX_CHUNKS = 50


class Overflow(Exception):
    """Too much waits: whom it is for does not read."""


@attrs.define(eq=False)
class Outbox:
    """Messages in the order in which they came, for one reader.

    An update that is newer takes the place of one of the same member that waits. Of the parts
    of a member's stream the newest `MAX_CHUNKS` wait. All others are kept, up to a limit.

    Attributes:
      merged: Counts updates that a newer one has replaced, and chunks that were too many.
    """

    limit: int = MAX_WAITING
    merged: int = 0
    _waiting: dict[Hashable, BusUIMessage] = attrs.field(factory=dict)
    _chunks: dict[tuple[str, str], deque[int]] = attrs.field(factory=dict)
    _number: int = 0
    _changed: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot)

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
            if message.is_chunk:
                self._add_chunk(member)
            else:
                key = member
                self.merged += key in self._waiting
        elif isinstance(message, BusUIJobCompletedMessage):
            self._chunks.pop((message.job_id, message.worker_name), None)
        if key not in self._waiting and len(self._waiting) >= self.limit:
            raise Overflow
        self._waiting[key] = message
        self._changed.unpark_all()

    def _add_chunk(self, member: tuple[str, str]) -> None:
        """Note that the next number is that of a chunk; drop the oldest if there are too many."""
        numbers = self._chunks.setdefault(member, deque())
        numbers.append(self._number)
        if len(numbers) > MAX_CHUNKS:
            self.merged += self._waiting.pop(numbers.popleft(), None) is not None

    async def take(self) -> list[BusUIMessage]:
        """Wait until there is something; return all of it. Always a checkpoint."""
        await trio.lowlevel.checkpoint()
        while not self._waiting:
            await self._changed.park()
        taken = list(self._waiting.values())
        self._waiting.clear()
        self._chunks.clear()
        return taken
