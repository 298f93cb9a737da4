"""Members that crash: what is lost, who takes their place, and when a pool gives up."""

import pytest
import trio
from pools import Crew, explode, outcome_of, pool_of, sleep_as_asked, statuses, works_or_crashes
from support import Doer, assert_gone, assert_quiet, hosting, on_schedules
from trio.testing import wait_all_tasks_blocked

from trioworkers import (
    BaseWorker,
    BusJobRequestMessage,
    JobError,
    JobStatus,
    WorkerPool,
    WorkerRunner,
)
from trioworkers.workers._pool import MAX_FAILURES, STEADY


@on_schedules()
async def test_a_crashed_member_is_replaced_and_only_its_job_is_lost():
    """What waits goes to others, and to the one that takes its place."""
    crew, outcomes = Crew(works_or_crashes), {}
    pool = pool_of(crew, 2)
    async with hosting(pool, strict=False) as runner:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: outcome_of(runner, outcomes, "crash", crash=True))
            await wait_all_tasks_blocked()
            for n in range(5):
                nursery.start_soon(outcome_of, runner, outcomes, n)
        assert statuses(outcomes) == {"crash": "lost", **dict.fromkeys(range(5), "completed")}
        assert "'pool' has lost member 'pool[" in str(outcomes["crash"].error)
        now = pool.statistics()
        assert (now.replaced_members, now.free_members) == (1, 2)
        assert len(crew.members) == 3
        assert [child.name for child in pool.children] in (
            ["pool[0]", "pool[2]"],
            ["pool[1]", "pool[2]"],
        )
        assert runner.statistics().errors == 1


@on_schedules()
async def test_the_one_that_takes_its_place_may_have_its_name():
    """Once the first has left everything, even if it takes its time to return."""

    class Named(Doer):
        async def run(self, params):
            try:
                await super().run(params)
            finally:
                with trio.CancelScope(shield=True):
                    await trio.sleep(2)

    crew, outcomes = Crew(works_or_crashes, make=lambda crew: Named("fixed", crew._run)), {}
    pool = pool_of(crew, 1)
    async with hosting(pool, strict=False) as runner:
        await outcome_of(runner, outcomes, "crash", crash=True)
        await trio.sleep(5)
        await outcome_of(runner, outcomes, "next")
        assert statuses(outcomes) == {"crash": "lost", "next": "completed"}
        assert runner.get_worker("fixed") is crew.members[1]
        assert pool.children == [crew.members[1]]


@on_schedules()
async def test_what_a_handler_can_not_survive_loses_no_other_job():
    """The member is known to be going before the next job would be handed to it."""

    class Fatal(BaseException):
        pass

    async def fatal(worker, message):
        if message.payload.get("crash"):
            await trio.sleep(1)
            raise Fatal
        return await sleep_as_asked(worker, message)

    crew, outcomes = Crew(fatal), {}
    with pytest.RaisesGroup(Fatal, flatten_subgroups=True):
        async with WorkerRunner(strict=False) as runner:
            await runner.add_workers(pool_of(crew, 1))
            async with trio.open_nursery() as nursery:
                nursery.start_soon(lambda: outcome_of(runner, outcomes, "crash", crash=True))
                await wait_all_tasks_blocked()
                nursery.start_soon(outcome_of, runner, outcomes, "next")
    assert len(crew.begun) == 1


async def test_a_crash_of_a_member_leaves_a_strict_runner(autojump_clock):
    """As any worker's does."""
    crew, runner = Crew(works_or_crashes), WorkerRunner()
    with pytest.RaisesGroup(OSError, JobError, flatten_subgroups=True):
        async with runner:
            pool = pool_of(crew, 2)
            await runner.add_workers(pool)
            await runner.registry.wait_ready("pool")
            await runner.call("pool", name="do", payload={"crash": True})
    assert_gone(runner, pool, *crew.members)


@on_schedules()
async def test_an_idle_member_that_crashes_is_replaced():
    """And told like any child of the pool."""
    crew, failed = Crew(), []
    pool = pool_of(crew, 2)
    pool.add_event_handler("on_worker_failed", lambda _, data: failed.append(data.worker_name))
    async with hosting(pool, strict=False) as runner:
        crew.members[0].nursery.start_soon(explode)
        await trio.sleep(1)
        now = pool.statistics()
        assert (now.replaced_members, now.free_members) == (1, 2)
        assert failed == ["pool[0]"]
        outcomes = {}
        await outcome_of(runner, outcomes, "after")
        assert statuses(outcomes) == {"after": "completed"}


