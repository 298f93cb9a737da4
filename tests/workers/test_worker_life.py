"""One worker from new to stopped, with a bus and a registry but no runner."""

import contextlib
import math

import pytest
import trio
from lives import Logged, attached
from subscribers import Ear
from trio.testing import assert_checkpoints, wait_all_tasks_blocked

from trioworkers import (
    BaseWorker,
    BusJobRequestMessage,
    BusJobResponseMessage,
    DuplicateWorkerError,
    JobStatus,
    MemoryChannelBus,
    NotAttachedError,
    StoppedError,
    TrioWorkersError,
    WorkerParams,
    WorkerRegistry,
)


async def test_a_worker_is_attached_then_run_then_stopped(autojump_clock):
    """Properties and repr tell where it is; the clock of the bus gives the time."""
    worker = Logged()
    assert (worker.name, worker.active, worker.started_at, worker.parent) == (
        "w",
        False,
        None,
        None,
    )
    assert (worker.children, worker.active_jobs, worker.job_groups) == ([], {}, {})
    assert not worker.bridged
    assert repr(worker) == "<Logged 'w', new>"
    bus, registry = await attached(worker, clock=lambda: 5.0)
    assert worker.bus is bus
    assert worker.registry is registry
    assert bus.names == ("w",)
    assert repr(worker) == "<Logged 'w', attached>"
    assert "w" not in registry
    async with trio.open_nursery() as nursery:
        nursery.start_soon(worker.run, WorkerParams(nursery))
        await registry.wait_ready("w")
        assert repr(worker) == "<Logged 'w', running>"
        assert (worker.started_at, worker.active) == (5.0, True)
        assert registry.get("w").started_at == 5.0
        await worker.stop()
        assert repr(worker) == "<Logged 'w', stopped>"
        assert not worker.active
    assert worker.log[-1] == ("cleanup",)
    assert "w" not in registry
    assert bus.names == ()
    assert registry.watch_count == 0


@pytest.mark.parametrize(
    "use",
    [
        lambda w: w.bus,
        lambda w: w.registry,
        lambda w: w.statistics(),
        lambda w: w.job("x"),
        lambda w: w.job_group("x"),
    ],
)
def test_use_before_attach_is_an_error_that_says_what_to_do(use):
    """It is a RuntimeError, as in the reference."""
    with pytest.raises(NotAttachedError, match=r"'w' is not attached.*WorkerRunner") as caught:
        use(BaseWorker("w"))
    assert isinstance(caught.value, RuntimeError)
    assert isinstance(caught.value, TrioWorkersError)


async def test_async_use_before_attach_is_an_error_too():
    """Of everything that sends."""
    worker = BaseWorker("w")
    for send in (
        worker.end,
        worker.cancel,
        lambda: worker.run(WorkerParams(None)),
        lambda: worker.call("x"),
        lambda: worker.request_job("x"),
        lambda: worker.activate_worker("x"),
        lambda: worker.deactivate_worker("x"),
        lambda: worker.watch_workers("x"),
        lambda: worker.send_bus_error_message("x"),
        lambda: worker.add_workers(BaseWorker()),
    ):
        with pytest.raises(NotAttachedError, match="not attached"):
            await send()


async def test_the_nursery_is_there_only_while_the_worker_runs():
    """Before and after, the error says which it is."""
    worker = Logged()
    _, registry = await attached(worker)
    with pytest.raises(NotAttachedError, match=r"'w' does not run yet; .*wait until it is ready"):
        _ = worker.nursery
    done = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(worker.run, WorkerParams(nursery))
        await registry.wait_ready("w")
        worker.nursery.start_soon(trio.sleep_forever)
        worker.nursery.start_soon(lambda: _set(done))
        await done.wait()
        await worker.stop()
    with pytest.raises(StoppedError, match="worker 'w' has stopped; workers run once"):
        _ = worker.nursery


async def _set(event):
    event.set()
    await trio.lowlevel.checkpoint()


async def test_use_after_stop_is_an_error():
    """Asking, adding and running."""
    worker = Logged()
    _, registry = await attached(worker)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(worker.run, WorkerParams(nursery))
        await registry.wait_ready("w")
        await worker.stop()
    with pytest.raises(StoppedError, match="has stopped"):
        worker.job("x")
    with pytest.raises(StoppedError, match="has stopped"):
        await worker.add_workers(BaseWorker())
    with pytest.raises(StoppedError, match="'w' can't be run: it is stopped; a worker runs once"):
        await worker.run(WorkerParams(None))
    with pytest.raises(StoppedError, match="'w' was attached before"):
        await worker.attach(registry=registry, bus=MemoryChannelBus())
    with trio.fail_after(1):
        await worker.stop()
        await worker.wait()


