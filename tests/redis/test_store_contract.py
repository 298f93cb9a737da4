"""What `Session` says holds on real servers, and on the model of one."""

import math

import pytest
import trio

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
    Standing,
    StoreRefusesError,
)

LONG, SHORT = 60.0, 0.3
BOTH = (START, START)
DONE, FULL, GONE = Appended.DONE, Appended.FULL, Appended.GONE


def entry(number, body=b"{}", *, to="b", lane=DATA):
    """Return what is sent to an incarnation."""
    return Entry(to, lane, number, body)


def fields(lane):
    """Return what entries have in them."""
    return [tuple(received.fields) for received in lane]


async def lanes(session, incarnation, after=BOTH, wait=0.0):
    """Return what is in both lanes of an incarnation."""
    return await session.read(incarnation, after, count=1000, wait=wait)


async def notes(session, incarnation):
    """Return what is in the system lane of an incarnation."""
    return fields((await lanes(session, incarnation))[SYSTEM])


async def join_all(session, *incarnations, lease=LONG):
    """Join incarnations, each with its name in capitals."""
    for incarnation in incarnations:
        await session.join(incarnation, [incarnation.upper()], b"{}", lease)


# Joining and leaving


async def test_the_first_to_join_is_alone(store, store_clock):
    """Nobody else is there, and nobody's lease will expire."""
    async with store.server.connect() as session:
        assert await session.join("a", ["A"], b'{"a":1}', LONG) == Joined((), math.inf)
        assert await session.peers() == {"a": b'{"a":1}'}


async def test_who_joins_learns_of_the_others(store, store_clock):
    """By name, and when the first of them may be gone."""
    async with store.server.connect() as session:
        await session.join("a", ["A"], b"{}", 30)
        await session.join("b", ["B"], b'{"b":1}', 90)
        joined = await session.join("c", [], b"{}", LONG)
        assert set(joined.peers) == {"a", "b"}
        assert 29 < joined.next_expiry <= 30
        assert await session.peers() == {"a": b"{}", "b": b'{"b":1}', "c": b"{}"}
        assert await session.find(["A", "C", "B"]) == ("a", None, "b")


async def test_a_taken_name_is_refused_and_nothing_is_claimed(store, store_clock):
    """Who has it is told; the other names stay free, and who asked has no lease."""
    async with store.server.connect() as session:
        await session.join("a", ["A"], b'{"host":"x"}', LONG)
        with pytest.raises(NamesTakenError) as caught:
            await session.join("b", ["B", "A"], b"{}", LONG)
        assert (caught.value.name, caught.value.about) == ("A", b'{"host":"x"}')
        assert await session.find(["A", "B"]) == ("a", None)
        assert set(await session.peers()) == {"a"}


async def test_joining_again_sets_the_names_and_keeps_the_rest(store, store_clock):
    """What was sent and got is there still, and the numbers go on."""
    async with store.server.connect() as session:
        await session.join("a", ["A", "A2"], b"old", LONG)
        await join_all(session, "b")
        await session.append("a", [entry(1)], limit=9)
        await session.append("b", [entry(1, to="a")], limit=9)
        assert await session.join("a", ["A2", "A3"], b"new", LONG) == Joined(
            ("b",), pytest.approx(60, abs=1)
        )
        assert await session.find(["A", "A2", "A3"]) == (None, "a", "a")
        assert (await session.peers())["a"] == b"new"
        assert len((await lanes(session, "a"))[DATA]) == 1
        assert (await session.append("a", [entry(2)], limit=9)).results == (DONE,)
        assert await session.judge([("a", "A")]) == (Standing.OWNER,)


async def test_leaving_tells_the_others_and_frees_all(store, store_clock):
    """Once; leaving again is nothing."""
    async with store.server.connect() as session:
        await join_all(session, "a", "b", "c")
        await session.leave("a")
        await session.leave("a")
        await session.leave("never was")
        assert await session.find(["A"]) == (None,)
        assert set(await session.peers()) == {"b", "c"}
        assert await notes(session, "b") == await notes(session, "c") == [(b"gone", b"a")]


async def test_an_incarnation_begins_without_what_an_old_one_was_sent(store, store_clock):
    """Numbers to and from one that left don't count for those that come."""
    async with store.server.connect() as session:
        await join_all(session, "a", "b")
        await session.append("a", [entry(1), entry(2)], limit=9)
        await session.leave("b")
        await session.join("b2", ["B"], b"{}", LONG)
        assert (await session.append("a", [entry(1, to="b2")], limit=9)).results == (DONE,)
        assert len((await lanes(session, "b2"))[DATA]) == 1


