"""Sends what waits: one Trio task, which flushes all of it at once."""

import math
from collections.abc import Callable
from contextlib import suppress

import trio

from ...errors import UnknownWorkerError
from .._messages import BusMessage
from ._backoff import Backoff
from ._link import Link
from ._membership import Membership
from ._outbox import Outbox
from ._peers import Item, Peer
from ._store import (
    SESSION_ERRORS,
    START,
    Appended,
    AppendReply,
    FencedError,
    LostWritesError,
    Session,
    StoreRefusesError,
)

#: Leases for which nothing can be sent until the own one is given up.
DESPAIR = 3
#: Names whose owners are asked for at once.
MANY_NAMES = 256


class Writer:
    """Puts what an outbox holds into the streams of others.

    Args:
      link: Where sessions come from.
      membership: In whose name it sends.
      outbox: What is to be sent.
      limit: Unread entries after which a lane is full.
      on_undeliverable: Called with what can't be sent any more, and why.

    Attributes:
      entries: How many entries were sent.
    """

    def __init__(
        self,
        link: Link,
        membership: Membership,
        outbox: Outbox,
        *,
        limit: int,
        on_undeliverable: Callable[[Item, str], None],
    ) -> None:
        self.entries = 0
        self._link = link
        self._membership = membership
        self._outbox = outbox
        self._limit = limit
        self._on_undeliverable = on_undeliverable
        #: For each lane, up to which entry the own streams can be deleted, and were.
        self._acknowledged = self._deleted = (START, START)
        self._must_acknowledge = False
        self._woken = trio.Event()
        self._idle = trio.Event()
        self._alarm = trio.CancelScope()

    def wake(self) -> None:
        """Send what waits."""
        self._woken.set()

    def acknowledge(self, acknowledged: tuple[bytes, bytes], *, now: bool) -> None:
        """Delete entries up to these, with what is sent next or, if need be, without."""
        self._acknowledged = acknowledged
        if now:
            self._must_acknowledge = True
            self._woken.set()

    def restart(self) -> None:
        """Forget what was acknowledged: the streams are new."""
        self._acknowledged = self._deleted = (START, START)
        self._must_acknowledge = False
        self._woken.set()

    @property
    def _has_work(self) -> bool:
        return (
            not self._outbox.is_empty
            or self._must_acknowledge
            or self._membership.has_names_to_give_up
        )

    async def run(self) -> None:
        """Send what waits, until cancelled."""
        backoff = Backoff()
        while True:
            await self._wait_work()
            session = await self._link.wait_session()
            try:
                await self._flush(session)
            except SESSION_ERRORS as error:
                self._link.failed(session, str(error))
            except (FencedError, LostWritesError):
                self._link.failed(session, "the lease or the messages are lost")
            except StoreRefusesError as error:
                self._link.refuses(str(error))
                await self._despair(session, str(error))
                await backoff.wait()
            else:
                self._link.accepts()
                backoff.reset()

    async def _despair(self, session: Session, reason: str) -> None:
        """Give the lease up if nothing could be sent for so long.

        Cancels and answers wait, too, and with them all who have asked for something.
        """
        membership = self._membership
        if trio.current_time() - self._link.since > DESPAIR * membership.lease.seconds:
            with suppress(*SESSION_ERRORS):
                await membership.abandon(session, f"nothing could be sent for too long: {reason}")

    async def _wait_work(self) -> None:
        if not self._has_work:
            self._idle.set()
        # With nothing to send, too, it is tried whether the server takes something again.
        while not (self._has_work or self._link.is_refused):
            await self._woken.wait()
            self._woken = trio.Event()

    async def wait_idle(self) -> None:
        """Wait until nothing can be sent any more."""
        while self._has_work:
            self._idle = trio.Event()
            self._woken.set()
            await self._idle.wait()

    async def _flush(self, session: Session) -> None:
        outbox, membership = self._outbox, self._membership
        if outbox.unresolved:
            await self._resolve(session)
        incarnation = membership.incarnation
        batch = outbox.collect()
        broadcasts = len(outbox.broadcasts)
        known = list(membership.peers) if broadcasts else []
        acknowledged = self._acknowledged
        if batch or broadcasts or self._link.is_refused:
            if not self._link.is_up and acknowledged != self._deleted:
                # The server takes nothing new: what was read may be what fills it.
                await session.acknowledge(incarnation, acknowledged, limit=self._limit)
                self._deleted = acknowledged
            reply = await session.append(
                incarnation,
                [entry for _, entry in batch],
                limit=self._limit,
                acknowledged=acknowledged if acknowledged != self._deleted else (START, START),
                expected=len(known) + 1 if broadcasts else None,
            )
            self.entries += len(batch)
            if incarnation != membership.incarnation or not membership.lease.is_held:
                return  # all of it was given up meanwhile
            for peer in outbox.confirm(batch, reply.results):
                membership.suspect(peer)
            self._confirm_broadcasts(broadcasts, reply, known)
        elif self._must_acknowledge:
            await session.acknowledge(incarnation, acknowledged, limit=self._limit)
        if acknowledged == self._acknowledged:
            self._must_acknowledge = False
        self._deleted = acknowledged
        if outbox.is_empty and membership.has_names_to_give_up:
            await membership.give_up_names(session)

    def _confirm_broadcasts(self, count: int, reply: AppendReply, known: list[Peer]) -> None:
        """Note that the first ``count`` broadcasts have gone to all that were known."""
        broadcasts = self._outbox.broadcasts
        if reply.living is not None:
            self._membership.see_living(reply.living, known)
        for item in broadcasts[:count]:
            if item.receipt is not None:
                item.receipt.settle()
        # If one has come as another one went, the numbers are right: ask once more.
        if reply.living is not None or Appended.GONE not in reply.results:
            del broadcasts[:count]

    async def _resolve(self, session: Session) -> None:
        """Find out who has the names that something waits for."""
        names = list(self._outbox.unresolved)[:MANY_NAMES]
        for name, owner in zip(names, await session.find(names), strict=True):
            if self._found(name, owner) is None:
                for item in self._outbox.unresolved.pop(name, ()):
                    self._on_undeliverable(item, f"nobody on the bus is named {name!r}")

    async def find(self, name: str) -> Peer:
        """Return who has ``name``; wait for the server.

        Raises:
          UnknownWorkerError: Nobody has.
        """
        (owner,) = await self._link.ask(lambda session: session.find([name]))
        peer = self._found(name, owner)
        if peer is None:
            raise UnknownWorkerError(name, tuple(self._membership.peers.owners))
        return peer

    def _found(self, name: str, owner: str | None) -> Peer | None:
        """Note who has ``name``; return None if nobody has."""
        membership = self._membership
        if owner is None or owner == membership.incarnation or membership.peers.has_gone(owner):
            return None
        peer = membership.meet(owner)
        membership.peers.owners[name] = peer
        self._outbox.has_found(name, peer)
        return peer

    # What waits for too long

    def link_changed(self) -> None:
        """Begin or end the time in which what waits must be sent."""
        due = self._link.patience_ends
        for item in self._outbox.waiting(self._membership.peers):
            if has_answer(item.message):
                item.due = due
        self._alarm.deadline = due
        self._woken.set()

    def limit_patience(self, item: Item) -> None:
        """Let ``item`` wait no longer than the link's patience, if its source wants to know."""
        if not self._link.is_up and has_answer(item.message):
            item.due = self._link.patience_ends
            self._alarm.deadline = min(self._alarm.deadline, item.due)

    async def give_up_late(self) -> None:
        """Tell the sources of what can't be sent for too long, until cancelled."""
        while True:
            with self._alarm:
                await trio.sleep_forever()
            peers = self._membership.peers
            for item in self._outbox.give_up(peers, trio.current_time()):
                self._on_undeliverable(item, str(self._link.error()))
            due = min((item.due for item in self._outbox.waiting(peers)), default=math.inf)
            self._alarm = trio.CancelScope(deadline=due)


def has_answer(message: BusMessage) -> bool:
    """Whether the source of a message is told if it can't be delivered."""
    return type(message).bounce is not BusMessage.bounce
