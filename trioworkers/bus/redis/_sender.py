"""What this bus sends to others: by which lane, and when its senders go on."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager

import attrs

from ...errors import UnknownWorkerError
from .._codec import MessageCodec
from .._messages import BusMessage
from ._link import Link
from ._membership import Membership
from ._outbox import Outbox, lane_of
from ._peers import Item, Peer
from ._receipt import Receipt
from ._store import SYSTEM
from ._windows import Key, SendWindows
from ._writer import Writer


@attrs.define(eq=False)
class Sender:
    """Finds the lane for each message, and makes senders wait where they must.

    Attributes:
      link: How long senders wait for it.
      membership: Who the others are.
      outbox: What is to be sent.
      writer: What sends it.
      windows: What may be sent to others.
      codec: Encodes messages.
    """

    link: Link
    membership: Membership
    outbox: Outbox
    writer: Writer
    windows: SendWindows
    codec: MessageCodec

    # Without waiting

    def post(self, message: BusMessage, target: str) -> None:
        """Let ``message`` go to whoever has the name ``target``.

        Raises:
          CodecError: It can't be encoded.
        """
        self._put(Item(self.codec.encode(message), message), target)

    def post_to_all(self, message: BusMessage) -> None:
        """Let ``message`` go to all other buses.

        Raises:
          CodecError: It can't be encoded.
        """
        item = Item(self.codec.encode(message), message)
        # If all others take us for gone, they are told all once they know us again.
        if self.membership.lease.is_held:
            self._put_for_all(item)

    def tell(self, peer: Peer, message: BusMessage) -> None:
        """Tell another bus something, ahead of data."""
        self.outbox.put(peer.lanes[SYSTEM], Item(self.codec.encode(message), message))
        self.writer.wake()

    def _put(self, item: Item, target: str) -> None:
        peer = self.membership.peers.owners.get(target)
        if peer is None or target in self.outbox.unresolved:  # behind what waits already
            self.outbox.put_unresolved(target, item)
        else:
            self.outbox.put(peer.lanes[lane_of(item.message)], item)
        if not self.link.is_up:
            self.writer.limit_patience(item)
        self.writer.wake()

    def _put_for_all(self, item: Item, counted: Collection[Peer] = ()) -> None:
        self.outbox.broadcasts.append(item)
        for peer in self.membership.peers:
            self._put_broadcast(peer, item, counted=peer in counted)
        self.writer.wake()

    def _put_broadcast(self, peer: Peer, item: Item, *, counted: bool = False) -> None:
        message = item.message
        if message.waits_for_room and not counted:
            self.windows.take((peer, None, message.is_system))
        self.outbox.put(peer.lanes[lane_of(message)], Item(item.data, message))

    def met(self, peer: Peer) -> None:
        """Let what goes to all go to a new peer, too."""
        for item in self.outbox.broadcasts:
            self._put_broadcast(peer, item)

    # Waiting

    async def send(self, message: BusMessage, target: str) -> None:
        """Send ``message`` to ``target``; return when it is in the stream.

        Raises:
          BusDisconnected: The server was not there for too long.
          CodecError: It can't be encoded.
          UnknownWorkerError: Nobody has that name.
        """
        item = Item(self.codec.encode(message), message, Receipt())
        with self.link.patience():
            peers = self.membership.peers
            peer = peers.owners.get(target) or await self.writer.find(target)
            key = peer, target, message.is_system
            if message.waits_for_room:
                await self.windows.acquire(key)
            with self._withdrawing(item, peer, key):
                if peers.get(peer.incarnation) is not peer:
                    raise UnknownWorkerError(target, tuple(peers.owners))
                self._put(item, target)
                assert item.receipt is not None
                await item.receipt.wait()

    async def send_to_all(self, message: BusMessage) -> None:
        """Send ``message`` to all other buses; return when it is in their streams.

        Raises:
          BusDisconnected: The server was not there for too long.
          CodecError: It can't be encoded.
        """
        item = Item(self.codec.encode(message), message, Receipt())
        with self.link.patience():
            while not self.membership.lease.is_held:
                await self.membership.lease.wait_change()
            counted = await self._room_at_all(message) if message.waits_for_room else ()
            self._put_for_all(item, counted)
            assert item.receipt is not None
            await item.receipt.wait()

    async def _room_at_all(self, message: BusMessage) -> set[Peer]:
        """Wait until all others have room for ``message``, which is counted; return them."""
        counted: set[Peer] = set()
        try:
            for peer in self.membership.peers:
                if self.membership.peers.get(peer.incarnation) is peer:
                    await self.windows.acquire((peer, None, message.is_system))
                    counted.add(peer)
        except BaseException:
            for peer in counted:
                self.windows.give_back((peer, None, message.is_system), 1)
            raise
        return counted

    @contextmanager
    def _withdrawing(self, item: Item, peer: Peer, key: Key) -> Iterator[None]:
        """Take ``item`` back if its sender is told that it wasn't sent, and it can still be had."""
        try:
            yield
        except BaseException:
            self.outbox.withdraw(peer, item)
            if item.message.waits_for_room and not item.is_under_way:
                self.windows.give_back(key, 1)
            raise
