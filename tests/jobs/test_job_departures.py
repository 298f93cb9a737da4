"""Workers that stop, crash, drain or leave the bus while jobs are in flight."""

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from support import Asker, Doer, assert_gone, hosting, on_schedules, run
from trio.testing import wait_all_tasks_blocked

from trioworkers import (
    BaseWorker,
    BusCancelWorkerMessage,
    BusDataMessage,
    JobError,
    JobStatus,
    MemoryChannelBus,
    StoppedError,
    WorkerRunner,
    job,
)


class _Crash(Exception):
    """What a crashing worker raises."""


async def never(_worker, _message):
    await trio.sleep_forever()


async def _outcome(context):
    """Run ``context`` to its end and return the one outcome."""
    try:
        async with context:
            pass
    except JobError:
        pass
    (outcome,) = context.outcomes.values()
    return outcome


async def _stop(runner, worker):
    await worker.stop()


async def _cancel(runner, worker):
    runner.bus.post(BusCancelWorkerMessage("by hand", source="runner", target=worker.name))


async def _unsubscribe(runner, worker):
    await runner.bus.unsubscribe(worker)


async def _crash(runner, worker):
    async def crash():
        raise _Crash

    worker.nursery.start_soon(crash)


DEPARTURES = {
    _stop: (JobStatus.CANCELLED, "WorkerStopped"),
    _cancel: (JobStatus.CANCELLED, "WorkerStopped"),
    _unsubscribe: (JobStatus.CANCELLED, "WorkerStopped"),
    _crash: (JobStatus.LOST, "WorkerLost"),
}


@pytest.mark.parametrize("depart", DEPARTURES)
def test_a_worker_that_leaves_with_jobs_in_flight(depart):
    """The job ends at once, says so, and the handler has stopped."""
    status, kind = DEPARTURES[depart]

    @on_schedules(10)
    async def check():
        doer = Doer("doer", never)
        async with hosting(doer, strict=False) as runner:
            contexts = [runner.job("doer", name=name) for name in ("do", "do", "queue", "queue")]
            outcomes = []

            async def ask(context):
                outcomes.append(await _outcome(context))
                assert doer.running == 0 or len(outcomes) < 4

            async with trio.open_nursery() as nursery:
                for context in contexts:
                    nursery.start_soon(ask, context)
                await wait_all_tasks_blocked()
                assert doer.running == 3
                start = trio.current_time()
                await depart(runner, doer)
            assert trio.current_time() == start
            assert {o.status for o in outcomes} == {status}
            assert {o.error.type for o in outcomes} == {kind}
            assert doer.running == 0
            await doer.wait()
            assert "doer" not in runner.registry.names

    check()


@pytest.mark.parametrize("depart", DEPARTURES)
def test_a_worker_that_leaves_just_as_the_request_arrives(depart):
    """Some steps before or after: one outcome, never an exception in the sender."""

    @settings(max_examples=25, deadline=None)
    @given(st.random_module(), st.integers(0, 8), st.integers(0, 8))
    def check(schedule, before, after):
        async def main():
            async def steps(_worker, _message):
                await trio.sleep(1)

            doer = Doer("doer", steps)
            async with hosting(doer, strict=False) as runner:
                outcomes = []

                async def ask():
                    for _ in range(before):
                        await trio.lowlevel.checkpoint()
                    outcomes.append(await _outcome(runner.job("doer", name="do", timeout=100)))

                async with trio.open_nursery() as nursery:
                    nursery.start_soon(ask)
                    for _ in range(after):
                        await trio.lowlevel.checkpoint()
                    await depart(runner, doer)
                (outcome,) = outcomes
                # A name that is gone before it is asked is waited for, in vain.
                allowed = {JobStatus.CANCELLED, JobStatus.LOST, JobStatus.TIMED_OUT}
                assert outcome.status in allowed
                if outcome.status is JobStatus.TIMED_OUT:
                    assert doer.begun == []
                assert doer.running == 0

        run(main)

    check()


@on_schedules()
async def test_the_others_of_a_group_are_cancelled():
    """One member's departure fails the group as an error does."""
    one, two = Doer("one", never), Doer("two", never)
    async with hosting(one, two) as runner:
        context = runner.job_group("one", "two", name="do")
        async with trio.open_nursery() as nursery:
            with pytest.raises(JobError, match="'one' cancelled: WorkerStopped"):
                async with context:
                    nursery.start_soon(one.stop)
                    await trio.sleep_forever()
        assert {o.status for o in context.outcomes.values()} == {JobStatus.CANCELLED}
        assert two.running == 0


