"""Groups: shared scope and failure policy, complete and fail, and the error's fields."""

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from support import Asker, Doer, assert_quiet, hosting, on_schedules, run
from trio.testing import wait_all_tasks_blocked

from trioworkers import (
    DuplicateWorkerError,
    JobError,
    JobGroupError,
    JobStatus,
    TrioWorkersError,
)


async def never(_worker, _message):
    await trio.sleep_forever()


async def fails(worker, _message):
    raise JobError(f"{worker.name} won't")


@on_schedules()
async def test_all_respond():
    """Responses and outcomes by name; label and members on the context."""

    async def name(worker, _message):
        return {"name": worker.name}

    async with hosting(Doer("a", name), Doer("b", name)) as runner:
        async with runner.job_group("b", "a", name="do", label="both") as group:
            assert group.label == group.group.label == "both"
            assert group.group.worker_names == ("b", "a")
            assert group.group.cancellable
            assert repr(group.group).startswith("<JobGroup t-1, ")
        assert group.responses == {"a": {"name": "a"}, "b": {"name": "b"}}
        assert {o.status for o in group.outcomes.values()} == {JobStatus.COMPLETED}


def test_a_group_of_a_thousand():
    """All respond, and nothing is left."""

    async def main():
        names = [f"w{i}" for i in range(1000)]
        async with hosting(*map(Doer, names)) as runner:
            async with runner.job_group(*names, name="do") as group:
                pass
            assert len(group.responses) == 1000
            doomed = runner.job_group(*names, name="do", timeout=0)
            with pytest.raises(JobGroupError):
                async with doomed:
                    pass
            assert len(doomed.outcomes) == 1000

    run(main)


@on_schedules()
async def test_all_fail_at_once():
    """One failure is the reason; each member that failed is in the cause."""
    names = [f"w{i}" for i in range(10)]
    asker = Asker()
    async with hosting(*(Doer(name, fails) for name in names), asker):
        with pytest.raises(JobGroupError) as caught:
            async with asker.job_group(*names, name="do"):
                await trio.sleep_forever()
        error = caught.value
        assert set(error.outcomes) == set(names)
        failed = {n for n, o in error.outcomes.items() if o.status is JobStatus.FAILED}
        assert len(error.__cause__.exceptions) == len(failed) >= 1
        assert {next(iter(e.outcomes)) for e in error.__cause__.exceptions} == failed
        await wait_all_tasks_blocked()
        assert asker.events().count("response") == 10
        assert asker.events().count("error") == 1


@on_schedules()
async def test_the_error_of_a_group():
    """Job id, reason, outcomes; its cause has the remote traceback as a note."""
    async with hosting(Doer("bad", fails), Doer("good", never)) as runner:
        with pytest.raises(JobGroupError) as caught:
            async with runner.job_group("good", "bad", name="do"):
                pass
        error = caught.value
        assert error.job_id == "t-1"
        assert error.reason == "worker 'bad' failed: JobError: bad won't"
        assert str(error) == f"job group t-1: {error.reason}"
        assert isinstance(error, JobError)
        assert isinstance(error, TrioWorkersError)
        assert isinstance(error.__cause__, ExceptionGroup)
        (cause,) = error.__cause__.exceptions
        assert str(cause) == "job t-1: worker 'bad' failed: JobError: bad won't"
        assert "in fails" in cause.__notes__[0]
        assert error.outcomes["good"].status is JobStatus.CANCELLED


@on_schedules(10)
async def test_one_worker_twice_is_an_error_at_the_call():
    """Never a merge; nobody is asked."""
    doer = Doer("doer")
    async with hosting(doer) as runner:
        with pytest.raises(DuplicateWorkerError, match="'doer' is already in this job group"):
            runner.job_group("doer", "doer", name="do")
        assert doer.begun == []


@on_schedules()
async def test_without_cancel_on_error_all_outcomes_are_collected():
    """The block doesn't raise; the others go on."""

    async def slow(_worker, _message):
        await trio.sleep(5)

    async with hosting(Doer("bad", fails), Doer("good", slow)) as runner:
        async with runner.job_group("bad", "good", name="do", cancel_on_error=False) as group:
            pass
        assert group.responses == {"good": {}}
        assert {n: o.status for n, o in group.outcomes.items()} == {
            "bad": JobStatus.FAILED,
            "good": JobStatus.COMPLETED,
        }


@on_schedules()
async def test_completing_a_group_keeps_what_there_is():
    """`complete` cancels what is open, and that is no failure."""
    slow = Doer("slow", never)
    async with hosting(Doer("quick"), slow) as runner:
        async with runner.job_group("quick", "slow", name="do") as group:
            await wait_all_tasks_blocked()
            group.group.complete()
            assert group.group.is_done
            assert not group.group.failed
            await trio.sleep_forever()
        assert group.responses == {"quick": {}}
        assert group.outcomes["slow"].status is JobStatus.CANCELLED
        assert slow.running == 0


