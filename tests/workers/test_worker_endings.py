"""How a worker ends: by itself, by an error, and what its clean-up may do."""

import pytest
import trio
from lives import Logged, attached
from subscribers import Ear
from trio.testing import wait_all_tasks_blocked

from trioworkers import (
    BaseWorker,
    BusDataMessage,
    BusEndWorkerMessage,
    BusJobRequestMessage,
    BusJobResponseMessage,
    BusSystemMessage,
    JobStatus,
    WorkerParams,
    WorkerReadyData,
)


async def test_a_cleanup_that_hangs_is_bounded_in_time(autojump_clock, caplog):
    """It is cut off and logged after five seconds; the worker leaves anyway."""

    class Hangs(BaseWorker):
        async def cleanup(self):
            await trio.sleep_forever()

    worker = Hangs("w")
    bus, registry = await attached(worker)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(worker.run, WorkerParams(nursery))
        await registry.wait_ready("w")
        await worker.stop()
        assert trio.current_time() == pytest.approx(5)
    assert "clean-up took over 5.0 s" in caplog.text
    assert bus.names == ()
    assert "w" not in registry


async def test_a_cleanup_that_raises_still_leaves_bus_and_registry():
    """Its error ends `run`."""

    class Fails(BaseWorker):
        async def cleanup(self):
            raise OSError("no access")

    worker = Fails("w")
    bus, registry = await attached(worker)
    with pytest.RaisesGroup(pytest.RaisesExc(OSError, match="no access")):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(worker.run, WorkerParams(nursery))
            await registry.wait_ready("w")
            await worker.stop()
    assert bus.names == ()
    assert "w" not in registry


async def test_cleanup_is_called_after_the_tasks_have_ended_and_shielded(autojump_clock):
    """Also when the worker is cancelled from outside."""
    order = []

    class Tidy(BaseWorker):
        async def on_activated(self, args):
            self.nursery.start_soon(self.background)

        async def background(self):
            try:
                await trio.sleep_forever()
            finally:
                order.append("background has ended")

        async def cleanup(self):
            await trio.sleep(1)
            order.append("cleaned up")

    worker = Tidy("w")
    await attached(worker)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(worker.run, WorkerParams(nursery))
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert order == ["background has ended", "cleaned up"]


async def test_a_start_that_raises_ends_the_worker():
    """Its error leaves `run` in a group, and the worker has left."""

    class Fails(BaseWorker):
        async def start(self):
            await super().start()
            raise OSError("no device")

    worker = Fails("w")
    bus, registry = await attached(worker)
    with pytest.RaisesGroup(pytest.RaisesExc(OSError, match="no device")):
        await worker.run(WorkerParams(None))
    assert bus.names == ()
    assert "w" not in registry


async def test_background_work_that_fails_ends_the_worker():
    """As any task of a nursery."""

    class Fails(BaseWorker):
        async def on_activated(self, args):
            self.nursery.start_soon(self.background)

        async def background(self):
            raise OSError("background")

    worker = Fails("w")
    bus, _ = await attached(worker)
    with pytest.RaisesGroup(pytest.RaisesExc(OSError, match="background"), flatten_subgroups=True):
        await worker.run(WorkerParams(None))
    assert bus.names == ()


async def test_ending_finishes_jobs_and_hooks_but_not_background_work(autojump_clock):
    """New requests are refused meanwhile; work in the nursery is cancelled."""
    worker, ear = Logged(), Ear()
    bus, registry = await attached(worker)
    await bus.subscribe(ear)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(worker.run, WorkerParams(nursery))
        await registry.wait_ready("w")
        worker.nursery.start_soon(trio.sleep_forever)
        await bus.send(BusJobRequestMessage("j1", "sleep", source="ear", target="w"))
        await bus.send(BusEndWorkerMessage(source="ear", target="w"))
        await bus.send(BusEndWorkerMessage(source="ear", target="w"))
        await bus.send(BusJobRequestMessage("j2", "sleep", source="ear", target="w"))
        await worker.wait()
        assert trio.current_time() == pytest.approx(10)
    statuses = {r.job_id: r.status for r in ear.of(BusJobResponseMessage)}
    assert statuses == {"j1": JobStatus.COMPLETED, "j2": JobStatus.CANCELLED}


async def test_messages_that_come_during_clean_up_harm_nobody():
    """The lanes are closed by then; the sender notices nothing."""
    sent = []

    class Talks(BaseWorker):
        async def on_bus_message(self, message):
            raise AssertionError

        async def cleanup(self):
            for system in (True, False):
                cls = BusSystemMessage if system else BusDataMessage
                await self.bus.send(cls(source="w", target="w"))
            sent.append(True)

    worker = Talks("w", active=False)
    await attached(worker)
    await worker.stop()
    with trio.fail_after(1):
        await worker.run(WorkerParams(None))
    assert sent == [True]


async def test_hooks_of_a_worker_that_never_runs_are_dropped():
    """Nobody waits for them when it has left."""

    class Watcher(BaseWorker):
        async def on_worker_ready(self, data):
            raise AssertionError

    worker = Watcher("w")
    _, registry = await attached(worker)
    registry.register(WorkerReadyData("other", "r"))
    await worker.watch_workers("other")
    assert not worker.is_idle
    worker.abandon()
    assert worker.is_idle
    with trio.fail_after(1):
        await worker.wait_idle()
