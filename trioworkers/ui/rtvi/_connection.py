"""A WebSocket connection that knows how its client came in."""

import socket
import struct
from contextlib import suppress

import trio
from websockets.trio.server import ServerConnection

from ._doorman import Entry
from ._limited import CountedStream


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
        assert isinstance(stream, CountedStream)
        return stream.inner

    @property
    def own_address(self) -> str | None:
        """The address of ours that it came to; None if it is closed."""
        try:
            address: str = self.socket_stream.socket.getsockname()[0]
        except OSError:
            return None
        return address

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
