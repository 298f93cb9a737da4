"""Clauses of the contract between two buses: who must not disturb whom, bounds, and the end."""

from contextlib import suppress

import trio

from ..bus import WorkerBus
from ..errors import TrioWorkersError
from ._bus_isolation import STOP_SECONDS
from ._bus_trial import Flood
from ._leftovers import live_tasks, named
from ._network_bus_trial import NetworkBusTrial
from ._probes import ProbeAlarm


async def system_first(trial: NetworkBusTrial) -> None:
    """A system message waits neither for a data hook that runs nor for those that wait."""
    a = trial.probe("a", stuck=True)
    async with trial.running(a) as bus:
        await bus.send(trial.note(0, a))
        await trial.wait_until(lambda: a.inside == 1, lambda: "a data hook had not begun")
        await bus.send(ProbeAlarm(1, source=trial.sender.name, target=a.name))
        await trial.wait_until(
            lambda: a.numbers(ProbeAlarm) == [1], lambda: "it waited for the data hook that runs"
        )
        a.open()
        await trial.wait_heard(a, 2)


async def system_passes_full_lanes(trial: NetworkBusTrial) -> None:
    """A system message passes the data messages whose senders wait."""
    a = trial.probe("a", stuck=True)
    async with trial.running(a) as bus, trio.open_nursery() as nursery:
        flood = Flood(trial, a.name, trial.sender.name)
        nursery.start_soon(flood.run)
        await flood.hold()
        nursery.start_soon(bus.send, ProbeAlarm(1, source=trial.sender.name, target=a.name))
        await trial.wait_until(
            lambda: a.numbers(ProbeAlarm) == [1],
            lambda: "it waited for the room that data senders wait for",
        )
        nursery.cancel_scope.cancel()


async def raising_subscribers(trial: NetworkBusTrial) -> None:
    """What a subscriber raises is counted where it is, and harms nobody."""
    hook, at_delivery = trial.probe("hook", error="hook"), trial.probe("book", error="delivery")
    good = trial.probe("good")
    async with trial.running(hook, at_delivery, good) as bus:
        for number in range(3):
            for probe in (hook, at_delivery, good):
                await bus.send(trial.note(number, probe))
        await bus.send(trial.note(3))
        for probe in (good, hook):
            await trial.wait_heard(probe, 4)
        await trial.wait_until(
            lambda: len(at_delivery.delivered) >= 4,
            lambda: f"one that raises at delivery had {len(at_delivery.delivered)} of 4 messages",
        )
        await trial.wait_steady(lambda: trial.there.statistics().errors)
        errors = trial.there.statistics().errors, bus.statistics().errors
        trial.expect(errors == (8, 0), f"Of 8 errors there and none here, they count {errors}.")


async def bounded_lanes(trial: NetworkBusTrial) -> None:
    """A sender waits while its target is stuck, and goes on after; nobody else waits."""
    a, b = trial.probe("a", stuck=True), trial.probe("b")
    async with trial.running(a, b) as bus, trio.open_nursery() as nursery:
        flood = Flood(trial, a.name, trial.sender.name)
        nursery.start_soon(flood.run)
        sent = await flood.hold()
        count = min(sent, trial.most_queued) + 10
        with trio.move_on_after(trial.within) as scope:
            await trio.lowlevel.checkpoint()
            for number in range(count):
                await bus.send(trial.note(number, b))
        trial.expect(not scope.cancelled_caught, "A sender to another target waited, too.")
        await trial.wait_heard(b, count)
        a.open()
        await trial.wait_until(
            lambda: flood.sent > sent, lambda: "the sender did not go on when its target did"
        )
        await trial.wait_heard(a, sent)
        nursery.cancel_scope.cancel()


