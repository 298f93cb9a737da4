"""The two lanes of a subscriber: order, priority, bounds, and what hooks may do."""

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, assert_checkpoints, wait_all_tasks_blocked

from trioworkers.bus import Lanes, LaneStatistics

IDLE = LaneStatistics(0, 0, 0, 0)


def never(error):
    """Fail: no hook may raise in this test."""
    raise AssertionError from error


async def test_what_is_put_before_start_is_kept_in_order():
    """Hooks run once the lanes start, oldest first."""
    ran = []

    async def hook(item):
        ran.append(item)

    lanes = Lanes(8, never)
    for item in range(5):
        lanes.put(hook, item, system=False)
    await wait_all_tasks_blocked()
    assert ran == []
    assert lanes.statistics() == LaneStatistics(0, 5, 0, 0)
    async with trio.open_nursery() as nursery:
        lanes.start(nursery)
        await lanes.wait_idle()
        assert ran == [0, 1, 2, 3, 4]
        nursery.cancel_scope.cancel()
    assert lanes.statistics() == IDLE


async def test_a_lane_without_entries_starts_no_trio_task():
    """A lane's Trio task comes with its first entry."""

    async def hook(_):
        pass

    lanes = Lanes(8, never)
    async with trio.open_nursery() as nursery:
        lanes.start(nursery)
        assert len(nursery.child_tasks) == 0
        lanes.put(hook, None, system=True)
        assert len(nursery.child_tasks) == 1
        lanes.put(hook, None, system=True)
        assert len(nursery.child_tasks) == 1
        lanes.put(hook, None, system=False)
        assert len(nursery.child_tasks) == 2
        nursery.cancel_scope.cancel()


async def test_system_hooks_run_while_a_data_hook_is_stuck():
    """A system message never waits behind a hook of the data lane."""
    ran = []
    gate = trio.Event()

    async def stuck(_):
        await gate.wait()

    async def hook(item):
        ran.append(item)

    lanes = Lanes(8, never)
    async with trio.open_nursery() as nursery:
        lanes.start(nursery)
        lanes.put(stuck, None, system=False)
        await wait_all_tasks_blocked()
        lanes.put(hook, "data", system=False)
        lanes.put(hook, "system", system=True)
        await wait_all_tasks_blocked()
        assert ran == ["system"]
        assert lanes.statistics() == LaneStatistics(0, 1, 1, 0)
        gate.set()
        await lanes.wait_idle()
        assert ran == ["system", "data"]
        nursery.cancel_scope.cancel()


@given(
    st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 3)), max_size=25),
    st.random_module(),
)
def test_order_within_a_lane_and_data_yields_to_queued_system_entries(entries, _):
    """Whatever the schedule: FIFO per lane, and no data hook begins behind a system entry."""

    async def main():
        begun = []
        queued_system = 0

        async def hook(entry):
            nonlocal queued_system
            system, number, pauses = entry
            if system:
                queued_system -= 1
            else:
                assert queued_system == 0, "a data hook began while a system entry was queued"
            begun.append((system, number))
            for _ in range(pauses):
                await trio.lowlevel.checkpoint()

        lanes = Lanes(1000, never)
        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                lanes.start(nursery)
                for number, (system, pause, pauses) in enumerate(entries):
                    queued_system += system
                    lanes.put(hook, (system, number, pauses), system=system)
                    if pause:
                        await trio.lowlevel.checkpoint()
                await lanes.wait_idle()
                nursery.cancel_scope.cancel()
        for lane in (True, False):
            ran = [number for system, number in begun if system is lane]
            assert ran == [n for n, entry in enumerate(entries) if entry[0] is lane]
        assert lanes.statistics() == IDLE

    trio.run(main, clock=MockClock(autojump_threshold=0))


async def test_a_full_lane_makes_senders_wait_until_a_hook_begins():
    """`full` counts what is queued; `wait_room` waits until there is room."""
    gate = trio.Event()

    async def stuck(_):
        await gate.wait()

    lanes = Lanes(2, never)
    arrived = []

    async def sender():
        await lanes.wait_room(system=False)
        arrived.append(True)

    async with trio.open_nursery() as nursery:
        lanes.start(nursery)
        assert not lanes.full(system=False)
        lanes.put(stuck, None, system=False)
        await wait_all_tasks_blocked()
        lanes.put(stuck, None, system=False)
        assert not lanes.full(system=False)
        lanes.put(stuck, None, system=False)
        assert lanes.full(system=False)
        assert not lanes.full(system=True)
        nursery.start_soon(sender)
        await wait_all_tasks_blocked()
        assert lanes.statistics() == LaneStatistics(0, 2, 1, 1)
        assert arrived == []
        gate.set()
        await wait_all_tasks_blocked()
        assert arrived == [True]
        nursery.cancel_scope.cancel()


async def test_waiting_for_room_and_idleness_always_checkpoints():
    """Even if there is nothing to wait for."""
    lanes = Lanes(1, never)
    with assert_checkpoints():
        await lanes.wait_room(system=True)
    with assert_checkpoints():
        await lanes.wait_idle()
    assert lanes.is_idle


