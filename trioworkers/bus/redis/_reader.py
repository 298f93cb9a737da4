"""Reads the own streams, checks what is found there, and hands it on."""

import math
from collections.abc import Callable, Sequence

import trio

from ...errors import CodecError
from .._codec import MessageCodec
from .._messages import BusMessage
from ._departures import Departures
from ._link import Link
from ._membership import Membership
from ._messages import FROM_NOBODY, FROM_RUNNERS
from ._outbox import ENTRY_BYTES, Outbox
from ._peers import Peer
from ._quarantine import Quarantine
from ._store import (
    DATA,
    SESSION_ERRORS,
    START,
    SYSTEM,
    FencedError,
    Received,
    Session,
    Standing,
)
from ._unreadable import stand_in_for
from ._writer import Writer

#: Entries of each lane that are read at once.
COUNT = 64
#: Seconds after which reading is broken off, to see whether there are system messages.
SLICE = 0.01
#: Schedule points between what was taken and the next read: as many as an answer needs on
#: its way out, so that it is not behind that read. A round trip takes about a fifth less.
HEAD_START = 4
#: Messages of one entry after which others have their turn.
MANY_MESSAGES = 256
#: Seconds that a read waits for the first entry; fewer while something is to be deleted, so
#: that a server which is full gets room also if nothing more comes.
READ_WAIT, QUIET_WAIT = 5.0, 0.5
#: Entries after which they are deleted, also if nothing is to be sent.
ACKNOWLEDGE_AFTER = 64


#: What was found in an entry: the data, its message or what stands in for it, and why it does.
Found = tuple[bytes, BusMessage | None, str | None]


