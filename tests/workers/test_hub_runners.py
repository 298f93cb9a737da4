"""Runners of several processes: they fade, go, come back, and a bus between them crashes."""

from contextlib import asynccontextmanager

import pytest
import trio
from linked_buses import Hub, HubBus
from subscribers import Ear, Listener, Note
from support import Doer, on_schedules, run
from trio.testing import wait_all_tasks_blocked

from trioworkers import (
    BaseWorker,
    BusFailedMessage,
    BusJobRequestMessage,
    BusJobResponseMessage,
    BusRejoinedMessage,
    BusRunnerFadingMessage,
    BusWorkerDepartedMessage,
    BusWorkerRegistryMessage,
    JobError,
    JobStatus,
    StoppedError,
    UnknownWorkerError,
    WorkerRunner,
)


class Broken(Exception):
    """What a transport crashes with."""


async def never(_worker, _message):
    await trio.sleep_forever()


@asynccontextmanager
async def two_runners(*workers):
    """Run two runners that meet at a hub; the workers given are the second one's."""
    hub = Hub()
    near = WorkerRunner(name="near", bus=HubBus(hub, "1"))
    far = WorkerRunner(name="far", bus=HubBus(hub, "2"))
    async with near, far:
        await far.add_workers(*workers)
        await near.registry.wait_ready(*(worker.name for worker in workers))
        yield near, far


async def finish(context, done):
    """Run a job to its end, and note its outcome."""
    try:
        async with context:
            pass
    except JobError:
        pass
    done.extend(context.outcomes.values())


@on_schedules()
async def test_a_runner_that_fades():
    """What it and its workers have asked for is cancelled; what they are asked goes on."""
    guest, theirs = BaseWorker("guest"), Doer("theirs", never)
    async with two_runners(guest, theirs) as (near, far), trio.open_nursery() as nursery:
        ours = Doer("ours", never)
        await near.add_workers(ours)
        await far.registry.wait_ready("ours")
        asked, local, remote = [], [], []
        for requester in (guest, far):
            nursery.start_soon(finish, requester.job("ours", name="do"), asked)
        nursery.start_soon(finish, near.job("ours", name="do", timeout=9), local)
        nursery.start_soon(finish, near.job("theirs", name="do", timeout=9), remote)
        await wait_all_tasks_blocked()
        assert (ours.running, theirs.running) == (3, 1)
        for name in ("far", "near", "unknown"):  # of itself and strangers it makes nothing
            near.bus.post(BusRunnerFadingMessage(name, source=""))
        await wait_all_tasks_blocked()
        assert (ours.running, theirs.running) == (1, 1)
        assert [outcome.status for outcome in asked] == [JobStatus.LOST] * 2
        assert "theirs" in near.registry
    assert [outcome.status for outcome in (*local, *remote)] == [JobStatus.TIMED_OUT] * 2


def test_a_bus_that_comes_back():
    """Runners that had lost one another find one another again, with all their workers."""

    async def check():
        async with two_runners(BaseWorker("theirs")) as (near, far):
            await near.add_workers(*(BaseWorker(f"ours {n}") for n in range(600)))
            await far.registry.wait_ready("ours 599")
            for here, other in ((near, "far"), (far, "near")):
                here.bus.on_message_received(BusWorkerDepartedMessage(other, source=other))
                assert here.registry.remote_workers == ()
            heard = Listener("ear", BusWorkerRegistryMessage)
            await far.bus.subscribe(heard)
            near.bus.post(BusRejoinedMessage(source=""))
            await wait_all_tasks_blocked()
            assert near.registry.remote_workers == ("theirs",)
            assert len(far.registry.remote_workers) == 600
            assert [(len(m.workers), m.asks) for m in heard.heard] == [(500, True), (100, False)]

    run(check)


def test_a_bus_that_is_back_while_others_never_missed_it():
    """Announcing again changes nothing for those who know all of it."""

    async def check():
        async with two_runners(Doer("theirs")) as (near, far):
            far.bus.post(BusRejoinedMessage(source=""))
            await wait_all_tasks_blocked()
            assert near.registry.remote_workers == ("theirs",)
            assert await near.call("theirs", name="do") == {}

    run(check)


async def ask(worker, message):
    async with worker.job("theirs", name="do"):
        await trio.sleep_forever()


