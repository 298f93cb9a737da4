"""Names on a bus of several processes: claimed before they are used, and given back."""

import pytest
import trio
from linked_buses import Hub, HubBus
from subscribers import Ear, Listener
from support import Doer, on_schedules, run
from trio.testing import wait_all_tasks_blocked

from trioworkers import (
    BaseWorker,
    BusDisconnected,
    DuplicateWorkerError,
    MemoryChannelBus,
    StoppedError,
    WorkerPool,
    WorkerRunner,
)


def test_all_names_of_a_runner_are_claimed():
    """Its own, its workers', children's and members': before it starts, and while it runs."""

    async def check():
        hub = Hub()
        bus = HubBus(hub, "b")
        runner, parent = WorkerRunner(name="r", bus=bus), BaseWorker("parent")
        await runner.add_workers(BaseWorker("early"), WorkerPool("p", BaseWorker, size=2))
        assert hub.owners == {}
        async with runner:
            await runner.add_workers(parent)
            await runner.registry.wait_ready("early", "parent", "p")
            await parent.add_workers(BaseWorker("child"))
            names = {"r", "early", "p", "p[0]", "p[1]", "parent", "child"}
            assert hub.names_of(bus) == names == set(bus.names)
            ear, eye = Ear("ear", deaf=True), Listener("eye")
            await bus.subscribe(ear)
            await bus.subscribe(ear)  # again: changes nothing
            await bus.subscribe(eye, observe=True)
            assert hub.names_of(bus) == names | {"ear"}
            await bus.unsubscribe(eye)
            await bus.unsubscribe(ear)
            await runner.get_worker("child").stop()
            assert hub.names_of(bus) == names - {"child"}
        assert hub.owners == {}

    run(check)


def test_a_name_that_another_process_has():
    """It is refused, whoever adds it, and nothing is added or claimed."""

    async def check():
        hub = Hub()
        one = WorkerRunner(name="one", bus=HubBus(hub, "1"))
        two = WorkerRunner(name="two", bus=HubBus(hub, "2"))
        async with one, two:
            parent = BaseWorker("parent")
            await one.add_workers(parent, Doer("taken"))
            await one.registry.wait_ready("parent", "taken")
            theirs = BaseWorker("theirs")
            await two.add_workers(theirs)
            await theirs.wait_running()
            before = dict(hub.owners)
            for add in (two.add_workers, theirs.add_workers):
                with pytest.raises(DuplicateWorkerError, match="'taken' is already in the hub"):
                    await add(BaseWorker("new"), BaseWorker("taken"))
            with pytest.raises(DuplicateWorkerError, match="taken"):
                await two.bus.subscribe(Ear("taken"))
            with pytest.raises(DuplicateWorkerError, match="taken"):
                await BaseWorker("taken").attach(registry=two.registry, bus=two.bus)
            with pytest.raises(DuplicateWorkerError, match="'two' is already in the hub"):
                async with WorkerRunner(name="two", bus=one.bus):
                    pass
            assert hub.owners == before
            await two.add_workers(BaseWorker("new"))

    run(check)


async def add_and_note(runner, worker, errors):
    try:
        await runner.add_workers(worker)
    except DuplicateWorkerError as error:
        errors.append(error)


@on_schedules()
async def test_two_add_one_name_at_once():
    """One of them gets it; the other's refusal takes nothing from it."""
    hub, errors = Hub(), []
    bus = HubBus(hub, "b")
    async with WorkerRunner(name="r", bus=bus) as runner:
        hub.shut()
        workers = [BaseWorker("same"), BaseWorker("same")]
        async with trio.open_nursery() as nursery:
            for worker in workers:
                nursery.start_soon(add_and_note, runner, worker, errors)
            await wait_all_tasks_blocked()
            assert bus.claimed_names == ("r", "same")
            hub.gate.set()
        assert len(errors) == 1
        assert hub.names_of(bus) == {"r", "same"}
        assert bus.claimed_names == ("r", "same")
        assert runner.get_worker("same") in workers


