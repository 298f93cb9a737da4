"""What comes for a worker before it runs."""

import pytest
import trio
from lives import Logged, attached
from subscribers import Ear

from trioworkers import (
    BaseWorker,
    BusActivateWorkerMessage,
    BusCancelWorkerMessage,
    BusDeactivateWorkerMessage,
    BusEndWorkerMessage,
    BusJobRequestMessage,
    BusJobResponseMessage,
    JobStatus,
    WorkerParams,
)


async def test_messages_before_the_start_are_kept(autojump_clock):
    """Requests, activations and orders to end, in their order."""
    worker, ear = Logged(active=False), Ear()
    bus, registry = await attached(worker)
    await bus.subscribe(ear)
    await bus.send(BusActivateWorkerMessage({"n": 1}, source="ear", target="w"))
    await bus.send(BusJobRequestMessage("j1", "sleep", source="ear", target="w"))
    await bus.send(BusEndWorkerMessage(source="ear", target="w"))
    assert worker.statistics().early_messages == 3
    assert worker.activation_args is None
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(worker.run, WorkerParams(nursery))
    assert worker.log == [("activated", {"n": 1}), ("cleanup",)]
    (response,) = ear.of(BusJobResponseMessage)
    assert (response.status, response.response) == (JobStatus.COMPLETED, {"slept": True})
    assert trio.current_time() == pytest.approx(10)
    assert registry.watch_count == 0


async def test_an_early_activation_is_the_first_one():
    """A worker that starts active isn't activated again without arguments."""
    worker = Logged()
    bus, registry = await attached(worker)
    await bus.send(BusActivateWorkerMessage({"n": 1}, source="x", target="w"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(worker.run, WorkerParams(nursery))
        await registry.wait_ready("w")
        await worker.wait_idle()
        assert worker.activation_args == {"n": 1}
        assert worker.log == [("activated", {"n": 1})]
        await worker.stop()


async def test_an_early_deactivation_is_not_undone_by_the_start():
    """A worker that starts active stays inactive if it was told so before."""
    worker = Logged()
    bus, registry = await attached(worker)
    await bus.send(BusDeactivateWorkerMessage(source="x", target="w"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(worker.run, WorkerParams(nursery))
        await registry.wait_ready("w")
        await worker.wait_idle()
        assert not worker.active
        assert not registry.get("w").active
        await worker.stop()


async def test_more_early_messages_than_a_lane_holds_are_refused():
    """Nothing grows without bound while a worker waits for its start."""
    worker = Logged()
    bus, _ = await attached(worker, lane_capacity=2)
    message = BusActivateWorkerMessage(source="x", target="w")
    await bus.send(message)
    await bus.send(message)
    with pytest.raises(trio.WouldBlock, match="no room for another message to 'w'"):
        await bus.send(message)
    other = Ear("other")
    await bus.subscribe(other)
    with pytest.raises(trio.WouldBlock, match="'w'"):
        await bus.send(BusActivateWorkerMessage(source="x"))
    assert len(other.heard) == 1
    assert worker.statistics().early_messages == 2


async def test_a_worker_cancelled_before_its_start_stops_at_once():
    """Its early jobs are answered as it goes."""
    worker, ear = Logged(), Ear()
    bus, _ = await attached(worker)
    await bus.subscribe(ear)
    await bus.send(BusJobRequestMessage("j1", "sleep", source="ear", target="w"))
    await bus.send(BusCancelWorkerMessage("not needed", source="ear", target="w"))
    with trio.fail_after(1):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(worker.run, WorkerParams(nursery))
    (response,) = ear.of(BusJobResponseMessage)
    assert response.status is JobStatus.CANCELLED
    assert "cancelled: not needed" in response.error.message


async def test_a_worker_that_never_runs_answers_what_came_early():
    """Abandoned, it answers LOST, and its name is free."""
    worker, ear = Logged(), Ear()
    bus, _ = await attached(worker)
    await bus.subscribe(ear)
    await bus.send(BusJobRequestMessage("j1", "sleep", source="ear", target="w"))
    worker.abandon()
    (response,) = ear.of(BusJobResponseMessage)
    assert response.status is JobStatus.LOST
    assert response.error.message == "worker 'w' left before it started"
    assert bus.names == ("ear",)
    with trio.fail_after(1):
        await worker.wait()


async def test_early_messages_reach_on_bus_message_too():
    """Once the worker runs, after what they do by themselves."""
    heard = []

    class Listener(BaseWorker):
        async def on_bus_message(self, message):
            if isinstance(message, BusActivateWorkerMessage):
                heard.append((message.args, self.active))

    worker = Listener("w", active=False)
    bus, registry = await attached(worker)
    await bus.send(BusActivateWorkerMessage({"n": 1}, source="x", target="w"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(worker.run, WorkerParams(nursery))
        await registry.wait_ready("w")
        await worker.wait_idle()
        await worker.stop()
    assert heard == [({"n": 1}, True)]
