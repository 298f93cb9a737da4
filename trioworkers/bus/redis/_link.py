"""The connection to the server: opened, lost, opened again; and who waits for it."""

import logging
import math
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import TypeVar

import trio
from trio.lowlevel import ParkingLot, enable_ki_protection

from ...errors import BusDisconnected
from ._backoff import LONGEST_BACKOFF, Backoff
from ._store import (
    SESSION_ERRORS,
    Server,
    Session,
    StoreDeniedError,
    StoreUnavailableError,
)

logger = logging.getLogger("trioworkers.bus.redis")

R = TypeVar("R")


class LinkState(StrEnum):
    """How the connection to the server is.

    Attributes:
      CONNECTING: There was none yet.
      CONNECTED: All is well.
      REFUSED: The server answers, but takes nothing new.
      DISCONNECTED: There is none; it is tried again and again.
      STOPPED: The bus has ended.
    """

    CONNECTING = "connecting"
    CONNECTED = "connected"
    REFUSED = "refused"
    DISCONNECTED = "disconnected"
    STOPPED = "stopped"


class Link:
    """Keeps a session open, and says how it stands, in one log line per change.

    Args:
      name: Who is connected, for the log.
      server: Where sessions come from.
      send_timeout: Seconds that senders wait for the connection.
      on_change: Called when the state has changed.

    Attributes:
      state: How it is.
      reason: Why it is not CONNECTED; empty if it is.
      since: When the state began, on Trio's clock.
      connections: How many sessions there were.
    """

    def __init__(
        self,
        name: str,
        server: Server,
        *,
        send_timeout: float,
        on_change: Callable[[], None],
    ) -> None:
        self.state = LinkState.CONNECTING
        self.reason = "the bus does not run yet"
        self.since = -math.inf
        self.connections = 0
        self.send_timeout = send_timeout
        self._name = name
        self._server = server
        self._on_change = on_change
        self._session: Session | None = None
        self._broken: trio.CancelScope | None = None
        self._waiting = ParkingLot()
        self._patient: dict[trio.CancelScope, None] = {}

    @property
    def is_up(self) -> bool:
        """Whether something can be sent now."""
        return self.state is LinkState.CONNECTED

    @property
    def is_refused(self) -> bool:
        """Whether the server answers, but takes nothing new."""
        return self.state is LinkState.REFUSED

    @property
    def session(self) -> Session | None:
        """The open session, or None."""
        return self._session

    async def run(self, welcome: Callable[[Session], Awaitable[None]]) -> None:
        """Keep a session open until cancelled.

        Args:
          welcome: Called with each new session before anybody else may use it.

        Raises:
          StoreDeniedError: The server refused us the first time.
        """
        backoff = Backoff()
        self.reason = "the server has not answered yet"
        while True:
            began = trio.current_time()
            try:
                await self._hold_session(welcome)
            except StoreUnavailableError as error:
                self._set(LinkState.DISCONNECTED, str(error))
            except StoreDeniedError as error:
                if not self.connections:
                    raise
                self._set(LinkState.DISCONNECTED, str(error))
            if trio.current_time() - began > LONGEST_BACKOFF:
                backoff.reset()
            await backoff.wait()

    @enable_ki_protection
    async def _hold_session(self, welcome: Callable[[Session], Awaitable[None]]) -> None:
        async with self._server.connect() as session:
            await welcome(session)
            self.connections += 1
            self._session = session
            self._set(LinkState.CONNECTED, "")
            try:
                with trio.CancelScope() as self._broken:
                    await trio.sleep_forever()
            finally:
                self._session = self._broken = None
        raise StoreUnavailableError(self.reason)

    def failed(self, session: Session, reason: str) -> None:
        """Give up ``session``, which is of no use any more, and open another one."""
        if session is self._session and self._broken is not None:
            self._session = None
            self._set(LinkState.DISCONNECTED, reason)
            self._broken.cancel()

    def refuses(self, reason: str) -> None:
        """Note that the server takes nothing new."""
        if self.state is LinkState.CONNECTED:
            self._set(LinkState.REFUSED, reason)

    def accepts(self) -> None:
        """Note that the server takes what it is sent."""
        if self.state is LinkState.REFUSED:
            self._set(LinkState.CONNECTED, "")

    def stop(self) -> None:
        """Note that the bus has ended: nobody waits any longer."""
        self._session = None
        self._set(LinkState.STOPPED, "the bus has ended")

    def _set(self, state: LinkState, reason: str) -> None:
        if self.state is LinkState.STOPPED:
            return
        changed = state is not self.state
        was_up = self.is_up
        self.state = state
        self.reason = reason
        if changed:
            self.since = trio.current_time()
            log = (
                logger.info if state in (LinkState.CONNECTED, LinkState.STOPPED) else logger.warning
            )
            log("%s: %s %s%s", self._name, state, self._server.address, reason and f": {reason}")
        self._waiting.unpark_all()
        if was_up is not self.is_up or state is LinkState.STOPPED:
            for scope in self._patient:
                scope.deadline = self.patience_ends
        if changed:
            self._on_change()

    # Waiting

    async def wait_session(self) -> Session:
        """Wait for a session, however long; a checkpoint only if it waits."""
        while self._session is None:
            await self._waiting.park()
        return self._session

    async def ask(self, question: Callable[[Session], Awaitable[R]]) -> R:
        """Return what ``question(session)`` does; with the next session, if one fails."""
        while True:
            session = await self.wait_session()
            try:
                return await question(session)
            except SESSION_ERRORS as error:
                self.failed(session, str(error))

    async def wait_connected(self) -> None:
        """Wait until the connection is there; raise if the bus has ended. Always a checkpoint."""
        await trio.lowlevel.checkpoint()
        while not self.is_up:
            if self.state is LinkState.STOPPED:
                raise self.error()
            await self._waiting.park()

    @contextmanager
    def patience(self) -> Iterator[None]:
        """Raise `BusDisconnected` once nothing could be sent for ``send_timeout`` seconds in it."""
        with trio.CancelScope(deadline=self.patience_ends) as scope:
            self._patient[scope] = None
            try:
                yield
            finally:
                del self._patient[scope]
        if scope.cancelled_caught:
            raise self.error()

    @property
    def patience_ends(self) -> float:
        """When somebody who begins to wait now gives up."""
        if self.is_up:
            return math.inf
        if self.state is LinkState.STOPPED:
            return -math.inf
        return trio.current_time() + self.send_timeout

    def error(self) -> BusDisconnected:
        """Return what a sender is told that could not send."""
        waited = 0.0 if self.state is LinkState.STOPPED else self.send_timeout
        return BusDisconnected(self._server.address, str(self.state), self.reason, waited)