async def leave_slowly(bus, worker, entered, statuses):
    """Be in a job of another process when the bus crashes, and note how that ends."""
    async with bus, WorkerRunner(name="near", bus=bus) as runner:
        await runner.add_workers(worker, Doer("here", never), Doer("idle"))
        await runner.registry.wait_ready("here", "theirs", "idle")
        here = runner.job("here", name="do")
        theirs = runner.job("theirs", name="do")
        through = runner.job("asker", name="do")
        try:
            async with here, theirs, through:
                await wait_all_tasks_blocked()
                entered.set()
                await trio.sleep_forever()
        finally:
            statuses += [context.outcomes for context in (here, theirs, through)]
            assert bus.has_failed
            assert "theirs" not in runner.registry
            assert "idle" in runner.registry


@on_schedules()
async def test_a_transport_that_crashes_while_remote_jobs_are_open():
    """Nobody hangs; local handlers have stopped, and the error leaves the bus."""
    hub = Hub()
    bus, asker = HubBus(hub, "1"), Doer("asker", ask)
    theirs, entered, statuses = Doer("theirs", never), trio.Event(), []
    async with (
        WorkerRunner(name="far", bus=HubBus(hub, "2")) as far,
        trio.open_nursery() as nursery,
    ):
        await far.add_workers(theirs)

        async def crash():
            await entered.wait()
            bus.crash(Broken("out of order"))

        nursery.start_soon(crash)
        with pytest.raises(BaseExceptionGroup) as caught:
            await leave_slowly(bus, asker, entered, statuses)
        assert caught.group_contains(Broken, match="out of order")
        assert not caught.group_contains(AssertionError)
        here, remote, through = statuses
        # Its worker is cancelled at the same time, and either may be first.
        assert here["here"].status in (JobStatus.CANCELLED, JobStatus.LOST)
        assert remote["theirs"].status is JobStatus.LOST
        assert through["asker"].status is not JobStatus.COMPLETED
        assert asker.running == 0
        with pytest.raises(StoppedError, match="has ended"):
            await bus.send(BusFailedMessage(source=""))
        await far.get_worker("theirs").stop()


def test_a_transport_that_crashes_with_nobody_waiting():
    """The error leaves the block all the same."""

    async def check():
        bus = HubBus(Hub(), "1")
        with pytest.raises(BaseExceptionGroup) as caught:
            async with bus:
                bus.crash(Broken())
                await trio.sleep_forever()
        assert caught.group_contains(Broken)

    run(check)


def test_a_hook_that_waits_for_a_remote_job_when_the_transport_crashes():
    """It runs in the bus's own nursery, and is released before that is waited for."""

    class Calling(Listener):
        async def on_bus_message(self, message):
            async with near.job("theirs", name="do"):
                entered.set()
                await trio.sleep_forever()

    async def check():
        nonlocal near, entered
        hub, entered = Hub(), trio.Event()
        bus = HubBus(hub, "1")
        async with WorkerRunner(name="far", bus=HubBus(hub, "2")) as far:
            await far.add_workers(Doer("theirs", never))
            near = WorkerRunner(name="near", bus=bus)
            with pytest.raises(BaseExceptionGroup) as caught:
                async with bus, near:
                    await near.registry.wait_ready("theirs")
                    await bus.subscribe(Calling("hooked", BusRejoinedMessage))
                    bus.post(BusRejoinedMessage(source=""))
                    await entered.wait()
                    await wait_all_tasks_blocked()
                    bus.crash(Broken())
                    await trio.sleep_forever()
            assert caught.group_contains(Broken)
            await far.get_worker("theirs").stop()

    near = entered = None
    run(check)


def test_what_is_posted_after_a_crash():
    """It arrives if it is for somebody here; a request for anybody else is answered LOST."""

    async def check():
        hub = Hub()
        bus, ear = HubBus(hub, "1"), Ear("ear")
        with pytest.raises(BaseExceptionGroup) as caught:
            async with bus:
                await bus.subscribe(ear)
                bus.crash(Broken())
                with trio.CancelScope(shield=True):
                    await wait_all_tasks_blocked()
                bus.post(Note("here", source="x", target="ear"))
                bus.post(BusJobRequestMessage("j", source="ear", target="elsewhere"))
                with pytest.raises(UnknownWorkerError):
                    bus.on_message_received(Note(source="x", target="elsewhere"))
        assert caught.group_contains(Broken)
        assert [note.text for note in ear.of(Note)] == ["here"]
        assert [m.status for m in ear.of(BusJobResponseMessage)] == [JobStatus.LOST]
        assert len(ear.of(BusFailedMessage)) == 1

    run(check)
