"""`WorkerRunner`: adding workers, running, ending, cancelling, leaving."""

import pytest
import trio
from lives import Sleeper
from trio.testing import assert_checkpoints, wait_all_tasks_blocked

from trioworkers import (
    BaseWorker,
    DuplicateWorkerError,
    JobError,
    MemoryChannelBus,
    NotAttachedError,
    StoppedError,
    WorkerRunner,
    job,
)


async def test_workers_can_be_added_before_and_while_running():
    """Those added before are on the bus at once, and run when the runner does."""
    runner = WorkerRunner(name="r")
    before, later = Sleeper("before"), Sleeper("later")
    await runner.add_workers(before)
    assert runner.bus.names == ("before",)
    assert repr(runner) == "<WorkerRunner 'r' of 1 workers>"
    assert list(runner.registry) == []
    async with runner:
        await runner.registry.wait_ready("before")
        await runner.add_workers(later)
        await runner.registry.wait_ready("later")
        assert runner.workers == (before, later)
        assert runner.get_worker("later") is later
        assert runner.get_worker("nobody") is None
        assert set(runner.bus.names) == {"r", "before", "later"}
    assert runner.workers == ()
    assert runner.bus.names == ()


async def test_leaving_normally_lets_the_workers_finish(autojump_clock):
    """Accepted jobs complete; then every worker cleans up."""
    sleeper = Sleeper()
    async with WorkerRunner() as runner, trio.open_nursery() as nursery:
        await runner.add_workers(sleeper)
        nursery.start_soon(lambda: runner.call("sleeper", name="sleep", payload={"seconds": 5}))
        await wait_all_tasks_blocked()
        await runner.end()
    assert sleeper.log == ["sleeper: handler has ended", "sleeper: cleaned up"]
    assert trio.current_time() == pytest.approx(5)


async def test_leaving_by_an_exception_cancels_the_workers(autojump_clock):
    """The body's exception leaves as it is."""
    sleeper = Sleeper()
    error = ValueError("mine")
    with pytest.raises(ValueError, match="mine") as caught:
        async with WorkerRunner() as runner:
            await runner.add_workers(sleeper)
            await runner.registry.wait_ready("sleeper")
            await sleeper.request_job("sleeper", name="sleep", payload={"seconds": 1000})
            await wait_all_tasks_blocked()
            raise error
    assert caught.value is error
    assert sleeper.log == ["sleeper: handler has ended", "sleeper: cleaned up"]
    assert trio.current_time() == 0
    assert runner.bus.names == ()


async def test_cancellation_from_outside_cancels_the_workers(autojump_clock):
    """In the body, and while the runner waits for its workers to finish."""
    for in_body in (True, False):
        sleeper = Sleeper()
        begun = trio.current_time()
        with trio.move_on_after(3) as scope:
            async with WorkerRunner() as runner:
                await runner.add_workers(sleeper)
                await runner.registry.wait_ready("sleeper")
                sleeper.nursery.start_soon(sleeper.call_itself_through, runner)
                await wait_all_tasks_blocked()
                if in_body:
                    await trio.sleep_forever()
        assert scope.cancelled_caught
        assert sleeper.log == ["sleeper: handler has ended", "sleeper: cleaned up"]
        assert trio.current_time() - begun == pytest.approx(3)
        assert runner.bus.names == ()


async def _call_itself_through(self, runner):
    await runner.call("sleeper", name="sleep", payload={"seconds": 1000})


Sleeper.call_itself_through = _call_itself_through


async def test_cancel_stops_the_workers_now(autojump_clock):
    """The body goes on; leaving it then has nothing to wait for."""
    sleeper = Sleeper()
    with trio.fail_after(1):
        async with WorkerRunner() as runner:
            await runner.add_workers(sleeper)
            await runner.registry.wait_ready("sleeper")
            await sleeper.request_job("sleeper", name="sleep", payload={"seconds": 1000})
            await wait_all_tasks_blocked()
            await runner.cancel(reason="enough")
            await sleeper.wait()
            assert runner.workers == ()
    assert sleeper.log == ["sleeper: handler has ended", "sleeper: cleaned up"]


