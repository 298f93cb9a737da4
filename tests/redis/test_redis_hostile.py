"""Whatever another client puts into a runner's streams is refused and counted; jobs go on."""

import os
import random
import resource
import time
from collections import Counter
from itertools import islice
from statistics import median

import orjson
import pytest
import trio
from redis_jobs import open_pair, wait_for

from trioworkers.bus.redis._quarantine import KEPT, KEPT_BYTES
from trioworkers.bus.redis._server import RedisServer

#: Entries in all; CI runs more.
COUNT = int(os.environ.get("TRIOWORKERS_HOSTILE_ENTRIES", "4000"))
#: Entries that one script puts into a stream.
PORTION = 200

PUT = """
for at = 1, #ARGV, 2 do
  local fields = cmsgpack.unpack(ARGV[at])
  redis.call('XADD', KEYS[tonumber(ARGV[at + 1])], '*', unpack(fields))
end
"""


def put(server, keys, entries):
    """Put entries, each a lane and a list of fields, into the streams of a bus."""
    for start in range(0, len(entries), PORTION):
        words = []
        for lane, fields in entries[start : start + PORTION]:
            words += [pack(fields), lane + 1]
        server.call("EVAL", PUT, len(keys), *keys, *words)


def pack(fields):
    """Return a list of byte strings as the server's scripts read it."""
    return (
        b"\xdd"
        + len(fields).to_bytes(4, "big")
        + b"".join(b"\xdb" + len(field).to_bytes(4, "big") + field for field in fields)
    )


class Enemy:
    """Makes entries of all kinds, by chance; each is refused for one reason, once.

    It has joined, so what it sends is looked at; `expected` is what should be counted.

    Args:
      peer: Another incarnation that lives.
    """

    incarnation = b"enemy.1"

    def __init__(self, peer):
        self.random = random.Random(7)
        self.peer = peer.encode()
        self.expected = Counter()
        self._lane = 0
        self._numbers = [0, 0]
        self._kinds = (
            self.random_bytes,
            self.random_fields,
            self.truncated,
            self.unknown_tag,
            self.wrong_fields,
            self.odd_numbers,
            self.huge_numbers,
            self.oversized,
            self.many_lines,
            self.stranger,
            self.ghost,
            self.replay,
            self.notes,
            self.not_utf8,
            self.deep,
        )

    def entries(self, count):
        """Yield so many, of all kinds in turn, each with its lane."""
        for number in range(count):
            self._lane = number % 2
            yield self._lane, self._kinds[number % len(self._kinds)]()

    def entry(self, body, reason="not a message", times=1):
        """Return an entry that is as it should be, but for its body."""
        self.expected[reason] += times
        self._numbers[self._lane] += 1
        number = b"%d" % self._numbers[self._lane]
        return [b"i", self.incarnation, b"n", number, b"d", body]

    def odd(self, *fields, reason="not an entry of a bus"):
        self.expected[reason] += 1
        return list(fields)

    def update(self, source="enemy", **fields):
        wire = {"$": "job.update", "job_id": "x", "source": source, "target": "host"}
        return orjson.dumps(wire | fields)

    def random_bytes(self):
        body = self.random.randbytes(self.random.randint(0, 300))
        return self.entry(body, times=body.count(b"\n") + 1)

    def random_fields(self):
        return self.odd(*(self.random.randbytes(self.random.randint(3, 20)) for _ in range(6)))

    def truncated(self):
        whole = self.update(payload={"text": "x" * 50})
        return self.entry(whole[: self.random.randrange(1, len(whole))])

    def unknown_tag(self):
        return self.entry(orjson.dumps({"$": f"evil.{self.random.random()}", "source": "enemy"}))

    def wrong_fields(self):
        return self.odd(b"incarnation", self.incarnation, b"number", b"1", b"data", self.update())

    def odd_numbers(self):
        number = self.random.choice([b"", b"-", b"1.5", b"nan", b"0x10", b"\xff", b"9" * 10_000])
        return self.odd(b"i", self.incarnation, b"n", number, b"d", self.update())

    def huge_numbers(self):
        return self.entry(b'{"$":"job.update","source":"enemy","seq":' + b"9" * 400 + b"}")

    def oversized(self):
        if self.random.random() < 0.9:  # or else it takes minutes to carry them
            return self.unknown_tag()
        return self.entry(b'{"$":"job.update","x":"' + b"y" * 2**20 + b'"}')

    def many_lines(self):
        return self.entry(b"\n" * 99, times=100)

    def stranger(self):
        return self.entry(self.update(source="host"), "sent in the name of somebody else")

    def ghost(self):
        body = self.update(source="asks")
        return self.odd(b"i", b"deadbeef.1", b"n", b"1", b"d", body, reason="late")

    def replay(self):
        body = self.update(source="asks")
        return self.odd(b"i", self.peer, b"n", b"1", b"d", body, reason="duplicates")

    def notes(self):
        good, *fields = self.random.choice(
            [
                (True, b"gone", b"deadbeef.7"),
                (True, b"gone", self.peer),  # it is not, and that is asked for
                (True, b"room", b"deadbeef.7:1"),
                (False, b"gone", b"\xff\xfe"),
                (False, b"room", self.peer + b":7"),
                (False, b"room", self.peer + b":x"),
                (False, b"what", b"x"),
                (False, b"", b""),
            ]
        )
        return self.odd(*fields, reason="notes" if good else "not an entry of a bus")

    def not_utf8(self):
        if self.random.random() < 0.5:
            return self.entry(b"\xff" * 40)
        return self.odd(b"i", b"\xff\xfe\xfd", b"n", b"1", b"d", self.update())

    def deep(self):
        return self.entry(b'{"$":"job.update","payload":' + b"[" * 5000)


