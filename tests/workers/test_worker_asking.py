"""A worker's face for jobs: fire and forget, commands, and the hooks that hear of it."""

import pytest
import trio
from lives import attached
from subscribers import Ear
from trio.testing import assert_checkpoints, wait_all_tasks_blocked

from trioworkers import (
    BaseWorker,
    BusJobCancelMessage,
    BusJobCreditMessage,
    BusJobResponseMessage,
    JobError,
    JobGroupError,
    JobStatus,
    UnknownJobError,
    WorkerParams,
    WorkerRunner,
    job,
)

JOB_HOOKS = (
    "on_job_response",
    "on_job_update",
    "on_job_update_requested",
    "on_job_completed",
    "on_job_error",
    "on_job_stream_start",
    "on_job_stream_data",
    "on_job_stream_end",
)


class Doer(BaseWorker):
    """Does jobs of several kinds."""

    @job(name="stream")
    async def stream(self, message):
        await self.send_job_update(message.job_id, {"step": 1})
        await self.send_job_update(message.job_id, {"step": 2}, urgent=True)
        await self.send_job_stream_start(message.job_id, {"of": "numbers"})
        await self.send_job_stream_data(message.job_id, {"n": 1})
        await self.send_job_stream_end(message.job_id, {"sum": 1})

    @job(name="answer")
    async def answer(self, message):
        await self.send_job_response(message.job_id, {"urgent": True}, urgent=True)

    @job(name="fail")
    async def fail(self, message):
        raise JobError("can't")

    @job(name="hang")
    async def hang(self, message):
        await trio.sleep_forever()


class Asker(BaseWorker):
    """Asks; its event handlers note what it hears."""

    def __init__(self, name="asker"):
        super().__init__(name)
        self.heard = []
        for event in JOB_HOOKS:
            self.add_event_handler(event, self._note(event))

    def _note(self, event):
        return lambda _, message: self.heard.append((event, message))

    def of(self, event):
        return [message for heard, message in self.heard if heard == event]


async def started(runner, *workers):
    """Add ``workers`` and wait until they are ready; return the first."""
    await runner.add_workers(*workers)
    await runner.registry.wait_ready(*(worker.name for worker in workers))
    return workers[0]


async def test_hooks_hear_of_a_job_that_nobody_waits_for():
    """Updates, the stream, the response and the end of the group, each once and in order."""
    async with WorkerRunner() as runner:
        asker = await started(runner, Asker(), Doer("doer"))
        with assert_checkpoints():
            job_id = await asker.request_job("doer", name="stream")
        await asker.wait_idle()
        assert {m.job_id for _, m in asker.heard} == {job_id}
        data_lane = [event for event, m in asker.heard if not getattr(m, "is_system", False)]
        assert data_lane == [
            "on_job_update",
            "on_job_stream_start",
            "on_job_stream_data",
            "on_job_stream_end",
            "on_job_response",
            "on_job_completed",
        ]
        assert sorted(m.update["step"] for m in asker.of("on_job_update")) == [1, 2]
        assert asker.of("on_job_completed")[0].responses == {"doer": {"sum": 1}}
        assert asker.job_groups == {}


async def test_hooks_hear_of_a_group_whose_member_fails():
    """`on_job_error` once, and no `on_job_completed`; the others are cancelled."""
    async with WorkerRunner() as runner:
        asker = await started(runner, Asker(), Doer("one"), Doer("two"))
        two = runner.get_worker("two")
        await two.request_job("two", name="hang")
        await asker.request_job_group("one", "two", name="fail")
        await asker.wait_idle()
        assert len(asker.of("on_job_error")) == 1
        assert asker.of("on_job_completed") == []
        assert len(asker.of("on_job_response")) == 2
        await two.stop()


async def test_a_failure_that_no_hook_handles_ends_a_strict_runner():
    """Silence would be a loss."""
    with (
        trio.fail_after(1),
        pytest.RaisesGroup(pytest.RaisesExc(JobError, match="can't"), flatten_subgroups=True),
    ):
        async with WorkerRunner() as runner:
            asker = await started(runner, BaseWorker("asker"), Doer("doer"))
            await asker.request_job("doer", name="fail")
            await trio.sleep_forever()


async def test_a_group_can_be_waited_for_later():
    """Its responses are there when it has ended, or its error is raised."""
    async with WorkerRunner() as runner:
        asker = await started(runner, BaseWorker("asker"), Doer("one"), Doer("two"))
        group = await asker.create_job_group_and_request_job(["one", "two"], name="answer")
        await group.wait()
        assert group.responses == {"one": {"urgent": True}, "two": {"urgent": True}}
        group = await asker.create_job_group_and_request_job(["one", "two"], name="fail")
        with pytest.raises(JobGroupError, match="failed: JobError: can't"):
            await group.wait()