async def test_a_worker_ends_or_cancels_the_whole_session(autojump_clock):
    """`BaseWorker.end` lets all finish, `BaseWorker.cancel` doesn't."""
    for method, seconds in (("end", 9), ("cancel", 0)):
        one, two = Sleeper("one"), Sleeper("two")
        runner = WorkerRunner()
        await runner.add_workers(one, two)
        begun = trio.current_time()
        async with trio.open_nursery() as nursery:
            await nursery.start(runner.run)
            await runner.registry.wait_ready("one", "two")
            await one.request_job("two", name="sleep", payload={"seconds": 9})
            await wait_all_tasks_blocked()
            await getattr(two, method)(reason="done")
        assert trio.current_time() - begun == pytest.approx(seconds)
        assert runner.workers == ()


async def test_run_returns_when_all_root_workers_have_ended():
    """That is ``auto_end``."""
    runner = WorkerRunner()
    one, two = Sleeper("one"), Sleeper("two")
    await runner.add_workers(one, two)
    with trio.fail_after(1):
        async with trio.open_nursery() as nursery:
            await nursery.start(runner.run)
            await runner.registry.wait_ready("one", "two")
            await one.stop()
            await wait_all_tasks_blocked()
            assert runner.workers == (two,)
            await two.stop()
    assert runner.bus.names == ()


async def test_run_waits_for_the_first_worker():
    """It doesn't end before one was added."""
    runner = WorkerRunner()
    with trio.fail_after(1):
        async with trio.open_nursery() as nursery:
            await nursery.start(runner.run)
            await wait_all_tasks_blocked()
            worker = Sleeper()
            await runner.add_workers(worker)
            await runner.registry.wait_ready("sleeper")
            await worker.stop()


async def test_run_without_auto_end_runs_until_it_is_told():
    """Workers may come and go."""
    runner = WorkerRunner()
    with trio.fail_after(1):
        async with trio.open_nursery() as nursery:
            await nursery.start(lambda **kw: runner.run(auto_end=False, **kw))
            worker = Sleeper()
            await runner.add_workers(worker)
            await runner.registry.wait_ready("sleeper")
            await worker.stop()
            await wait_all_tasks_blocked()
            assert runner.bus.is_running
            await runner.end(reason="told")
    assert not runner.bus.is_running


async def test_a_runner_runs_once():
    """A second time is refused, while it runs and after."""
    runner = WorkerRunner(name="r")
    async with runner:
        with pytest.raises(StoppedError, match="runner 'r' was run before; make a new one"):
            await runner.run()
    with pytest.raises(StoppedError, match="was run before"):
        async with runner:
            pass
    with pytest.raises(StoppedError, match="runner 'r' has ended"):
        await runner.add_workers(Sleeper())
    with pytest.raises(StoppedError, match="runner 'r' has ended"):
        runner.job("x")


async def test_asking_before_the_runner_runs_is_an_error():
    """It says what to do."""
    runner = WorkerRunner(name="r")
    with pytest.raises(NotAttachedError, match="runner 'r' does not run yet; use `async with"):
        runner.job("x")


async def test_all_workers_are_added_or_none():
    """A taken name, one twice, or what is no worker refuses all."""
    fresh = Sleeper("fresh")
    async with WorkerRunner(name="r") as runner:
        await runner.add_workers(Sleeper("taken"))
        with pytest.raises(DuplicateWorkerError, match="'taken' is already in the bus"):
            await runner.add_workers(fresh, Sleeper("taken"))
        with pytest.raises(DuplicateWorkerError, match="'fresh' is already in this call"):
            await runner.add_workers(fresh, fresh)
        with pytest.raises(DuplicateWorkerError, match="'r' is already in the bus"):
            await runner.add_workers(fresh, Sleeper("r"))
        with pytest.raises(TypeError, match="expected a BaseWorker, not <class"):
            await runner.add_workers(fresh, Sleeper)
        assert runner.get_worker("fresh") is None
        await runner.add_workers(fresh)


async def test_a_worker_with_the_runners_name_keeps_it_from_running():
    """The error leaves, and nothing stays behind."""
    runner = WorkerRunner(name="r")
    worker = Sleeper("r")
    await runner.add_workers(worker)
    with pytest.raises(DuplicateWorkerError, match="'r' is already in the bus"):
        async with runner:
            raise AssertionError
    assert runner.bus.names == ()
    assert not runner.bus.is_running
    with trio.fail_after(1):
        await worker.wait()


def test_bad_arguments_are_refused():
    """Before anything starts."""
    with pytest.raises(TypeError, match="a runner name must be a str, not 3"):
        WorkerRunner(name=3)
    with pytest.raises(ValueError, match="a runner name must not be empty"):
        WorkerRunner(name="")
    with pytest.raises(TypeError, match="bus must be a WorkerBus or None, not 'redis://'"):
        WorkerRunner(bus="redis://")