@on_schedules()
async def test_a_job_that_comes_at_the_moment_of_a_crash_is_not_lost():
    """Its member has had nothing to do, and nobody has told it yet."""
    crew = Crew()
    async with hosting(pool_of(crew, 1), Doer("asker"), strict=False, quiet=False) as runner:
        # What Trio does when a Trio task of its nursery has raised.
        crew.members[0].nursery.cancel_scope.cancel()
        runner.bus.post(
            BusJobRequestMessage("j", "do", {"seconds": 1}, source="asker", target="pool")
        )
        await trio.sleep(5)
        assert [member.ended for member in crew.members] == [[], ["j"]]


@on_schedules()
async def test_members_that_crash_at_once_make_the_pool_give_up():
    """After a few, with growing pauses; who waits is told, and the runner goes on."""

    class Broken(BaseWorker):
        async def start(self):
            made.append(trio.current_time())
            raise OSError("no database")

    made, outcomes = [], {}
    async with WorkerRunner(strict=False) as runner:
        watches = runner.statistics().watches
        pool = WorkerPool("pool", Broken, size=1)
        await runner.add_workers(pool)
        start = trio.current_time()
        with trio.fail_after(60):
            await outcome_of(runner, outcomes, "waits")
        assert outcomes["waits"].status is JobStatus.LOST
        assert len(made) == MAX_FAILURES
        assert 1 < trio.current_time() - start < 5
        await pool.wait()
        await assert_quiet(runner)
        assert runner.statistics().errors == MAX_FAILURES + 1
        assert runner.statistics().watches == watches
        assert runner.workers == ()


@on_schedules(5)
async def test_members_that_crash_when_they_are_ready_make_it_give_up_too():
    """As long as they were given no job."""

    class Broken(BaseWorker):
        async def on_activated(self, args):
            made.append(self.name)
            self.nursery.start_soon(explode)

    made = []
    async with WorkerRunner(strict=False) as runner:
        pool = WorkerPool("pool", Broken, size=2)
        await runner.add_workers(pool)
        with trio.fail_after(60):
            await pool.wait()
        assert MAX_FAILURES < len(made) <= 2 * MAX_FAILURES


@on_schedules(5)
async def test_members_that_have_been_there_for_a_while_may_crash_for_ever():
    """They were of use, though nobody had a job for them."""
    crew = Crew()
    pool = pool_of(crew, 1)
    async with hosting(pool, strict=False):
        for _ in range(MAX_FAILURES + 3):
            await trio.sleep(STEADY + 1)
            crew.members[-1].nursery.start_soon(explode)
        await trio.sleep(1)
        assert pool.statistics().replaced_members == MAX_FAILURES + 3
        assert pool.statistics().free_members == 1


@on_schedules(5)
async def test_jobs_that_crash_their_members_do_not_end_the_pool():
    """Each costs a member; so there are no more of those than of such jobs."""
    crew, outcomes = Crew(works_or_crashes), {}
    async with hosting(pool_of(crew, 1), strict=False) as runner:
        for n in range(MAX_FAILURES + 3):
            await outcome_of(runner, outcomes, n, crash=True)
        await outcome_of(runner, outcomes, "good")
        assert outcomes["good"].status is JobStatus.COMPLETED
        assert {outcomes[n].status for n in range(MAX_FAILURES + 3)} == {JobStatus.LOST}


@on_schedules()
async def test_a_factory_that_raises_later_crashes_the_pool():
    """Its jobs are lost, those that run and those that wait; no member is left."""

    def factory():
        if len(crew.members) == 2:
            raise ValueError("no more")
        return crew()

    crew, outcomes = Crew(works_or_crashes), {}
    pool = WorkerPool("pool", factory, size=2)
    async with WorkerRunner(strict=False) as runner:
        await runner.add_workers(pool)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: outcome_of(runner, outcomes, "runs", seconds=50))
            await wait_all_tasks_blocked()
            nursery.start_soon(lambda: outcome_of(runner, outcomes, "crash", crash=True))
            await wait_all_tasks_blocked()
            nursery.start_soon(lambda: outcome_of(runner, outcomes, "waits"))
        assert trio.current_time() == 1
        assert statuses(outcomes) == dict.fromkeys(("crash", "runs", "waits"), "lost")
        await wait_all_tasks_blocked()
        assert runner.workers == ()
        assert runner.statistics().errors == 2
        assert crew.running == 0
