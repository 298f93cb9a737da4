"""Hooks and event handlers of a worker."""

import pytest
import trio
from subscribers import Alarm, Note
from trio.testing import wait_all_tasks_blocked

from trioworkers import (
    BaseWorker,
    BusWorkerReadyMessage,
    TrioWorkersError,
    WorkerRunner,
)


async def test_event_handlers_run_after_the_hook_in_the_order_added():
    """Sync and async ones alike; they get the worker and what the hook gets."""
    log = []

    class Worker(BaseWorker):
        async def on_activated(self, args):
            await trio.lowlevel.checkpoint()
            log.append("hook")

    worker = Worker("w")

    @worker.event_handler("on_activated")
    async def first(sender, args):
        await trio.lowlevel.checkpoint()
        log.append(("first", sender is worker, args))

    @worker.event_handler("on_activated")
    def second(sender, args):
        log.append(("second", sender is worker, args))

    worker.add_event_handler("on_activated", lambda *_: log.append("third"))
    async with WorkerRunner() as runner:
        await runner.add_workers(worker)
        await runner.registry.wait_ready("w")
        await worker.wait_idle()
    assert log == ["hook", ("first", True, None), ("second", True, None), "third"]
    assert second.__name__ == "second"


def test_an_unknown_event_is_refused():
    """The error lists the events there are."""
    worker = BaseWorker("w")
    with pytest.raises(ValueError, match=r"no event 'on_activate'; events: 'on_activated'"):
        worker.add_event_handler("on_activate", print)
    with pytest.raises(ValueError, match="no event 'nothing'"):

        @worker.event_handler("nothing")
        def handler(worker):
            pass

    with pytest.raises(TypeError, match="an event handler must be callable, not 3"):
        worker.add_event_handler("on_activated", 3)


async def test_event_handlers_can_be_added_while_the_worker_runs():
    """They hear what comes from then on."""
    heard = []
    worker, other = BaseWorker("w"), BaseWorker("other")
    async with WorkerRunner() as runner:
        await runner.add_workers(worker, other)
        await runner.registry.wait_ready("w", "other")
        await other.activate_worker("w")
        worker.add_event_handler("on_activated", lambda _, args: heard.append(args))
        await other.activate_worker("w")
        await worker.wait_idle()
    assert heard == [None]


async def test_a_handler_for_ready_workers_added_late_hears_of_those_there():
    """Of local roots, present and future, but not of itself."""
    heard = []
    worker, other = BaseWorker("w"), BaseWorker("other")
    async with WorkerRunner() as runner:
        await runner.add_workers(worker, other)
        await runner.registry.wait_ready("w", "other")
        worker.add_event_handler("on_worker_ready", lambda _, data: heard.append(data.worker_name))
        await runner.add_workers(BaseWorker("later"))
        await runner.registry.wait_ready("later")
        await worker.wait_idle()
    assert heard == ["other", "later"]


async def test_targeted_user_messages_reach_on_bus_message():
    """Without other effect; system messages in a lane of their own."""
    heard = []
    gate = trio.Event()

    class Worker(BaseWorker):
        async def on_bus_message(self, message):
            if not isinstance(message, Note | Alarm):
                return
            if isinstance(message, Note):
                await gate.wait()
            heard.append(type(message))

    worker, other = Worker("w"), BaseWorker("other")
    async with WorkerRunner() as runner:
        await runner.add_workers(worker, other)
        await runner.registry.wait_ready("w", "other")
        await other.send_bus_message(Note("hi", source="other", target="w"))
        await other.send_bus_message(Alarm(source="other", target="w"))
        await wait_all_tasks_blocked()
        assert heard == [Alarm]
        gate.set()
        await worker.wait_idle()
    assert heard == [Alarm, Note]


async def test_broadcasts_reach_on_bus_message_only_where_it_is_used():
    """An event handler counts as use, and may be added late."""
    heard = []
    plain, listener = BaseWorker("plain"), BaseWorker("listener")
    async with WorkerRunner() as runner:
        await runner.add_workers(plain, listener)
        await runner.registry.wait_ready("plain", "listener")
        await wait_all_tasks_blocked()
        delivered = runner.statistics().bus.delivered
        await plain.send_bus_message(Note("unheard", source="plain"))
        assert runner.statistics().bus.delivered == delivered
        listener.add_event_handler("on_bus_message", lambda _, m: heard.append(m))
        await plain.send_bus_message(Note("heard", source="plain"))
        await listener.wait_idle()
    assert [m.text for m in heard if isinstance(m, Note)] == ["heard"]


