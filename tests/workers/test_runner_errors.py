"""What a runner does about errors: strict, reported, and its events."""

import pytest
import trio
from subscribers import Alarm
from trio.testing import wait_all_tasks_blocked

from trioworkers import (
    BaseWorker,
    BusWorkerDepartedMessage,
    BusWorkerErrorMessage,
    JobError,
    MemoryChannelBus,
    WorkerErrorData,
    WorkerRunner,
    job,
)


class Crasher(BaseWorker):
    """Crashes when asked to."""

    @job(name="crash")
    async def crash(self, message):
        self.nursery.start_soon(self.explode)
        await trio.sleep_forever()

    async def explode(self):
        raise OSError("on fire")


async def test_a_crash_ends_a_strict_runner():
    """The body is cancelled, and the error leaves in a group."""
    sleeping = []
    with (
        trio.fail_after(1),
        pytest.RaisesGroup(pytest.RaisesExc(OSError, match="on fire"), flatten_subgroups=True),
    ):
        async with WorkerRunner() as runner:
            await runner.add_workers(Crasher("c"))
            await runner.registry.wait_ready("c")
            runner.get_worker("c").nursery.start_soon(runner.get_worker("c").explode)
            try:
                await trio.sleep_forever()
            finally:
                sleeping.append("cancelled")
    assert sleeping == ["cancelled"]
    assert runner.bus.names == ()


async def test_a_crash_while_a_strict_runner_ends_leaves_it_too():
    """After the body, while the workers finish."""
    with (
        trio.fail_after(1),
        pytest.RaisesGroup(pytest.RaisesExc(OSError, match="on fire"), flatten_subgroups=True),
    ):
        async with WorkerRunner() as runner:
            await runner.add_workers(Crasher("c"))
            await runner.registry.wait_ready("c")
            runner.get_worker("c").nursery.start_soon(runner.get_worker("c").explode)
    assert runner.bus.names == ()


async def test_the_body_and_a_crash_both_leave():
    """In one group, when the crash happens while the body's exception is handled."""

    class Grudging(BaseWorker):
        async def cleanup(self):
            raise OSError("no clean end")

    with pytest.RaisesGroup(
        pytest.RaisesExc(ValueError, match="mine"),
        pytest.RaisesExc(OSError, match="no clean end"),
        flatten_subgroups=True,
    ):
        async with WorkerRunner() as runner:
            await runner.add_workers(Grudging("g"))
            await runner.registry.wait_ready("g")
            raise ValueError("mine")


async def test_a_crash_is_reported_where_errors_are_not_strict(caplog):
    """It is logged, counted and told; others go on, and asking it ends in an error."""
    told = []
    runner = WorkerRunner(strict=False)

    @runner.event_handler("on_error")
    def note(sender, data):
        told.append((sender is runner, data.worker_name, data.error))

    with trio.fail_after(1):
        async with runner:
            await runner.add_workers(Crasher("c"), BaseWorker("other"))
            await runner.registry.wait_ready("c", "other")
            with pytest.raises(JobError, match="'c' lost"):
                await runner.call("c", name="crash")
            await wait_all_tasks_blocked()
            assert [w.name for w in runner.workers] == ["other"]
            assert runner.statistics().errors == 1
            assert list(runner.registry) == ["other"]
    assert [entry[:2] for entry in told] == [(True, "c")]
    assert told[0][2].startswith("ExceptionGroup: ")
    assert "worker 'c' failed" in caplog.text
    assert "on fire" in caplog.text


async def test_run_ends_after_the_last_worker_has_crashed():
    """Also where errors are not strict."""
    runner = WorkerRunner(strict=False)
    await runner.add_workers(Crasher("c"))
    with trio.fail_after(1):
        async with trio.open_nursery() as nursery:
            await nursery.start(runner.run)
            await runner.registry.wait_ready("c")
            runner.get_worker("c").nursery.start_soon(runner.get_worker("c").explode)
    assert runner.statistics().errors == 1


async def test_a_handler_of_the_runner_that_raises_is_treated_as_a_hook():
    """It ends a strict runner, and is counted by one that isn't."""

    def explode(runner):
        raise ValueError("handler bug")

    strict = WorkerRunner()
    strict.add_event_handler("on_ready", explode)
    with (
        trio.fail_after(1),
        pytest.RaisesGroup(pytest.RaisesExc(ValueError, match="handler"), flatten_subgroups=True),
    ):
        async with strict:
            await trio.sleep_forever()
    lenient = WorkerRunner(strict=False)
    lenient.add_event_handler("on_ready", explode)
    async with lenient:
        await wait_all_tasks_blocked()
        assert lenient.statistics().errors == 1


