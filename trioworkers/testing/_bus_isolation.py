"""Clauses of a bus's contract: who must not disturb whom, bounds, and the end."""

from contextlib import suppress

import trio

from ..errors import StoppedError, TrioWorkersError
from ._bus_trial import BusTrial, Flood
from ._leftovers import live_tasks, named
from ._probes import ProbeAlarm, ProbeNote

#: Seconds that a bus may take for its `WorkerBus.stop`.
STOP_SECONDS = 5.0


async def system_first(trial: BusTrial) -> None:
    """A system message waits neither for a data hook that runs nor for those that wait."""
    a = trial.probe("a", stuck=True)
    async with trial.bus as bus:
        await bus.subscribe(a)
        await bus.send(ProbeNote(0, source="x", target=a.name))
        await trial.wait_until(lambda: a.inside == 1, lambda: "a data hook had not begun")
        with trio.move_on_after(trial.within) as scope:
            await bus.send(ProbeAlarm(1, source="x", target=a.name))
        trial.expect(not scope.cancelled_caught, "Sending it waited for a data hook.")
        await trial.wait_until(
            lambda: a.numbers(ProbeAlarm) == [1],
            lambda: "it waited for the data hook that runs",
        )
        a.open()
        await trial.wait_heard(a, 2)


async def system_passes_full_lanes(trial: BusTrial) -> None:
    """A system message passes the data messages whose senders wait."""
    a = trial.probe("a", stuck=True)
    async with trial.bus as bus, trio.open_nursery() as nursery:
        await bus.subscribe(a)
        flood = Flood(trial, a.name)
        nursery.start_soon(flood.run)
        await flood.hold()
        nursery.start_soon(bus.send, ProbeAlarm(1, source="x", target=a.name))
        await trial.wait_until(
            lambda: a.numbers(ProbeAlarm) == [1],
            lambda: "it waited for the room that data senders wait for",
        )
        nursery.cancel_scope.cancel()


async def raising_subscribers(trial: BusTrial) -> None:
    """What a subscriber raises is counted, and harms neither it, nor the sender, nor others."""
    hook, at_delivery = trial.probe("hook", error="hook"), trial.probe("book", error="delivery")
    good = trial.probe("good")
    async with trial.bus as bus:
        for probe in (hook, at_delivery, good):
            await bus.subscribe(probe)
        for number in range(3):
            for probe in (hook, at_delivery, good):
                await bus.send(ProbeNote(number, source="x", target=probe.name))
        await bus.send(ProbeNote(3, source="x"))
        await trial.wait_until(
            lambda: len(good.heard) >= 4 and len(hook.heard) >= 4,
            lambda: f"a good one had {good.numbers()}, the raising one {hook.numbers()}, of 0 to 3",
        )
        await trial.wait_until(
            lambda: len(at_delivery.delivered) >= 4,
            lambda: f"one that raises at delivery had {len(at_delivery.delivered)} of 4 messages",
        )
        await trial.wait_steady(lambda: bus.statistics().errors)
        errors = bus.statistics().errors
        trial.expect(errors == 8, f"Of 8 errors, statistics() count {errors}.")


async def observers(trial: BusTrial) -> None:
    """An observer sees every message and slows nobody, however slow it is."""
    a, eye, stuck = trial.probe("a"), trial.probe("eye"), trial.probe("stuck", stuck=True)
    count = min(trial.bus.lane_capacity, trial.most_queued) + 10
    async with trial.bus as bus:
        await bus.subscribe(a)
        await bus.subscribe(eye, observe=True)
        await bus.send(ProbeNote(0, source="x", target=a.name))
        await trial.wait_heard(eye, 1)  # so that it has room for another
        await bus.send(ProbeAlarm(1, source="x"))
        await trial.expect_numbers(eye, [0, 1], "Of a targeted message 0 and a broadcast 1")
        await bus.unsubscribe(eye)
        await bus.subscribe(stuck, observe=True)
        with trio.move_on_after(trial.within) as scope:
            await trio.lowlevel.checkpoint()
            for number in range(count):
                await bus.send(ProbeNote(number, source="x", target=a.name))
        trial.expect(not scope.cancelled_caught, "A sender waited for a stuck observer.")
        await trial.wait_heard(a, count + 2)