async def test_a_worker_is_attached_and_run_once():
    """A second time is refused while it runs, and changes nothing."""
    worker = Logged()
    bus, registry = await attached(worker)
    with pytest.raises(StoppedError, match=r"'w' was attached before \(attached\)"):
        await worker.attach(registry=registry, bus=bus)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(worker.run, WorkerParams(nursery))
        await registry.wait_ready("w")
        with pytest.raises(StoppedError, match="can't be run: it is running"):
            await worker.run(WorkerParams(nursery))
        assert "w" in registry
        await worker.stop()


async def test_a_worker_that_the_bus_refuses_can_be_attached_elsewhere():
    """A taken name leaves it, and the registry, as they were."""
    bus, registry = MemoryChannelBus(), WorkerRegistry("r")
    await bus.subscribe(Ear("w"))
    worker = BaseWorker("w")
    with pytest.raises(DuplicateWorkerError, match="'w' is already in the bus"):
        await worker.attach(registry=registry, bus=bus)
    assert repr(worker) == "<BaseWorker 'w', new>"
    assert registry.watch_count == 0
    with pytest.raises(NotAttachedError):
        _ = worker.bus
    await worker.attach(registry=registry, bus=MemoryChannelBus())


async def test_async_functions_of_a_worker_checkpoint():
    """Life, commands and questions."""
    worker, other = Logged(), Logged("other")
    bus, registry = MemoryChannelBus(), WorkerRegistry("r")
    for each in (worker, other):
        with assert_checkpoints():
            await each.attach(registry=registry, bus=bus)
    async with trio.open_nursery() as nursery:
        for each in (worker, other):
            nursery.start_soon(each.run, WorkerParams(nursery))
        await registry.wait_ready("w", "other")
        for use in (
            worker.end,
            worker.cancel,
            lambda: worker.activate_worker("other"),
            lambda: worker.deactivate_worker("other"),
            worker.watch_workers,
            lambda: worker.watch_workers("other"),
            lambda: worker.send_bus_error_message("oh"),
            worker.add_workers,
            worker.wait_idle,
            lambda: worker.call("other", name="nothing"),
            worker.stop,
            worker.stop,
            worker.wait,
        ):
            with assert_checkpoints():
                with contextlib.suppress(TrioWorkersError):
                    await use()
        await other.stop()


async def test_stopping_cancels_jobs_and_tells_their_requesters(autojump_clock):
    """CANCELLED, with the reason; nothing runs on."""
    worker, ear = Logged(), Ear()
    bus, registry = await attached(worker)
    await bus.subscribe(ear)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(worker.run, WorkerParams(nursery))
        await registry.wait_ready("w")
        await bus.send(BusJobRequestMessage("j1", "sleep", source="ear", target="w"))
        await wait_all_tasks_blocked()
        assert list(worker.active_jobs) == ["j1"]
        await worker.stop()
        assert worker.active_jobs == {}
    (response,) = ear.of(BusJobResponseMessage)
    assert response.status is JobStatus.CANCELLED
    assert response.error.message == "worker 'w' has stopped"
    assert trio.current_time() == 0


async def test_a_worker_may_stop_itself_but_not_wait_for_itself():
    """Waiting for its own end in its own task would never end."""
    refused = []

    class Stopper(BaseWorker):
        async def on_activated(self, args):
            with pytest.raises(RuntimeError, match="can't wait for its own end"):
                await self.wait()
            refused.append(True)
            await self.stop()
            await trio.sleep_forever()

    worker = Stopper("w")
    await attached(worker)
    with trio.fail_after(1):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(worker.run, WorkerParams(nursery))
            await worker.wait()
    assert refused == [True]


async def test_unsubscribing_a_worker_stops_it():
    """Nobody could reach it any more."""
    worker = Logged()
    bus, registry = await attached(worker)
    with trio.fail_after(1):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(worker.run, WorkerParams(nursery))
            await registry.wait_ready("w")
            await bus.unsubscribe(worker)
            await worker.wait()
    assert "w" not in registry


@pytest.mark.parametrize("name", [3, b"w"])
def test_a_name_that_is_no_str_is_refused(name):
    """Before anything starts."""
    with pytest.raises(TypeError, match="a worker name must be a str"):
        BaseWorker(name)


def test_an_empty_name_is_refused_and_none_gets_one():
    """Made-up names tell the class and differ."""
    with pytest.raises(ValueError, match="a worker name must not be empty"):
        BaseWorker("")
    first, second = Logged(None), Logged(None)
    assert first.name != second.name
    assert first.name.startswith("Logged#")


async def test_statistics_of_an_idle_worker_are_zero():
    """All but the counters."""
    worker = Logged()
    _, registry = await attached(worker)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(worker.run, WorkerParams(nursery))
        await registry.wait_ready("w")
        await worker.wait_idle()
        assert worker.is_idle
        s = worker.statistics()
        assert (s.active_jobs, s.job_groups, s.detached_groups, s.early_messages) == (0, 0, 0, 0)
        assert (s.waiting_for, s.early_cancels, s.hook_errors) == ({}, 0, 0)
        assert s.lanes.hooks_running == s.lanes.data_queued == 0
        await worker.stop()
    assert math.isfinite(worker.started_at)