# Leases


async def test_renewing_tells_when_another_may_be_gone(store, store_clock):
    """Not when one's own lease ends; infinite when alone."""
    async with store.server.connect() as session:
        await join_all(session, "a")
        assert (await session.renew("a", 5, 1)).next_expiry == math.inf
        await session.join("b", [], b"{}", 30)
        await session.join("c", [], b"{}", 20)
        assert 19 < (await session.renew("a", 5, 1)).next_expiry <= 20


async def test_renewing_compares_the_number_of_names(store, store_clock):
    """So that lost claims are seen."""
    async with store.server.connect() as session:
        await session.join("a", ["x", "y"], b"{}", LONG)
        assert (await session.renew("a", LONG, 2)).names_kept
        assert not (await session.renew("a", LONG, 3)).names_kept
        await session.release("a", ["x"])
        assert (await session.renew("a", LONG, 1)).names_kept


async def test_a_renewed_lease_goes_on(store, store_clock):
    """For as long as was said then."""
    async with store.server.connect() as session:
        await join_all(session, "a", lease=SHORT)
        await session.renew("a", LONG, 1)
        await trio.sleep(SHORT + 0.1)
        assert (await session.renew("a", LONG, 1)).names_kept


async def test_an_expired_lease_counts_for_nothing(store, store_clock):
    """Also while nobody has ended it: it has no names, no streams, no place among peers."""
    async with store.server.connect() as session:
        await join_all(session, "a")
        await join_all(session, "b", lease=SHORT)
        await trio.sleep(SHORT + 0.1)
        assert await session.find(["B"]) == (None,)
        assert set(await session.peers()) == {"a"}
        assert await session.judge([("b", "B")]) == (Standing.GONE,)
        reply = await session.append("a", [entry(1)], limit=9, expected=2)
        assert reply.results == (GONE,)
        assert reply.living == ("a",)
        await session.claim("a", ["B"])
        assert await session.find(["B"]) == ("a",)


async def test_whoever_renews_ends_expired_leases(store, store_clock):
    """All that live are told, once; a name taken over meanwhile stays with its new owner."""
    async with store.server.connect() as session:
        await join_all(session, "a", "c")
        await session.join("b", ["B", "B2"], b"{}", SHORT)
        await trio.sleep(SHORT + 0.1)
        await session.claim("a", ["B"])
        assert (await session.renew("a", LONG, 2)).next_expiry > 50
        await session.renew("c", LONG, 1)
        assert await notes(session, "a") == await notes(session, "c") == [(b"gone", b"b")]
        assert await session.find(["B", "B2"]) == ("a", None)


@pytest.mark.parametrize("swept", [False, True])
async def test_one_without_a_lease_is_fenced(store, store_clock, swept):
    """Whatever it tries; and nothing was done."""
    async with store.server.connect() as session:
        await join_all(session, "a")
        await join_all(session, "b", lease=SHORT)
        await trio.sleep(SHORT + 0.1)
        if swept:
            await session.renew("a", LONG, 1)
        attempts = [
            lambda: session.renew("b", LONG, 1),
            lambda: session.resume("b", LONG, ["B"], {}),
            lambda: session.claim("b", ["new"]),
            lambda: session.release("b", ["B"]),
            lambda: session.append("b", [entry(1, to="a")], limit=9),
            lambda: session.acknowledge("b", BOTH, limit=9),
            lambda: session.read("b", BOTH, count=9, wait=0.05),
        ]
        for attempt in attempts:
            with pytest.raises(FencedError):
                await attempt()
        assert await session.find(["B", "new"]) == (None, None)
        assert not (await lanes(session, "a"))[DATA]
        assert (await session.renew("a", LONG, 1)).names_kept


# Coming back


async def test_resuming_goes_on_when_nothing_was_lost(store, store_clock):
    """The lease is renewed, and names are claimed that the server doesn't know."""
    async with store.server.connect() as session:
        await join_all(session, "a", "b", lease=5)
        await session.append("a", [entry(1), entry(2), entry(1, lane=SYSTEM)], limit=9)
        sent = {("b", DATA): 2, ("b", SYSTEM): 1}
        renewed = await session.resume("a", LONG, ["A", "A2"], sent)
        assert renewed.names_kept
        assert 4 < renewed.next_expiry <= 5
        assert await session.find(["A", "A2"]) == ("a", "a")