@on_schedules()
async def test_a_requester_that_stops_cancels_what_others_opened_on_it():
    """Another Trio task has a block open on a worker: it ends with an error."""
    asker, doer = Doer("asker"), Doer("doer", never)
    async with hosting(asker, doer), trio.open_nursery() as nursery:
        nursery.start_soon(_stop_later, asker)
        with pytest.raises(JobError, match="worker 'asker' has stopped"):
            async with asker.job("doer", name="do"):
                await trio.sleep_forever()
        assert doer.running == 0


@on_schedules()
async def test_a_requester_that_stops_while_others_wait_for_readiness_on_it():
    """The wait ends with an error, instead of asking for a worker that has gone."""
    asker = Doer("asker")
    async with hosting(asker) as runner, trio.open_nursery() as nursery:
        nursery.start_soon(_stop_later, asker)
        with pytest.raises((JobError, StoppedError), match="'asker' has stopped"):
            async with asker.job("late", name="do"):
                pytest.fail("the body must not run")
        assert runner.statistics().waiting_for == {}


@on_schedules()
async def test_a_block_made_before_its_requester_stopped():
    """Entering it afterwards is refused; nobody is asked."""
    asker, doer = Doer("asker"), Doer("doer")
    async with hosting(asker, doer):
        context = asker.job("doer", name="do")
        await asker.stop()
        with pytest.raises(StoppedError, match="'asker' has stopped"):
            async with context:
                pytest.fail("the body must not run")
        assert doer.begun == []
        with pytest.raises(StoppedError, match="'asker' has stopped"):
            asker.job("doer")


@on_schedules()
async def test_a_block_made_before_its_runner_ended():
    """The same for a runner."""
    async with hosting(Doer("doer")) as runner:
        context = runner.job("doer", name="do")
    with pytest.raises(StoppedError, match="'runner' has ended"):
        async with context:
            pytest.fail("the body must not run")


async def _stop_later(worker):
    await trio.sleep(1)
    await worker.stop()


@on_schedules()
async def test_an_unsubscribed_requester_ends_its_blocks():
    """It can hear nothing any more: LOST or an error, not a hang."""
    asker, doer = Doer("asker"), Doer("doer", never)
    async with hosting(asker, doer) as runner, trio.open_nursery() as nursery:

        async def later():
            await trio.sleep(1)
            await runner.bus.unsubscribe(asker)

        nursery.start_soon(later)
        with pytest.raises(JobError):
            async with asker.job("doer", name="do"):
                pass
        await wait_all_tasks_blocked()
        assert doer.running == 0


# Ending


@on_schedules()
async def test_a_runner_that_ends_lets_handlers_finish():
    """Leaving the runner's block normally drains."""
    done = []

    async def slow(_worker, _message):
        await trio.sleep(5)
        done.append(True)

    asker, doer = Doer("asker"), Doer("doer", slow)
    async with hosting(asker, doer, quiet=False):
        await asker.request_job("doer", name="do")
    assert done == [True]


@on_schedules()
async def test_a_draining_worker_accepts_nested_requests_only():
    """A handler that runs may still ask; a new request is CANCELLED."""
    outcomes = {}

    async def outer(worker, _message):
        await trio.sleep(2)
        outcomes["nested"] = await worker.call("inner", name="do")

    async def inner(_worker, _message):
        await trio.sleep(1)
        return {"n": 1}

    workers = [Doer("outer", outer), Doer("inner", inner)]
    runner = WorkerRunner(name="runner")
    async with runner:
        await runner.add_workers(*workers)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_call_into, outcomes, "outer", runner)
            await trio.sleep(1)
            await runner.end()
            await wait_all_tasks_blocked()
            outcomes["new"] = await _outcome(runner.job("inner", name="do"))
    assert outcomes["nested"] == {"n": 1}
    assert outcomes["outer"] == {}
    assert outcomes["new"].status is JobStatus.CANCELLED
    assert outcomes["new"].error.message == "worker 'inner' is ending"
    assert_gone(runner, *workers)


async def _call_into(outcomes, name, runner):
    outcomes[name] = await runner.call(name, name="do")


@pytest.mark.parametrize("where", ["handler", "hook"])
@pytest.mark.parametrize("how", ["end", "cancel"])
def test_end_and_cancel_from_within(where, how):
    """`end` finishes the handler that called it; `cancel` doesn't wait. Nothing hangs."""

    @on_schedules(8)
    async def check():
        finished = []

        class Ends(Doer):
            async def on_job_update(self, message):
                await getattr(self, how)(reason="from a hook")
                await trio.sleep(1)
                finished.append("hook")

        async def ends(worker, message):
            if where == "handler":
                await getattr(worker, how)(reason="from a handler")
                await trio.sleep(1)
                finished.append("handler")
            else:
                await worker.send_job_update(message.job_id, {})

        asker, doer = Ends("asker"), Ends("doer", ends)
        runner = WorkerRunner(name="runner", bus=MemoryChannelBus())
        await runner.add_workers(asker, doer)

        @runner.event_handler("on_ready")
        async def ask(_runner):
            await asker.request_job("doer", name="do")

        outcome = None
        try:
            await runner.run()
        except* JobError as group:
            outcome = group
        assert (finished == [where]) == (how == "end")
        # A job that ends as CANCELLED with its worker is no success.
        assert outcome is None or how == "cancel"
        assert_gone(runner, asker, doer)

    check()


