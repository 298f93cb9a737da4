"""What waits to be sent to one client: bounded, and nothing of importance lost."""

from collections import OrderedDict, deque
from collections.abc import Hashable

import attrs
import trio

from .._messages import BusUIJobCompletedMessage, BusUIJobUpdateMessage, BusUIMessage
from .._outbox import MAX_CHUNKS, MAX_WAITING, Overflow

#: Bytes that are sent at once, if there are so many; a message that is longer is sent whole.
BATCH = 16 * 1024
#: Bytes that may wait.
MAX_BYTES = 16 * 1024 * 1024


@attrs.define(eq=False)
class Letters:
    """Encoded messages, in the order in which they came, for one client.

    What `Outbox` says of messages holds here of what they are as bytes. The newest update of a
    member is sent in the place of the one that waits, of the parts of a stream the newest, as
    far as half of the room is left to all else.

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
            if not message.is_chunk:
                key = member
                self.merged += key in self._waiting
            elif not self._make_room_for_chunk(member, len(body), limited=limited):
                self.merged += 1
                return
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

    def _make_room_for_chunk(self, member: tuple[str, str], size: int, *, limited: bool) -> bool:
        """Note that the next number is that of a chunk; return False if it can't be added.

        Those that are too many go, the oldest of the same member first.
        """
        numbers = self._chunks.setdefault(member, deque())
        while numbers and (len(numbers) >= MAX_CHUNKS or (limited and self._lacks_room(size))):
            dropped = self._waiting.pop(numbers.popleft(), None)  # None: it was sent
            if dropped is not None:
                self.merged += 1
                self._bytes -= len(dropped)
        if limited and self._lacks_room(size):
            return False
        numbers.append(self._number)
        return True

    def _lacks_room(self, size: int) -> bool:
        """Whether a chunk of ``size`` bytes is too much: half of the room is for all else."""
        is_too_large = self._bytes + size > self.max_bytes // 2
        return bool(self._waiting) and (is_too_large or len(self._waiting) >= self.limit // 2)

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
        if self._waiting or self._woken:
            await trio.lowlevel.checkpoint()
        else:
            await self._changed.park()

    def take(self) -> list[bytes]:
        """Return what has waited longest: as many as are no more than `BATCH`, or one."""
        taken: list[bytes] = []
        size = 0
        while self._waiting:
            _, body = self._waiting.popitem(last=False)
            size += len(body)
            taken.append(body)
            if size >= BATCH:
                break
        else:
            self._chunks.clear()
        self._bytes -= size
        return taken
