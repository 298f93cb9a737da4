"""The other incarnations: what waits to be sent to each, and what has come from it."""

import math
from collections import OrderedDict, deque
from collections.abc import Iterator

import attrs

from .._messages import BusMessage
from ._receipt import Receipt
from ._store import DATA, SYSTEM

#: Incarnations that are remembered to have gone.
MAX_GONE = 1000
#: Names of one peer that are remembered to be its own.
MAX_NAMES = 10_000


@attrs.define(eq=False)
class Item:
    """A message that waits to be sent.

    Attributes:
      data: It, encoded.
      message: It.
      receipt: Whom to tell; None if nobody waits.
      due: When its source is told that it can't be sent, on Trio's clock.
      is_under_way: Whether it may have been sent.
    """

    data: bytes
    message: BusMessage
    receipt: Receipt | None = None
    due: float = math.inf
    is_under_way: bool = False


@attrs.define(eq=False)
class Outgoing:
    """One lane to one peer.

    Attributes:
      peer: Where it leads.
      lane: Which lane it is there.
      queue: What waits.
      number: How many entries are confirmed.
      sending: What is in the entry after those; empty if none is under way.
      body: That entry's.
      is_full: Whether nothing can be sent until a room note comes.
      had_room: Whether a room note has come since something was sent last: it may be
        about a lane that this bus hasn't heard yet to be full.
      is_closed: Whether the peer has gone.
    """

    peer: "Peer"
    lane: int
    queue: deque[Item] = attrs.field(factory=deque)
    number: int = 0
    sending: list[Item] = attrs.field(factory=list)
    body: bytes = b""
    is_full: bool = False
    had_room: bool = False
    is_closed: bool = False


@attrs.define(eq=False)
class Peer:
    """Another incarnation that is known to have a lease.

    Attributes:
      incarnation: Which.
      lanes: The two lanes to it, system first.
      heard: The number of the last entry that came from it, by lane.
      names: Names that are known to be its own.
      runners: Those of them that are runners.
    """

    incarnation: str
    lanes: tuple[Outgoing, Outgoing] = attrs.field(init=False)
    heard: list[int] = attrs.field(init=False, factory=lambda: [0, 0])
    names: set[str] = attrs.field(init=False, factory=set)
    runners: set[str] = attrs.field(init=False, factory=set)

    def __attrs_post_init__(self) -> None:
        self.lanes = Outgoing(self, SYSTEM), Outgoing(self, DATA)

    def knows(self, name: str) -> None:
        """Remember that ``name`` is its own."""
        if len(self.names) >= MAX_NAMES:
            self.names.clear()
        self.names.add(name)


class Peers:
    """All peers, and which of them has which name.

    Attributes:
      owners: The peer that has a name, as far as is known.
    """

    __slots__ = ("_by_incarnation", "_gone", "owners")

    def __init__(self) -> None:
        self._by_incarnation: dict[str, Peer] = {}
        self._gone: OrderedDict[str, None] = OrderedDict()
        self.owners: dict[str, Peer] = {}

    def __iter__(self) -> Iterator[Peer]:
        """Iterate over a snapshot."""
        return iter(list(self._by_incarnation.values()))

    def __len__(self) -> int:
        return len(self._by_incarnation)

    def get(self, incarnation: str) -> Peer | None:
        """Return a peer, or None if it isn't known, or has gone."""
        return self._by_incarnation.get(incarnation)

    def has_gone(self, incarnation: str) -> bool:
        """Whether it is remembered that an incarnation has gone."""
        return incarnation in self._gone

    def add(self, incarnation: str) -> Peer:
        """Return a new peer, which is known to live, and wasn't known before."""
        self._gone.pop(incarnation, None)
        peer = self._by_incarnation[incarnation] = Peer(incarnation)
        return peer

    def remove(self, incarnation: str, *, has_gone: bool) -> Peer | None:
        """Forget a peer; return it, or None if it wasn't known.

        Args:
          incarnation: Which.
          has_gone: Whether it will not come back.
        """
        if has_gone:
            self._gone[incarnation] = None
            if len(self._gone) > MAX_GONE:
                self._gone.popitem(last=False)
        peer = self._by_incarnation.pop(incarnation, None)
        if peer is not None:
            for name in [n for n, owner in self.owners.items() if owner is peer]:
                del self.owners[name]
        return peer
