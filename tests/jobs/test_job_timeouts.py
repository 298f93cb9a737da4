"""Time runs out: for answers, for readiness, for handlers that won't stop."""

import logging
import math

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from support import Doer, assert_quiet, hosting, on_schedules, run

from trioworkers import JobError, JobGroupError, JobStatus


async def never(_worker, _message):
    """A handler that doesn't respond."""
    await trio.sleep_forever()


@on_schedules()
async def test_a_handler_that_never_responds_times_out():
    """The block raises at the deadline, and the handler has stopped."""
    doer = Doer("doer", never)
    async with hosting(doer) as runner:
        start = trio.current_time()
        context = runner.job("doer", name="do", timeout=3)
        with pytest.raises(JobError, match="timed out"):
            async with context:
                pass
        assert trio.current_time() == start + 3
        assert doer.running == 0
        assert context.outcomes["doer"].status is JobStatus.TIMED_OUT


@on_schedules()
async def test_the_deadline_cuts_off_a_body():
    """A body that works too long is cancelled; the handler too."""
    doer = Doer("doer", never)
    async with hosting(doer) as runner:
        with pytest.raises(JobGroupError, match="timed out") as caught:
            async with runner.job_group("doer", name="do", timeout=3):
                await trio.sleep_forever()
        assert doer.running == 0
        assert caught.value.outcomes["doer"].status is JobStatus.TIMED_OUT


@on_schedules()
async def test_a_completed_job_cuts_off_a_slow_body_all_the_same():
    """The timeout is that of the whole block: the body did not run to its end."""
    async with hosting(Doer("doer")) as runner:
        context = runner.job("doer", name="do", timeout=3)
        with pytest.raises(JobError, match="timed out after 3 s"):
            async with context:
                await trio.sleep_forever()
        assert context.outcomes["doer"].status is JobStatus.COMPLETED


@on_schedules(10)
async def test_all_completed_succeeds_even_past_the_deadline():
    """A body that is not cut off by the deadline isn't failed by it."""
    async with hosting(Doer("doer")) as runner:
        async with runner.job("doer", name="do", timeout=3) as context:
            with trio.CancelScope(shield=True):
                await trio.sleep(5)
        assert context.response == {}


async def test_the_last_answer_succeeds_though_time_runs_out_at_the_same_moment(autojump_clock):
    """It had come before the deadline was seen to have passed."""

    async def dawdle(_worker, _message):
        autojump_clock.jump(5)

    async with hosting(Doer("doer", dawdle)) as runner:
        assert await runner.call("doer", name="do", timeout=3) == {}


@on_schedules(10)
async def test_a_timeout_of_zero_calls_nobody():
    """The handler's scope is cancelled already, so that it is not called."""
    doer = Doer("doer", never)
    async with hosting(doer) as runner:
        with pytest.raises(JobError, match="timed out"):
            await runner.call("doer", name="do", timeout=0)
        assert doer.begun == []


@on_schedules(10)
async def test_without_cancel_on_error_a_timeout_is_an_outcome():
    """The block doesn't raise; ``outcomes`` tells."""
    quick, slow = Doer("quick"), Doer("slow", never)
    async with hosting(quick, slow) as runner:
        async with runner.job_group(
            "quick", "slow", name="do", timeout=3, cancel_on_error=False
        ) as group:
            pass
        statuses = {name: outcome.status for name, outcome in group.outcomes.items()}
        assert statuses == {"quick": JobStatus.COMPLETED, "slow": JobStatus.TIMED_OUT}
        assert group.responses == {"quick": {}}
        assert slow.running == 0


@on_schedules(10)
async def test_the_deadline_travels():
    """The handler's own scope has it, so that it stops by itself."""
    seen = []

    async def looks(_worker, message):
        seen.append((message.deadline, trio.current_effective_deadline()))
        await trio.sleep_forever()

    async with hosting(Doer("doer", looks)) as runner:
        deadline = trio.current_time() + 7
        with pytest.raises(JobError):
            await runner.call("doer", name="do", timeout=7)
        assert seen == [(deadline, deadline)]


