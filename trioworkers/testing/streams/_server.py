"""A server of streams in memory, in virtual time: what `RedisBus` sees of a real one."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import trio
from trio.lowlevel import ParkingLot

from ...bus.redis._store import Session, StoreUnavailableError
from .._decisions import Decisions, InOrder
from ._keys import Keys
from ._model import StreamModel
from ._path import Path
from ._session import StreamSession

#: Seconds that a client waits for a reply, besides what it asks the server to wait.
COMMAND_TIMEOUT = 5.0


class StreamServer:
    """A model of a server behind `RedisBus`; any number of buses may share one.

    An operation takes effect in one step, some time after it was called and some
    time before it returns. Its clock is Trio's. What is written is there at once, for
    all: there is one server.

    Args:
      latency: Seconds that each operation takes, >= 0.
      command_timeout: Seconds without a reply after which a session ends.
      decisions: Who decides how long each operation takes to get there: not longer
        than need be, or a little.

    Attributes:
      model: What it holds.
      exercised: How often what was done, by the name of the operation or fault.
    """

    def __init__(
        self,
        *,
        latency: float = 0.0,
        command_timeout: float = COMMAND_TIMEOUT,
        decisions: Decisions | None = None,
    ) -> None:
        self.latency = latency
        self.command_timeout = command_timeout
        self.model = StreamModel()
        self.exercised: Counter[str] = Counter()
        self.decisions = decisions or InOrder()
        self._written = ParkingLot()
        self._sessions: list[StreamSession] = []
        self._paths: dict[str, Path] = {}
        self._downs = 0

    @property
    def now(self) -> int:
        """Milliseconds, by its clock."""
        return int(trio.current_time() * 1000)

    @property
    def address(self) -> str:
        """See `Server.address`."""
        return "simulated"

    def connect(self) -> AbstractAsyncContextManager[Session]:
        """See `Server.connect`; for a client without a name."""
        return self.client("").connect()

    def client(self, name: str) -> "StreamClient":
        """Return the server as one life of a client sees it; all of one name share a path."""
        return StreamClient(self, self.path(name))

    def path(self, name: str) -> Path:
        """Return the way between a client and the server."""
        return self._paths.setdefault(name, Path(name))

    @property
    def paths(self) -> tuple[Path, ...]:
        """The ways of all clients so far."""
        return tuple(self._paths.values())

    # What can happen to it

    def cut(self, client: str | None = None) -> None:
        """Cut the connections of a client, or of all."""
        for session in list(self._sessions):
            if client is None or session.path.client == client:
                session.end("the connection was cut")

    def shut_down(self) -> None:
        """Cut all connections; take none until `come_back`."""
        self._downs += 1
        self.cut()

    def come_back(self, keys: Keys | None = None) -> None:
        """Undo one `shut_down`; then it holds what it did before, or ``keys``."""
        if keys is not None:
            self.model.keys = keys
        self._downs -= 1

    # For sessions

    def wrote(self) -> None:
        """Wake those that wait for entries."""
        self._written.unpark_all()

    async def wait_written(self) -> None:
        """Wait until something may have been written, or a connection was cut."""
        await self._written.park()

    def check_up(self) -> None:
        """Raise if it is down."""
        if self._downs:
            raise StoreUnavailableError("the connection was refused")

    def add(self, session: StreamSession) -> None:
        """Remember an open session."""
        self._sessions.append(session)

    def remove(self, session: StreamSession) -> None:
        """Forget a session that is closed."""
        self._sessions.remove(session)


class StreamClient:
    """A `StreamServer`, seen by one life of one of its clients.

    Attributes:
      path: The way there.
    """

    def __init__(self, server: StreamServer, path: Path) -> None:
        self.path = path
        self._server = server
        self._is_dead = False
        self._own: list[StreamSession] = []

    @property
    def address(self) -> str:
        """See `Server.address`."""
        return self._server.address

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Session]:
        """See `Server.connect`."""
        server, path = self._server, self.path
        await trio.sleep(server.latency)
        path.check_connecting()
        deadline = trio.current_time() + server.command_timeout
        await path.wait_open(deadline=deadline, requests=False)
        server.check_up()
        if self._is_dead:
            raise StoreUnavailableError("the client is no more")
        session = StreamSession(server, path)
        server.add(session)
        self._own.append(session)
        try:
            yield session
        finally:
            session.end("it was closed")
            server.remove(session)
            self._own.remove(session)

    def die(self) -> None:
        """Cut its sessions, and let it open no more, as if its process had died."""
        self._is_dead = True
        for session in self._own:
            session.end("the client is no more")
