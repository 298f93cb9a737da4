"""Bugs of a bus over streams, and of its server; the scenario ``streams`` finds them all.

``python tests/planted_streams.py`` plants one at a time, and says how many runs it took.
"""

import time
from collections.abc import Callable
from contextlib import suppress

import attrs
import pytest
import trio

from trioworkers.bus.redis._membership import Membership
from trioworkers.bus.redis._outbox import Outbox
from trioworkers.bus.redis._reader import Reader
from trioworkers.bus.redis._sender import Sender
from trioworkers.bus.redis._windows import Debts
from trioworkers.testing.scenarios import _explore
from trioworkers.testing.scenarios._catalogue import BUILT_IN
from trioworkers.testing.streams._model import StreamModel
from trioworkers.testing.streams._session import StreamSession

Patch = pytest.MonkeyPatch
#: Runs in which each is found.
RUNS = 600


@attrs.frozen
class StreamBug:
    """A bug that can be planted.

    Attributes:
      what: What is wrong, for a person to read.
      plant: Plants it.
      first: The seed to begin with: not 0 for what few runs find.
    """

    what: str
    plant: Callable[[Patch], None]
    first: int = 0

    def find(self, runs: int = RUNS) -> int | None:
        """Return the first seed with which anything is found, or None."""
        with pytest.MonkeyPatch.context() as patch, _explore._no_logs():
            self.plant(patch)
            patch.setattr(_explore, "HANGS_SECONDS", 5.0)
            for seed in range(self.first, self.first + runs):
                with _explore._alarm() as alarm:
                    try:
                        BUILT_IN["streams"].run(seed)
                    except (Exception, BaseExceptionGroup, _explore._HangsError):
                        return seed
                if alarm.rang:
                    return seed
        return None


STREAM_BUGS: list[StreamBug] = []


def planted(what: str, first: int = 0) -> Callable[[Callable[[Patch], None]], None]:
    """Enter a bug into `STREAM_BUGS`: the decorated function plants it."""

    def enter(plant: Callable[[Patch], None]) -> None:
        STREAM_BUGS.append(StreamBug(what, plant, first))

    return enter


def parse(fields):
    """Return incarnation and number of an entry; None for what is no entry."""
    values = dict(zip(fields[::2], fields[1::2], strict=False))
    with suppress(KeyError, ValueError):
        return values[b"i"].decode(), int(values[b"n"])
    return None


@planted("an entry that comes twice is taken twice")
def take_twice(patch: Patch) -> None:
    take = Reader._take_entry

    async def take_again(self, session, lane, entry):
        found = parse(entry.fields)
        peer = self._membership.peers.get(found[0]) if found else None
        if peer is not None and 0 < found[1] <= peer.heard[lane]:
            peer.heard[lane] = found[1] - 1
        return await take(self, session, lane, entry)

    patch.setattr(Reader, "_take_entry", take_again)


@planted("a server that has lost what it had confirmed is not noticed")
def trust_the_server(patch: Patch) -> None:
    resume, put = StreamSession.resume, StreamModel._put

    async def resume_blindly(self, incarnation, lease, names, sent):
        return await resume(self, incarnation, lease, names, {})

    def put_blindly(self, now, incarnation, entry, limit, full):
        sent = self.keys.sent.setdefault(entry.destination, {})
        lane = incarnation, entry.lane
        sent[lane] = max(sent.get(lane, 0), entry.number - 1)
        return put(self, now, incarnation, entry, limit, full)

    patch.setattr(StreamSession, "resume", resume_blindly)
    patch.setattr(StreamModel, "_put", put_blindly)


@planted("what is sent again after a lost reply counts as new")
def number_nothing(patch: Patch) -> None:
    put = StreamModel._put

    def put_always(self, now, incarnation, entry, limit, full):
        sent = self.keys.sent.get(entry.destination, {})
        recorded = sent.get((incarnation, entry.lane), 0)
        entry = attrs.evolve(entry, number=recorded + 1)
        return put(self, now, incarnation, entry, limit, full)

    patch.setattr(StreamModel, "_put", put_always)


@planted("what was under way when the connection went is forgotten")
def forget_under_way(patch: Patch) -> None:
    collect = Outbox.collect

    def collect_once(self):
        for pending in self._pending:
            for outgoing in [o for o in pending if o.sending]:
                outgoing.sending, outgoing.body = [], b""
                if not outgoing.queue:
                    del pending[outgoing]
        return collect(self)

    patch.setattr(Outbox, "collect", collect_once)


@planted("a bus that has lost its lease goes on as if it had not")
def ignore_fence(patch: Patch) -> None:
    def lose(self, why):
        if self.lease.is_held:
            self.lease.lost()
            if self._link.session is not None:
                self._link.failed(self._link.session, why)

    patch.setattr(Membership, "lose", lose)


@planted("a bus doesn't watch its lease on its own clock")
def watch_nothing(patch: Patch) -> None:
    async def watch(self):
        await trio.sleep_forever()

    patch.setattr(Membership, "watch", watch)


@planted("a note that a lane has room again is lost")
def lose_room_notes(patch: Patch) -> None:
    patch.setattr(Outbox, "has_room", lambda self, outgoing: None)


@planted("a note that a lane has room is ignored before it is known to be full")
def lose_early_room_notes(patch: Patch) -> None:
    confirm = Outbox.confirm

    def forget(self, batch, results):
        for outgoing, _ in batch:
            outgoing.had_room = False
        return confirm(self, batch, results)

    patch.setattr(Outbox, "confirm", forget)


@planted("a note that somebody has gone is ignored")
def ignore_gone(patch: Patch) -> None:
    note = Reader._note

    def ignore(self, values, id_):
        if b"gone" not in values:
            note(self, values, id_)

    patch.setattr(Reader, "_note", ignore)


@planted("somebody new is heard before it is known who has gone")
def begin_at_once(patch: Patch) -> None:
    async def find_rivals(self, session, peer, names):
        return []

    patch.setattr(Reader, "_find_rivals", find_rivals)


@planted("entries are deleted before they are taken")
def acknowledge_early(patch: Patch) -> None:
    take = Reader._take

    async def take_late(self, session, lane, received):
        if received:
            after = list(self._after)
            after[lane] = received[-1].id
            self._writer.acknowledge(tuple(after), now=True)
        return await take(self, session, lane, received)

    patch.setattr(Reader, "_take", take_late)


@planted("room for messages is never given back")
def owe_for_ever(patch: Patch) -> None:
    patch.setattr(Debts, "add", lambda self, key: None)


@planted("a broadcast that could not be sent keeps the room it had", first=40_000)
def keep_room(patch: Patch) -> None:
    async def room_for_ever(self, message):
        counted = set()
        for peer in self.membership.peers:
            await self.windows.acquire((peer, None, message.is_system))
            counted.add(peer)
        return counted

    patch.setattr(Sender, "_room_at_all", room_for_ever)


@planted("a bus that comes back claims no names")
def come_back_nameless(patch: Patch) -> None:
    join = StreamSession.join

    async def join_nameless(self, incarnation, names, about, lease):
        names = names if incarnation.endswith(".1") else []
        return await join(self, incarnation, names, about, lease)

    patch.setattr(StreamSession, "join", join_nameless)


if __name__ == "__main__":
    for bug in STREAM_BUGS:
        start = time.process_time()
        print(f"{bug.find()!s:>6} {time.process_time() - start:6.1f} s  {bug.what}")