def lanes_of(namespace, incarnation):
    """Return the names of the streams of a bus."""
    return [f"{{{namespace}}}:{lane}:{incarnation}" for lane in ("system", "data")]


def counted(bus):
    """Return what a bus has refused or dropped, by reason."""
    statistics = bus.statistics()
    dropped = {"late": statistics.late, "duplicates": statistics.duplicates}
    return Counter(statistics.refused | dropped)


async def test_hostile_entries_disturb_nothing(real_server, namespace, seen):
    """All are counted by reason, the newest are kept in part; jobs work meanwhile and after."""
    async with (
        open_pair(real_server.url, namespace, lease=5.0) as pair,
        RedisServer(real_server.url, namespace).connect() as session,
    ):
        victim, peer = (bus.statistics().incarnation for bus in (pair.hosts.bus, pair.asks.bus))
        await session.join("enemy.1", ["enemy"], b"not JSON", 300.0)
        lanes = lanes_of(namespace, victim)
        enemy = Enemy(peer)
        entries = enemy.entries(COUNT)
        expected = enemy.expected
        times = []
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        began = time.monotonic()
        async with trio.open_nursery() as nursery:

            async def attack():
                while portion := list(islice(entries, PORTION)):
                    await trio.to_thread.run_sync(put, real_server, lanes, portion)
                    # An enemy that is faster fills the server, which this is not about.
                    await wait_for(lambda: unread() < 2 * PORTION, within=60)
                await wait_for(lambda: counted(pair.hosts.bus).total() >= to_count(), within=60)
                nursery.cancel_scope.cancel()

            def unread():
                return max(real_server.call("XLEN", lane) for lane in lanes)

            def to_count():
                return expected.total() - expected["notes"]

            nursery.start_soon(attack)
            while True:
                times.append(await pair.echo())
        took = time.monotonic() - began
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1000
        assert max(times) < 4
        await pair.echo("after")
        bus = pair.hosts.bus
        counts = counted(bus)
        del expected["notes"]
        assert counts == expected
        statistics = bus.statistics()
        assert (statistics.leases_lost, statistics.connections) == (0, 1)
        assert len(bus.refused_entries) == KEPT
        assert max(len(entry.data) for entry in bus.refused_entries) == KEPT_BYTES
        assert grown < 300
        seen(
            f"{COUNT} entries in {took:.1f} s, with {len(times)} jobs meanwhile, median "
            f"{median(times) * 1000:.0f} ms, slowest {max(times) * 1000:.0f} ms; {grown:.0f} MB "
            f"more memory at most; counted: {dict(counts)}"
        )


async def test_a_name_of_somebody_else_is_refused(real_server, namespace):
    """A living incarnation can't speak for the workers of another one."""
    async with open_pair(real_server.url, namespace, lease=5.0) as pair:
        victim, peer = (bus.statistics().incarnation for bus in (pair.hosts.bus, pair.asks.bus))
        system, _ = lanes_of(namespace, victim)
        number = int(real_server.call("HGET", f"{{{namespace}}}:sent:{victim}", f"{peer}:0") or 0)
        forged = orjson.dumps(
            {"$": "worker.cancel", "source": "host", "target": "host", "reason": "forged"}
        )
        real_server.call("XADD", system, "*", "i", peer, "n", number + 1, "d", forged)
        real_server.call("HSET", f"{{{namespace}}}:sent:{victim}", f"{peer}:0", number + 1)
        await wait_for(
            lambda: pair.hosts.bus.statistics().refused == {"sent in the name of somebody else": 1}
        )
        (refused,) = pair.hosts.bus.refused_entries
        assert b"forged" in refused.data
        assert "host" in pair.asks.registry


async def test_a_number_that_skips_some_ends_all_with_everybody(real_server, namespace, seen):
    """As if messages had been lost: jobs end as lost, and the bus comes back as somebody new."""
    async with open_pair(real_server.url, namespace, lease=5.0) as pair:
        victim, peer = (bus.statistics().incarnation for bus in (pair.hosts.bus, pair.asks.bus))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: pair.ask_steps("0", count=1000, every=0.02))
            await wait_for(lambda: pair.jobs["0"].updates)
            data = lanes_of(namespace, victim)[1]
            real_server.call("XADD", data, "*", "i", peer, "n", "9" * 30, "d", "{}")
            await wait_for(lambda: pair.jobs["0"].outcomes)
            took = await pair.echo_until_done()
        assert pair.expect_one_outcome_each() == {"lost": 1}
        assert pair.hosts.bus.statistics().leases_lost == 1
        assert took < 1
        seen(f"new job {took:.2f} s after")


@pytest.mark.parametrize("body", [b"\n" * 2**20, b"x\n" * 2**19], ids=["empty", "short"])
async def test_an_entry_of_very_many_messages_does_not_stop_the_reader(
    real_server, namespace, body, seen
):
    """No bus sends such a one: it is refused as a whole."""
    async with open_pair(real_server.url, namespace, lease=2.0) as pair:
        async with RedisServer(real_server.url, namespace).connect() as session:
            victim = pair.hosts.bus.statistics().incarnation
            await session.join("enemy.1", ["enemy"], b"{}", 300.0)
            data = lanes_of(namespace, victim)[1]
            real_server.call("XADD", data, "*", "i", "enemy.1", "n", 1, "d", body)
            took = await pair.echo()
            assert took < 0.3
            assert pair.hosts.bus.statistics().refused
            seen(f"a job meanwhile took {took:.3f} s")
