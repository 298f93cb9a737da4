"""The model of a stream server does what `Session` says."""

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from trioworkers.bus.redis._store import (
    DATA,
    START,
    SYSTEM,
    Appended,
    Entry,
    FencedError,
    Joined,
    LostWritesError,
    NamesTakenError,
    Session,
    Standing,
    StoreRefusesError,
    StoreUnavailableError,
)
from trioworkers.testing.streams import StreamServer

LEASE = 10.0
BOTH = (START, START)


@asynccontextmanager
async def joined(server: StreamServer, *incarnations: str) -> AsyncIterator[Session]:
    """Open a session, by which all ``incarnations`` have joined, each with its name in capitals."""
    async with server.connect() as session:
        for incarnation in incarnations:
            await session.join(incarnation, [incarnation.upper()], b"{}", LEASE)
        yield session


async def notes(session: Session, incarnation: str) -> list[tuple[bytes, ...]]:
    """Return what is in the system lane of an incarnation."""
    system, _ = await session.read(incarnation, BOTH, count=256, wait=0)
    return [tuple(entry.fields) for entry in system]


def entry(number: int, body: bytes = b"{}", lane: int = DATA, to: str = "b") -> Entry:
    """Return an entry for "b"."""
    return Entry(to, lane, number, body)


async def test_join_tells_of_the_others(autojump_clock: trio.abc.Clock) -> None:
    """Who joins learns who lives, and when the first of them may not."""
    async with StreamServer().connect() as session:
        first = await session.join("a", ["A"], b'{"a":1}', 10)
        assert first == Joined((), math.inf)
        await trio.sleep(4)
        assert await session.join("b", ["B"], b'{"b":1}', 10) == Joined(("a",), 6.0)
        assert await session.peers() == {"a": b'{"a":1}', "b": b'{"b":1}'}
        assert await session.find(["B", "A", "C"]) == ("b", "a", None)


async def test_a_name_is_one_incarnation_s(autojump_clock: trio.abc.Clock) -> None:
    """A name that is taken is refused with what its owner has told, and nothing is claimed."""
    async with joined(StreamServer(), "a", "b") as session:
        with pytest.raises(NamesTakenError) as caught:
            await session.claim("b", ["X", "A"])
        assert (caught.value.name, caught.value.about) == ("A", b"{}")
        with pytest.raises(NamesTakenError):
            await session.join("c", ["C", "A"], b"{}", LEASE)
        assert await session.find(["X", "C"]) == (None, None)
        await session.claim("a", ["A", "X"])
        await session.release("a", ["A", "nothing"])
        await session.claim("b", ["A"])
        assert await session.find(["A", "X"]) == ("b", "a")
        assert (await session.renew("a", LEASE, 1)).names_kept
        assert not (await session.renew("b", LEASE, 1)).names_kept


async def test_a_second_join_keeps_what_was_sent(autojump_clock: trio.abc.Clock) -> None:
    """An incarnation that joins again has exactly the names it says, and its lanes as before."""
    async with joined(StreamServer(), "a", "b") as session:
        await session.append("a", [entry(1)], limit=9)
        await session.join("b", ["X"], b"[]", LEASE)
        assert await session.find(["B", "X"]) == (None, "b")
        _, data = await session.read("b", BOTH, count=9, wait=0)
        assert [e.fields[-1] for e in data] == [b"{}"]
        assert await notes(session, "a") == []


async def test_a_lease_expires_by_the_server_s_clock(autojump_clock: trio.abc.Clock) -> None:
    """Over at its end, before anyone sweeps it; who renews tells those that live."""
    async with joined(StreamServer(), "a", "b", "c") as session:
        await trio.sleep(LEASE / 2)
        assert (await session.renew("a", LEASE, 1)).next_expiry == LEASE / 2
        await session.renew("c", LEASE, 1)
        await trio.sleep(LEASE / 2)
        with pytest.raises(FencedError):
            await session.renew("b", LEASE, 1)
        assert await session.find(["B"]) == (None,)
        assert set(await session.peers()) == {"a", "c"}
        reply = await session.append("a", [entry(1)], limit=9, expected=3)
        assert reply.results == (Appended.GONE,)
        assert reply.living == ("a", "c")
        assert await notes(session, "c") == []
        await session.renew("a", LEASE, 1)
        assert await notes(session, "a") == await notes(session, "c") == [(b"gone", b"b")]


async def test_leaving_is_told_once(autojump_clock: trio.abc.Clock) -> None:
    """Who leaves is gone at once; leaving again does nothing."""
    async with joined(StreamServer(), "a", "b") as session:
        await session.leave("b")
        await session.leave("b")
        assert await notes(session, "a") == [(b"gone", b"b")]
        with pytest.raises(FencedError):
            await session.claim("b", ["X"])


async def test_entries_are_put_once(autojump_clock: trio.abc.Clock) -> None:
    """What comes twice is done; what shows a gap is refused; lanes are counted apart."""
    async with joined(StreamServer(), "a", "b") as session:
        for _ in range(2):
            reply = await session.append("a", [entry(1), entry(2), entry(1, lane=0)], limit=9)
            assert reply.results == (Appended.DONE,) * 3
            assert reply.living is None
        with pytest.raises(LostWritesError):
            await session.append("a", [entry(4)], limit=9)
        system, data = await session.read("b", BOTH, count=9, wait=0)
        assert [tuple(e.fields) for e in data] == [
            (b"i", b"a", b"n", b"1", b"d", b"{}"),
            (b"i", b"a", b"n", b"2", b"d", b"{}"),
        ]
        assert len(system) == 1
        _, later = await session.read("b", (START, data[0].id), count=9, wait=0)
        assert later == data[1:]