async def test_resuming_renews(store, store_clock):
    """For as long as is said then; and it ends leases that have expired."""
    async with store.server.connect() as session:
        await join_all(session, "a", "b", lease=SHORT)
        await join_all(session, "c")
        await session.resume("a", LONG, ["A"], {})
        await trio.sleep(SHORT + 0.1)
        assert (await session.resume("a", LONG, ["A"], {})).names_kept
        assert await notes(session, "c") == [(b"gone", b"b")]


async def test_resuming_knows_more_than_was_confirmed(store, store_clock):
    """What the sender has not heard of is no loss."""
    async with store.server.connect() as session:
        await join_all(session, "a", "b")
        await session.append("a", [entry(1), entry(2)], limit=9)
        await session.resume("a", LONG, ["A"], {("b", DATA): 1})


async def test_resuming_notices_what_is_lost(store, store_clock):
    """Nothing is done then; what went to one that is gone is no matter."""
    async with store.server.connect() as session:
        await join_all(session, "a", "b")
        await session.append("a", [entry(1)], limit=9)
        with pytest.raises(LostWritesError):
            await session.resume("a", LONG, ["A", "A2"], {("b", DATA): 2})
        with pytest.raises(LostWritesError):
            await session.resume("a", LONG, ["A", "A2"], {("b", SYSTEM): 1})
        assert await session.find(["A2"]) == (None,)
        await session.resume("a", LONG, ["A"], {("gone", DATA): 7})


async def test_resuming_with_a_name_that_another_one_has(store, store_clock):
    """It is refused, and the lease is as it was."""
    async with store.server.connect() as session:
        await join_all(session, "a", "b")
        with pytest.raises(NamesTakenError) as caught:
            await session.resume("a", LONG, ["A", "A2", "B"], {})
        assert caught.value.name == "B"
        assert await session.find(["A", "A2"]) == ("a", None)


# Names


async def test_claiming_and_releasing(store, store_clock):
    """All or none; what one has, or has not, is no matter."""
    async with store.server.connect() as session:
        await join_all(session, "a", "b")
        await session.claim("a", ["A", "x", "y"])
        with pytest.raises(NamesTakenError) as caught:
            await session.claim("b", ["z", "x"])
        assert caught.value.name == "x"
        assert await session.find(["x", "y", "z"]) == ("a", "a", None)
        await session.release("a", ["x", "B", "unknown"])
        assert await session.find(["x", "B"]) == (None, "b")
        await session.claim("b", ["z", "x"])
        assert await session.find(["x", "z"]) == ("b", "b")


async def test_a_name_given_up_counts_for_a_while(store, store_clock):
    """Messages under it may be on their way; another one may have it already."""
    async with store.server.connect() as session:
        await join_all(session, "a", "b")
        await session.release("a", ["A"])
        await session.claim("b", ["A"])
        pairs = [("a", "A"), ("b", "A"), ("a", "B"), ("b", "unknown"), ("unknown", "A")]
        assert await session.judge(pairs) == (
            Standing.OWNER,
            Standing.OWNER,
            Standing.STRANGER,
            Standing.STRANGER,
            Standing.GONE,
        )
        assert await session.judge([]) == ()
        assert await session.find([]) == ()


# Sending


async def test_entries_arrive_in_order_in_their_lanes(store, store_clock):
    """With the sender, the number and the body; only at their destination."""
    async with store.server.connect() as session:
        await join_all(session, "a", "b", "c")
        bodies = [
            entry(1, b"one"),
            entry(2, b""),
            entry(1, b"now", lane=SYSTEM),
            entry(3, b"\n\0\xff"),
        ]
        reply = await session.append("a", [*bodies, entry(1, b"c's", to="c")], limit=9)
        assert reply.results == (DONE,) * 5
        assert reply.living is None
        system, data = await lanes(session, "b")
        assert fields(system) == [(b"i", b"a", b"n", b"1", b"d", b"now")]
        assert [f[3::2] for f in fields(data)] == [(b"1", b"one"), (b"2", b""), (b"3", b"\n\0\xff")]
        assert [f[5] for f in fields((await lanes(session, "c"))[DATA])] == [b"c's"]
        assert not any(await lanes(session, "a"))


