"""Turns and tombstones, alone: order of arrival, and cancels that come first."""

import math

import pytest
import trio
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support import run
from trio.testing import wait_all_tasks_blocked

from trioworkers import BusJobCancelMessage, BusJobRequestMessage, WaitingCircleError
from trioworkers.jobs import JobHandler
from trioworkers.jobs._active import ActiveJob
from trioworkers.jobs._queues import MAX_TOMBSTONES, TOMBSTONE_LIFE, Tombstones, Turns

HANDLER = JobHandler("queue", None, sequential=True)  # type: ignore[arg-type]


def _job(job_id, parent=None, ancestors=()):
    request = BusJobRequestMessage(
        job_id, "queue", parent_job_id=parent, ancestors=ancestors, source="r", target="w"
    )
    return ActiveJob(request, HANDLER, trio.CancelScope())


def _cancel(job_id, source="r"):
    return BusJobCancelMessage(job_id, source=source, target="w")


@settings(max_examples=100, deadline=None)
@given(st.random_module(), st.lists(st.booleans(), min_size=1, max_size=8), st.data())
def test_turns_go_by_arrival(schedule, patient, data):
    """Whoever gives up in between: the rest go one by one, in order of joining."""
    waits_first = data.draw(st.permutations(range(len(patient))))
    order, inside = [], 0

    async def main():
        nonlocal inside
        turns = Turns("queue")
        jobs = [_job(f"j{n}") for n in range(len(patient))]
        for each in jobs:
            turns.join(each)

        async def work(n):
            nonlocal inside
            try:
                with trio.move_on_after(math.inf if patient[n] else 0):
                    await turns.wait_turn(jobs[n])
                    inside += 1
                    assert inside == 1
                    try:
                        order.append(n)
                        await trio.sleep(1)
                    finally:
                        inside -= 1
            finally:
                turns.leave(jobs[n])

        async with trio.open_nursery() as nursery:
            for n in waits_first:
                nursery.start_soon(work, n)

    run(main)
    assert order == sorted(order)
    assert {n for n, waits in enumerate(patient) if waits} <= set(order)


def test_only_an_ancestor_at_the_front_makes_a_circle():
    """The chain is named from the holder on."""
    turns = Turns("queue")
    turns.check_circle(_job("j2", "j1").request)  # nobody holds it
    turns.join(_job("j1"))
    turns.join(_job("j5"))
    turns.check_circle(_job("j2").request)
    turns.check_circle(_job("j2", "j9", ("j8",)).request)
    turns.check_circle(_job("j6", "j5").request)
    with pytest.raises(WaitingCircleError) as caught:
        turns.check_circle(_job("j4", "j3", ("j0", "j1", "j2")).request)
    assert caught.value.chain == ("j1", "j2", "j3", "j4")
    assert "sequential handler 'queue' of 'w' is held by an ancestor" in str(caught.value)


def test_a_turn_wakes_only_who_is_next():
    """Leaving from behind wakes nobody."""

    async def main():
        turns = Turns("queue")
        first, second, third = (_job(f"j{n}") for n in range(3))
        for each in (first, second, third):
            turns.join(each)
        woken = []

        async def wait(each):
            await turns.wait_turn(each)
            woken.append(each)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait, second)
            await wait_all_tasks_blocked()
            turns.leave(third)
            await wait_all_tasks_blocked()
            assert woken == []
            turns.leave(first)
            await wait_all_tasks_blocked()
            assert woken == [second]
        turns.leave(second)

    run(main)


def test_a_tombstone_is_taken_once():
    """A cancel stops one request, not two."""

    async def main():
        stones = Tombstones()
        assert not stones.take("j")
        stones.add(_cancel("j"))
        stones.add(_cancel("k"))
        assert stones.count() == 2
        assert stones.take("j")
        assert not stones.take("j")
        assert stones.count() == 1

    run(main)


def test_tombstones_expire():
    """After a lease period they are forgotten, whoever asks."""

    async def main():
        stones = Tombstones()
        stones.add(_cancel("j"))
        await trio.sleep(TOMBSTONE_LIFE - 1)
        stones.add(_cancel("k"))
        assert stones.count() == 2
        await trio.sleep(1)
        assert not stones.take("j")
        assert stones.take("k")
        assert stones.count() == 0

    run(main)


def test_tombstones_are_bounded():
    """The oldest go first."""

    async def main():
        stones = Tombstones()
        for n in range(MAX_TOMBSTONES + 10):
            stones.add(_cancel(f"j{n}"))
        assert stones.count() == MAX_TOMBSTONES
        assert not stones.take("j9")
        assert stones.take("j10")

    run(main)


def test_tombstones_of_a_requester_that_departs_go():
    """Others' stay."""

    async def main():
        stones = Tombstones()
        stones.add(_cancel("j", "gone"))
        stones.add(_cancel("k", "stays"))
        stones.forget_requester("gone")
        assert not stones.take("j")
        assert stones.take("k")

    run(main)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["add", "take", "wait", "forget"]),
            st.integers(0, 4),
            st.sampled_from([0.0, 1.0, 14.0, 29.5, 30.0, 31.0]),
        ),
        max_size=30,
    )
)
# A cancel that comes again lives longer, and must not keep others from expiring.
@example([("add", 1, 0.0), ("add", 0, 0.0), ("wait", 0, 1.0), ("add", 1, 0.0), ("wait", 0, 29.5)])
def test_tombstones_match_a_plain_model(script):
    """A dict of deadlines says the same after any script."""

    async def main():
        stones, model = Tombstones(), {}
        for action, n, seconds in script:
            now = trio.current_time()
            model = {k: v for k, v in model.items() if v[0] > now}
            if action == "add":
                # Again for the same job: a new lease, and the newest place.
                stones.add(_cancel(f"j{n}", f"r{n % 2}"))
                model[f"j{n}"] = (now + TOMBSTONE_LIFE, f"r{n % 2}")
            elif action == "take":
                assert stones.take(f"j{n}") == (model.pop(f"j{n}", None) is not None)
            elif action == "wait":
                await trio.sleep(seconds)
            else:
                stones.forget_requester(f"r{n % 2}")
                model = {k: v for k, v in model.items() if v[1] != f"r{n % 2}"}
            now = trio.current_time()
            assert stones.count() == sum(v[0] > now for v in model.values())

    run(main)
