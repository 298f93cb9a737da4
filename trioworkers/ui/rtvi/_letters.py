"""What waits to be sent to one client: bounded, and nothing of importance lost."""

from collections import OrderedDict, deque
from collections.abc import Hashable

import attrs
import trio

from .._messages import BusUIJobCompletedMessage, BusUIJobUpdateMessage, BusUIMessage
from .._outbox import MAX_CHUNKS, MAX_WAITING, Overflow

#: Bytes that may wait.
MAX_BYTES = 16 * 1024 * 1024


@attrs.define(eq=False)
class Letters:
    """Encoded messages, in the order in which they came, for one client.

    What `Outbox` says of messages holds here of what they are as bytes. The newest update of a
    member is sent in the place of the one that waits, of the parts of a stream the newest.

    Args:
      limit: How many may wait.
      max_bytes: How much may wait.

    Attributes:
      merged: Counts updates and parts that were not sent since newer ones came.
    """

    limit: int = MAX_WAITING
    max_bytes: int = MAX_BYTES
    merged: int = 0
    _waiting: OrderedDict[Hashable, bytes] = attrs.field(init=False, factory=OrderedDict)
    _bytes: int = attrs.field(init=False, default=0)
    _chunks: dict[tuple[str, str], deque[int]] = attrs.field(init=False, factory=dict)
    _number: int = attrs.field(init=False, default=0)
    _woken: bool = attrs.field(init=False, default=False)
    _changed: trio.lowlevel.ParkingLot = attrs.field(init=False, factory=trio.lowlevel.ParkingLot)

    def __len__(self) -> int:
        return len(self._waiting)

    def put(
        self, body: bytes, message: BusUIMessage | None = None, *, limited: bool = True
    ) -> None:
        """Add a message; never waits.

        Args:
          body: What is sent.
          message: What it says, if it came from the UI worker.
          limited: Whether the limits hold for it.

        Raises:
          Overflow: Too much waits; it was not added.
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
        replaced = self._waiting.get(key)
        size = self._bytes + len(body) - len(replaced or b"")
        too_many = replaced is None and len(self._waiting) >= self.limit
        if limited and (too_many or size > max(self.max_bytes, len(body))):
            raise Overflow
        self._waiting[key] = body
        self._bytes = size
        self._changed.unpark_all()

    def _add_chunk(self, member: tuple[str, str]) -> None:
        numbers = self._chunks.setdefault(member, deque())
        numbers.append(self._number)
        if len(numbers) > MAX_CHUNKS:
            dropped = self._waiting.pop(numbers.popleft(), None)
            if dropped is not None:
                self.merged += 1
                self._bytes -= len(dropped)

    def clear(self) -> None:
        """Forget what waits."""
        self._waiting.clear()
        self._chunks.clear()
        self._bytes = 0

    def wake(self) -> None:
        """Let `wait` return from now on, even if there is nothing."""
        self._woken = True
        self._changed.unpark_all()

    async def wait(self) -> None:
        """Wait until there is something, or until `wake`. Always a checkpoint."""
        await trio.lowlevel.checkpoint()
        if not self._waiting and not self._woken:
            await self._changed.park()

    def pop(self) -> bytes | None:
        """Return what has waited longest, or None."""
        if not self._waiting:
            self._chunks.clear()
            return None
        _, body = self._waiting.popitem(last=False)
        self._bytes -= len(body)
        return body