async def bounded_lanes(trial: BusTrial) -> None:
    """A sender waits while its target is stuck, and goes on after."""
    a = trial.probe("a", stuck=True)
    async with trial.bus as bus, trio.open_nursery() as nursery:
        await bus.subscribe(a)
        flood = Flood(trial, a.name)
        nursery.start_soon(flood.run)
        sent = await flood.hold()
        a.open()
        await trial.wait_until(
            lambda: flood.sent > sent, lambda: "the sender did not go on when its target did"
        )
        await trial.wait_heard(a, sent)
        nursery.cancel_scope.cancel()


async def statistics(trial: BusTrial) -> None:
    """When all is done, statistics are back to zero."""
    a, eye = trial.probe("a"), trial.probe("eye")
    async with trial.bus as bus:
        await bus.subscribe(a)
        await bus.subscribe(eye, observe=True)
        before = bus.statistics()
        there = (before.subscribers, before.observers)
        trial.expect(there == (1, 1), f"Of 1 subscriber and 1 observer it counts {there}.")
        for number in range(20):
            await bus.send(ProbeNote(number, source="x", target=a.name))
        await trial.wait_heard(a, 20)
        await trial.wait_steady(lambda: len(eye.heard))
        now = bus.statistics()
        trial.expect(not now.lanes, f"With nothing to do, its lanes are {now.lanes}.")
        trial.expect(now.unpublished == 0, f"With nothing to do, {now.unpublished} unpublished.")
        await bus.unsubscribe(a)
        await bus.unsubscribe(eye)
        now = bus.statistics()
        left = (now.subscribers, now.observers, len(now.lanes), now.unpublished)
        trial.expect(left == (0, 0, 0, 0), f"After all have left, they are {now}.")


async def runs_once(trial: BusTrial) -> None:
    """A bus runs once: a second time is refused, while it runs and after."""
    bus = trial.bus
    trial.expect(not bus.is_running, "It says that it runs before it does.")
    async with bus:
        trial.expect(bus.is_running, "It says that it does not run while it does.")
        await trial.expect_raises(StoppedError, bus.run, "Running it a second time")
    trial.expect(not bus.is_running, "It says that it runs after its end.")
    await trial.expect_raises(StoppedError, bus.run, "Running it after its end")


async def shutdown(trial: BusTrial) -> None:
    """With full lanes it ends in bounded time, tells waiting senders, leaves no Trio task."""
    a = trial.probe("a", stuck=True)
    before = live_tasks()
    flood = Flood(trial, a.name)
    bus = trial.bus

    async def send() -> None:
        with suppress(TrioWorkersError):  # that the bus has ended
            await flood.run()

    async with trio.open_nursery() as nursery:
        async with bus:
            await bus.subscribe(a)
            nursery.start_soon(send)
            await trial.wait_steady(lambda: flood.sent)
            begun = trio.current_time()
        seconds = trio.current_time() - begun
        limit = STOP_SECONDS + trial.within
        trial.expect(seconds <= limit, f"It took {seconds:g} s, more than {limit:g}.")
        trial.expect(a.inside == 0, "A hook still runs.")
        await trial.wait_until(lambda: flood.ended, lambda: "a sender still waited")
    await trio.sleep(trial.settle)
    left = live_tasks() - before
    trial.expect(not left, f"Trio tasks are left: {named(left)}.")
    await trial.expect_raises(
        StoppedError, lambda: bus.send(ProbeNote(source="x", target=a.name)), "A later send"
    )


ISOLATION = (
    system_first,
    raising_subscribers,
    observers,
    bounded_lanes,
    system_passes_full_lanes,
    statistics,
    runs_once,
    shutdown,
)
