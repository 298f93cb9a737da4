"""One connection: reads what its client sends, and sends what it is told."""

import logging
from contextlib import suppress
from typing import Protocol

import attrs
import trio
from trio.lowlevel import enable_ki_protection
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode

from .._messages import BusUIMessage
from .._outbox import Overflow
from ._connection import Connection
from ._conversation import (
    Ask,
    Cancel,
    Close,
    Conversation,
    Say,
    Welcome,
    bot_ready,
    error_about,
)
from ._encoding import Parcel, encode, frame
from ._errors import Denied
from ._letters import Letters
from ._pacing import Pacer
from ._sessions import Session
from ._statistics import Counters

logger = logging.getLogger("trioworkers.ui.rtvi")

#: Seconds that a client has to end a send that took too long, and to close its side.
GRACE = 5.0
#: Seconds after which a client that says nothing is asked whether it is there, and in which it
#: must say something.
PING_INTERVAL, PING_TIMEOUT = 20.0, 20.0
#: Seconds that a client has to prove that it knows the token.
AUTHENTICATION_SECONDS = 10.0


class Host(Protocol):
    """What a client needs of its server."""

    counters: Counters

    def welcome(self, client: "Client") -> None:
        """Tell it what is in flight, and all from now on."""

    def admit(self, client: "Client") -> Session:
        """Return its session: it may come in."""

    async def ask(self, client: "Client", ask: Ask) -> None:
        """Pass a request on; the answer comes by `Client.say`."""

    async def cancel_group(self, client: "Client", cancel: Cancel) -> None:
        """Cancel a group, if it may."""