class Reader:
    """Takes entries in order, each once, and messages only from those that may send them.

    Nothing in a stream stops it: what is no entry of another bus, what can't be
    decoded, and messages in the name of somebody else are refused and counted.

    Args:
      link: Where sessions come from.
      membership: Whose streams it reads.
      outbox: Where room notes are told.
      writer: What acknowledges.
      codec: Decodes messages.
      deliver: Called with the peer that a message came from, the message, and what is
        wrong with it, if it only stands in for one that can't be read.

    Attributes:
      entries: How many entries were taken.
      duplicates: How many came again.
      late: How many came from those who have gone.
      quarantine: What was refused.
      acknowledge_after: Entries after which they are deleted, also if nothing is to be
        sent; at most half of what a lane holds.
    """

    def __init__(
        self,
        link: Link,
        membership: Membership,
        outbox: Outbox,
        writer: Writer,
        codec: MessageCodec,
        deliver: Callable[[Peer, BusMessage, str | None], None],
    ) -> None:
        self.entries = self.duplicates = self.late = 0
        self.quarantine = Quarantine()
        self.acknowledge_after = ACKNOWLEDGE_AFTER
        self._link = link
        self._membership = membership
        self._outbox = outbox
        self._writer = writer
        self._codec = codec
        self._deliver = deliver
        self._after = [START, START]
        self._taken = 0
        self._session: Session | None = None
        self._incarnation = ""
        self._departures = Departures()

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            session = await self._link.wait_session()
            try:
                await self._read(session)
            except SESSION_ERRORS as error:
                self._link.failed(session, str(error))
            except FencedError:
                self._link.failed(session, "the lease has ended")

    async def _read(self, session: Session) -> None:
        await self._membership.lease.wait_fresh()
        self._begin(session)
        lanes = await session.read(
            self._incarnation,
            (self._after[SYSTEM], self._after[DATA]),
            count=COUNT,
            wait=QUIET_WAIT if self._taken else READ_WAIT,
        )
        if not self._is_current():
            self._session = None  # read again what was not taken
            return
        system, data = lanes
        taken = await self._take(session, SYSTEM, system)
        drained = taken == len(system) < COUNT
        self._departures.noted_to = math.inf if drained else _time(system[min(taken, COUNT - 1)].id)
        if self._is_current():
            await self._fade(session)
        taken_data = await self._take(session, DATA, data)
        if self._is_current():
            drained = taken_data == len(data) < COUNT
            await self._part(session, math.inf if drained else _time(self._after[DATA]))
        is_quiet = not (system or data)
        # What was read by a session that has ended may have other places by now.
        is_valid = self._is_current() and session is self._link.session
        if is_valid and (taken or taken_data or is_quiet):
            self._acknowledge(taken + taken_data, is_quiet=is_quiet)
            for _ in range(HEAD_START):
                await trio.lowlevel.checkpoint()

    def _begin(self, session: Session) -> None:
        """Read from the beginning if the session or the incarnation is another one.

        The server may have another copy of the streams then, in which entries have
        other places. What was taken is known by its number.
        """
        incarnation = self._membership.incarnation
        if incarnation != self._incarnation:
            self._departures.clear()
        if session is not self._session or incarnation != self._incarnation:
            self._session, self._incarnation = session, incarnation
            self._after = [START, START]

    def _acknowledge(self, taken: int, *, is_quiet: bool) -> None:
        """Let the writer delete what was taken: now, if it is much or nothing more comes."""
        self._taken += taken
        due = self._taken >= self.acknowledge_after or (is_quiet and self._taken > 0)
        self._writer.acknowledge((self._after[SYSTEM], self._after[DATA]), now=due)
        if due:
            self._taken = 0

    def _is_current(self) -> bool:
        """Whether what is read is for the present incarnation, and may be acted upon now."""
        membership = self._membership
        return self._incarnation == membership.incarnation and membership.lease.is_fresh

    async def _take(self, session: Session, lane: int, received: Sequence[Received]) -> int:
        """Hand on what was read in a lane, for a while; return how many entries."""
        break_at = trio.current_time() + SLICE
        for taken, entry in enumerate(received):
            if not self._is_current() or (lane == DATA and trio.current_time() > break_at):
                return taken
            if not await self._take_entry(session, lane, entry) or not self._is_current():
                return taken
            self._after[lane] = entry.id
            await trio.lowlevel.checkpoint()
        return len(received)

    async def _fade(self, session: Session) -> None:
        """Cancel at once what those have asked for that are said to have gone, and have."""
        departures = self._departures
        unconfirmed = departures.unconfirmed
        if unconfirmed:
            standings = await session.judge([(incarnation, "") for incarnation in unconfirmed])
            for incarnation, standing in zip(unconfirmed, standings, strict=True):
                if standing is Standing.GONE:
                    departures.confirm(incarnation)
                    self._membership.fade(incarnation)
                else:
                    departures.dismiss(incarnation)

    async def _part(self, session: Session, read_to: float) -> None:
        """Part from those that have gone, once all is read that they have sent before.

        Args:
          session: Where to ask whether they have.
          read_to: Up to which time the data lane was read; infinite if to its end.
        """
        await self._fade(session)
        for incarnation in self._departures.take_finished(read_to):
            self._membership.part(incarnation, "its lease has ended")

    async def _part_from(self, session: Session, lane: int, rivals: list[Peer], at: int) -> None:
        """Part from those that have gone, and whose names somebody else uses now.

        Not before all is read that they have sent until then: the system lane waits for the
        data lane, and that for what is older in the system lane.

        Args:
          session: Where to ask whether they have gone.
          lane: Which lane has come to the new owner's entry.
          rivals: Who they are.
          at: When that entry was put.
        """
        if lane == SYSTEM or at < self._departures.noted_to:
            for rival in rivals:
                self._departures.note(rival.incarnation, at)
        if lane == DATA:
            await self._part(session, at)

    # One entry

    async def _take_entry(self, session: Session, lane: int, entry: Received) -> bool:
        """Hand on the messages of an entry, unless they came before; False if it must wait."""
        try:
            values = dict(zip(entry.fields[::2], entry.fields[1::2], strict=True))
            if len(values) == 1:
                self._note(values, entry.id)
                return True
            incarnation = values[b"i"].decode()
            number = int(values[b"n"])
            body = values[b"d"]
        except (KeyError, ValueError, IndexError):
            self.quarantine.refuse("not an entry of a bus", entry.id, b" ".join(entry.fields))
            return True
        membership = self._membership
        peer = membership.peers.get(incarnation)
        if peer is None:
            peer = await self._meet(session, incarnation)
            if peer is None:
                self.late += 1
                return True
        if not self._is_current():
            return False
        heard = peer.heard[lane]
        if number <= heard:
            self.duplicates += 1
        elif number > heard + 1:
            why = f"entries {heard + 1} to {number - 1} of {incarnation} are missing"
            membership.lose(why)
        else:
            found = await self._unpack(entry.id, body)
            rivals = await self._learn_names(session, peer, found)
            if rivals:
                await self._part_from(session, lane, rivals, _time(entry.id))
                return False  # it is read again when that is done
            if self._is_current() and membership.peers.get(incarnation) is peer:
                # From here on without waiting: it is taken as a whole, or not at all.
                peer.heard[lane] = number
                self.entries += 1
                for one in found:
                    self._hand_on(peer, one, entry.id)
        return True

    async def _meet(self, session: Session, incarnation: str) -> Peer | None:
        """Return a peer that wasn't known; None if it has gone, or is nobody."""
        membership = self._membership
        if membership.peers.has_gone(incarnation) or incarnation == membership.incarnation:
            return None
        (standing,) = await session.judge([(incarnation, "")])
        if standing is Standing.GONE or not self._is_current():
            return None
        return membership.meet(incarnation)

    async def _unpack(self, id_: bytes, body: bytes) -> list[Found]:
        """Decode the messages of an entry; none if they are more than any bus puts into one."""
        if len(body) > ENTRY_BYTES and b"\n" in body:
            self.quarantine.refuse("more messages than fit into an entry", id_, body)
            return []
        found = []
        for data in body.split(b"\n"):
            found.append(self._decode(data))
            if len(found) % MANY_MESSAGES == 0:
                await trio.lowlevel.checkpoint()
        return found

    def _decode(self, data: bytes) -> Found:
        try:
            return data, self._codec.decode(data), None
        except CodecError as error:
            return data, stand_in_for(data, error.problem), error.problem

    async def _learn_names(
        self, session: Session, peer: Peer, found: Sequence[Found]
    ) -> list[Peer]:
        """Ask the server which names the peer may use, of those that aren't known to be its own.

        Returns:
          Those that are known to have had some of them, and have gone: nothing may be taken in
          these names, and none was learnt, until all is over with those. One of them may be
          the same bus, before it has lost its lease.
        """
        unknown: dict[str, None] = {}
        for _, message, _ in found:
            if message is not None and not _is_allowed(peer, message):
                unknown.update(dict.fromkeys(_names_of(message)))
        if not unknown:
            return []
        pairs = [(peer.incarnation, name) for name in unknown]
        standings = await session.judge(pairs)
        own = [name for (_, name), s in zip(pairs, standings, strict=True) if s is Standing.OWNER]
        rivals = await self._find_rivals(session, peer, own)
        if not rivals:
            for name in own:
                peer.knows(name)
        return rivals

    async def _find_rivals(self, session: Session, peer: Peer, names: list[str]) -> list[Peer]:
        """Return who has gone of others that are known to have had these names."""
        owners = self._membership.peers.owners
        others = {owners[name] for name in names if owners.get(name, peer) is not peer}
        rivals = sorted(others, key=lambda other: other.incarnation)
        if not rivals:
            return []
        standings = await session.judge([(rival.incarnation, "") for rival in rivals])
        return [r for r, s in zip(rivals, standings, strict=True) if s is Standing.GONE]

    def _hand_on(self, peer: Peer, found: Found, id_: bytes) -> None:
        data, message, problem = found
        if problem is not None:
            self.quarantine.refuse("not a message", id_, data, problem)
        if message is None:
            return
        if _is_allowed(peer, message):
            self._deliver(peer, message, problem)
        else:
            self.quarantine.refuse("sent in the name of somebody else", id_, data)

    def _note(self, values: dict[bytes, bytes], id_: bytes) -> None:
        if b"gone" in values:
            self._departures.note(values[b"gone"].decode(), _time(id_))
            return
        incarnation, _, lane = values[b"room"].decode().rpartition(":")
        peer = self._membership.peers.get(incarnation)
        if peer is not None:
            self._outbox.has_room(peer.lanes[int(lane)])
            self._writer.wake()


def _is_allowed(peer: Peer, message: BusMessage) -> bool:
    """Whether it is known that the peer may send ``message``."""
    names, kind = peer.names, type(message)
    if kind in FROM_RUNNERS:
        return message.source in names and message.runner in names  # type: ignore[attr-defined]
    return message.source in names or kind in FROM_NOBODY


def _names_of(message: BusMessage) -> tuple[str, ...]:
    """Return the names that the sender of ``message`` must have."""
    if type(message) in FROM_RUNNERS:
        return message.source, message.runner  # type: ignore[attr-defined]
    return (message.source,)


def _time(id_: bytes) -> int:
    """Return when an entry was put, in ms of the server's clock: the same for all its streams."""
    return int(id_.partition(b"-")[0])
