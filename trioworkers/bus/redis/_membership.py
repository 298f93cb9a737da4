"""Who this bus is among the others: its lease, its names, and whom it knows."""

import logging
import math
from collections.abc import Callable, Iterable

import trio

from ...errors import DuplicateWorkerError
from ._about import read_about, tell_about
from ._lease import NOTICE, Lease
from ._link import Link
from ._peers import Peer, Peers
from ._store import (
    SESSION_ERRORS,
    FencedError,
    Joined,
    LostWritesError,
    NamesTakenError,
    Session,
    Standing,
    StoreRefusesError,
    StoreUnavailableError,
)

logger = logging.getLogger("trioworkers.bus.redis")


class Membership:
    """One incarnation after another: a lease is taken, renewed, lost, and taken anew.

    Losing it means that all others take this bus for gone, so it takes all others
    for gone, and comes back as somebody new.

    Args:
      prefix: Begins each incarnation.
      lease: How long a lease is; see `Lease`.
      link: Where sessions come from.
      on_joined: Called when there is a new incarnation; whether it is the first is told.
      on_resumed: Called when the same incarnation has a new session.
      on_lost: Called when the lease is lost, and why, before all are parted from.
      on_met: Called with each peer that wasn't known.
      on_parted: Called with each peer that has gone, and why.
      on_fading: Called with each peer when nothing may be done for it any more.

    Attributes:
      incarnation: The present one; empty before the first.
      names: What it has claimed.
      lost: How often a lease was lost.
    """

    def __init__(
        self,
        prefix: str,
        lease: Lease,
        link: Link,
        *,
        on_joined: Callable[[bool], None],
        on_resumed: Callable[[], None],
        on_lost: Callable[[str], None],
        on_met: Callable[[Peer], None],
        on_parted: Callable[[Peer, str], None],
        on_fading: Callable[[Peer], None],
    ) -> None:
        self.incarnation = ""
        self.names: set[str] = set()
        self.lease = lease
        self.peers = Peers()
        self.lost = 0
        self._prefix = prefix
        self._link = link
        self._on_joined = on_joined
        self._on_resumed = on_resumed
        self._on_lost = on_lost
        self._on_met = on_met
        self._on_parted = on_parted
        self._on_fading = on_fading
        self._lives = 0
        self._giving_up: set[str] = set()
        self._names_lock = trio.Lock()
        #: Incarnations that may still have a lease, and when that will have ended.
        self._former: dict[str, float] = {}
        self._lost_at = -math.inf
        #: Who is to be taken for gone if that isn't read before some time, the first due first.
        self._suspects: dict[Peer, float] = {}
        self._suspected = trio.Event()

    # Coming and going

    async def welcome(self, session: Session) -> None:
        """Go on where the last session has ended, or come back as somebody new.

        Raises:
          DuplicateWorkerError: Somebody else has one of the names now.
        """
        async with self._names_lock:
            if self.lease.is_held and await self._resume(session):
                return
            await self._join(session)

    async def _resume(self, session: Session) -> bool:
        asked_at = trio.current_time()
        sent = {
            (peer.incarnation, outgoing.lane): outgoing.number
            for peer in self.peers
            for outgoing in peer.lanes
            if outgoing.number
        }
        try:
            renewed = await session.resume(
                self.incarnation, self.lease.seconds, self._all_names(), sent
            )
        except FencedError:
            self.lose("it was away for longer than its lease")
        except LostWritesError:
            self.lose("the server has lost messages that it had confirmed")
        except NamesTakenError as error:
            raise self._taken_again(error) from None
        if not self.lease.is_held:  # it was lost while the server was asked
            return False
        if not renewed.names_kept:
            # Let names be free that were given up: the server may have older data.
            await self._enter(session)
        self.lease.renewed(asked_at, renewed.next_expiry)
        self._on_resumed()
        return True

    async def _join(self, session: Session) -> None:
        now = trio.current_time()
        self._former = {former: ends for former, ends in self._former.items() if now < ends}
        for former in list(self._former):
            await session.leave(former)
        first = not self._lives
        self._lives += 1
        self.incarnation = f"{self._prefix}.{self._lives}"
        asked_at = trio.current_time()
        self._former[self.incarnation] = asked_at + 2 * self.lease.seconds
        self._giving_up.clear()
        joined = await self._enter(session)
        self.lease.renewed(asked_at, joined.next_expiry)
        for peer in joined.peers:
            self.meet(peer)
        self._on_joined(first)

    async def _enter(self, session: Session) -> Joined:
        """Have a lease, and exactly the names that it should have."""
        about = tell_about(self.lease.seconds)
        try:
            return await session.join(
                self.incarnation, self._all_names(), about, self.lease.seconds
            )
        except NamesTakenError as error:
            raise self._taken_again(error) from None
        except StoreRefusesError as error:
            raise StoreUnavailableError(str(error)) from None

    def _taken_again(self, error: NamesTakenError) -> Exception:
        """Return what to raise if somebody else has a name that was ours.

        Not the worst, for a while: a server that has come back with old data brings
        back leases of the past, too, which end soon.
        """
        taken = _taken(error)
        if trio.current_time() < self._lost_at + 2 * self.lease.seconds:
            return StoreUnavailableError(str(taken))
        return taken

    async def leave(self, session: Session) -> None:
        """End the lease, so that the others needn't wait for its end."""
        await session.leave(self.incarnation)
        self._former.clear()

    async def abandon(self, session: Session, why: str) -> None:
        """End the lease, let the others stop what they were asked, then do as if it was lost."""
        async with self._names_lock:  # so that it isn't renewed meanwhile
            await session.leave(self.incarnation)
            await trio.sleep(NOTICE)
            self.lose(why)

    def lose(self, why: str) -> None:
        """Take all others for gone, as they do this one."""
        if not self.lease.is_held:
            return
        self.lost += 1
        self._lost_at = trio.current_time()
        self._former[self.incarnation] = self._lost_at + 2 * self.lease.seconds
        self.lease.lost()
        logger.warning("%s has lost its lease: %s", self.incarnation, why)
        self._on_lost(why)
        for peer in self.peers:
            self._part(peer.incarnation, f"{self.incarnation} has lost its lease", has_gone=False)
        if self._link.session is not None:  # the next one begins with a new lease
            self._link.failed(self._link.session, why)

    # Others

    def meet(self, incarnation: str) -> Peer:
        """Return a peer that lives, known or not."""
        known = self.peers.get(incarnation)
        if known is not None:
            return known
        peer = self.peers.add(incarnation)
        self._on_met(peer)
        return peer

    def fade(self, incarnation: str) -> None:
        """Do nothing more for a peer that has gone, though what it has sent isn't all read."""
        peer = self.peers.get(incarnation)
        if peer is not None:
            self._on_fading(peer)

    def part(self, incarnation: str, why: str) -> None:
        """Take a peer for gone; doing it again changes nothing."""
        self._part(incarnation, why, has_gone=True)

    def _part(self, incarnation: str, why: str, *, has_gone: bool) -> None:
        peer = self.peers.remove(incarnation, has_gone=has_gone)
        if peer is not None:
            self._on_parted(peer, why)

    def suspect(self, peer: Peer) -> None:
        """Note that a peer has no lease any more, though what it has sent may not all be read.

        The note that it has gone is behind that. Only an old copy of the data has no such
        note: then it is taken for gone after a while, as it is if the note is late.
        """
        if peer not in self._suspects:
            self._suspects[peer] = trio.current_time() + NOTICE
            self._suspected.set()

    async def part_from_suspects(self) -> None:
        """Part from those of whose end nothing is read, until cancelled."""
        while True:
            while not self._suspects:
                self._suspected = trio.Event()
                await self._suspected.wait()
            peer, due = next(iter(self._suspects.items()))
            await trio.sleep_until(due)
            is_known = self.peers.get(peer.incarnation) is peer
            # The server may have another copy of its data by now, in which it lives.
            if is_known and await self._has_gone(peer.incarnation):
                self.part(peer.incarnation, "its lease has ended")
            del self._suspects[peer]

    async def _has_gone(self, incarnation: str) -> bool:
        (standing,) = await self._link.ask(lambda session: session.judge([(incarnation, "")]))
        return standing is Standing.GONE

    def see_living(self, living: Iterable[str], known: Iterable[Peer]) -> None:
        """Meet those that weren't known, and suspect those that don't live any more.

        Args:
          living: All that had a lease when the server was asked.
          known: All that were known before that.
        """
        living = set(living)
        for peer in known:
            if peer.incarnation not in living:
                self.suspect(peer)
        for incarnation in sorted(living - {self.incarnation}):
            if not self.peers.has_gone(incarnation):
                self.meet(incarnation)

    # Names

    async def claim(self, names: Iterable[str]) -> None:
        """Claim ``names``; wait for the server.

        Raises:
          DuplicateWorkerError: Another one has one of them; none was claimed.
          BusDisconnected: The server was not there for too long.
        """
        wanted = [name for name in names if name not in self.names]
        with self._link.patience():
            while wanted:
                session = await self._link.wait_session()
                async with self._names_lock:
                    if session is not self._link.session:
                        continue
                    try:
                        await session.claim(self.incarnation, wanted)
                    except NamesTakenError as error:
                        raise _taken(error) from None
                    except StoreRefusesError as error:
                        self._link.refuses(str(error))
                    except (FencedError, *SESSION_ERRORS) as error:
                        self._link.failed(session, _reason(error))
                    else:
                        self.names.update(wanted)
                        self._giving_up.difference_update(wanted)
                        return
                await trio.sleep(0.1)

    def release(self, names: Iterable[str]) -> None:
        """Give ``names`` up, as soon as what waits has been sent."""
        self.names.difference_update(names)
        self._giving_up.update(names)

    @property
    def has_names_to_give_up(self) -> bool:
        """Whether `give_up_names` has something to do."""
        return bool(self._giving_up)

    async def give_up_names(self, session: Session) -> None:
        """Tell the server which names are free."""
        async with self._names_lock:
            await self._give_up_names(session)

    async def _give_up_names(self, session: Session) -> None:
        names = sorted(self._giving_up)
        await session.release(self.incarnation, names)
        self._giving_up.difference_update(names)

    def _all_names(self) -> list[str]:
        return sorted(self.names)

    # The lease

    async def keep(self) -> None:
        """Renew the lease in time, until cancelled; whoever does it sees who has expired."""
        while True:
            session = await self._link.wait_session()
            await trio.sleep_until(self.lease.renew_at)
            if session is not self._link.session:
                continue
            try:
                await self._renew(session)
            except SESSION_ERRORS as error:
                self._link.failed(session, str(error))
            except FencedError:
                self.lose("it was away for longer than its lease")

    async def _renew(self, session: Session) -> None:
        async with self._names_lock:
            asked_at = trio.current_time()
            if self.has_names_to_give_up:
                await self._give_up_names(session)
            renewed = await session.renew(self.incarnation, self.lease.seconds, len(self.names))
            if not renewed.names_kept:
                self._link.failed(session, "the server has lost names")
            elif self.lease.is_held:
                self.lease.renewed(asked_at, renewed.next_expiry)

    async def watch(self) -> None:
        """Act when the lease fades and ends on the own clock, until cancelled."""
        while True:
            lease = self.lease
            if not lease.is_held:
                await lease.wait_change()
            elif trio.current_time() < lease.fades_at:
                await trio.sleep_until(lease.fades_at)
            else:
                await self._fade()

    async def _fade(self) -> None:
        for peer in self.peers:
            self._on_fading(peer)
        with trio.move_on_at(self.lease.is_known_to_be_over_at) as scope:
            await self.lease.wait_change()
        if scope.cancelled_caught:
            self.lose("it could not renew it")


def _reason(error: Exception) -> str:
    return "the lease has ended" if isinstance(error, FencedError) else str(error)


def _taken(error: NamesTakenError) -> DuplicateWorkerError:
    owner = read_about("", error.about)
    known = owner.pid is not None and owner.host
    where = f"process {owner.pid} on {owner.host}" if known else "another process"
    return DuplicateWorkerError(error.name, where)
