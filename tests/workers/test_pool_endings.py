"""How pools end: they do what they have accepted, or are stopped, or crash themselves."""

import gc
import weakref
from functools import partial

import pytest
import trio
from pools import Crew, explode, outcome_of, pool_of, sleep_as_asked, statuses, works_or_crashes
from support import Asker, Doer, assert_gone, hosting, on_schedules
from trio.testing import wait_all_tasks_blocked

from trioworkers import (
    BusCancelWorkerMessage,
    BusEndWorkerMessage,
    JobError,
    JobStatus,
    WorkerPool,
    WorkerRunner,
)

# Ending


@on_schedules()
async def test_a_pool_that_ends_does_what_it_has_accepted():
    """What waits, too; new requests are refused."""
    for by_runner in (False, True):
        crew, outcomes = Crew(), {}
        pool = pool_of(crew, 2)
        async with WorkerRunner() as runner, trio.open_nursery() as nursery:
            await runner.add_workers(pool)
            for n in range(5):
                nursery.start_soon(outcome_of, runner, outcomes, n)
            await wait_all_tasks_blocked()
            if by_runner:
                await runner.end()
            else:
                await runner.bus.send(BusEndWorkerMessage(source="x", target="pool"))
            await wait_all_tasks_blocked()
            await outcome_of(runner, outcomes, "late")
            assert outcomes["late"].status is JobStatus.CANCELLED
            start = trio.current_time()
            await pool.wait()
            assert trio.current_time() == pytest.approx(start + 3)
            await wait_all_tasks_blocked()
            assert statuses(outcomes) == {
                "late": "cancelled",
                **dict.fromkeys(range(5), "completed"),
            }
            assert runner.workers == ()
        assert_gone(runner, pool, *crew.members)


@on_schedules()
async def test_a_pool_that_ends_still_does_what_its_handlers_ask_it_for():
    """Its members are there until all of that is done."""

    async def asks(worker, message):
        await trio.sleep(1)
        if message.payload["depth"]:
            await worker.call("pool", name="do", payload={"depth": message.payload["depth"] - 1})

    crew = Crew(asks)
    pool, outcomes = pool_of(crew, 3), {}
    async with WorkerRunner() as runner:
        await runner.add_workers(pool)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: outcome_of(runner, outcomes, "deep", depth=2))
            await wait_all_tasks_blocked()
            await runner.bus.send(BusEndWorkerMessage(source="x", target="pool"))
        assert outcomes["deep"].status is JobStatus.COMPLETED
        assert len(crew.members) == 3


@on_schedules()
async def test_a_member_that_crashes_while_the_pool_ends_is_replaced_if_need_be():
    """What has been accepted is done; but nobody comes for nothing."""
    crew, outcomes = Crew(works_or_crashes), {}
    pool = pool_of(crew, 2)
    async with WorkerRunner(strict=False) as runner, trio.open_nursery() as nursery:
        await runner.add_workers(pool)
        for key in ("first", "second"):
            nursery.start_soon(partial(outcome_of, runner, outcomes, key, crash=True))
        await wait_all_tasks_blocked()
        for n in range(2):
            nursery.start_soon(partial(outcome_of, runner, outcomes, n, crash=n == 1))
        await wait_all_tasks_blocked()
        await runner.bus.send(BusEndWorkerMessage(source="x", target="pool"))
        with trio.fail_after(20):
            await pool.wait()
        await wait_all_tasks_blocked()
        lost = dict.fromkeys(("first", "second", 1), "lost")
        assert statuses(outcomes) == {0: "completed", **lost}
        assert len(crew.members) == 4
        assert runner.workers == ()


@on_schedules()
async def test_a_pool_whose_members_are_not_ready_ends_all_the_same():
    """When what waits has been answered: done, refused by the first member, or given up."""

    class Slow(Doer):
        async def start(self):
            await trio.sleep(5)
            await super().start()

    for name, timeout, status in (
        ("do", None, "completed"),
        ("nonsense", None, "error"),
        ("do", 1, "timed_out"),
    ):
        async with WorkerRunner() as runner:
            pool = WorkerPool("pool", lambda: Slow(None), size=1)
            await runner.add_workers(pool)
            await runner.registry.wait_ready("pool")
            with trio.fail_after(20):
                async with runner.job_group(
                    "pool", name=name, timeout=timeout, cancel_on_error=False
                ) as group:
                    await runner.bus.send(BusEndWorkerMessage(source="x", target="pool"))
                assert group.outcomes["pool"].status == status
                await pool.wait()


# Stopping


async def takes_time_to_stop(worker, message):
    """Sleep; when cancelled, work on for two seconds."""
    try:
        return await sleep_as_asked(worker, message)
    finally:
        with trio.CancelScope(shield=True):
            await trio.sleep(2)


