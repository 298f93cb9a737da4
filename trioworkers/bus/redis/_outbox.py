"""What waits to be sent, and in which entries it goes. Pure: no waiting, no sending."""

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence

import attrs

from .._lifecycle_messages import BusWorkerDepartedMessage
from .._messages import BusMessage
from ._peers import Item, Outgoing, Peer
from ._store import DATA, SYSTEM, Appended, Entry

#: Bytes after which no further message is put into an entry, and no further entry into a batch.
ENTRY_BYTES = 2**16
BATCH_BYTES = 2**20
#: Entries of one batch.
BATCH_ENTRIES = 1024


@attrs.define(eq=False)
class Outbox:
    """Messages for other incarnations, by lane; and for names whose owner isn't known yet.

    What is under way stays in its lane until it is confirmed: collecting again gives
    the same entry.

    Attributes:
      unresolved: What waits until the owner of a name is known.
      broadcasts: What goes also to peers that turn out to be there as it is sent.
    """

    unresolved: dict[str, deque[Item]] = attrs.field(factory=dict)
    broadcasts: list[Item] = attrs.field(factory=list)
    _pending: tuple[dict[Outgoing, None], dict[Outgoing, None]] = attrs.field(
        factory=lambda: ({}, {})
    )

    @property
    def is_empty(self) -> bool:
        """Whether nothing can be sent now; what is for full lanes can't."""
        return not (self._pending[0] or self._pending[1] or self.unresolved or self.broadcasts)

    def put(self, outgoing: Outgoing, item: Item) -> None:
        """Let ``item`` wait behind all that waits in its lane."""
        outgoing.queue.append(item)
        if not outgoing.is_full:
            self._pending[outgoing.lane][outgoing] = None

    def put_unresolved(self, name: str, item: Item) -> None:
        """Let ``item`` wait until it is known who has ``name``."""
        self.unresolved.setdefault(name, deque()).append(item)

    def has_found(self, name: str, peer: Peer) -> None:
        """Let what waited for the owner of ``name`` go to ``peer``."""
        for item in self.unresolved.pop(name, ()):
            self.put(peer.lanes[lane_of(item.message)], item)

    def take_unresolved(self) -> list[Item]:
        """Give up what nobody waits for, of what goes to names whose owner isn't known."""
        taken: list[Item] = []
        for name, queue in list(self.unresolved.items()):
            taken += [item for item in queue if item.receipt is None]
            kept = [item for item in queue if item.receipt is not None]
            if kept:
                self.unresolved[name] = deque(kept)
            else:
                del self.unresolved[name]
        return taken

    def collect(self) -> list[tuple[Outgoing, Entry]]:
        """Return what is to be sent next: an entry for each lane, system lanes first."""
        batch: list[tuple[Outgoing, Entry]] = []
        size = 0
        for pending in self._pending:
            for outgoing in pending:
                if not outgoing.sending:
                    _fill(outgoing)
                outgoing.had_room = False
                body = outgoing.body
                entry = Entry(outgoing.peer.incarnation, outgoing.lane, outgoing.number + 1, body)
                batch.append((outgoing, entry))
                size += len(body)
                if size >= BATCH_BYTES or len(batch) >= BATCH_ENTRIES:
                    return batch
        return batch

    def confirm(
        self, batch: Sequence[tuple[Outgoing, Entry]], results: Sequence[Appended]
    ) -> list[Peer]:
        """Note what has come of a batch; return peers that have gone."""
        gone = []
        for (outgoing, _), result in zip(batch, results, strict=True):
            if outgoing.is_closed:
                continue
            if result is Appended.DONE:
                outgoing.number += 1
                for item in outgoing.sending:
                    if item.receipt is not None:
                        item.receipt.settle()
                outgoing.sending = []
                outgoing.body = b""
                if not outgoing.queue:
                    del self._pending[outgoing.lane][outgoing]
            elif result is Appended.FULL:
                if not outgoing.had_room:
                    outgoing.is_full = True
                    del self._pending[outgoing.lane][outgoing]
            else:
                outgoing.is_full = True
                del self._pending[outgoing.lane][outgoing]
                gone.append(outgoing.peer)
        return gone

    def has_room(self, outgoing: Outgoing) -> None:
        """Let what waits in a lane that was full be sent."""
        outgoing.had_room = True
        if outgoing.is_full:
            outgoing.is_full = False
            if outgoing.sending or outgoing.queue:
                self._pending[outgoing.lane][outgoing] = None

    def close(self, peer: Peer) -> Iterator[Item]:
        """Give up what waits for a peer that has gone; iterate over it."""
        for outgoing in peer.lanes:
            outgoing.is_closed = True
            self._pending[outgoing.lane].pop(outgoing, None)
            yield from outgoing.sending
            yield from outgoing.queue
            outgoing.sending, outgoing.body = [], b""
            outgoing.queue.clear()

    def give_up(self, peers: Iterable[Peer], now: float) -> list[Item]:
        """Take out what is due and was never under way; return it."""
        late: list[Item] = []
        queues = [outgoing.queue for peer in peers for outgoing in peer.lanes]
        for queue in [*queues, *self.unresolved.values()]:
            if any(item.due <= now for item in queue):
                late += [item for item in queue if item.due <= now]
                kept = [item for item in queue if item.due > now]
                queue.clear()
                queue.extend(kept)
        for name in [name for name, queue in self.unresolved.items() if not queue]:
            del self.unresolved[name]
        for pending in self._pending:
            for outgoing in [o for o in pending if not (o.queue or o.sending)]:
                del pending[outgoing]
        return late

    def withdraw(self, peer: Peer, item: Item) -> None:
        """Take out one that is not under way yet; nobody waits for it any more."""
        item.receipt = None
        for outgoing in peer.lanes:
            if not item.is_under_way and item in outgoing.queue:
                outgoing.queue.remove(item)
                if not (outgoing.queue or outgoing.sending):
                    self._pending[outgoing.lane].pop(outgoing, None)
        name = item.message.target or ""
        unresolved = self.unresolved.get(name, deque())
        if item in unresolved:
            unresolved.remove(item)
            if not unresolved:
                del self.unresolved[name]

    def waiting(self, peers: Iterable[Peer]) -> Iterator[Item]:
        """Iterate over all that waits and was never under way."""
        for peer in peers:
            for outgoing in peer.lanes:
                yield from outgoing.queue
        for queue in self.unresolved.values():
            yield from queue


def lane_of(message: BusMessage) -> int:
    """Return the lane that ``message`` takes between two incarnations.

    That a worker has departed takes the data lane, behind the answers it has given.
    """
    if message.is_system and type(message) is not BusWorkerDepartedMessage:
        return SYSTEM
    return DATA


def _fill(outgoing: Outgoing) -> None:
    """Put as much of what waits under way as belongs into one entry; at least one message."""
    queue, items, size = outgoing.queue, outgoing.sending, 0
    while queue and (not items or size + len(queue[0].data) < ENTRY_BYTES):
        item = queue.popleft()
        item.due = math.inf
        item.is_under_way = True
        items.append(item)
        size += len(item.data) + 1
    outgoing.body = b"\n".join([item.data for item in items]) if len(items) > 1 else items[0].data
