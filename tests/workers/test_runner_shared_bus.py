"""Two runners on one bus: they see each other's workers come, work and leave."""

import contextlib

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from trioworkers import (
    BaseWorker,
    BusCancelMessage,
    BusEndMessage,
    BusWorkerDepartedMessage,
    BusWorkerReadyMessage,
    BusWorkerRegistryMessage,
    DuplicateWorkerError,
    JobError,
    MemoryChannelBus,
    WorkerRegistryEntry,
    WorkerRunner,
    job,
)


class Echo(BaseWorker):
    """Answers with its payload."""

    @job(name="echo")
    async def echo(self, message):
        return {"from": self.name, **message.payload}

    @job(name="hang")
    async def hang(self, message):
        await trio.sleep_forever()


class Watcher(BaseWorker):
    """Notes who gets ready."""

    def __init__(self, name):
        super().__init__(name)
        self.seen = []

    async def on_worker_ready(self, data):
        self.seen.append((data.worker_name, data.runner))


async def test_runners_learn_of_each_others_workers():
    """Of those there before, by snapshot, and of those that come, by announcement."""
    bus = MemoryChannelBus(clock=lambda: 3.0)
    async with bus, WorkerRunner(name="a", bus=bus) as a:
        await a.add_workers(Echo("early"))
        await a.registry.wait_ready("early")
        async with WorkerRunner(name="b", bus=bus) as b:
            with trio.fail_after(1):
                await b.registry.wait_ready("early")
            await b.add_workers(Echo("late", active=False))
            with trio.fail_after(1):
                await a.registry.wait_ready("late")
            assert a.registry.local_workers == b.registry.remote_workers == ("early",)
            assert a.registry.remote_workers == b.registry.local_workers == ("late",)
            seen = a.registry.get("late")
            assert (seen.runner, seen.parent, seen.active, seen.started_at) == (
                "b",
                None,
                False,
                3.0,
            )
            assert b.registry.get("early").active
            assert a.statistics().remote_workers == 1


async def test_a_job_goes_to_a_worker_of_another_runner():
    """From workers and from the runner itself."""
    bus = MemoryChannelBus()
    with trio.fail_after(1):
        async with bus, WorkerRunner(bus=bus) as a, WorkerRunner(bus=bus) as b:
            asker = BaseWorker("asker")
            await a.add_workers(asker)
            await b.add_workers(Echo("echo"))
            await a.registry.wait_ready("asker")
            assert await asker.call("echo", name="echo", payload={"n": 1}) == {
                "from": "echo",
                "n": 1,
            }
            assert await a.call("echo", name="echo", payload={"n": 2}) == {"from": "echo", "n": 2}


async def test_a_worker_that_stops_leaves_the_other_registry_too():
    """Its jobs have ended by then, with an outcome that says so."""
    bus = MemoryChannelBus()
    with trio.fail_after(1):
        async with bus, WorkerRunner(bus=bus) as a, WorkerRunner(bus=bus) as b:
            echo = Echo("echo")
            await b.add_workers(echo)
            await a.registry.wait_ready("echo")
            async with trio.open_nursery() as nursery:

                @nursery.start_soon
                async def ask():
                    with pytest.raises(JobError, match=r"'echo' cancelled.*has stopped"):
                        await a.call("echo", name="hang")

                await wait_all_tasks_blocked()
                await echo.stop()
            assert "echo" not in a.registry
            assert a.statistics().job_groups == 0


@pytest.mark.parametrize("how", ["end", "cancel", "crash", "exception"])
async def test_a_runner_that_leaves_takes_its_workers_along(how):
    """However it leaves: the other's registry has none of them, and jobs have ended."""
    bus = MemoryChannelBus()
    outcomes = []

    async def leave(runner):
        if how == "crash":
            runner.get_worker("echo").nursery.start_soon(_explode)
            await trio.sleep_forever()
        if how == "exception":
            raise ValueError("how it leaves")
        await (runner.end() if how == "end" else runner.cancel())

    async def ask(runner):
        try:
            await runner.call("echo", name="hang", timeout=1)
        except JobError as error:
            outcomes.append(error)

    with trio.fail_after(5):
        async with bus, WorkerRunner(name="a", bus=bus) as a, trio.open_nursery() as nursery:
            await a.add_workers(BaseWorker("stays"))
            with _leaves_by_error() if how in ("crash", "exception") else _nothing():
                async with WorkerRunner(name="b", bus=bus) as b:
                    await b.add_workers(Echo("echo"), Echo("echo 2"))
                    await a.registry.wait_ready("stays", "echo", "echo 2")
                    if how != "end":
                        nursery.start_soon(ask, a)
                    await wait_all_tasks_blocked()
                    await leave(b)
            await wait_all_tasks_blocked()
            assert list(a.registry) == ["stays"]
            assert a.statistics().job_groups == 0
            assert sorted(bus.names) == ["a", "stays"]
    assert len(outcomes) == (how != "end")


async def _explode():
    raise ValueError("crash")


def _nothing():
    return contextlib.nullcontext()