@on_schedules()
async def test_a_nested_job_ends_with_the_outer_deadline():
    """A handler's own job has no timeout, and stops at its caller's."""
    inner = Doer("inner", never)

    async def asks(worker, _message):
        await worker.call("inner", name="do")

    outer = Doer("outer", asks)
    async with hosting(inner, outer) as runner:
        start = trio.current_time()
        with pytest.raises(JobError, match="timed out"):
            await runner.call("outer", name="do", timeout=4)
        assert trio.current_time() == start + 4
        assert inner.running == outer.running == 0
        assert inner.ended == inner.begun != []


@on_schedules(10)
async def test_an_answer_at_the_deadline_is_one_outcome():
    """The handler's last moment and the deadline are the same: either is right."""

    async def just_in_time(_worker, _message):
        await trio.sleep(3)
        return {"n": 1}

    doer = Doer("doer", just_in_time)
    async with hosting(doer) as runner:
        context = runner.job("doer", name="do", timeout=3)
        try:
            async with context:
                pass
        except JobError:
            assert context.outcomes["doer"].status is JobStatus.TIMED_OUT
        else:
            assert context.response == {"n": 1}
        await assert_quiet(runner)


# Workers that aren't there


@on_schedules(10)
async def test_an_unknown_worker_times_out_and_known_ones_are_named():
    """Waiting for readiness counts; the error says who was waited for, and who is there."""
    async with hosting(Doer("doer"), Doer("other")) as runner:
        with pytest.raises(JobError) as caught:
            await runner.call("dore", name="do", timeout=8)
        text = "timed out after 8 s, waiting for 'dore' (ready: 'doer', 'other')"
        assert str(caught.value) == f"job t-1: {text}"
        assert caught.value.outcomes["dore"].status is JobStatus.TIMED_OUT


def test_waiting_for_a_worker_is_logged_after_five_seconds(caplog):
    """The log names who is missing and who is known; statistics show it meanwhile."""

    async def main():
        async with hosting(Doer("doer")) as runner:
            with trio.move_on_after(100) as scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(_call, runner, "dore")
                    await trio.sleep(4.9)
                    assert runner.statistics().waiting_for == {"t-1": "'dore'"}
                    assert not caplog.records
                    await trio.sleep(0.2)
                    assert len(caplog.records) == 1
            assert scope.cancelled_caught
            await assert_quiet(runner)

    async def _call(runner, name):
        await runner.call(name, name="do")

    with caplog.at_level(logging.WARNING, "trioworkers.jobs"):
        run(main)
    (record,) = caplog.records
    assert record.getMessage() == (
        "runner has waited 5.0 s for 'dore'; workers that are ready: 'doer'"
    )


@on_schedules()
async def test_a_worker_that_arrives_late_is_asked():
    """No timeout: the request waits, before and after the log line."""
    for delay in (1, 6):
        asker = Doer("asker")
        async with hosting(asker) as runner:
            late = Doer("late")
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_add_later, runner, late, delay)
                assert await asker.call("late", name="do", timeout=10) == {}
            assert len(late.begun) == 1


async def _add_later(runner, worker, delay):
    await trio.sleep(delay)
    await runner.add_workers(worker)


@on_schedules(10)
async def test_the_hint_goes_once_the_worker_is_there():
    """A timeout after readiness doesn't speak of waiting for it."""
    async with hosting(Doer("asker")) as runner, trio.open_nursery() as nursery:
        nursery.start_soon(_add_later, runner, Doer("late", never), 1)
        with pytest.raises(JobError) as caught:
            await runner.call("late", name="do", timeout=10)
        assert "waiting for" not in str(caught.value)


# Handlers that don't stop


async def _stubborn(_worker, _message):
    with trio.CancelScope(shield=True):
        await trio.sleep(60)


@on_schedules(10)
async def test_without_grace_a_stubborn_handler_is_waited_for():
    """The wait is as unbounded as a nursery's; all did complete, so the block succeeds."""
    doer = Doer("doer", _stubborn)
    async with hosting(doer) as runner:
        start = trio.current_time()
        assert await runner.call("doer", name="do", timeout=1) == {}
        assert trio.current_time() == start + 60
        assert doer.running == 0