@on_schedules()
async def test_a_pool_that_is_stopped_answers_all_and_waits_for_its_members():
    """What waits at once, what runs when it has stopped; both are CANCELLED."""
    crew, outcomes = Crew(takes_time_to_stop), {}
    pool = pool_of(crew, 1)
    async with WorkerRunner() as runner, trio.open_nursery() as nursery:
        await runner.add_workers(pool)
        nursery.start_soon(lambda: outcome_of(runner, outcomes, "runs", seconds=50))
        await wait_all_tasks_blocked()
        nursery.start_soon(lambda: outcome_of(runner, outcomes, "waits"))
        await wait_all_tasks_blocked()
        with trio.move_on_after(1):
            await pool.stop()
        assert statuses(outcomes) == {"waits": "cancelled"}
        assert crew.running == 1
        assert "pool" in runner.registry
        await pool.wait()
        assert crew.running == 0
        await wait_all_tasks_blocked()
        assert statuses(outcomes) == {"waits": "cancelled", "runs": "cancelled"}
        assert str(outcomes["runs"].error) == "WorkerStopped: worker 'pool' has stopped"
        assert runner.workers == ()
    assert_gone(runner, pool, *crew.members)


@on_schedules()
async def test_a_pool_can_be_cancelled_with_everything():
    """By a message, or with its runner."""
    for by_runner in (False, True):
        crew, outcomes = Crew(), {}
        pool = pool_of(crew, 1)
        async with WorkerRunner() as runner, trio.open_nursery() as nursery:
            await runner.add_workers(pool)
            for n in range(3):
                nursery.start_soon(partial(outcome_of, runner, outcomes, n, seconds=50))
            await wait_all_tasks_blocked()
            if by_runner:
                await runner.cancel()
            else:
                await runner.bus.send(BusCancelWorkerMessage(source="x", target="pool"))
            with trio.fail_after(1):
                await pool.wait()
            await wait_all_tasks_blocked()
            assert statuses(outcomes) == dict.fromkeys(range(3), "cancelled")
            assert runner.workers == ()


@on_schedules()
async def test_a_member_that_is_told_to_go_finishes_its_job_and_is_replaced():
    """Told to end, it takes no further job; told to stop by itself, neither."""

    async def stops(worker, message):
        if message.payload.get("stop"):
            await worker.stop()
            return {}
        return await sleep_as_asked(worker, message)

    crew, outcomes = Crew(stops), {}
    pool = pool_of(crew, 1)
    async with hosting(pool) as runner, trio.open_nursery() as nursery:
        nursery.start_soon(outcome_of, runner, outcomes, 0)
        await wait_all_tasks_blocked()
        nursery.start_soon(lambda: outcome_of(runner, outcomes, "stop", stop=True))
        await wait_all_tasks_blocked()
        nursery.start_soon(outcome_of, runner, outcomes, 1)
        await wait_all_tasks_blocked()
        await runner.bus.send(BusEndWorkerMessage(source="x", target="pool[0]"))
        await trio.sleep(5)
        del outcomes["stop"]  # cancelled or completed, whichever was first
        assert statuses(outcomes) == {0: "completed", 1: "completed"}
        assert [member.name for member in crew.members] == ["pool[0]", "pool[1]", "pool[2]"]


async def test_a_member_that_has_gone_leaves_nothing_behind(autojump_clock):
    """Not even in a pool that nobody asks."""

    def factory():
        member = Doer(None)
        made.append(weakref.ref(member))
        return member

    made = []
    async with hosting(WorkerPool("pool", factory, size=1)) as runner:
        for n in range(3):
            await trio.sleep(60)
            await runner.bus.send(BusEndWorkerMessage(source="x", target=f"pool[{n}]"))
        await trio.sleep(60)
        gc.collect()
        assert [ref() is not None for ref in made] == [False, False, False, True]


@on_schedules()
async def test_a_pool_that_never_runs_leaves_nothing():
    """Its members have not been added to anything."""
    pool = pool_of(Crew(), 2)
    runner = WorkerRunner()
    await runner.add_workers(pool)
    with pytest.raises(ZeroDivisionError):
        async with runner:
            raise ZeroDivisionError
    assert_gone(runner, pool)


@on_schedules()
async def test_a_runner_that_is_cancelled_leaves_no_member():
    """From outside, in the middle of everything."""
    crew = Crew(takes_time_to_stop)
    pool, asker = pool_of(crew, 2), Asker()
    with trio.move_on_after(3):
        async with WorkerRunner() as runner:
            await runner.add_workers(pool, asker)
            for _ in range(4):
                await asker.request_job("pool", name="do", payload={"seconds": 50})
            await trio.sleep_forever()
    assert trio.current_time() == pytest.approx(5)
    assert crew.running == 0
    assert_gone(runner, pool, asker, *crew.members)


@on_schedules()
async def test_a_pool_that_crashes_by_its_own_hook_loses_its_jobs():
    """They end at once, as LOST."""
    crew, outcomes = Crew(), {}
    pool = pool_of(crew, 1)

    async with WorkerRunner(strict=False) as runner, trio.open_nursery() as nursery:
        await runner.add_workers(pool)
        for n in range(2):
            nursery.start_soon(partial(outcome_of, runner, outcomes, n, seconds=50))
        await wait_all_tasks_blocked()
        pool.nursery.start_soon(explode)
        with trio.fail_after(1):
            await pool.wait()
        await wait_all_tasks_blocked()
        assert statuses(outcomes) == {0: "lost", 1: "lost"}
        assert {str(o.error) for o in outcomes.values()} == {"WorkerLost: worker 'pool' crashed"}
        with pytest.raises(JobError):
            await runner.call("pool", name="do", payload={"seconds": 1}, timeout=1)
        assert runner.workers == ()