def test_an_unknown_event_is_refused():
    """The error lists the events there are."""
    runner = WorkerRunner()
    with pytest.raises(ValueError, match=r"no event 'on_done'; events: 'on_error', 'on_ready'"):
        runner.add_event_handler("on_done", print)
    with pytest.raises(TypeError, match="must be callable"):
        runner.add_event_handler("on_ready", "print")


async def test_a_root_workers_report_reaches_other_runners():
    """A root worker tells everyone."""
    bus = MemoryChannelBus()
    told = []
    async with bus, WorkerRunner(name="a", bus=bus) as a, WorkerRunner(name="b", bus=bus) as b:
        b.add_event_handler("on_error", lambda _, data: told.append(data))
        worker = BaseWorker("w")
        await a.add_workers(worker)
        await a.registry.wait_ready("w")
        await worker.send_bus_error_message("out of paper")
        await wait_all_tasks_blocked()
    assert told == [WorkerErrorData("w", "out of paper")]


async def test_a_full_lane_of_a_bystander_keeps_no_worker_from_leaving(autojump_clock):
    """A worker that hears every message, and is slow, is not in the way of others' ends."""
    bus = MemoryChannelBus(lane_capacity=2)

    class Slow(BaseWorker):
        async def on_bus_message(self, message):
            if isinstance(message, Alarm):
                await trio.sleep(100)

    with trio.fail_after(1000):
        async with WorkerRunner(bus=bus) as runner:
            await runner.add_workers(Slow("slow"))
            await runner.registry.wait_ready("slow")
            await runner.add_workers(BaseWorker("leaver"))
            await runner.registry.wait_ready("leaver")
            await wait_all_tasks_blocked()
            for _ in range(3):
                await runner.bus.send(Alarm(source="x", target="slow"))
                await wait_all_tasks_blocked()
            await runner.get_worker("leaver").stop()
            await wait_all_tasks_blocked()
            assert [w.name for w in runner.workers] == ["slow"]


async def test_a_full_lane_of_a_bystander_keeps_no_error_from_being_told(autojump_clock):
    """Reporting a crash doesn't wait for, or fail by, whoever listens to all messages."""
    bus = MemoryChannelBus(lane_capacity=2)
    told = []

    class Slow(BaseWorker):
        async def on_bus_message(self, message):
            if isinstance(message, Alarm):
                await trio.sleep(100)

    with trio.fail_after(1000):
        async with WorkerRunner(bus=bus, strict=False) as runner:
            runner.add_event_handler("on_error", lambda _, data: told.append(data.worker_name))
            await runner.add_workers(Slow("slow"), Crasher("c"))
            await runner.registry.wait_ready("slow", "c")
            await wait_all_tasks_blocked()
            for _ in range(3):
                await runner.bus.send(Alarm(source="x", target="slow"))
                await wait_all_tasks_blocked()
            crasher = runner.get_worker("c")
            crasher.nursery.start_soon(crasher.explode)
            await crasher.wait()
            await wait_all_tasks_blocked()
            assert told == ["c"]
            assert runner.statistics().errors == 1


async def test_a_runner_that_cannot_say_goodbye_still_ends():
    """The bus's error leaves the block; nothing runs on."""

    class Cut(MemoryChannelBus):
        async def publish(self, message):
            if isinstance(message, BusWorkerDepartedMessage):
                raise OSError("cut")
            await super().publish(message)

    worker = BaseWorker("w")
    with trio.fail_after(1), pytest.raises(OSError, match="cut"):
        async with WorkerRunner(bus=Cut()) as runner:
            await runner.add_workers(worker)
            await runner.registry.wait_ready("w")
    assert not runner.bus.is_running
    assert runner.bus.names == ()
    assert repr(worker) == "<BaseWorker 'w', stopped>"


async def test_a_report_that_comes_while_the_runner_leaves_is_dropped():
    """Its handlers have nowhere to run any more, and its bus has no error for it."""
    bus = MemoryChannelBus()
    told = []

    class Last(BaseWorker):
        async def cleanup(self):
            await bus.send(BusWorkerErrorMessage("late", source="stranger"))

    async with bus:
        with pytest.raises(ValueError, match="mine"):
            async with WorkerRunner(bus=bus) as runner:
                runner.add_event_handler("on_error", lambda _, data: told.append(data))
                await runner.add_workers(Last("w"))
                await runner.registry.wait_ready("w")
                raise ValueError("mine")
        assert bus.statistics().errors == 0
    assert told == []