@pytest.mark.parametrize("grace", [0, 2])
def test_grace_is_opt_in_and_told(caplog, grace):
    """After ``cancel_grace`` the block is left: logged, LOST, and named in the error."""

    async def main():
        doer = Doer("doer", _stubborn)
        async with hosting(doer) as runner:
            start = trio.current_time()
            context = runner.job("doer", name="do", timeout=1, cancel_grace=grace)
            with pytest.raises(JobError, match=rf"still running {grace} s after cancel: 'doer'"):
                async with context:
                    pass
            assert trio.current_time() == start + 1 + grace
            assert context.outcomes["doer"].status is JobStatus.LOST
            assert doer.running == 1
            await trio.sleep(100)
            assert runner.statistics().workers["doer"].active_jobs == 0

    run(main)
    assert f"still running {grace} s after cancel" in caplog.text


@on_schedules(10)
async def test_grace_bounds_a_cancelled_requester_too():
    """`Cancelled` leaves the block once the grace is used up."""
    doer = Doer("doer", _stubborn)
    async with hosting(doer) as runner:
        start = trio.current_time()
        with trio.move_on_after(1):
            async with runner.job_group("doer", name="do", cancel_grace=5):
                pass
        assert trio.current_time() == start + 6
        await trio.sleep(100)


@on_schedules(10)
async def test_grace_is_not_used_by_handlers_that_stop():
    """Cleaning up within the grace is no loss."""

    async def tidy(_worker, _message):
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(2)

    doer = Doer("doer", tidy)
    async with hosting(doer) as runner:
        context = runner.job("doer", name="do", timeout=1, cancel_grace=5)
        with pytest.raises(JobError, match="timed out"):
            async with context:
                pass
        assert context.outcomes["doer"].status is JobStatus.TIMED_OUT
        assert doer.running == 0


@settings(max_examples=40, deadline=None)
@given(st.random_module(), st.floats(0, 10), st.floats(0, 10), st.booleans())
def test_a_timeout_and_a_duration_decide_by_size(schedule, timeout, duration, cancel_on_error):
    """Whichever is shorter wins, whatever the schedule; nothing is left."""

    async def sleeps(_worker, _message):
        await trio.sleep(duration)
        return {"slept": duration}

    async def main():
        doer = Doer("doer", sleeps)
        async with hosting(doer) as runner:
            context = runner.job_group(
                "doer", name="do", timeout=timeout, cancel_on_error=cancel_on_error
            )
            try:
                async with context:
                    pass
            except JobGroupError:
                assert cancel_on_error
            assert doer.running == 0
            status = context.outcomes["doer"].status
            if not math.isclose(timeout, duration, abs_tol=1e-6):
                in_time = duration < timeout
                assert status is (JobStatus.COMPLETED if in_time else JobStatus.TIMED_OUT)

    run(main)


@on_schedules(40)
async def test_a_timed_out_group_says_so_whoever_notices_first():
    """A handler's deadline and the group's are one: the error and outcomes don't vary."""

    async def sleeps(_worker, _message):
        await trio.sleep_forever()

    async with hosting(Doer("a", sleeps), Doer("b", sleeps)) as runner:
        with pytest.raises(JobGroupError, match=r"timed out after 5 s$") as caught:
            async with runner.job_group("a", "b", name="do", timeout=5):
                pass
    statuses = {outcome.status for outcome in caught.value.outcomes.values()}
    assert statuses == {JobStatus.TIMED_OUT}


@on_schedules(40)
async def test_a_timed_out_group_never_counts_as_completed():
    """`on_job_completed` isn't called for it, whoever notices the deadline first."""
    called = []

    async def sleeps(_worker, _message):
        await trio.sleep_forever()

    requester = Doer("requester")
    requester.add_event_handler("on_job_completed", lambda *args: called.append(args))
    requester.add_event_handler("on_job_response", lambda *args: None)
    async with hosting(Doer("a", sleeps), requester):
        group = await requester.create_job_group_and_request_job(["a"], name="do", timeout=5)
        with pytest.raises(JobGroupError, match="timed out"):
            await group.wait()
    assert called == []