async def test_a_group_is_cancelled_by_its_id():
    """Its members stop; another time there is no such job."""
    async with WorkerRunner() as runner:
        asker = await started(runner, BaseWorker("asker"), Doer("doer"))
        group = await asker.create_job_group_and_request_job(["doer"], name="hang")
        assert list(asker.job_groups) == [group.job_id]
        with assert_checkpoints():
            await asker.cancel_job_group(group.job_id, reason="too slow")
        with trio.fail_after(1), pytest.raises(JobGroupError, match="cancelled: too slow"):
            await group.wait()
        assert group.outcomes["doer"].status is JobStatus.CANCELLED
        with pytest.raises(UnknownJobError, match=f"'asker' has no open job '{group.job_id}'"):
            await asker.cancel_job_group(group.job_id)


async def test_a_person_can_cancel_what_is_cancellable():
    """The return value says whether it was done."""
    async with WorkerRunner() as runner:
        asker = await started(runner, BaseWorker("asker"), Doer("doer"))
        open_to_all = await asker.create_job_group_and_request_job(["doer"], name="hang")
        closed = await asker.create_job_group_and_request_job(
            ["doer"], name="hang", cancellable=False
        )
        with assert_checkpoints():
            assert await asker.request_cancel_job_group(open_to_all.job_id)
        with assert_checkpoints():
            assert not await asker.request_cancel_job_group(closed.job_id)
        with pytest.raises(JobGroupError, match="cancelled"):
            await open_to_all.wait()
        assert not await asker.request_cancel_job_group(open_to_all.job_id)
        assert not closed.is_done
        await asker.cancel_job_group(closed.job_id)


async def test_an_update_is_asked_for_and_given():
    """Members that have ended are not asked; strangers are refused."""
    asked = []

    class Reports(Doer):
        async def on_job_update_requested(self, message):
            asked.append(message.job_id)
            await self.send_job_update(message.job_id, {"so": "far"})

    async with WorkerRunner() as runner:
        asker = await started(runner, Asker(), Reports("doer"), Doer("quick"))
        group = await asker.create_job_group_and_request_job(
            ["doer", "quick"], name="hang", cancel_on_error=False
        )
        with assert_checkpoints():
            await asker.request_job_update(group.job_id, "doer")
        await wait_all_tasks_blocked()
        assert asked == [group.job_id]
        assert [m.update for m in asker.of("on_job_update")] == [{"so": "far"}]
        with pytest.raises(ValueError, match="'ghost' is not in job"):
            await asker.request_job_update(group.job_id, "ghost")
        with pytest.raises(UnknownJobError, match="'nope'"):
            await asker.request_job_update("nope", "doer")
        await runner.get_worker("quick").stop()
        with assert_checkpoints():
            await asker.request_job_update(group.job_id, "quick")
        await asker.cancel_job_group(group.job_id)


async def test_an_unnamed_job_goes_to_the_hook_and_its_handlers():
    """The first value that isn't None is the response."""

    class Fallback(BaseWorker):
        async def on_job_request(self, message):
            if message.payload["who"] == "hook":
                return {"by": "hook"}
            return None

    worker = Fallback("w")
    worker.add_event_handler("on_job_request", lambda w, m: {"by": "handler"})
    async with WorkerRunner() as runner:
        await started(runner, worker)
        assert await runner.call("w", payload={"who": "hook"}) == {"by": "hook"}
        assert await runner.call("w", payload={"who": "other"}) == {"by": "handler"}


async def test_asking_for_jobs_waits_until_the_worker_runs():
    """A worker that was added but not started yet may ask; it goes on when it runs."""
    asker, doer = Asker(), Doer("doer")
    runner = WorkerRunner()
    await runner.add_workers(asker, doer)
    with trio.fail_after(1):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: asker.request_job("doer", name="answer"))
            await wait_all_tasks_blocked()
            assert asker.heard == []
            async with runner:
                await runner.registry.wait_ready("asker", "doer")
                await wait_all_tasks_blocked()
    assert [m.response for m in asker.of("on_job_response")] == [{"urgent": True}]


async def test_messages_about_jobs_before_the_start_are_kept_or_ignored():
    """A cancel is answered once the worker runs; credit for no job is nothing."""
    worker, ear = Doer("w"), Ear()
    bus, registry = await attached(worker)
    await bus.subscribe(ear)
    await bus.send(BusJobCancelMessage("j1", source="ear", target="w"))
    await bus.send(BusJobCreditMessage("j1", 5, source="ear", target="w"))
    assert worker.statistics().early_messages == 1
    async with trio.open_nursery() as nursery:
        nursery.start_soon(worker.run, WorkerParams(nursery))
        await registry.wait_ready("w")
        await bus.send(BusJobCreditMessage("j1", 5, source="ear", target="w"))
        (response,) = ear.of(BusJobResponseMessage)
        assert (response.job_id, response.status) == ("j1", JobStatus.CANCELLED)
        await worker.stop()
