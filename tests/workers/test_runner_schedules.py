"""A runner under many schedules, cancelled at any moment."""

import trio
from hypothesis import given
from hypothesis import strategies as st
from lives import Sleeper
from trio.testing import MockClock, wait_all_tasks_blocked

from trioworkers import (
    BaseWorker,
    WorkerRunner,
)


@given(st.random_module())
def test_run_notices_a_worker_that_ends_as_soon_as_it_runs(_):
    """Even if it never waits."""

    class Quick(BaseWorker):
        async def run(self, params):
            pass

    async def main():
        runner = WorkerRunner()
        with trio.fail_after(1):
            async with trio.open_nursery() as nursery:
                await nursery.start(runner.run)
                await wait_all_tasks_blocked()
                await runner.add_workers(Quick("quick"))
        assert runner.bus.names == ()

    trio.run(main, clock=MockClock(autojump_threshold=0))


@given(st.integers(0, 12), st.booleans(), st.random_module())
def test_cancelled_at_any_moment_a_runner_leaves_nothing_behind(pauses, with_job, _):
    """Entering, running or leaving: no error, no name on the bus, no watch."""

    async def main():
        runner = WorkerRunner()
        log = []
        workers = [Sleeper("one", log), Sleeper("two", log)]

        async def session():
            await runner.add_workers(*workers)
            async with runner:
                if with_job:
                    await runner.call("one", name="sleep", payload={"seconds": 1})

        with trio.fail_after(60), trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(session)
                for _ in range(pauses):
                    await trio.lowlevel.checkpoint()
                scope.cancel()
        assert not runner.bus.is_running
        assert runner.workers == ()
        if repr(workers[0]) != "<Sleeper 'one', new>":
            assert runner.bus.names == ()
            assert runner.statistics().watches == 0
            for worker in workers:
                with trio.fail_after(1):
                    await worker.wait()

    trio.run(main, clock=MockClock(autojump_threshold=0))


@given(st.random_module())
def test_on_ready_comes_when_the_first_workers_are_ready(_):
    """Whatever the schedule; handlers may be async and get the runner."""

    async def main():
        seen = []
        runner = WorkerRunner()

        @runner.event_handler("on_ready")
        async def ready(sender):
            await trio.lowlevel.checkpoint()
            seen.append((sender is runner, sorted(runner.registry)))

        await runner.add_workers(Sleeper("one"), Sleeper("two"))
        with trio.fail_after(1):
            async with runner:
                await wait_all_tasks_blocked()
        assert seen == [(True, ["one", "two"])]

    trio.run(main, clock=MockClock(autojump_threshold=0))
