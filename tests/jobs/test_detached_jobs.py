"""Fire and forget: groups that live in their worker, and whom their failures reach."""

import pytest
import trio
from support import Asker, Doer, assert_quiet, hosting, on_schedules, run
from trio.testing import wait_all_tasks_blocked

from trioworkers import BaseWorker, JobError, JobGroupError, JobStatus, UnknownJobError


async def never(_worker, _message):
    await trio.sleep_forever()


async def fails(_worker, _message):
    await trio.sleep(1)
    raise JobError("no")


class Listener(BaseWorker):
    """Handles failures by hooks."""

    def __init__(self, name="asker"):
        super().__init__(name)
        self.errors = []

    async def on_job_error(self, message):
        self.errors.append(message)


@on_schedules()
async def test_request_job_returns_before_the_job_has_ended():
    """The id is known at once; the hooks get the outcome."""

    async def slow(_worker, message):
        await trio.sleep(3)
        return message.payload

    asker = Asker()
    async with hosting(Doer("doer", slow), asker):
        start = trio.current_time()
        job_id = await asker.request_job("doer", name="do", payload={"n": 1})
        assert trio.current_time() == start
        assert list(asker.job_groups) == [job_id]
        assert asker.statistics().detached_groups == 1
        await trio.sleep(5)
        assert asker.job_groups == {}
        assert asker.events() == ["response", "completed"]
        assert asker.seen[1][1].responses == {"doer": {"n": 1}}


@on_schedules()
async def test_request_job_group_asks_all():
    """One id for all of them."""
    asker = Asker()
    async with hosting(Doer("a"), Doer("b"), asker):
        job_id = await asker.request_job_group("a", "b", name="do", label="x")
        await wait_all_tasks_blocked()
        assert sorted(asker.events()) == ["completed", "response", "response"]
        assert asker.seen[-1][1].job_id == job_id


@on_schedules()
async def test_a_group_to_wait_for():
    """`wait` returns once all handlers have returned, or raises; more than once."""
    asker = Doer("asker")
    async with hosting(Doer("ok"), Doer("bad", fails), asker):
        group = await asker.create_job_group_and_request_job(["ok"], name="do")
        await group.wait()
        await group.wait()
        assert group.responses == {"ok": {}}
        group = await asker.create_job_group_and_request_job(["ok", "bad"], name="do")
        for _ in range(2):
            with pytest.raises(JobGroupError, match="'bad' failed: JobError: no"):
                await group.wait()
        assert group.is_done
        assert repr(group) == "<JobGroup t-2, ended, failed>"


@on_schedules()
async def test_completing_and_failing_a_group_to_wait_for():
    """`complete` ends it well, `fail` badly; either way its handlers have stopped."""
    asker, doer = Doer("asker"), Doer("doer", never)
    async with hosting(doer, asker):
        group = await asker.create_job_group_and_request_job(["doer"], name="do")
        await wait_all_tasks_blocked()
        group.complete()
        await group.wait()
        assert doer.running == 0
        assert group.outcomes["doer"].status is JobStatus.CANCELLED
        group = await asker.create_job_group_and_request_job(["doer"], name="do")
        await wait_all_tasks_blocked()
        group.fail("enough")
        with pytest.raises(JobGroupError, match="enough"):
            await group.wait()
        assert doer.running == 0


@on_schedules(10)
async def test_a_group_whose_requester_stops_is_no_success():
    """Who waits for it elsewhere is told that it was cancelled."""
    asker, doer = Doer("asker"), Doer("doer", never)
    async with hosting(doer, asker):
        group = await asker.create_job_group_and_request_job(["doer"], name="do")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(asker.stop)
            with pytest.raises(JobGroupError):
                await group.wait()
        assert group.outcomes["doer"].status is JobStatus.CANCELLED
        assert doer.running == 0


