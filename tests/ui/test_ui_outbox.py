"""What waits for somebody slow: bounded, merged, and in order."""

import pytest
import trio
from support import run
from trio.testing import assert_checkpoints, wait_all_tasks_blocked

from trioworkers.bus import JobStatus
from trioworkers.ui import (
    BusUIJobCompletedMessage,
    BusUIJobUpdateMessage,
    BusUITextMessage,
)
from trioworkers.ui._outbox import (
    MAX_CHUNKS,
    MAX_STREAM_BYTES,
    MAX_WAITING,
    Outbox,
    Overflow,
)


def update(member, number, *, job="j", chunk=False):
    return BusUIJobUpdateMessage(job, member, {"n": number}, chunk, source="desk")


def chunk(member, number, job="j"):
    return update(member, number, job=job, chunk=True)


def end(member, job="j"):
    return BusUIJobCompletedMessage(job, member, JobStatus.COMPLETED, source="desk")


def text(number):
    return BusUITextMessage(str(number), source="desk")


def taken(outbox):
    """Return what waits, and leave nothing."""
    assert len(outbox) > 0
    return run(outbox.take)


def filled(*messages, **options):
    outbox = Outbox(**options)
    for message in messages:
        outbox.put(message)
    return outbox


def test_messages_come_out_in_order():
    """All of them at once, and once."""
    messages = [text(1), update("a", 1), text(2), chunk("a", 1), update("b", 1), end("a")]
    outbox = filled(*messages)
    assert len(outbox) == 6
    assert taken(outbox) == messages
    assert len(outbox) == 0


def test_a_newer_update_takes_the_place_of_an_older_one():
    """Of the same member of the same group, and of no other."""
    outbox = filled(
        update("a", 1), text(1), update("b", 1), update("a", 1, job="k"), update("a", 2)
    )
    assert outbox.merged == 1
    assert taken(outbox) == [update("a", 2), text(1), update("b", 1), update("a", 1, job="k")]


def test_an_update_that_has_been_taken_is_replaced_no_more():
    """It is on its way."""
    outbox = filled(update("a", 1))
    assert taken(outbox) == [update("a", 1)]
    outbox.put(update("a", 2))
    assert taken(outbox) == [update("a", 2)]
    assert outbox.merged == 0


def test_of_a_stream_the_newest_parts_wait():
    """As many as may, for each member of each group."""
    outbox = filled(*(chunk(m, n) for n in range(MAX_CHUNKS + 5) for m in "ab"))
    assert outbox.merged == 10
    assert taken(outbox) == [chunk(m, n) for n in range(5, MAX_CHUNKS + 5) for m in "ab"]
    for n in range(MAX_CHUNKS):
        outbox.put(chunk("a", n))
    assert outbox.merged == 10


def test_of_streams_of_large_parts_fewer_wait():
    """About as many bytes as may, of all streams; a single part in any case."""
    third = "x" * (MAX_STREAM_BYTES // 3)
    parts = [chunk("a", [third, {"number": n}]) for n in range(5)]
    other = chunk("b", third)
    assert taken(filled(*parts, other, text(1))) == [*parts[3:], text(1)]
    assert taken(filled(*parts[:1], other, *parts[1:])) == [other, parts[-1]]
    huge = chunk("a", third * 4)
    assert taken(filled(*parts, huge)) == [huge]
    outbox = filled(huge, other, end("a"), parts[0])
    assert outbox.merged == 2
    assert taken(outbox) == [huge, end("a")]
    outbox.put(other)
    assert taken(outbox) == [other]


def test_all_streams_together_leave_half_of_the_room():
    """So that they alone never make an overflow, and ends always have room."""
    outbox = filled(*(chunk(f"m{n}", 0) for n in range(20)), limit=10)
    assert (len(outbox), outbox.merged) == (5, 15)
    outbox.put(chunk("m3", 1))
    assert taken(outbox) == [*(chunk(f"m{n}", 0) for n in (0, 1, 2, 4)), chunk("m3", 1)]
    for n in range(5):
        outbox.put(chunk("a", n))
    assert len(outbox) == 5


def test_what_is_more_than_the_limit_is_an_overflow():
    """What replaces something isn't more; nor is anything lost that was in."""
    outbox = filled(update("a", 1), text(1), end("b"), limit=3)
    outbox.put(update("a", 2))
    for message in (text(2), end("a"), update("c", 1)):
        with pytest.raises(Overflow):
            outbox.put(message)
    assert taken(outbox) == [update("a", 2), text(1), end("b")]
    outbox.put(text(2))


def test_a_replay_has_room_of_its_own():
    """However many groups are in flight, who comes late is told, and has the usual room."""
    messages = [
        message
        for n in range(MAX_WAITING)
        for message in (chunk("a", n, f"j{n}"), update("a", n, job=f"j{n}"))
    ]
    outbox = Outbox()
    outbox.replay(messages)
    for number in range(MAX_WAITING):
        outbox.put(text(number))
    with pytest.raises(Overflow):
        outbox.put(text(-1))
    assert taken(outbox)[: len(messages)] == messages


def test_room_for_several_replays_is_that_of_their_messages():
    """It is one replay for each group in flight, of which there may be many."""
    outbox = Outbox(10)
    for number in range(100):
        outbox.replay([update("a", 0, job=f"j{number}")])
    for number in range(10):
        outbox.put(text(number))
    with pytest.raises(Overflow):
        outbox.put(text(-1))


def test_taking_waits_until_there_is_something():
    """And is a checkpoint always."""

    async def main():
        outbox = Outbox()
        async with trio.open_nursery() as nursery:
            got = []

            async def take():
                got.append(await outbox.take())

            nursery.start_soon(take)
            await wait_all_tasks_blocked()
            assert got == []
            outbox.put(text(1))
            await wait_all_tasks_blocked()
            assert got == [[text(1)]]
        outbox.put(text(2))
        with assert_checkpoints():
            assert await outbox.take() == [text(2)]

    run(main)


def test_who_is_cancelled_while_it_waits_takes_nothing():
    """What comes is for the next."""

    async def main():
        outbox = Outbox()
        with trio.move_on_after(1):
            await outbox.take()
        outbox.put(text(1))
        with trio.move_on_after(0):
            await outbox.take()
        assert await outbox.take() == [text(1)]

    run(main)


def test_waking_lets_a_reader_go_with_nothing():
    """Once, also if it comes before it waits."""

    async def main():
        outbox = Outbox()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(outbox.take)
            await wait_all_tasks_blocked()
            outbox.wake()
        outbox.wake()
        assert await outbox.take() == []
        with trio.move_on_after(1) as scope:
            await outbox.take()
        assert scope.cancelled_caught

    run(main)


def test_room_is_waited_for_until_all_is_taken():
    """Or until somebody wakes who waits."""

    async def main():
        outbox = filled(*map(text, range(5)), limit=10)
        assert not outbox.has_room
        async with trio.open_nursery() as nursery:
            nursery.start_soon(outbox.wait_room)
            await wait_all_tasks_blocked()
            await outbox.take()
            assert outbox.has_room
        async with trio.open_nursery() as nursery:
            nursery.start_soon(outbox.wait_room)
            await wait_all_tasks_blocked()
            outbox.wake()

    run(main)
