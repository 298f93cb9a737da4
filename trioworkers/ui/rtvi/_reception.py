"""Connections from the moment they are made: TLS, HTTP, the handshake, and room for all that."""

import errno
import logging
import ssl
from collections.abc import Awaitable, Callable, Iterable

import attrs
import trio
from trio.lowlevel import enable_ki_protection
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode
from websockets.http11 import Request, Response
from websockets.protocol import OPEN
from websockets.server import ServerProtocol
from websockets.trio.server import Server, ServerConnection

from ._connection import Connection
from ._http import secure

logger = logging.getLogger("trioworkers.ui.rtvi")
#: Its debug messages would have tokens and payloads in them.
_websockets_logger = logging.getLogger("trioworkers.ui.rtvi.websockets")
_websockets_logger.setLevel(logging.WARNING)

#: Seconds for a page, or for a handshake.
OPEN_SECONDS = 10.0
#: What `accept` says if the system has no room for another connection, and seconds until it is
#: asked again.
_NO_ROOM = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS}
_NO_ROOM_SECONDS = 0.1


@attrs.define(eq=False)
class Reception:
    """Accepts connections, answers requests, and has WebSockets served.

    A Ctrl-C is never raised in here, but in the main Trio task: else it would be one client's
    end, and no way to tell the others.

    Args:
      limit: Connections that there may be at once; the kernel keeps some more waiting.
      ssl_context: For TLS; None for plain TCP.
      max_message_bytes: Of a client's message.
      close_seconds: That a client has to close its side.
      receive: Decides on a request: None opens a WebSocket.
      serve: Serves a client from after the handshake until it has gone.
    """

    limit: int
    ssl_context: ssl.SSLContext | None
    max_message_bytes: int
    close_seconds: float
    receive: Callable[[Connection, Request], Response | None]
    serve: Callable[[Connection], Awaitable[None]]
    _slots: trio.Semaphore = attrs.field(init=False)
    _accepting: trio.CancelScope = attrs.field(init=False, factory=trio.CancelScope)
    #: All that websockets wants to know of it is whether it is closing.
    _server: Server = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._slots = trio.Semaphore(self.limit)
        self._server = Server([], self._welcome, _websockets_logger)  # type: ignore[arg-type]

    def close(self) -> None:
        """Accept no more, and open no more WebSockets."""
        self._server.closing = True
        self._accepting.cancel()

    @enable_ki_protection
    async def run(self, listeners: Iterable[trio.SocketListener]) -> None:
        """Accept connections until `close`; wait until all have ended."""
        async with trio.open_nursery() as connections:
            with self._accepting:
                async with trio.open_nursery() as nursery:
                    for listener in listeners:
                        nursery.start_soon(self._accept_all, listener, connections)

    @enable_ki_protection
    async def _accept_all(self, listener: trio.SocketListener, connections: trio.Nursery) -> None:
        async with listener:
            while True:
                await self._slots.acquire()
                stream = None
                try:
                    stream = await listener.accept()
                    connections.start_soon(self._welcome, stream)
                except OSError as error:
                    if error.errno not in _NO_ROOM:
                        raise
                    logger.warning("can't accept a connection: %s; trying again", error)
                    await trio.sleep(_NO_ROOM_SECONDS)
                finally:
                    if stream is None:
                        self._slots.release()

    @enable_ki_protection
    async def _welcome(self, stream: trio.SocketStream) -> None:
        """Do all there is to be done with a connection."""
        try:
            async with trio.open_nursery() as nursery:
                connection = None
                with trio.move_on_after(OPEN_SECONDS):
                    connection = await self._shake_hands(nursery, stream)
                if connection is not None and connection.state is OPEN:
                    await self._serve(connection)
                nursery.cancel_scope.cancel()
        finally:
            self._slots.release()
            await trio.aclose_forcefully(stream)

    async def _shake_hands(
        self, nursery: trio.Nursery, socket_stream: trio.SocketStream
    ) -> Connection | None:
        """Answer a request; return the connection, or None if there is none any more."""
        stream: trio.abc.Stream = socket_stream
        try:
            if self.ssl_context is not None:
                stream = trio.SSLStream(
                    socket_stream, self.ssl_context, server_side=True, https_compatible=True
                )
                await stream.do_handshake()
            protocol = ServerProtocol(max_size=self.max_message_bytes, logger=_websockets_logger)
            connection = Connection(
                nursery, stream, protocol, self._server, close_timeout=self.close_seconds
            )
            await connection.handshake(self._receive, _finish, server_header=None)
        except (trio.BrokenResourceError, trio.ClosedResourceError, ConnectionClosed):
            return None  # the client has gone
        except Exception:
            logger.exception("a handshake has failed")
            return None
        return connection

    def _receive(self, connection: ServerConnection, request: Request) -> Response | None:
        assert isinstance(connection, Connection)
        return self.receive(connection, request)

    async def _serve(self, connection: Connection) -> None:
        try:
            await self.serve(connection)
        except Exception:
            logger.exception("a client could not be served")
            with trio.move_on_after(self.close_seconds):
                await connection.aclose(CloseCode.INTERNAL_ERROR, "the server has failed")


def _finish(_: ServerConnection, __: Request, response: Response) -> Response:
    return secure(response)