async def test_a_runner_that_is_ending_refuses_workers():
    """Nobody would end them."""
    late = Sleeper("late")
    with trio.fail_after(1):
        async with WorkerRunner(name="r") as runner:
            await runner.add_workers(Sleeper())
            await runner.end()
            with pytest.raises(StoppedError, match="runner 'r' is ending"):
                await runner.add_workers(late)
            await wait_all_tasks_blocked()
            with pytest.raises(StoppedError, match="runner 'r' "):
                await runner.add_workers(late)
    assert repr(late) == "<Sleeper 'late', new>"


async def test_async_functions_of_a_runner_checkpoint():
    """Also where there is nothing to do."""
    runner = WorkerRunner()
    with assert_checkpoints():
        await runner.add_workers()
    with assert_checkpoints():
        async with runner:
            with assert_checkpoints():
                await runner.add_workers(Sleeper())
            with assert_checkpoints():
                await runner.cancel()
            with assert_checkpoints():
                await runner.end()


async def test_a_bus_that_runs_already_is_left_running():
    """The runner runs only a bus that doesn't."""
    bus = MemoryChannelBus()
    async with bus:
        async with WorkerRunner(bus=bus) as runner:
            assert runner.bus is bus
            await runner.add_workers(Sleeper())
        assert bus.is_running
        assert bus.names == ()
    other = MemoryChannelBus()
    async with WorkerRunner(bus=other):
        assert other.is_running
    assert not other.is_running


async def test_statistics_return_to_zero(autojump_clock):
    """After jobs, groups and watches; a runner that has left has nothing."""
    one, two = Sleeper("one"), Sleeper("two")
    async with WorkerRunner() as runner:
        await runner.add_workers(one, two)
        await runner.registry.wait_ready("one", "two")
        await wait_all_tasks_blocked()
        before = runner.statistics()
        assert set(before.workers) == {"one", "two"}
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: runner.call("one", name="sleep", payload={"seconds": 1}))
            nursery.start_soon(lambda: one.call("two", name="sleep", payload={"seconds": 1}))
            await wait_all_tasks_blocked()
            during = runner.statistics()
            assert during.job_groups == 1
            assert during.workers["one"].active_jobs == 1
            assert during.workers["one"].job_groups == 1
        await wait_all_tasks_blocked()
        after = runner.statistics()
        assert after.workers == before.workers
        assert (after.job_groups, after.waiting_for, after.watches) == (0, {}, before.watches)
        with trio.move_on_after(1):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(runner.call, "nobody")
                await wait_all_tasks_blocked()
                assert list(runner.statistics().waiting_for.values()) == ["'nobody'"]
        assert runner.statistics().waiting_for == {}
        assert runner.statistics().watches == before.watches
    end = runner.statistics()
    assert (end.workers, end.watches, end.remote_workers, end.errors) == ({}, 0, 0, 0)
    assert (end.bus.subscribers, end.bus.lanes, end.bus.unpublished) == (0, {}, 0)


async def test_ending_or_cancelling_what_has_ended_does_nothing():
    """However the runner has ended."""
    done, failed = WorkerRunner(), WorkerRunner()
    async with done:
        pass
    with pytest.raises(ValueError, match="mine"):
        async with failed:
            raise ValueError("mine")
    for runner in (done, failed):
        await runner.end()
        await runner.cancel()


async def test_an_ending_runner_takes_jobs_from_running_handlers_only(autojump_clock):
    """An idle worker refuses new work, but helps those that still finish theirs."""
    helped = []

    class Busy(BaseWorker):
        @job(name="work")
        async def work(self, message):
            await trio.sleep(5)
            helped.append(await self.call("idle", name="sleep", payload={"seconds": 1}))

    async with WorkerRunner() as runner, trio.open_nursery() as nursery:
        await runner.add_workers(Busy("busy"), Sleeper("idle"))
        await runner.registry.wait_ready("busy", "idle")
        nursery.start_soon(lambda: runner.call("busy", name="work"))
        await wait_all_tasks_blocked()
        await runner.end()
        await wait_all_tasks_blocked()
        with pytest.raises(JobError, match=r"'idle' cancelled: .*worker 'idle' is ending"):
            await runner.call("idle", name="sleep", payload={"seconds": 1})
    assert helped == [{"slept": 1}]
    assert trio.current_time() == pytest.approx(6)