async def test_on_bus_message_sees_what_the_library_has_handled():
    """The specific hook runs first, then `on_bus_message`."""
    log = []

    class Worker(BaseWorker):
        async def on_bus_message(self, message):
            log.append(type(message).__name__)

    worker = Worker("w")
    async with WorkerRunner() as runner:
        await runner.add_workers(worker)
        await runner.registry.wait_ready("w")
        await worker.activate_worker("w")
        await worker.wait_idle()
        assert worker.active
    assert "BusActivateWorkerMessage" in log
    assert log[0] == BusWorkerReadyMessage.__name__


async def test_a_hook_that_raises_ends_the_runner_where_errors_are_strict():
    """As an exception group with the hook's own error."""

    class Worker(BaseWorker):
        async def on_activated(self, args):
            raise ValueError("hook bug")

    with (
        trio.fail_after(1),
        pytest.RaisesGroup(pytest.RaisesExc(ValueError, match="hook bug"), flatten_subgroups=True),
    ):
        async with WorkerRunner() as runner:
            await runner.add_workers(Worker("w"))
            await trio.sleep_forever()


async def test_a_handler_that_raises_does_not_keep_the_next_from_running():
    """With ``strict=False`` each is counted, and the worker lives on."""
    log = []
    worker = BaseWorker("w")

    @worker.event_handler("on_activated")
    def bad(worker, args):
        raise ValueError("handler bug")

    @worker.event_handler("on_activated")
    def good(worker, args):
        log.append("good")

    async with WorkerRunner(strict=False) as runner:
        await runner.add_workers(worker)
        await runner.registry.wait_ready("w")
        await worker.wait_idle()
        assert worker.statistics().hook_errors == 1
        assert runner.statistics().errors == 1
        assert runner.get_worker("w") is worker
    assert log == ["good"]


async def test_a_stuck_hook_does_not_keep_the_runner_from_being_cancelled(autojump_clock):
    """Even with more hooks queued behind it, and while the runner is ending."""

    class Stuck(BaseWorker):
        async def on_activated(self, args):
            await trio.sleep_forever()

    worker = Stuck("w")
    with trio.fail_after(60):
        async with WorkerRunner() as runner:
            await runner.add_workers(worker)
            await runner.registry.wait_ready("w")
            await worker.activate_worker("w")
            await worker.activate_worker("w")
            await runner.end()
            await wait_all_tasks_blocked()
            await runner.cancel()


async def test_a_worker_that_is_stopped_while_it_ends_does_not_hang_its_runner(autojump_clock):
    """What its lanes held will never run, and nobody waits for it."""

    class Stuck(BaseWorker):
        async def on_activated(self, args):
            await trio.sleep_forever()

    worker = Stuck("w")
    with trio.fail_after(60):
        async with WorkerRunner() as runner, trio.open_nursery() as nursery:
            await runner.add_workers(worker)
            await runner.registry.wait_ready("w")
            await worker.activate_worker("w")
            await runner.end()
            await wait_all_tasks_blocked()
            nursery.start_soon(worker.stop)


async def test_a_worker_sends_what_is_a_message_and_reports_what_is_text():
    """Anything else is refused before it is sent."""
    worker = BaseWorker("w")
    async with WorkerRunner() as runner:
        await runner.add_workers(worker)
        await runner.registry.wait_ready("w")
        with pytest.raises(TypeError, match="expected a BusMessage"):
            await worker.send_bus_message("hello")
        with pytest.raises(TypeError, match="error must be a str, not ValueError"):
            await worker.send_bus_error_message(ValueError("x"))
        with pytest.raises(LookupError, match="'ghost'") as caught:
            await worker.send_bus_message(Note(source="w", target="ghost"))
        assert isinstance(caught.value, TrioWorkersError)