@on_schedules(10)
async def test_cancel_before_start():
    """A runner that is cancelled before it runs ends at once; early requests are answered."""
    runner = WorkerRunner(name="runner")
    doer = Doer("doer", never)
    await runner.add_workers(doer)
    await runner.cancel()
    start = trio.current_time()
    await runner.run()
    assert trio.current_time() == start
    assert_gone(runner, doer)


@on_schedules(10)
async def test_workers_that_never_ran_answer_early_requests():
    """Attached, asked by hand, and then the runner's start is cancelled."""
    runner = WorkerRunner(name="runner")
    doer = Doer("doer", never)
    await runner.add_workers(doer)
    with trio.CancelScope() as scope:
        scope.cancel()
        async with runner:
            pytest.fail("the body must not run")
    assert scope.cancelled_caught
    assert_gone(runner, doer)


class _Note(BusDataMessage):
    """Something for a lane."""


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("how", ["stop", "cancel", "crash"])
def test_shutdown_with_full_lanes(strict, how):
    """Hooks that are queued, and senders that wait for room, don't keep a runner alive."""

    @on_schedules(6)
    async def check():
        class Stuck(BaseWorker):
            async def on_bus_message(self, message):
                if isinstance(message, _Note):
                    await trio.sleep_forever()

            @job(name="crash")
            async def crash(self, message):
                raise KeyboardInterrupt

        stuck, other = Stuck("stuck"), Doer("other", never)
        failed = []

        async def send(runner):
            while True:
                try:
                    await runner.bus.send(_Note(source="runner", target="stuck"))
                except LookupError as error:
                    failed.append(error)
                    return

        async def main():
            bus = MemoryChannelBus(lane_capacity=2)
            async with WorkerRunner(name="runner", bus=bus, strict=strict) as runner:
                await runner.add_workers(stuck, other)
                await runner.registry.wait_ready("stuck", "other")
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(send, runner)
                    nursery.start_soon(send, runner)
                    await wait_all_tasks_blocked()
                    assert stuck.statistics().lanes.data_queued == 2
                    assert stuck.statistics().lanes.senders_waiting == 2
                    await runner.end()
                    await trio.sleep(1)
                    if how == "stop":
                        await stuck.stop()
                    elif how == "cancel":
                        await runner.cancel()
                    else:
                        stuck.nursery.start_soon(_raise_crash)
            return runner

        if how == "crash" and strict:
            with pytest.RaisesGroup(_Crash, flatten_subgroups=True):
                await main()
        else:
            assert_gone(await main(), stuck, other)
            assert len(failed) == 2

    check()


async def _raise_crash():
    raise _Crash


@on_schedules(10)
async def test_remote_requesters_and_responders_that_depart():
    """Two runners on one bus: the end of one ends the jobs that depend on it."""
    bus = MemoryChannelBus(incarnation="t")
    near, far = Asker("near", never), Doer("far", never)
    async with bus:
        one = WorkerRunner(name="one", bus=bus)
        two = WorkerRunner(name="two", bus=bus)
        async with one:
            async with two:
                await one.add_workers(near)
                await two.add_workers(far)
                await one.registry.wait_ready("far")
                await two.registry.wait_ready("near")
                async with trio.open_nursery() as nursery:
                    outcomes = []

                    async def ask():
                        outcomes.append(await _outcome(near.job("far", name="do")))

                    nursery.start_soon(ask)
                    await wait_all_tasks_blocked()
                    assert far.running == 1
                    await far.stop()
                assert outcomes[0].status is JobStatus.CANCELLED
                assert one.registry.remote_workers == ()
        assert_gone(two, far)
    assert_gone(one, near)


@on_schedules(10)
async def test_a_runner_that_ends_with_its_own_jobs_at_another_runner():
    """Its blocks end with an error, and the remote handlers have stopped."""
    bus = MemoryChannelBus(incarnation="t")
    far = Doer("far", never)
    errors = []
    async with bus, WorkerRunner(name="two", bus=bus) as two:
        await two.add_workers(far)
        async with trio.open_nursery() as nursery:
            async with WorkerRunner(name="one", bus=bus) as one:
                await one.registry.wait_ready("far")

                async def ask():
                    try:
                        await one.call("far", name="do")
                    except JobError as error:
                        errors.append(str(error))
                        assert far.running == 0

                nursery.start_soon(ask)
                await wait_all_tasks_blocked()
                assert far.running == 1
        assert errors == ["job t-1: runner 'one' has ended"]
        assert far.running == 0