async def test_idle_means_that_no_hook_runs_and_nothing_is_queued():
    """`wait_idle` returns after the last hook, not when the queue is empty."""
    gate = trio.Event()

    async def stuck(_):
        await gate.wait()

    lanes = Lanes(8, never)
    async with trio.open_nursery() as nursery:
        lanes.start(nursery)
        lanes.put(stuck, None, system=True)
        await wait_all_tasks_blocked()
        assert not lanes.is_idle
        idle = trio.Event()

        @nursery.start_soon
        async def wait():
            await lanes.wait_idle()
            idle.set()

        await wait_all_tasks_blocked()
        assert not idle.is_set()
        gate.set()
        with trio.fail_after(1):
            await idle.wait()
        assert lanes.is_idle
        nursery.cancel_scope.cancel()


async def test_a_raising_hook_does_not_stop_its_lane():
    """`on_error` gets the exception; when it returns the next hook runs."""
    errors, ran = [], []

    async def bad(item):
        raise ValueError(item)

    async def good(item):
        ran.append(item)

    lanes = Lanes(8, errors.append)
    async with trio.open_nursery() as nursery:
        lanes.start(nursery)
        lanes.put(bad, "first", system=False)
        lanes.put(good, "second", system=False)
        await lanes.wait_idle()
        nursery.cancel_scope.cancel()
    assert [str(error) for error in errors] == ["first"]
    assert ran == ["second"]


async def test_when_on_error_raises_the_nursery_fails():
    """The lane's Trio task ends with what `on_error` raises."""

    def strict(error):
        raise error

    async def bad(_):
        raise ValueError("bad hook")

    lanes = Lanes(8, strict)
    with pytest.RaisesGroup(pytest.RaisesExc(ValueError, match="bad hook")):
        async with trio.open_nursery() as nursery:
            lanes.start(nursery)
            lanes.put(bad, None, system=True)
            await trio.sleep_forever()


async def test_hooks_know_that_a_lane_hosts_them():
    """So do Trio tasks that hooks start in nurseries of their own, and nobody else."""
    seen = []

    lanes = Lanes(8, never)

    async def child():
        seen.append(("child", lanes.hosts_current_task()))

    async def hook(_):
        seen.append(("hook", lanes.hosts_current_task()))
        async with trio.open_nursery() as inner:
            inner.start_soon(child)

    assert not lanes.hosts_current_task()
    async with trio.open_nursery() as nursery:
        lanes.start(nursery)
        lanes.put(hook, None, system=False)
        await lanes.wait_idle()
        assert not lanes.hosts_current_task()
        nursery.cancel_scope.cancel()
    assert seen == [("hook", True), ("child", True)]


async def test_hooks_may_be_interrupted_but_book_keeping_may_not():
    """Ctrl-C is allowed inside a hook and not where entries are put."""
    seen = []

    async def hook(_):
        seen.append(trio.lowlevel.currently_ki_protected())

    lanes = Lanes(8, never)
    async with trio.open_nursery() as nursery:
        lanes.start(nursery)
        lanes.put(hook, None, system=False)
        lanes.put(hook, None, system=True)
        await lanes.wait_idle()
        nursery.cancel_scope.cancel()
    assert seen == [False, False]


async def test_cancelling_a_running_hook_leaves_the_lane_consistent():
    """Cancellation passes through the hook and is not an error."""
    lanes = Lanes(8, never)
    async with trio.open_nursery() as nursery:
        lanes.start(nursery)
        lanes.put(trio.sleep, 1000, system=False)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert lanes.is_idle


@given(st.integers(0, 6), st.integers(0, 6), st.random_module())
def test_closing_at_any_moment_leaves_the_lanes_idle(entries, pauses, _):
    """Whatever runs, waits or yields just then."""

    async def main():
        async def hook(_):
            await trio.lowlevel.checkpoint()

        lanes = Lanes(100, never)
        async with trio.open_nursery() as nursery:
            lanes.start(nursery)
            for number in range(entries):
                lanes.put(hook, None, system=number % 2 == 0)
            for _ in range(pauses):
                await trio.lowlevel.checkpoint()
            lanes.close()
            with trio.fail_after(1):
                await lanes.wait_idle()
            await wait_all_tasks_blocked()
            assert lanes.statistics() == IDLE
            nursery.cancel_scope.cancel()
        assert lanes.statistics() == IDLE

    trio.run(main, clock=MockClock(autojump_threshold=0))


async def test_closing_drops_what_is_queued_and_wakes_all_who_wait():
    """Nobody waits for hooks that will never run."""
    ran = []
    gate = trio.Event()

    async def stuck(_):
        await gate.wait()

    async def hook(item):
        ran.append(item)

    lanes = Lanes(1, never)
    async with trio.open_nursery() as nursery:
        lanes.start(nursery)
        lanes.put(stuck, None, system=False)
        await wait_all_tasks_blocked()
        lanes.put(hook, "late", system=False)
        async with trio.open_nursery() as waiters:
            waiters.start_soon(lanes.wait_idle)
            waiters.start_soon(lambda: lanes.wait_room(system=False))
            await wait_all_tasks_blocked()
            lanes.close()
            gate.set()
            with trio.fail_after(1):
                await lanes.wait_idle()
        lanes.put(hook, "later", system=False)
        lanes.put(hook, "later", system=True)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert ran == []
    assert lanes.statistics() == IDLE
