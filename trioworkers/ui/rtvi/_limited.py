"""A listener that accepts no more connections than there may be at once."""

import attrs
import trio
from trio.abc import HalfCloseableStream, Listener


@attrs.define(eq=False)
class Slots:
    """Room for connections: those in the handshake, pages, and WebSockets alike.

    Args:
      limit: How many there may be.
    """

    limit: int
    taken: int = attrs.field(init=False, default=0)
    _freed: trio.lowlevel.ParkingLot = attrs.field(init=False, factory=trio.lowlevel.ParkingLot)

    async def wait(self) -> None:
        """Wait until there is room. Always a checkpoint."""
        await trio.lowlevel.checkpoint()
        while self.taken >= self.limit:
            await self._freed.park()

    def take(self) -> None:
        """Note that a connection was made."""
        self.taken += 1

    def free(self) -> None:
        """Note that a connection was closed."""
        self.taken -= 1
        self._freed.unpark_all()


class CountedStream(HalfCloseableStream):
    """A connection that takes a slot until it is closed.

    Attributes:
      inner: What it is made of.
    """

    def __init__(self, inner: trio.SocketStream, slots: Slots) -> None:
        self.inner = inner
        self._slots: Slots | None = slots
        slots.take()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """See `trio.SocketStream`."""
        await self.inner.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        """See `trio.SocketStream`."""
        await self.inner.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """See `trio.SocketStream`."""
        return await self.inner.receive_some(max_bytes)

    async def send_eof(self) -> None:
        """See `trio.SocketStream`."""
        await self.inner.send_eof()

    async def aclose(self) -> None:
        """See `trio.SocketStream`; the slot is free for another."""
        try:
            await self.inner.aclose()
        finally:
            if self._slots is not None:
                self._slots.free()
                self._slots = None


class LimitedListener(Listener[CountedStream]):
    """Accepts connections while there are slots; the kernel keeps some more waiting.

    Args:
      inner: What listens.
      slots: Shared by all that count together.
    """

    def __init__(self, inner: trio.SocketListener, slots: Slots) -> None:
        self.socket = inner.socket
        self._inner = inner
        self._slots = slots

    async def accept(self) -> CountedStream:
        """Return the next connection. Always a checkpoint."""
        await self._slots.wait()
        return CountedStream(await self._inner.accept(), self._slots)

    async def aclose(self) -> None:
        """Stop listening."""
        await self._inner.aclose()
