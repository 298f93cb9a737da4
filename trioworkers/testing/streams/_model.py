"""What a stream server does: each operation of `Session`, as one step on its keys."""

import math
from collections.abc import Mapping, Sequence

import attrs

from ...bus.redis._store import (
    DATA,
    FORMER_SECONDS,
    START,
    SYSTEM,
    Appended,
    AppendReply,
    Entry,
    FencedError,
    Joined,
    LostWritesError,
    NamesTakenError,
    Received,
    Renewed,
    Standing,
    StoreRefusesError,
)
from ._keys import Keys, Lane, Stream


@attrs.define(eq=False)
class StreamModel:
    """A server's keys, and what can be done with them.

    Each method is the operation of `Session` of the same name, done at once, at
    ``now``: milliseconds of the server's clock.

    Attributes:
      keys: What it holds.
      out_of_memory: Whether it refuses what would need more memory.
      repeats: Whether entries are put twice, for once.
    """

    keys: Keys = attrs.field(factory=Keys)
    out_of_memory: bool = False
    repeats: bool = False

    def join(
        self, now: int, incarnation: str, names: Sequence[str], about: bytes, lease: float
    ) -> Joined:
        """See `Session.join`."""
        keys = self.keys
        self._check_memory()
        self._check_free(now, incarnation, names)
        self._sweep(now)
        if incarnation in keys.leases:
            given_up = set(keys.owned.get(incarnation, {})).difference(names)
            self.release(now, incarnation, sorted(given_up))
        self._claim(incarnation, names)
        keys.about[incarnation] = about
        keys.leases[incarnation] = now + round(lease * 1000)
        peers = tuple(other for other in keys.living(now) if other != incarnation)
        return Joined(peers, self._next_expiry(now, incarnation))

    def renew(self, now: int, incarnation: str, lease: float, names: int) -> Renewed:
        """See `Session.renew`."""
        keys = self.keys
        self.check_lease(now, incarnation)
        keys.leases[incarnation] = now + round(lease * 1000)
        self._sweep(now)
        kept = len(keys.owned.get(incarnation, {})) == names
        return Renewed(self._next_expiry(now, incarnation), kept)

    def resume(
        self,
        now: int,
        incarnation: str,
        lease: float,
        names: Sequence[str],
        sent: Mapping[Lane, int],
    ) -> Renewed:
        """See `Session.resume`."""
        keys = self.keys
        self.check_lease(now, incarnation)
        for (destination, lane), number in sent.items():
            if keys.lives(destination, now):
                recorded = keys.sent.get(destination, {}).get((incarnation, lane), 0)
                if recorded < number:
                    raise LostWritesError
        self._check_free(now, incarnation, names)
        self._claim(incarnation, names)
        return self.renew(now, incarnation, lease, len(names))

    def leave(self, now: int, incarnation: str) -> None:
        """See `Session.leave`."""
        if incarnation in self.keys.leases:
            self.keys.end(incarnation, now)

    def claim(self, now: int, incarnation: str, names: Sequence[str]) -> None:
        """See `Session.claim`."""
        self._check_memory()
        self.check_lease(now, incarnation)
        self._check_free(now, incarnation, names)
        self._sweep(now)
        self._claim(incarnation, names)

    def release(self, now: int, incarnation: str, names: Sequence[str]) -> None:
        """See `Session.release`."""
        keys = self.keys
        self.check_lease(now, incarnation)
        owned = keys.owned.get(incarnation, {})
        former = keys.former.setdefault(incarnation, {})
        for name in [n for n, since in former.items() if not _is_recent(since, now)]:
            del former[name]
        for name in names:
            if name in owned:
                del owned[name]
                former[name] = now
                keys.disown(incarnation, name)

    def find(self, now: int, names: Sequence[str]) -> tuple[str | None, ...]:
        """See `Session.find`."""
        return tuple(self._owner(name, now) for name in names)

    def judge(self, now: int, pairs: Sequence[tuple[str, str]]) -> tuple[Standing, ...]:
        """See `Session.judge`."""
        return tuple(self._standing(incarnation, name, now) for incarnation, name in pairs)

    def peers(self, now: int) -> dict[str, bytes]:
        """See `Session.peers`."""
        return {name: self.keys.about[name] for name in self.keys.living(now)}

    def append(
        self,
        now: int,
        incarnation: str,
        entries: Sequence[Entry],
        limit: int,
        acknowledged: tuple[bytes, bytes],
        expected: int | None,
    ) -> AppendReply:
        """See `Session.append`."""
        self._check_memory()
        self.acknowledge(now, incarnation, acknowledged, limit)
        full: set[Lane] = set()
        results = tuple(self._put(now, incarnation, entry, limit, full) for entry in entries)
        living = self.keys.living(now)
        return AppendReply(results, None if expected in (None, len(living)) else living)

    def acknowledge(
        self, now: int, incarnation: str, acknowledged: tuple[bytes, bytes], limit: int
    ) -> None:
        """See `Session.acknowledge`."""
        keys = self.keys
        self.check_lease(now, incarnation)
        for lane, last in zip((SYSTEM, DATA), acknowledged, strict=True):
            where = (incarnation, lane)
            stream = keys.streams.get(where)
            if stream is None or last == START:
                continue
            stream.delete_to(last)
            if len(stream) * 2 <= limit:
                for source in keys.waiting.pop(where, {}):
                    if keys.lives(source, now):
                        room = f"{incarnation}:{lane}".encode()
                        keys.add((source, SYSTEM), now, b"room", room)

    def read(
        self, incarnation: str, after: tuple[bytes, bytes], count: int
    ) -> tuple[list[Received], list[Received]]:
        """Return what `Session.read` would find without waiting."""
        system, data = (
            self.keys.streams.get((incarnation, lane), _NOTHING).after(last, count)
            for lane, last in zip((SYSTEM, DATA), after, strict=True)
        )
        return system, data

    def check_lease(self, now: int, incarnation: str) -> None:
        """Raise what all raise that is done in the name of an incarnation without a lease."""
        if not self.keys.lives(incarnation, now):
            raise FencedError

    # Steps

    def _check_memory(self) -> None:
        if self.out_of_memory:
            raise StoreRefusesError("OOM command not allowed when used memory > 'maxmemory'")

    def _check_free(self, now: int, incarnation: str, names: Sequence[str]) -> None:
        for name in names:
            owner = self._owner(name, now)
            if owner is not None and owner != incarnation:
                raise NamesTakenError(name, self.keys.about[owner])

    def _sweep(self, now: int) -> None:
        keys = self.keys
        for expired in [name for name in keys.leases if not keys.lives(name, now)]:
            keys.end(expired, now)

    def _claim(self, incarnation: str, names: Sequence[str]) -> None:
        owned = self.keys.owned.setdefault(incarnation, {})
        for name in names:
            owned[name] = None
            self.keys.names[name] = incarnation

    def _owner(self, name: str, now: int) -> str | None:
        owner = self.keys.names.get(name)
        return owner if owner is not None and self.keys.lives(owner, now) else None

    def _standing(self, incarnation: str, name: str, now: int) -> Standing:
        if not self.keys.lives(incarnation, now):
            return Standing.GONE
        if self.keys.names.get(name) == incarnation:
            return Standing.OWNER
        since = self.keys.former.get(incarnation, {}).get(name)
        recent = since is not None and _is_recent(since, now)
        return Standing.OWNER if recent else Standing.STRANGER

    def _next_expiry(self, now: int, incarnation: str) -> float:
        others = (at for other, at in self.keys.leases.items() if other != incarnation)
        return min((max(0, at - now) / 1000 for at in others), default=math.inf)

    def _put(
        self, now: int, incarnation: str, entry: Entry, limit: int, full: set[Lane]
    ) -> Appended:
        keys, lane = self.keys, (entry.destination, entry.lane)
        if not keys.lives(entry.destination, now):
            return Appended.GONE
        if lane in full:
            return Appended.FULL
        sent, me = keys.sent.setdefault(entry.destination, {}), (incarnation, entry.lane)
        recorded = sent.get(me, 0)
        if entry.number <= recorded:
            return Appended.DONE
        if entry.number > recorded + 1:
            raise LostWritesError
        if len(keys.streams.get(lane, _NOTHING)) >= limit:
            full.add(lane)
            keys.waiting.setdefault(lane, {})[incarnation] = None
            return Appended.FULL
        sent[me] = entry.number
        number = b"%d" % entry.number
        for _ in range(2 if self.repeats else 1):
            keys.add(lane, now, b"i", incarnation.encode(), b"n", number, b"d", entry.body)
        return Appended.DONE


_NOTHING = Stream()


def _is_recent(since: int, now: int) -> bool:
    return now - since <= FORMER_SECONDS * 1000