def _leaves_by_error():
    return pytest.raises((ValueError, ExceptionGroup), match=r"how it leaves|nursery")


async def test_a_runner_that_vanishes_takes_its_workers_along():
    """The word that a runner has gone is enough; jobs at its workers are LOST."""
    bus = MemoryChannelBus()
    with trio.fail_after(1):
        async with bus, WorkerRunner(name="a", bus=bus) as a, WorkerRunner(bus=bus) as b:
            await b.add_workers(Echo("echo"))
            await a.registry.wait_ready("echo")
            async with trio.open_nursery() as nursery:
                asker = BaseWorker("asker")
                await a.add_workers(asker)
                await a.registry.wait_ready("asker")

                @nursery.start_soon
                async def ask():
                    with pytest.raises(JobError, match="'echo' lost: WorkerLost"):
                        await asker.call("echo", name="hang")

                await wait_all_tasks_blocked()
                await bus.send(BusWorkerDepartedMessage(b.name, source=b.name))
            assert "echo" not in a.registry
            await b.cancel()


async def test_readiness_of_remote_workers_is_told_only_where_it_is_watched():
    """Remote roots don't fire `on_worker_ready` by themselves."""
    bus = MemoryChannelBus()
    one, two = Watcher("one"), Watcher("two")
    async with bus, WorkerRunner(name="a", bus=bus) as a, WorkerRunner(name="b", bus=bus) as b:
        await a.add_workers(one)
        await a.add_workers(two)
        await a.registry.wait_ready("one", "two")
        await one.watch_workers("far")
        await b.add_workers(Echo("far"))
        await a.registry.wait_ready("far")
        await one.wait_idle()
        await two.wait_idle()
        assert one.seen[-1] == ("far", "b")
        assert ("far", "b") not in two.seen


async def test_end_and_cancel_act_on_the_senders_runner_alone():
    """The other's workers go on."""
    bus = MemoryChannelBus()
    for message in (BusEndMessage, BusCancelMessage):
        async with WorkerRunner(name="a", bus=bus if bus.is_running else MemoryChannelBus()) as a:
            async with WorkerRunner(name="b", bus=a.bus) as b:
                one, two = Echo("one"), Echo("two")
                await a.add_workers(one)
                await b.add_workers(two)
                await a.registry.wait_ready("one", "two")
                await a.bus.send(message("why", source="stranger"))
                await wait_all_tasks_blocked()
                assert a.workers == (one,)
                await a.bus.send(message("why", source="two"))
                await two.wait()
                await wait_all_tasks_blocked()
                assert a.workers == (one,)
                assert b.workers == ()


async def test_a_name_on_a_shared_bus_is_taken_for_all_runners():
    """Names are unique on the bus."""
    bus = MemoryChannelBus()
    async with bus, WorkerRunner(bus=bus) as a, WorkerRunner(bus=bus) as b:
        await a.add_workers(Echo("echo"))
        with pytest.raises(DuplicateWorkerError, match="'echo' is already in the bus"):
            await b.add_workers(Echo("echo"))


async def test_two_runners_of_one_name_are_refused():
    """The second can't be entered."""
    async with WorkerRunner(name="a") as a:
        with pytest.raises(DuplicateWorkerError, match="'a' is already in the bus"):
            async with WorkerRunner(name="a", bus=a.bus):
                raise AssertionError
        assert a.bus.names == ("a",)


async def test_a_local_worker_with_a_remote_workers_name_harms_only_itself():
    """It is refused when it starts; the remote one is still known, and still served."""
    bus = MemoryChannelBus()
    departed = []
    with trio.fail_after(1):
        async with bus, WorkerRunner(name="a", bus=bus, strict=False) as a:
            a.registry.watch_departures(departed.append)
            await bus.send(
                BusWorkerReadyMessage("far", None, True, False, 1.0, source="echo", target=None)
            )
            assert a.registry.get("echo").runner == "far"
            late = Echo("echo")
            await a.add_workers(late)
            await late.wait()
            await wait_all_tasks_blocked()
            assert a.statistics().errors == 1
            assert a.registry.get("echo").runner == "far"
            assert departed == []


async def test_a_remote_worker_with_a_local_workers_name_is_refused(caplog):
    """The rest of its runner's snapshot is taken, and its leaving is no loss."""
    bus = MemoryChannelBus()
    async with bus, WorkerRunner(name="a", bus=bus) as a:
        await a.add_workers(Echo("echo"))
        await a.registry.wait_ready("echo")
        entries = (WorkerRegistryEntry("echo"), WorkerRegistryEntry("other"))
        await bus.send(BusWorkerRegistryMessage("far", entries, source="far", target="a"))
        assert a.registry.get("other").runner == "far"
        assert a.registry.get("echo").runner == "a"
        assert "'echo' is already in runner 'a'" in caplog.text
        await bus.send(BusWorkerReadyMessage("far", source="echo"))
        await bus.send(BusWorkerDepartedMessage("far", source="echo"))
        assert a.registry.get("echo").runner == "a"
        assert await a.call("echo", name="echo", payload={}) == {"from": "echo"}
