"""A way to a server on which all kinds of things can happen."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
import trio.testing

#: What an end of a connection that was cut raises in the one or other use of it.
_CUT = (trio.BrokenResourceError, trio.ClosedResourceError)


class Proxy:
    """Hands on what comes in at ``port``: see `open_proxy`.

    Attributes:
      port: Where it listens, on 127.0.0.1.
      delay: Seconds that the server's replies take longer.
      accepted: How many connections it has taken.
    """

    def __init__(self, nursery: trio.Nursery, target_port: int) -> None:
        self.delay = 0.0
        self.port = 0
        self.accepted = 0
        self._target_port = target_port
        self._nursery = nursery
        self._flows = trio.Event()
        self._flows.set()
        self._drops_replies = False
        self._listening: trio.CancelScope | None = None
        self._connections: set[tuple[trio.SocketStream, trio.SocketStream]] = set()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"redis://127.0.0.1:{self.port}"

    async def accept(self) -> None:
        """Take connections, again at the same port."""
        (listener,) = await trio.open_tcp_listeners(self.port, host="127.0.0.1")
        self.port = listener.socket.getsockname()[1]
        self._listening = trio.CancelScope()
        self._nursery.start_soon(self._serve, listener, self._listening)

    async def refuse(self) -> None:
        """Take no more connections; those that are open stay."""
        if self._listening is not None:
            self._listening.cancel()
            await trio.testing.wait_all_tasks_blocked()

    def cut(self) -> None:
        """Cut all connections."""
        for streams in list(self._connections):
            for stream in streams:
                stream.socket.close()

    def mute(self) -> None:
        """Hand on nothing until `unmute`; connections are taken all the same."""
        self._flows = trio.Event()

    def unmute(self) -> None:
        """Hand on what has been held back."""
        self._flows.set()

    def drop_replies(self) -> None:
        """Cut each connection when the next reply comes: the server has done what it was told."""
        self._drops_replies = True

    def keep_replies(self) -> None:
        """End `drop_replies`."""
        self._drops_replies = False

    async def _serve(self, listener: trio.SocketListener, scope: trio.CancelScope) -> None:
        with scope:
            async with listener:
                while True:
                    client = await listener.accept()
                    self.accepted += 1
                    self._nursery.start_soon(self._relay, client)

    async def _relay(self, client: trio.SocketStream) -> None:
        async with client:
            try:
                server = await trio.open_tcp_stream("127.0.0.1", self._target_port)
            except OSError:
                return
            self._connections.add((client, server))
            async with server:
                async with trio.open_nursery() as both:
                    both.start_soon(self._copy, client, server, both, False)
                    both.start_soon(self._copy, server, client, both, True)
            self._connections.discard((client, server))

    async def _copy(self, source, target, both, are_replies) -> None:
        try:
            while data := await source.receive_some(65536):
                if are_replies and self._drops_replies:
                    break
                if are_replies and self.delay:
                    await trio.sleep(self.delay)
                await self._flows.wait()
                await target.send_all(data)
        except _CUT:
            pass
        both.cancel_scope.cancel()


@asynccontextmanager
async def open_proxy(target_port: int) -> AsyncIterator[Proxy]:
    """Open a way to the server at a port; leaving the block cuts all that goes by it."""
    async with trio.open_nursery() as nursery:
        proxy = Proxy(nursery, target_port)
        await proxy.accept()
        try:
            yield proxy
        finally:
            nursery.cancel_scope.cancel()