@on_schedules()
async def test_failing_a_group_by_hand():
    """`fail` cancels what is open, and raises with the reason given."""
    for reason, text in (("enough", "enough"), (None, "the group was cancelled")):
        slow = Doer("slow", never)
        async with hosting(Doer("quick"), slow) as runner:
            with pytest.raises(JobGroupError) as caught:
                async with runner.job_group("quick", "slow", name="do") as group:
                    await wait_all_tasks_blocked()
                    group.group.fail(reason)
                    group.group.fail("again")
                    group.group.complete()
                    await trio.sleep_forever()
            assert caught.value.reason == text
            assert caught.value.__cause__ is None
            assert group.responses == {"quick": {}}
            assert slow.running == 0


@on_schedules(10)
async def test_ending_a_group_that_has_ended_changes_nothing():
    """`complete` and `fail` come too late once all have ended."""
    async with hosting(Doer("doer")) as runner:
        async with runner.job_group("doer", name="do") as group:
            await wait_all_tasks_blocked()
            group.group.fail("too late")
            group.group.complete()
        assert not group.group.failed
        assert group.responses == {"doer": {}}


@on_schedules()
async def test_cancelling_a_group_by_id():
    """`cancel_job_group` fails it; unknown ids are refused."""
    asker, slow = Asker(), Doer("slow", never)
    async with hosting(asker, slow):
        for reason, text in ((None, "cancelled"), ("bored", "cancelled: bored")):
            with pytest.raises(JobGroupError) as caught:
                async with asker.job_group("slow", name="do") as group:
                    assert list(asker.job_groups) == [group.job_id]
                    await asker.cancel_job_group(group.job_id, reason=reason)
                    await trio.sleep_forever()
            assert caught.value.reason == text
            assert slow.running == 0
        with pytest.raises(LookupError, match="'asker' has no open job 't-9'"):
            await asker.cancel_job_group("t-9")


@on_schedules()
async def test_a_person_may_cancel_only_what_is_cancellable():
    """`request_cancel_job_group` says whether it did."""
    asker, slow = Asker(), Doer("slow", never)
    async with hosting(asker, slow, Doer("quick")):
        assert not await asker.request_cancel_job_group("t-9")
        async with asker.job_group("quick", name="do", cancellable=False) as group:
            assert not await asker.request_cancel_job_group(group.job_id)
        for reason, text in ((None, "cancelled"), ("bored", "cancelled: bored")):
            with pytest.raises(JobGroupError) as caught:
                async with asker.job_group("slow", name="do") as group:
                    assert await asker.request_cancel_job_group(group.job_id, reason=reason)
                    assert not await asker.request_cancel_job_group(group.job_id)
                    await trio.sleep_forever()
            assert caught.value.reason == text


@settings(max_examples=60, deadline=None)
@given(
    st.random_module(),
    st.lists(
        st.tuples(st.sampled_from(["ok", "fail", "error"]), st.integers(0, 3)),
        min_size=1,
        max_size=6,
    ),
    st.booleans(),
)
def test_a_mixed_group_has_one_outcome_each(schedule, plan, cancel_on_error):
    """P1 and P6 for any mix: who failed, failed; nobody is forgotten."""
    names = [f"w{i}" for i in range(len(plan))]
    wanted = {"ok": JobStatus.COMPLETED, "fail": JobStatus.FAILED, "error": JobStatus.ERROR}

    async def acts(worker, _message):
        how, delay = plan[int(worker.name[1:])]
        await trio.sleep(delay)
        if how == "fail":
            raise JobError("fail")
        if how == "error":
            raise ValueError("error")

    async def main():
        async with hosting(*(Doer(name, acts) for name in names)) as runner:
            context = runner.job_group(*names, name="do", cancel_on_error=cancel_on_error)
            raised = None
            try:
                async with context:
                    pass
            except JobGroupError as error:
                raised = error
            assert raised is None or raised.outcomes == context.outcomes
            bad = any(how != "ok" for how, _ in plan)
            assert (raised is not None) == (bad and cancel_on_error)
            assert set(context.outcomes) == set(names)
            for name, (how, _) in zip(names, plan, strict=True):
                status = context.outcomes[name].status
                assert status is wanted[how] or (raised and status is JobStatus.CANCELLED)
            await assert_quiet(runner)

    run(main)


@on_schedules()
async def test_a_block_that_is_completed_before_anybody_was_asked():
    """Its body is not run in vain: the block says so, and nobody is asked later on."""
    asker, late = Doer("asker"), Doer("late", never)
    async with hosting(asker) as runner:

        async def ask():
            with pytest.raises(JobGroupError, match="completed before anybody was asked"):
                async with asker.job_group("late", name="do"):
                    raise AssertionError

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await wait_all_tasks_blocked()
            (group,) = asker.job_groups.values()
            group.complete()
        await runner.add_workers(late)
        await wait_all_tasks_blocked()
        assert late.begun == []
