"""Turns, alone: so many at once, in order of arrival, whoever gives up."""

import gc
import math
import weakref

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from support import run
from trio.testing import wait_all_tasks_blocked

from trioworkers import BusJobRequestMessage, WaitingCircleError
from trioworkers.jobs import JobHandler
from trioworkers.jobs._active import ActiveJob
from trioworkers.jobs._circles import Holders
from trioworkers.jobs._turns import Admission, Turns

ONE_BY_ONE = JobHandler("queue", None, sequential=True)  # type: ignore[arg-type]
AT_ONCE = JobHandler("do", None)  # type: ignore[arg-type]


def _job(job_id, parent=None, handler=ONE_BY_ONE):
    request = BusJobRequestMessage(
        job_id, handler.name, parent_job_id=parent, asked=("w",), source="r", target="w"
    )
    return ActiveJob(request, handler, trio.CancelScope())


@settings(max_examples=200, deadline=None)
@given(
    st.random_module(),
    st.integers(1, 4),
    st.lists(st.tuples(st.sampled_from((0.0, 0.5, 1.0, math.inf)), st.sampled_from((0.5, 1.0)))),
    st.data(),
)
def test_turns_go_by_arrival(schedule, places, jobs, data):
    """Never more than there are places, never a free one beside one that waits; in order."""
    waits_first = data.draw(st.permutations(range(len(jobs))))
    begun, left = set(), set()

    async def main():
        turns = Turns(Holders("a test", places))
        joined = [_job(f"j{n}") for n in range(len(jobs))]
        for each in joined:
            turns.join(each)

        async def work(n):
            patience, seconds = jobs[n]
            try:
                with trio.move_on_after(patience):
                    await turns.wait_turn(joined[n])
                    assert f"j{n}" in turns.holders
                    assert all(f"j{m}" in turns.holders or m in left for m in range(n))
                    begun.add(n)
                    assert len(begun - left) <= places
                    with trio.CancelScope(shield=True):
                        await trio.sleep(seconds)
            finally:
                left.add(n)
                turns.leave(joined[n])
            assert turns.waiting == 0 or turns.holders.is_full

        async with trio.open_nursery() as nursery:
            for n in waits_first:
                nursery.start_soon(work, n)
        assert turns.waiting == 0
        assert not any(f"j{n}" in turns.holders for n in range(len(jobs)))

    run(main)
    assert {n for n, (patience, _) in enumerate(jobs) if patience == math.inf} <= begun


def test_a_turn_wakes_only_who_is_next():
    """Leaving from behind wakes nobody."""

    async def main():
        turns = Turns(Holders("a test"))
        first, second, third = (_job(f"j{n}") for n in range(3))
        for each in (first, second, third):
            turns.join(each)
        assert turns.waiting == 2
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


async def test_a_sequential_job_takes_a_place_only_when_its_turn_has_come():
    """The one behind it leaves the worker's second place to others."""
    admission = Admission("w", 2)
    first, second, other = _job("j1"), _job("j2"), _job("j3", handler=AT_ONCE)
    for each in (first, second, other):
        admission.join(each)
    await admission.wait(first)
    await admission.wait(other)
    assert admission.waiting == 1
    with trio.move_on_after(0):
        await admission.wait(second)
    admission.leave(second)
    gone = weakref.ref(second)
    del second, each
    await trio.lowlevel.checkpoint()  # Trio keeps what it raised last
    gc.collect()
    assert gone() is None
    admission.leave(first)
    admission.leave(other)
    assert admission.waiting == 0


async def test_a_job_that_waits_for_its_turn_can_close_a_circle():
    """It needs a place, too, and its ancestor holds the last one."""
    admission = Admission("w", 1)
    ancestor, before, below = _job("j1", handler=AT_ONCE), _job("j2"), _job("j3", "j1")
    for each in (ancestor, before):
        admission.check_circle(each.request, each.handler)
        admission.join(each)
        if each is ancestor:
            await admission.wait(each)
    with pytest.raises(WaitingCircleError, match=r"one of the 1 places of 'w' .* j1 -> j3"):
        admission.check_circle(below.request, below.handler)


async def test_two_that_wait_for_a_turn_can_close_a_circle_together():
    """Each ancestor holds a place; what they wait for is behind one that needs a place."""
    admission = Admission("w", 2)
    ancestors = _job("j1", handler=AT_ONCE), _job("j2", handler=AT_ONCE)
    for each in ancestors:
        admission.join(each)
        await admission.wait(each)
    in_turn = _job("j3")
    admission.join(in_turn)
    one, other = _job("j4", "j1"), _job("j5", "j2")
    admission.check_circle(one.request, one.handler)
    admission.join(one)
    with pytest.raises(WaitingCircleError, match="j2 -> j5"):
        admission.check_circle(other.request, other.handler)
    # Once the first gives up, its ancestor will end.
    admission.leave(one)
    admission.check_circle(other.request, other.handler)