@attrs.define(eq=False)
class Client:
    """A client that is connected.

    It is dropped if it doesn't read: if a message takes longer than ``stall_timeout`` to send,
    or too much waits. Nothing is kept for it then, and it is closed with 1013 if it reads on
    within `GRACE`, or else cut off.

    Attributes:
      session: Whose it is; None until it has proved who it is.
    """

    id: str
    connection: Connection
    host: Host
    conversation: Conversation
    pacer: Pacer
    stall_timeout: float
    letters: Letters = attrs.field(factory=Letters)
    nursery: trio.Nursery = attrs.field(init=False)
    session: Session | None = attrs.field(init=False, default=None)
    _closing: Close | None = attrs.field(init=False, default=None)
    _dropped: bool = attrs.field(init=False, default=False)
    _sending: trio.CancelScope | None = attrs.field(init=False, default=None)
    _sending_since: float = attrs.field(init=False, default=0.0)
    _heard: int = attrs.field(init=False, default=0)

    # What it is told

    def tell(self, parcel: Parcel, *, limited: bool = True) -> None:
        """Have a message of the UI worker sent when there is time; never waits.

        Args:
          parcel: What to send.
          limited: Whether the client is dropped if too much waits for it.
        """
        dialect = self.conversation.dialect
        assert dialect is not None
        framed = parcel.framed(dialect, binary=bool(self.conversation.binary))
        if framed is not None:
            self._put(framed, parcel.message, limited=limited)

    def say(self, say: Say) -> None:
        """Have a message of the server sent when there is time; never waits."""
        body = encode(say.kind, say.data, say.id)
        self._put(frame(body, binary=bool(self.conversation.binary)))

    def _put(
        self, framed: bytes, message: BusUIMessage | None = None, *, limited: bool = True
    ) -> None:
        if self._closing is not None:
            return  # what comes now is of no use to it any more
        if self._sending is not None and self._is_stalled():
            self._drop("it does not read")
            return
        try:
            self.letters.put(framed, message, limited=limited)
        except Overflow:
            self._drop("too much waits for it: it reads too slowly")

    def _is_stalled(self) -> bool:
        return trio.current_time() - self._sending_since > self.stall_timeout

    def finish(self, code: int, reason: str) -> None:
        """Close the connection when what waits is sent; never waits."""
        if self._closing is None:
            self._closing = Close(code, reason)
            self.letters.wake()

    def _drop(self, why: str, code: int = CloseCode.TRY_AGAIN_LATER) -> None:
        """Send nothing more; close the connection once the send under way is over, or cut it."""
        if self._dropped:
            return
        logger.info("client %s is dropped: %s", self.id, why)
        self.host.counters.clients_dropped += 1
        self._dropped = True
        self._closing = Close(code, why)
        self.letters.clear()
        self.letters.wake()
        if self._sending is not None:
            self._sending.deadline = min(self._sending.deadline, trio.current_time() + GRACE)

    # Its life

    @enable_ki_protection
    async def serve(self) -> None:
        """Serve it until it goes, or has to."""
        async with trio.open_nursery() as self.nursery:
            self.nursery.start_soon(self._write_all)
            self.nursery.start_soon(self._keep_alive)
            if self.conversation.authenticated:
                self.session = self.host.admit(self)
            await self._read_all()
            self.nursery.cancel_scope.cancel()
        if self._closing is not None:
            await self._close(self._closing)

    async def _close(self, close: Close) -> None:
        """Close the connection; cut it if the client takes too long."""
        with trio.move_on_after(GRACE) as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._discard)  # else its answer may wait behind what it sent
                await self.connection.aclose(close.code, close.reason)
                nursery.cancel_scope.cancel()
        if scope.cancel_called:
            await self.connection.cut()

    @enable_ki_protection
    async def _discard(self) -> None:
        with suppress(ConnectionClosed):
            while True:
                await self.connection.recv()

    # Reading

    async def _read_all(self) -> None:
        try:
            if not self.conversation.authenticated:
                with trio.move_on_after(AUTHENTICATION_SECONDS) as scope:
                    await self._read()
                if scope.cancelled_caught:
                    self.finish(CloseCode.POLICY_VIOLATION, "authenticate first")
            while self._closing is None:
                await self._read()
            await trio.sleep_forever()  # until what waits is sent
        except ConnectionClosed:
            pass

    async def _read(self) -> None:
        frame = await self.connection.recv()
        self._heard += 1
        self.host.counters.messages_received += 1
        delay = self.pacer.take(trio.current_time())
        if delay:
            await trio.sleep(delay)
        refused = self.conversation.refused
        for action in self.conversation.receive(frame):
            await self._act(action)
        self.host.counters.messages_refused += self.conversation.refused - refused

    async def _act(self, action: object) -> None:
        match action:
            case Say():
                self.say(action)
            case Welcome():
                assert self.conversation.dialect is not None
                self.say(bot_ready(self.conversation.dialect, action.id))
                self.host.welcome(self)
            case Close():
                self.finish(action.code, action.reason)
            case Ask() | Cancel():
                try:
                    if isinstance(action, Ask):
                        await self.host.ask(self, action)
                    else:
                        await self.host.cancel_group(self, action)
                except Denied as error:
                    self.say(error_about(action.id, str(error)))
        if self.conversation.authenticated and self.session is None:
            self.session = self.host.admit(self)

    # Writing

    @enable_ki_protection
    async def _write_all(self) -> None:
        try:
            while True:
                await self.letters.wait()
                if batch := self.letters.take():
                    await self._send(batch[0] if len(batch) == 1 else b"".join(batch))
                    self.host.counters.messages_sent += len(batch)
                elif self._closing is not None:
                    break
        except ConnectionClosed:
            pass
        self.nursery.cancel_scope.cancel()

    async def _send(self, frames: bytes) -> None:
        """Send messages; drop the client if that takes too long."""
        sent = self.connection.send_nowait(frames)
        self.host.counters.bytes_sent += len(frames)
        if sent == len(frames):
            return
        self._sending_since = trio.current_time()
        deadline = self._sending_since + self.stall_timeout + GRACE
        with trio.CancelScope(deadline=deadline) as self._sending:
            await self.connection.send_rest(frames, sent)
        scope, self._sending = self._sending, None
        if scope.cancelled_caught:
            await self.connection.cut()
        if scope.cancelled_caught or self._is_stalled():
            self._drop("it does not read")

    @enable_ki_protection
    async def _keep_alive(self) -> None:
        """Drop the client if it is gone without a word."""
        with suppress(ConnectionClosed):
            while True:
                heard = self._heard
                await trio.sleep(PING_INTERVAL)
                if self._heard != heard:
                    continue
                with trio.move_on_after(self.stall_timeout + GRACE) as sending:
                    pong = await self.connection.ping()
                if not sending.cancelled_caught:
                    with trio.move_on_after(PING_TIMEOUT) as waiting:
                        await pong.wait()
                    if not waiting.cancelled_caught or self._heard != heard:
                        continue
                self._drop("it is gone without a word", CloseCode.INTERNAL_ERROR)
                await self.connection.cut()
                return
