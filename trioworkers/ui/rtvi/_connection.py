"""A WebSocket connection that knows how its client came in."""

import os
import socket
import struct
from contextlib import suppress

import trio
from trio.lowlevel import enable_ki_protection
from websockets.protocol import OPEN
from websockets.trio.server import ServerConnection

from ._doorman import Entry


class Connection(ServerConnection):
    """A connection to a client.

    Attributes:
      entry: What was decided during the handshake.
    """

    entry: Entry

    @property
    def socket_stream(self) -> trio.SocketStream:
        """What its bytes go through, below TLS."""
        stream = self.stream
        if isinstance(stream, trio.SSLStream):
            stream = stream.transport_stream
        assert isinstance(stream, trio.SocketStream)
        return stream

    @property
    def own_address(self) -> str | None:
        """The address of ours that it came to; None if it is closed."""
        try:
            address: str = self.socket_stream.socket.getsockname()[0]
        except OSError:
            return None
        return address

    def send_nowait(self, frames: bytes) -> int:
        """Hand frames to the kernel, as far as it takes them at once.

        Args:
          frames: Complete frames, as a server sends them.

        Returns:
          How many bytes it has taken. `send_rest` sends the others, and has to be the next
          thing that is awaited.
        """
        is_direct = os.name == "posix" and isinstance(self.stream, trio.SocketStream)
        if not is_direct or self.send_lock.locked() or self.state is not OPEN:
            return 0
        try:
            return os.write(self.socket_stream.socket.fileno(), frames)
        except OSError:  # also if it would block; what else there is `send_rest` will find
            return 0

    async def send_rest(self, frames: bytes, sent: int) -> None:
        """Send what `send_nowait` has left of frames. Always a checkpoint.

        Args:
          frames: All of them.
          sent: How many bytes of them the kernel has.

        Raises:
          ConnectionClosed: It is.
        """
        async with self.send_lock:
            if sent or self.state is OPEN:  # a frame is never left in the middle
                try:
                    await self.stream.send_all(memoryview(frames)[sent:])
                except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
                    self.set_connection_exc(error)
                    await self.close_stream()
                else:
                    return
        async with self.send_context():
            raise AssertionError("unreachable: it waits until it is closed, and raises")

    @enable_ki_protection
    async def recv_events(self) -> None:
        """Read until it is closed; in a Trio task of its own."""
        await super().recv_events()

    async def close_stream(self) -> None:
        """Close what its bytes go through.

        websockets 17.4 forgets its own Trio task that reads if that waits since too much has been
        read that nobody took: it would wait for ever.
        """
        await super().close_stream()
        if self.recv_flow_control is not None:
            self.recv_flow_control.set()

    async def cut(self) -> None:
        """Close it without a word; what the kernel holds for the client is dropped."""
        with suppress(OSError, trio.ClosedResourceError):
            self.socket_stream.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
        await trio.aclose_forcefully(self.stream)