def test_a_claim_that_is_cancelled_is_given_back():
    """The name is free again at once, here and elsewhere."""

    async def check():
        hub = Hub()
        bus = HubBus(hub, "b")
        async with WorkerRunner(name="r", bus=bus) as runner:
            hub.shut()
            worker = BaseWorker("w")
            for add in (
                lambda: runner.add_workers(worker),
                lambda: bus.subscribe(Ear("w")),
                lambda: worker.attach(registry=runner.registry, bus=bus),
            ):
                with trio.move_on_after(1) as scope:
                    await add()
                assert scope.cancelled_caught
                assert (hub.names_of(bus), bus.claimed_names) == ({"r"}, ("r",))
            hub.gate.set()
            await runner.add_workers(worker)
            assert hub.names_of(bus) == {"r", "w"}

    run(check)


def test_a_runner_that_ends_while_it_claims():
    """The worker is refused, and its name given back."""

    async def check():
        hub = Hub()
        bus = HubBus(hub, "b")
        async with WorkerRunner(name="r", bus=bus) as runner, trio.open_nursery() as nursery:
            parent = BaseWorker("parent")
            await runner.add_workers(parent)
            await parent.wait_running()
            hub.shut()
            refused = []

            async def add(whose):
                with pytest.raises(StoppedError, match=r"ending|stopped"):
                    await whose.add_workers(BaseWorker(f"of {whose.name}"))
                refused.append(whose.name)

            nursery.start_soon(add, runner)
            nursery.start_soon(add, parent)
            await wait_all_tasks_blocked()
            assert set(bus.claimed_names) == {"r", "parent", "of r", "of parent"}
            await parent.stop()
            await runner.end()
            await wait_all_tasks_blocked()
            hub.gate.set()
            await wait_all_tasks_blocked()
            assert set(refused) == {"r", "parent"}
            assert hub.names_of(bus) == {"r"}

    run(check)


@on_schedules()
async def test_a_name_is_used_again_at_once():
    """A worker leaves, and a new one of its name is added before anybody has noticed."""
    hub = Hub()
    bus = HubBus(hub, "b")
    async with WorkerRunner(name="r", bus=bus) as runner:
        for _ in range(3):
            worker = Doer("w")
            await runner.add_workers(worker)
            assert await runner.call("w", name="do") == {}
            await worker.stop()
        await runner.add_workers(Doer("w"))
        assert hub.names_of(bus) == {"r", "w"}


def test_a_pool_claims_the_names_of_members_that_it_makes():
    """Also while the bus can't be reached for a while: it waits, and loses no job."""

    class Flaky(HubBus):
        failures = 0

        async def claim(self, *names):
            if self.failures:
                self.failures -= 1
                raise BusDisconnected("nowhere", "reconnecting", "refused", 0.0)
            await super().claim(*names)

    async def check():
        hub = Hub()
        bus = Flaky(hub, "b")
        async with WorkerRunner(name="r", bus=bus) as runner:
            await runner.add_workers(WorkerPool("p", lambda: Doer(None), size=1))
            await runner.registry.wait_ready("p", "p[0]")
            bus.failures = 3
            await runner.get_worker("p[0]").stop()
            assert await runner.call("p", name="do") == {}
            assert bus.failures == 0
            assert hub.names_of(bus) == {"r", "p", "p[1]"}

    run(check)


def test_runners_without_a_name():
    """The bus makes one up, since it knows what is unique on it."""
    bus = MemoryChannelBus()
    names = [WorkerRunner(bus=bus).name, WorkerRunner(bus=bus).name]
    assert names[0] != names[1]
    assert all(name.startswith("runner#") for name in names)
    assert WorkerRunner(bus=HubBus(Hub(), "here")).name.endswith("@here")