async def test_equal_bodies_reach_many(store, store_clock):
    """Each gets its own entry, in either lane, with others between."""
    async with store.server.connect() as session:
        everybody = [f"p{i}" for i in range(20)]
        await join_all(session, "a", *everybody)
        for lane in (SYSTEM, DATA):
            sent = [
                entry(1, b"same" if i % 5 else b"other", to=to, lane=lane)
                for i, to in enumerate(everybody)
            ]
            assert (await session.append("a", sent, limit=9)).results == (DONE,) * 20
        for i, to in enumerate(everybody):
            for lane in await lanes(session, to):
                assert [f[5] for f in fields(lane) if f[0] == b"i"] == [
                    b"same" if i % 5 else b"other"
                ]


async def test_what_was_sent_twice_is_there_once(store, store_clock):
    """A sender that got no answer sends it all again."""
    async with store.server.connect() as session:
        await join_all(session, "a", "b")
        await session.append("a", [entry(1), entry(2)], limit=9)
        again = await session.append("a", [entry(1), entry(2), entry(3)], limit=9)
        assert again.results == (DONE,) * 3
        _, data = await lanes(session, "b")
        assert [f[3] for f in fields(data)] == [b"1", b"2", b"3"]


async def test_a_gap_is_a_loss(store, store_clock):
    """The number before was confirmed, and isn't known."""
    async with store.server.connect() as session:
        await join_all(session, "a", "b")
        with pytest.raises(LostWritesError):
            await session.append("a", [entry(2)], limit=9)
        assert (await session.append("a", [entry(1)], limit=9)).results == (DONE,)


async def test_numbers_are_each_senders_and_lanes_own(store, store_clock):
    """What others send, or in the other lane, doesn't count."""
    async with store.server.connect() as session:
        await join_all(session, "a", "b", "c")
        for sender in "ac":
            for lane in (SYSTEM, DATA):
                reply = await session.append(sender, [entry(1, lane=lane)], limit=9)
                assert reply.results == (DONE,)


async def test_living_is_told_when_another_number_was_expected(store, store_clock):
    """And not told when it is right, or nothing was expected."""
    async with store.server.connect() as session:
        await join_all(session, "a", "b")
        assert (await session.append("a", [], limit=9, expected=2)).living is None
        assert (await session.append("a", [], limit=9)).living is None
        reply = await session.append("a", [entry(1, to="gone"), entry(1)], limit=9, expected=3)
        assert reply.results == (GONE, DONE)
        assert sorted(reply.living) == ["a", "b"]


# Room


async def test_a_full_lane_takes_no_more(store, store_clock):
    """All behind the first are full, too; the other lane, other senders' retries are not."""
    async with store.server.connect() as session:
        await join_all(session, "a", "b", "c")
        numbers = [entry(n) for n in range(1, 6)]
        reply = await session.append("a", [*numbers, entry(1, lane=SYSTEM)], limit=3)
        assert reply.results == (DONE, DONE, DONE, FULL, FULL, DONE)
        assert (await session.append("a", numbers[1:4], limit=3)).results == (DONE, DONE, FULL)
        assert (await session.append("c", [entry(1)], limit=3)).results == (FULL,)
        assert len((await lanes(session, "b"))[DATA]) == 3


@pytest.mark.parametrize("alone", [False, True])
async def test_who_waits_is_told_of_room_once_half_is_left(store, store_clock, alone):
    """All that wait, once each; not before."""
    async with store.server.connect() as session:
        await join_all(session, "a", "b", "c")
        await session.append("a", [entry(n) for n in range(1, 6)], limit=4)
        await session.append("c", [entry(1)], limit=4)
        _, data = await lanes(session, "b")

        async def acknowledge(upto):
            if alone:
                await session.acknowledge("b", (START, upto), limit=4)
            else:
                await session.append("b", [], limit=4, acknowledged=(START, upto))

        await acknowledge(data[0].id)
        assert await notes(session, "a") == []
        await acknowledge(data[1].id)
        await acknowledge(data[1].id)
        assert await notes(session, "a") == await notes(session, "c") == [(b"room", b"b:1")]
        assert len((await lanes(session, "b"))[DATA]) == 2
        assert (await session.append("a", [entry(5)], limit=4)).results == (DONE,)


async def test_each_lane_has_its_own_room(store, store_clock):
    """What is read of the system lane makes no room in the other."""
    async with store.server.connect() as session:
        await join_all(session, "a", "b")
        for lane in (SYSTEM, DATA):
            await session.append("a", [entry(n, lane=lane) for n in (1, 2, 3)], limit=2)
        system, data = await lanes(session, "b")
        await session.acknowledge("b", (system[-1].id, START), limit=2)
        assert await notes(session, "a") == [(b"room", b"b:0")]
        await session.acknowledge("b", (START, data[-1].id), limit=2)
        assert await notes(session, "a") == [(b"room", b"b:0"), (b"room", b"b:1")]


