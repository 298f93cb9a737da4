"""What the servers that are attached to a UI worker are told."""

import logging
from collections import deque
from collections.abc import Awaitable, Callable

import attrs
import trio

from ..bus import JobStatus
from ..errors import CodecError, JobError
from ._board import GroupBoard
from ._messages import (
    BusUICommandMessage,
    BusUIGroupMessage,
    BusUIJobCompletedMessage,
    BusUIJobGroupStartedMessage,
    BusUIJobUpdateMessage,
    BusUIMessage,
    BusUIResponseMessage,
    BusUITextMessage,
)
from ._outbox import Outbox, Overflow

logger = logging.getLogger("trioworkers.ui")

#: Seconds that a worker which stops may take to tell how its groups have ended.
FAREWELL_SECONDS = 2.0


@attrs.define(eq=False)
class Feed:
    """What one attached server has still to be told.

    Attributes:
      server: Its name on the bus.
      outbox: What waits.
      sending: What has been taken from there and is sent now.
      scope: Around the Trio task that tells it.
      broken: Why it can't be told any more, once that is so.
    """

    server: str
    outbox: Outbox = attrs.field(factory=Outbox)
    sending: deque[BusUIMessage] = attrs.field(factory=deque)
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    broken: str | None = None

    def __len__(self) -> int:
        return len(self.sending) + len(self.outbox)

    def put(self, message: BusUIMessage) -> None:
        """Let it be told; if too much waits, give it up."""
        if self.broken is None:
            try:
                self.outbox.put(message)
            except Overflow:
                self.give_up(
                    f"server {self.server!r} is too slow: {len(self)} messages wait for it"
                )

    def give_up(self, why: str) -> None:
        """Tell it no more; its job fails with ``why``."""
        self.broken = why
        self.scope.cancel()
        self.outbox.wake()


@attrs.define(eq=False)
class Feeds:
    """The servers attached to one UI worker, and the groups that they are told of.

    Attributes:
      send: Sends a message.
      is_quiet: Tells whether nothing is going on of which a server may have to be told.
      board: The groups in flight.
      ending: Whether servers are let go as soon as nothing is going on.
    """

    send: Callable[[BusUIMessage], Awaitable[None]]
    is_quiet: Callable[[], bool]
    board: GroupBoard = attrs.field(factory=GroupBoard)
    ending: bool = False
    _by_server: dict[str, Feed] = attrs.field(factory=dict)

    @property
    def servers(self) -> tuple[str, ...]:
        """The names of the servers that are attached."""
        return tuple(self._by_server)

    def tell_of_group(self, message: BusUIGroupMessage) -> None:
        """Tell all servers news of a group; never waits."""
        if self.board.take(message):
            for feed in list(self._by_server.values()):
                feed.put(message)

    def put(self, server: str, message: BusUIMessage) -> bool:
        """Tell one server something; return False if it isn't attached. Never waits."""
        feed = self._by_server.get(server)
        if feed is None:
            return False
        feed.put(message)
        return True

    async def tell_all(self, message: BusUIMessage) -> None:
        """Tell all servers something, each when it has room. Always a checkpoint."""
        await trio.lowlevel.checkpoint()
        for feed in list(self._by_server.values()):
            while feed.broken is None and not feed.outbox.has_room:
                await feed.outbox.wait_room()
            feed.put(message)

    def begin_ending(self) -> None:
        """Let servers go once nothing is going on."""
        self.ending = True
        self.look()

    def look(self) -> None:
        """Let those that wait find out whether anything is still going on."""
        if self.ending:
            for feed in self._by_server.values():
                feed.outbox.wake()

    async def serve(
        self, server: str, *, is_unwanted: Callable[[], bool], stop_groups: Callable[[], None]
    ) -> None:
        """Tell ``server`` what it has to know, for as long as it is attached.

        Args:
          server: Its name.
          is_unwanted: Tells whether the server has left, rather than the worker stops.
          stop_groups: Ends all groups, when the worker stops.

        Raises:
          JobError: It is too slow, or has attached anew.
        """
        feed = Feed(server)
        before = self._by_server.get(server)
        if before is not None:
            before.give_up(f"server {server!r} has attached anew")
        self._by_server[server] = feed
        for card in self.board.cards.values():
            feed.outbox.replay(card.replay())
        try:
            with feed.scope:
                await self._run(feed, is_unwanted, stop_groups)
        finally:
            feed.broken = feed.broken or "has been detached"
            feed.outbox.wake()
            if self._by_server.get(server) is feed:
                del self._by_server[server]
        if feed.scope.cancelled_caught:
            raise JobError(feed.broken)

    async def _run(
        self, feed: Feed, is_unwanted: Callable[[], bool], stop_groups: Callable[[], None]
    ) -> None:
        """Tell what there is to tell, until nothing is going on in a worker that ends or stops."""
        try:
            while len(feed) or not (self.ending and not self.board.cards and self.is_quiet()):
                await self._flush(feed)
        except trio.Cancelled:
            if feed.broken is None and not is_unwanted():
                stop_groups()
                with trio.move_on_after(FAREWELL_SECONDS, shield=True):
                    await trio.lowlevel.checkpoint()
                    while len(feed) or self.board.cards:
                        await self._flush(feed)
            raise

    async def _flush(self, feed: Feed) -> None:
        """Tell what waits; when cancelled, nothing of it is lost, but one may be told again."""
        if not feed.sending:
            feed.sending.extend(await feed.outbox.take())
        while feed.sending:
            message = attrs.evolve(feed.sending[0], target=feed.server)
            try:
                await self.send(message)
            except CodecError as error:
                logger.error("server %r is not told all: %s", feed.server, error)
                rest = _without_data(message, error)
                if rest is not None:
                    await self.send(rest)
            feed.sending.popleft()


def _without_data(message: BusUIMessage, error: CodecError) -> BusUIMessage | None:
    """Return what to send instead of a message that can't be encoded; None if that is nothing.

    Raises:
      CodecError: ``error``, if it is needed to make sense of what follows.
    """
    if isinstance(message, BusUICommandMessage | BusUITextMessage):
        return None
    why = f"what was sent can't be shown: {error}"
    if isinstance(message, BusUIJobUpdateMessage):
        return attrs.evolve(message, data={"error": why})
    if isinstance(message, BusUIJobCompletedMessage):
        if message.status is JobStatus.COMPLETED:
            return attrs.evolve(message, response={"error": why})
        return attrs.evolve(message, response=None, error=why)
    if isinstance(message, BusUIResponseMessage):
        return attrs.evolve(message, data=None, error=why)
    if isinstance(message, BusUIJobGroupStartedMessage) and message.label is not None:
        return attrs.evolve(message, label=None)
    raise error
