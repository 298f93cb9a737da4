"""Flow control for messages that wait for room, between two incarnations.

A sender may have a window of messages under way to each target and lane of a peer.
The peer gives back what has found its place: at once, or when the target's lane,
which takes them although it is full, has room again. So the reader of a
stream never waits for a slow target, and a lane holds at most a window per
peer more than it should.
"""

from collections.abc import Callable

import attrs
from trio.lowlevel import ParkingLot

from ._messages import BusRoomMessage
from ._peers import Peer

#: A peer, the target there (None for broadcasts), and whether it is the system lane.
Key = tuple[Peer, str | None, bool]


@attrs.define(eq=False)
class _Window:
    under_way: int = 0
    room: ParkingLot = attrs.field(factory=ParkingLot)


@attrs.define(eq=False)
class SendWindows:
    """What is under way to each target of each peer.

    Attributes:
      size: How many messages may be under way to one target and lane.
    """

    size: int
    _windows: dict[Key, _Window] = attrs.field(factory=dict)

    def __len__(self) -> int:
        return len(self._windows)

    async def acquire(self, key: Key) -> None:
        """Take room for one message; a checkpoint only if there is none yet."""
        window = self._windows.setdefault(key, _Window())
        if window.under_way >= self.size or window.room:
            await window.room.park()  # whoever unparks it has counted it
        else:
            window.under_way += 1

    def take(self, key: Key) -> None:
        """Count one message more, although there may be no room."""
        self._windows.setdefault(key, _Window()).under_way += 1

    def give_back(self, key: Key, count: int) -> None:
        """Let ``count`` more messages go to a target."""
        window = self._windows.get(key)
        if window is None:
            return
        window.under_way = max(0, window.under_way - count)
        free = self.size - window.under_way
        if free > 0 and window.room:
            window.under_way += len(window.room.unpark(count=free))
        if not window.under_way:
            del self._windows[key]

    def forget(self, peer: Peer, name: str | None = None) -> None:
        """Let all go on who wait for room at a peer that has gone, or at one target there."""
        keys = (
            [(peer, name, False), (peer, name, True)]
            if name is not None
            else [key for key in self._windows if key[0] is peer]
        )
        for key in keys:
            window = self._windows.pop(key, None)
            if window is not None:
                window.room.unpark_all()


@attrs.define(eq=False)
class Debts:
    """What is to be given back to peers, in portions of half a window.

    Attributes:
      portion: How many messages are given back at once.
      tell: Tells a peer something.
    """

    portion: int
    tell: Callable[[Peer, BusRoomMessage], None]
    _owed: dict[Key, int] = attrs.field(factory=dict)

    def __len__(self) -> int:
        return len(self._owed)

    def add(self, key: Key) -> None:
        """Owe one more, and pay if that makes a portion."""
        owed = self._owed.get(key, 0) + 1
        if owed >= self.portion:
            self._owed.pop(key, None)
            self._pay(key, owed)
        else:
            self._owed[key] = owed

    def pay(self, name: str) -> None:
        """Pay all that is owed for a target that has left."""
        for key in [key for key in self._owed if key[1] == name]:
            self._pay(key, self._owed.pop(key))

    def forget(self, peer: Peer) -> None:
        """Owe nothing to a peer that has gone."""
        for key in [key for key in self._owed if key[0] is peer]:
            del self._owed[key]

    def _pay(self, key: Key, count: int) -> None:
        peer, name, system = key
        self.tell(peer, BusRoomMessage(count, name, system, source=""))
