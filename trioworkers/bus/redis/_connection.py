"""One connection of coredis, without what its pools and clients add."""

import logging
import socket
from collections.abc import Callable
from contextvars import ContextVar

import anyio
import trio
from anyio.abc import ByteStream, SocketAttribute
from coredis.connection import BaseConnection, Location

from ._address import Address

#: Whether what coredis logs is about a connection of ours.
_ours: ContextVar[bool] = ContextVar("trioworkers_redis_connection", default=False)


def _is_not_ours(record: logging.LogRecord) -> bool:
    return not _ours.get()


class _Nowhere(Location):
    """Where a connection is that is there already."""

    async def check(self) -> bool:
        """Say that it can be reached."""
        return True


class _Connection(BaseConnection):
    """A connection of coredis over a stream that is open.

    When its own ones can't be opened, they leave unclosed what they are made of.
    """

    def __init__(self, address: Address, stream: ByteStream) -> None:
        super().__init__(
            _Nowhere(), username=address.user, password=address.password, db=address.db
        )
        self._open_stream = stream
        self._address = address

    async def _connect(self) -> ByteStream:
        return self._open_stream

    def describe(self) -> str:
        """Return where it goes to, without password."""
        return f"<connection to {self._address}>"


async def _open_stream(address: Address) -> ByteStream:
    if address.path:
        return await anyio.connect_unix(address.path)
    if address.tls is None:
        stream: ByteStream = await anyio.connect_tcp(address.host, address.port)
    else:
        stream = await anyio.connect_tcp(
            address.host,
            address.port,
            ssl_context=address.tls,
            tls_standard_compatible=False,  # closing waits for nobody
        )
    raw = stream.extra(SocketAttribute.raw_socket)  # noqa: S610
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return stream


class _Opening:
    """Notes when a connection is open: from then on its errors are the requests' alone."""

    def __init__(self, task_status: trio.TaskStatus[BaseConnection], it: BaseConnection) -> None:
        self._task_status = task_status
        self._it = it
        self.done = False

    def started(self, value: None = None) -> None:
        self.done = True
        self._task_status.started(self._it)


async def run_connection(
    address: Address,
    on_close: Callable[[], object],
    *,
    task_status: trio.TaskStatus[BaseConnection],
) -> None:
    """Open a connection, and serve it until it ends or this is cancelled.

    Once open, it raises nothing but `trio.Cancelled`.

    Args:
      address: Where to. Nothing is bounded in time here.
      on_close: Called when a connection that was open has ended, unless by cancellation.
      task_status: Gets the connection when it is open.

    Raises:
      Exception: Any, if it can't be opened: see `translate`.
    """
    # Whether it could be opened, and why not, is told by what is raised.
    logging.getLogger("coredis").addFilter(_is_not_ours)
    _ours.set(True)
    connection = _Connection(address, await _open_stream(address))
    opening = _Opening(task_status, connection)
    try:
        await connection.run(task_status=opening)
    except Exception:
        # When cancelled while it opens, it raises an error of its own instead.
        await trio.lowlevel.checkpoint_if_cancelled()
        if not opening.done:
            raise
    on_close()