@on_schedules()
async def test_a_detached_job_times_out():
    """Readiness and work share the timeout; hooks are told."""
    asker, doer = Asker(), Doer("doer", never)
    async with hosting(asker, doer):
        await asker.request_job("doer", name="do", timeout=2)
        await trio.sleep(3)
        assert doer.running == 0
        assert "response" in asker.events()
        with pytest.raises(JobError, match=r"timed out after 2 s, waiting for 'nobody'"):
            await asker.request_job("nobody", timeout=2)
        with pytest.raises(JobGroupError, match=r"timed out after 0 s"):
            await asker.create_job_group_and_request_job(["nobody"], timeout=0)


@on_schedules()
async def test_a_detached_request_that_is_cancelled_while_waiting():
    """Nothing is left of it."""
    asker = Doer("asker")
    async with hosting(asker) as runner:
        with trio.move_on_after(7) as scope:
            await asker.request_job("nobody")
        assert scope.cancelled_caught
        await assert_quiet(runner)


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("cancel_on_error", [True, False])
def test_a_failure_that_no_hook_handles(strict, cancel_on_error):
    """Strict: it leaves the runner in an exception group. Else it is reported."""

    @on_schedules(6)
    async def check():
        asker = Doer("asker")
        told = []

        async def main():
            async with hosting(Doer("doer", fails), asker, strict=strict) as runner:
                runner.add_event_handler("on_error", lambda _runner, data: told.append(data))
                await asker.request_job_group("doer", name="do", cancel_on_error=cancel_on_error)
                await trio.sleep(5)
                assert not strict
                assert runner.statistics().errors == 1

        if strict:
            with pytest.RaisesGroup(JobGroupError, flatten_subgroups=True):
                await main()
        else:
            await main()
            (data,) = told
            assert data.worker_name == "asker"
            assert data.error.startswith("JobGroupError: job group t-1: ")

    check()


@on_schedules()
async def test_a_failure_that_a_hook_handles_stays_inside():
    """Even where errors are strict."""
    asker = Listener()
    async with hosting(Doer("doer", fails), asker):
        await asker.request_job("doer", name="do")
        await trio.sleep(5)
        assert [m.status for m in asker.errors] == [JobStatus.FAILED]


@on_schedules()
async def test_a_detached_group_can_be_cancelled():
    """By the worker that asked, with the id."""
    asker, doer = Listener(), Doer("doer", never)
    async with hosting(doer, asker, strict=False):
        job_id = await asker.request_job("doer", name="do")
        await asker.cancel_job_group(job_id, reason="bored")
        await wait_all_tasks_blocked()
        assert doer.running == 0
        with pytest.raises(UnknownJobError):
            await asker.cancel_job_group(job_id)


@on_schedules(10)
async def test_detached_jobs_end_with_their_worker():
    """A worker that stops takes its groups along."""
    asker, doer = Asker(), Doer("doer", never)
    async with hosting(doer, asker):
        await asker.request_job("doer", name="do")
        await wait_all_tasks_blocked()
        assert doer.running == 1
        await asker.stop()
        assert doer.running == 0


def test_detached_jobs_are_bounded():
    """A thousand may be open; more wait, also those that wait for a worker."""
    from trioworkers.jobs._requester import MAX_DETACHED

    async def main():
        asker, doer = Asker(), Doer("doer")
        release = trio.Event()

        async def held(_worker, _message):
            await release.wait()

        doer.function = held
        async with hosting(asker) as runner, trio.open_nursery() as nursery:

            async def ask():
                await asker.request_job("doer", name="do")

            for _ in range(MAX_DETACHED + 20):
                nursery.start_soon(ask)
            await trio.sleep(1)
            await runner.add_workers(doer)
            await wait_all_tasks_blocked()
            assert asker.statistics().detached_groups == MAX_DETACHED
            assert doer.running == MAX_DETACHED
            release.set()
            await wait_all_tasks_blocked()
            assert len(doer.begun) == MAX_DETACHED + 20

    run(main)