async def cancelled_senders(trial: NetworkBusTrial) -> None:
    """A sender that is cancelled as it waits keeps no room; its message comes once or not."""
    a = trial.probe("a", stuck=True)
    async with trial.running(a) as bus:
        number = 0
        for _ in range(3):
            with trio.move_on_after(trial.settle):
                await trio.lowlevel.checkpoint()
                while number < trial.most_queued:
                    number += 1
                    await bus.send(trial.note(number, a))
            trial.expect(number < trial.most_queued, f"No sender waited, for {number} messages.")
        a.open()
        with trio.move_on_after(trial.within) as scope:
            await bus.send(trial.note(number + 1, a))
        trial.expect(not scope.cancelled_caught, "Senders still waited when there was room.")
        await trial.wait_until(
            lambda: number + 1 in a.numbers(), lambda: "what was sent last had not come"
        )
        await trial.wait_steady(lambda: len(a.heard))
        got = a.numbers()
        trial.expect(got == sorted(set(got)), f"They came as {got}.")


async def statistics(trial: NetworkBusTrial) -> None:
    """When all is done, statistics of both are back to zero."""
    a = trial.probe("a")
    async with trial.running(a) as bus:
        await trial.send_some(a, 20)
        await bus.send(trial.note(20))
        await trial.wait_heard(a, 21)
        await trial.wait_steady(lambda: bus.statistics().unpublished)
        for which in (bus, trial.there):
            now = which.statistics()
            trial.expect(now.subscribers == 1, f"Of 1 subscriber, it counts {now.subscribers}.")
            left = len(now.lanes), now.unpublished
            trial.expect(left == (0, 0), f"With nothing to do, they are {now}.")


async def shutdown_of_the_target(trial: NetworkBusTrial) -> None:
    """A bus with full lanes ends in bounded time, and senders elsewhere go on."""
    a, b = trial.probe("a", stuck=True), trial.probe("b")
    flood = Flood(trial, a.name, trial.sender.name)
    async with trial.running(b) as bus, trio.open_nursery() as nursery:
        async with await trial.make_another() as other:
            await other.subscribe(a)
            nursery.start_soon(_run_quietly, flood)
            await flood.hold()
            begun = trio.current_time()
        _expect_end_soon(trial, begun)
        trial.expect(a.inside == 0, "A hook still runs.")
        await trial.wait_until(lambda: flood.ended, lambda: "a sender elsewhere still waited")
        await bus.send(trial.note(0, b))
        await trial.expect_numbers(b, [0], "After another bus has ended")


async def shutdown_of_the_sender(trial: NetworkBusTrial) -> None:
    """A bus whose senders wait ends in bounded time, tells them, and leaves no Trio task."""
    a = trial.probe("a", stuck=True)
    async with trial.there as there:
        await there.subscribe(a)
        before = live_tasks()
        flood = Flood(trial, a.name, trial.sender.name)
        async with trio.open_nursery() as nursery:
            async with trial.bus as bus:
                await bus.subscribe(trial.sender)
                nursery.start_soon(_run_quietly, flood)
                sent = await flood.hold()
                begun = trio.current_time()
            _expect_end_soon(trial, begun)
            await trial.wait_until(lambda: flood.ended, lambda: "a sender still waited")
        await trio.sleep(trial.settle)
        left = {task for task in live_tasks() - before if not _belongs_to(task, there)}
        trial.expect(not left, f"Trio tasks are left: {named(left)}.")
        a.open()
        await trial.wait_heard(a, sent)
        await trial.wait_steady(lambda: len(a.heard))
        got = a.numbers()
        trial.expect(got == list(range(len(got))), f"What it had sent came as {got}.")


def _expect_end_soon(trial: NetworkBusTrial, begun: float) -> None:
    seconds, limit = trio.current_time() - begun, STOP_SECONDS + trial.within
    trial.expect(seconds <= limit, f"It took {seconds:g} s, more than {limit:g}.")


def _belongs_to(task: trio.lowlevel.Task, bus: WorkerBus) -> bool:
    nursery = task.parent_nursery
    while nursery is not None:
        if nursery is bus.nursery:
            return True
        nursery = nursery.parent_task.parent_nursery
    return False


async def _run_quietly(flood: Flood) -> None:
    with suppress(TrioWorkersError):  # that a bus has ended
        await flood.run()


NETWORK_ISOLATION = (
    system_first,
    system_passes_full_lanes,
    raising_subscribers,
    bounded_lanes,
    cancelled_senders,
    statistics,
    shutdown_of_the_target,
    shutdown_of_the_sender,
)