async def test_a_full_lane_tells_when_it_has_room(autojump_clock: trio.abc.Clock) -> None:
    """Nothing more is put, from the first that finds no room on; the note comes at half."""
    async with joined(StreamServer(), "a", "b") as session:
        reply = await session.append("a", [entry(n) for n in range(1, 7)], limit=4)
        assert reply.results == (Appended.DONE,) * 4 + (Appended.FULL,) * 2
        _, data = await session.read("b", BOTH, count=9, wait=0)
        await session.acknowledge("b", (START, data[0].id), limit=4)
        assert await notes(session, "a") == []
        await session.append("b", [], limit=4, acknowledged=(START, data[1].id))
        assert await notes(session, "a") == [(b"room", b"b:1")]
        reply = await session.append("a", [entry(5), entry(6)], limit=4)
        assert reply.results == (Appended.DONE,) * 2


async def test_standing_is_kept_for_a_minute(autojump_clock: trio.abc.Clock) -> None:
    """Who has given up a name may still speak for it, for a while."""
    async with joined(StreamServer(), "a", "b") as session:
        await session.renew("a", 1000, 1)
        await session.renew("b", 1000, 1)
        await session.release("a", ["A"])
        pairs = [("a", "A"), ("b", "A"), ("b", "B"), ("c", "A")]
        owner, stranger = Standing.OWNER, Standing.STRANGER
        assert await session.judge(pairs) == (owner, stranger, owner, Standing.GONE)
        await trio.sleep(61)
        assert await session.judge(pairs[:1]) == (stranger,)


async def test_resume_sees_what_is_lost(autojump_clock: trio.abc.Clock) -> None:
    """It renews if the server knows as much as was confirmed, and tells if it doesn't."""
    server = StreamServer()
    async with joined(server, "a", "b") as session:
        old = server.model.keys.copied()
        await session.append("a", [entry(1)], limit=9)
        await session.claim("a", ["X"])
        sent = {("b", DATA): 1, ("gone", SYSTEM): 7}
        assert (await session.resume("a", LEASE, ["A", "X"], sent)).names_kept
        server.model.keys = old
        with pytest.raises(LostWritesError):
            await session.resume("a", LEASE, ["A", "X"], sent)
        assert (await session.resume("a", LEASE, ["A", "X"], {})).names_kept
        with pytest.raises(NamesTakenError):
            await session.resume("a", LEASE, ["B"], {})
        with pytest.raises(FencedError):
            await session.resume("c", LEASE, [], {})


async def test_out_of_memory_it_writes_nothing_new(autojump_clock: trio.abc.Clock) -> None:
    """Joining, claiming and appending are refused; the rest goes on."""
    server = StreamServer()
    async with joined(server, "a", "b") as session:
        server.model.out_of_memory = True
        with pytest.raises(StoreRefusesError):
            await session.join("c", [], b"{}", LEASE)
        with pytest.raises(StoreRefusesError):
            await session.claim("a", ["X"])
        with pytest.raises(StoreRefusesError):
            await session.append("a", [entry(1)], limit=9)
        await session.acknowledge("a", BOTH, limit=9)
        await session.renew("a", LEASE, 1)
        await session.leave("a")


async def test_a_read_waits(autojump_clock: trio.abc.Clock) -> None:
    """For the first entry, and no longer than it is told."""
    async with joined(StreamServer(latency=0.5), "a", "b") as session, trio.open_nursery() as n:
        start = trio.current_time()
        assert await session.read("b", BOTH, count=9, wait=2) == ([], [])
        assert trio.current_time() == start + 2.5
        n.start_soon(lambda: session.append("a", [entry(1)], limit=9))
        _, data = await session.read("b", BOTH, count=9, wait=100)
        assert len(data) == 1
        assert trio.current_time() == start + 3.0


async def test_a_cut_ends_the_session(autojump_clock: trio.abc.Clock) -> None:
    """What is under way raises, also a read that waits; so does all that comes later."""
    server = StreamServer()
    async with joined(server, "a") as session, trio.open_nursery() as nursery:
        with pytest.RaisesGroup(StoreUnavailableError):
            async with trio.open_nursery() as readers:
                readers.start_soon(lambda: session.read("a", BOTH, count=1, wait=100))
                nursery.start_soon(trio.testing.wait_all_tasks_blocked)
                await trio.testing.wait_all_tasks_blocked()
                server.cut()
        with pytest.raises(StoreUnavailableError, match="cut"):
            await session.find([])


async def test_operations_are_checkpoints_before_and_after(
    autojump_clock: trio.abc.Clock,
) -> None:
    """One that is cancelled may have taken effect, or not."""
    server = StreamServer(latency=1.0)
    async with joined(server, "a", "b") as session:
        with trio.CancelScope() as scope:
            scope.cancel()
            await session.append("a", [entry(1)], limit=9)
        assert not server.model.keys.streams
        with trio.testing.assert_checkpoints():
            await session.find([])
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: session.append("a", [entry(1)], limit=9))
            await trio.sleep(0.7)  # it is there after half of the time
            assert server.model.keys.streams
            nursery.cancel_scope.cancel()
        assert nursery.cancel_scope.cancelled_caught
