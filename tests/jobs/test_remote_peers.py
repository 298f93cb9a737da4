"""Workers of other runners that come and go, and handlers that their worker's end cuts off."""

import pytest
import trio
from subscribers import Ear
from support import Asker, Doer, hosting, on_schedules
from trio.testing import wait_all_tasks_blocked

from trioworkers import (
    BusJobCancelMessage,
    BusJobRequestMessage,
    BusWorkerDepartedMessage,
    BusWorkerReadyMessage,
    JobError,
    JobStatus,
)
from trioworkers.jobs import NoHooks


async def never(_worker, _message):
    await trio.sleep_forever()


@pytest.mark.parametrize("whole_runner", [False, True])
def test_a_remote_worker_that_leaves_ends_its_jobs(whole_runner):
    """At once, as LOST; the departure of its runner does the same."""

    @on_schedules(8)
    async def check():
        remote, near, asker = Ear("remote", deaf=True), Doer("near", never), Asker()
        async with hosting(near, asker) as runner:
            bus = runner.bus
            await bus.subscribe(remote)
            await bus.send(BusWorkerReadyMessage("elsewhere", source="remote"))
            assert runner.registry.remote_workers == ("remote",)
            for requester in (asker, runner):
                await bus.send(BusWorkerReadyMessage("elsewhere", source="remote"))
                with pytest.raises(JobError, match="'remote' lost: WorkerLost") as caught:
                    async with requester.job_group("near", "remote", name="do"):
                        await wait_all_tasks_blocked()
                        source = "elsewhere" if whole_runner else "remote"
                        await bus.send(BusWorkerDepartedMessage("elsewhere", source=source))
                        await trio.sleep_forever()
                assert caught.value.outcomes["near"].status is JobStatus.CANCELLED
                assert near.running == 0
            await bus.unsubscribe(remote)

    check()


@on_schedules()
async def test_a_remote_requester_that_leaves_cancels_its_jobs():
    """Nobody waits for them; others' jobs and cancels stay."""
    remote, other = Ear("remote", deaf=True), Ear("other", deaf=True)
    doer = Doer("doer", never)
    async with hosting(doer) as runner:
        bus = runner.bus
        for peer in (remote, other):
            await bus.subscribe(peer)
            await bus.send(BusWorkerReadyMessage("elsewhere", source=peer.name))
            bus.post(BusJobRequestMessage(f"{peer.name}-1", "do", source=peer.name, target="doer"))
            bus.post(BusJobCancelMessage(f"{peer.name}-2", source=peer.name, target="doer"))
        await wait_all_tasks_blocked()
        assert doer.running == 2
        assert doer.statistics().early_cancels == 2
        await bus.send(BusWorkerDepartedMessage("elsewhere", source="remote"))
        await wait_all_tasks_blocked()
        assert doer.running == 1
        assert doer.statistics().early_cancels == 1
        # The first is the answer to the early cancel.
        assert [m.status for m in remote.heard] == [JobStatus.CANCELLED, JobStatus.LOST]
        assert remote.heard[-1].error.message == "nothing is heard of the requester"
        await bus.send(BusWorkerDepartedMessage("elsewhere", source="elsewhere"))
        await wait_all_tasks_blocked()
        assert doer.running == 0
        assert doer.statistics().early_cancels == 0
        for peer in (remote, other):
            await bus.unsubscribe(peer)


@on_schedules()
async def test_a_worker_that_is_cancelled_from_outside_has_not_crashed():
    """As by Ctrl-C: who waits for its jobs is told so."""
    remote, doer = Ear("remote", deaf=True), Doer("doer", never)
    with trio.CancelScope() as scope:
        async with hosting(doer) as runner:
            await runner.bus.subscribe(remote)
            await runner.bus.send(BusWorkerReadyMessage("elsewhere", source="remote"))
            runner.bus.post(BusJobRequestMessage("1", "do", source="remote", target="doer"))
            await wait_all_tasks_blocked()
            scope.cancel()
            await trio.sleep_forever()
    assert [m.error.message for m in remote.heard] == ["worker 'doer' was cancelled"]


async def _raise_when_cancelled(error):
    try:
        await trio.sleep_forever()
    finally:
        raise error


@on_schedules(10)
async def test_a_handler_that_fails_while_its_worker_stops():
    """Its error is told to the requester, and doesn't crash the worker."""

    async def breaks(_worker, _message):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_raise_when_cancelled, ValueError("while stopping"))
            await trio.sleep_forever()

    doer = Doer("doer", breaks)
    async with hosting(doer) as runner, trio.open_nursery() as nursery:
        with pytest.raises(JobError, match="'doer' raised") as caught:
            async with runner.job("doer", name="do"):
                await wait_all_tasks_blocked()
                nursery.start_soon(doer.stop)
                await trio.sleep_forever()
        outcome = caught.value.outcomes["doer"]
        assert outcome.status is JobStatus.ERROR
        assert "while stopping" in outcome.error.traceback


@on_schedules(10)
async def test_a_handler_that_has_responded_when_its_worker_stops():
    """The outcome was fixed: it stands."""

    async def lingers(worker, message):
        await worker.send_job_response(message.job_id, {"n": 1})
        await trio.sleep_forever()

    doer = Doer("doer", lingers)
    async with hosting(doer) as runner, trio.open_nursery() as nursery:
        async with runner.job("doer", name="do") as context:
            await wait_all_tasks_blocked()
            nursery.start_soon(doer.stop)
        assert context.response == {"n": 1}
        assert doer.running == 0


@on_schedules(10)
async def test_ending_while_waiting_for_a_worker():
    """A requester that is to end waits for nobody any more."""
    asker = Asker()
    errors = []
    async with trio.open_nursery() as nursery:
        async with hosting(asker, quiet=False) as runner:

            async def ask(how):
                try:
                    await how("nobody")
                except JobError as error:
                    errors.append(str(error))

            nursery.start_soon(ask, asker.call)
            nursery.start_soon(ask, asker.request_job)
            await wait_all_tasks_blocked()
            assert len(runner.statistics().workers["asker"].waiting_for) == 2
    assert sorted(e.split(": ")[1] for e in errors) == ["the requester is ending"] * 2


def test_no_hooks_want_nothing():
    """What a runner has for hooks: errors that nobody awaits are raised."""
    hooks = NoHooks()
    assert not hooks.wants("on_job_response")
    with pytest.raises(ValueError, match="told"):
        hooks.report(ValueError("told"))