async def test_notes_find_room_in_a_full_lane(store, store_clock):
    """A departure is told, however full a system lane is."""
    async with store.server.connect() as session:
        await join_all(session, "a", "b", "c")
        await session.append("a", [entry(1, lane=SYSTEM)], limit=1)
        await session.leave("c")
        assert (await notes(session, "b"))[1:] == [(b"gone", b"c")]


# Reading


async def test_reading_goes_on_behind_what_was_read(store, store_clock):
    """So many at once, in each lane; reading the same again is possible until acknowledged."""
    async with store.server.connect() as session:
        await join_all(session, "a", "b")
        await session.append("a", [entry(n, b"%d" % n) for n in range(1, 6)], limit=9)
        _, first = await session.read("b", BOTH, count=2, wait=0)
        _, second = await session.read("b", (START, first[-1].id), count=2, wait=0)
        assert [f[5] for f in fields([*first, *second])] == [b"1", b"2", b"3", b"4"]
        await session.acknowledge("b", (START, second[-1].id), limit=9)
        _, rest = await lanes(session, "b")
        assert [f[5] for f in fields(rest)] == [b"5"]


async def test_a_read_waits_for_the_first_entry(store, store_clock):
    """And returns nothing when its time is over."""
    async with store.server.connect() as session, store.server.connect() as other:
        await join_all(session, "a", "b")
        before = trio.current_time()
        assert not any(await session.read("b", BOTH, count=9, wait=0.2))
        assert trio.current_time() - before >= 0.19
        got = []

        async def read():
            got.extend(await session.read("b", BOTH, count=9, wait=5))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            await trio.sleep(0.05)
            assert got == []
            await session.append("a", [entry(1)], limit=9)
        assert len(got[DATA]) == 1
        await other.leave("a")
        assert await notes(session, "b") == [(b"gone", b"a")]


async def test_operations_go_on_beside_a_read_that_waits(store, store_clock):
    """It has a way of its own."""
    async with store.server.connect() as session:
        await join_all(session, "a", "b")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: session.read("b", BOTH, count=9, wait=30))
            await trio.sleep(0.05)
            with trio.fail_after(5):
                await session.renew("a", LONG, 1)
                await session.append("a", [entry(1)], limit=9)


async def test_a_read_can_be_cancelled(store, store_clock):
    """The next one goes on where it was."""
    async with store.server.connect() as session:
        await join_all(session, "a", "b")
        with trio.move_on_after(0.05) as scope:
            await session.read("b", BOTH, count=9, wait=1)
        assert scope.cancelled_caught
        await session.append("a", [entry(1)], limit=9)
        _, data = await session.read("b", BOTH, count=9, wait=5)
        assert len(data) == 1


# Out of memory


async def test_out_of_memory_nothing_new_is_taken(store, store_clock):
    """It is told, nothing was written, and the session goes on when there is memory."""
    async with store.server.connect() as session:
        await join_all(session, "a", "b")
        with store.out_of_memory():
            with pytest.raises(StoreRefusesError):
                await session.append("a", [entry(1)], limit=9)
            with pytest.raises(StoreRefusesError):
                await session.claim("a", ["new"])
            with pytest.raises(StoreRefusesError):
                await session.join("c", ["C"], b"{}", LONG)
        assert await session.find(["new", "C"]) == (None, None)
        assert set(await session.peers()) == {"a", "b"}
        assert (await session.append("a", [entry(1)], limit=9)).results == (DONE,)


async def test_out_of_memory_the_rest_works(store, store_clock):
    """What keeps leases, ends them, and frees memory."""
    async with store.server.connect() as session:
        await join_all(session, "a", "b", "c")
        await session.append("a", [entry(1), entry(2)], limit=1)
        _, data = await lanes(session, "b")
        with store.out_of_memory():
            assert (await session.renew("a", LONG, 1)).names_kept
            assert (await session.resume("a", LONG, ["A"], {("b", DATA): 1})).names_kept
            await session.acknowledge("b", (START, data[0].id), limit=1)
            await session.release("b", ["B"])
            await session.leave("c")
            assert await session.find(["A", "B", "C"]) == ("a", None, None)
            assert await notes(session, "a") == [(b"room", b"b:1"), (b"gone", b"c")]
            assert await session.judge([("a", "A")]) == (Standing.OWNER,)
            assert set(await session.peers()) == {"a", "b"}
