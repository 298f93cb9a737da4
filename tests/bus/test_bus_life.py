"""A bus from start to end."""

import attrs
import pytest
import trio
from subscribers import Listener, Note
from trio.testing import wait_all_tasks_blocked

from trioworkers import StoppedError
from trioworkers.bus import BusSubscriber, MemoryChannelBus


class LoggedBus(MemoryChannelBus):
    """Notes its life, and can fail or hang."""

    def __init__(self, *, start_error=None, stop_error=None, stop_seconds=0.0):
        super().__init__()
        self.life = []
        self.start_error, self.stop_error = start_error, stop_error
        self.stop_seconds = stop_seconds

    async def start(self):
        await trio.lowlevel.checkpoint()
        self.life.append("start")
        if self.start_error is not None:
            raise self.start_error

    async def stop(self):
        self.life.append("stop")
        await trio.sleep(self.stop_seconds)
        if self.stop_error is not None:
            raise self.stop_error
        self.life.append("stopped")


async def test_what_is_sent_before_the_bus_runs_is_kept():
    """Hooks of targets and observers run once it does."""
    bus = MemoryChannelBus()
    a, eye = Listener("a"), Listener("eye")
    await bus.subscribe(a)
    await bus.subscribe(eye, observe=True)
    assert not bus.is_running
    await bus.send(Note("early", source="x", target="a"))
    bus.post(Note("posted", source="x", target="a"))
    await wait_all_tasks_blocked()
    assert a.texts == eye.texts == []
    async with bus:
        assert bus.is_running
        await wait_all_tasks_blocked()
        assert a.texts == eye.texts == ["early", "posted"]
    assert not bus.is_running


async def test_a_bus_can_be_run_in_a_nursery(autojump_clock):
    """`run` reports that it runs, and ends when it is cancelled."""
    bus = LoggedBus()
    a = Listener("a")
    async with trio.open_nursery() as nursery:
        await nursery.start(bus.run)
        assert bus.is_running
        assert bus.life == ["start"]
        await bus.subscribe(a)
        await bus.send(Note("hi", source="x", target="a"))
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert a.texts == ["hi"]
    assert bus.life == ["start", "stop", "stopped"]
    assert not bus.is_running


async def test_a_bus_runs_once():
    """A second time is refused, while it runs and after."""
    bus = MemoryChannelBus()
    async with bus:
        with pytest.raises(StoppedError, match="a bus runs once: make a new one"):
            await bus.run()
        assert bus.is_running
    with pytest.raises(StoppedError, match="the bus was run before"):
        async with bus:
            pass


async def test_a_start_that_fails_leaves_nothing_running():
    """Its error leaves as it is, and `stop` is not called."""
    bus = LoggedBus(start_error=OSError("no network"))
    with pytest.raises(OSError, match="no network"):
        async with bus:
            raise AssertionError
    assert bus.life == ["start"]
    assert not bus.is_running


async def test_a_start_that_fails_makes_nursery_start_fail():
    """The error reaches whoever started the bus."""
    bus = LoggedBus(start_error=OSError("no network"))
    async with trio.open_nursery() as nursery:
        with pytest.raises(OSError, match="no network"):
            await nursery.start(bus.run)


async def test_a_start_that_is_cancelled_leaves_nothing_running():
    """Cancellation passes through."""
    bus = LoggedBus()
    with trio.CancelScope() as scope:
        scope.cancel()
        async with bus:
            raise AssertionError
    assert scope.cancelled_caught
    assert not bus.is_running


async def test_a_stop_that_hangs_is_bounded_in_time(autojump_clock):
    """After five seconds the bus ends without it."""
    bus = LoggedBus(stop_seconds=1000)
    begun = trio.current_time()
    with trio.fail_after(60):
        async with bus:
            pass
    assert trio.current_time() - begun == pytest.approx(5)
    assert bus.life == ["start", "stop"]


async def test_stop_gets_its_time_even_if_the_bus_is_cancelled(autojump_clock):
    """It is shielded, so it can say goodbye."""
    bus = LoggedBus(stop_seconds=3)
    with trio.move_on_after(1) as scope:
        async with bus:
            await trio.sleep_forever()
    assert scope.cancelled_caught
    assert bus.life == ["start", "stop", "stopped"]
    assert trio.current_time() == pytest.approx(4, abs=1e-6)


async def test_a_stop_that_raises_still_ends_the_bus():
    """Its error leaves; hooks that ran have been cancelled."""
    bus = LoggedBus(stop_error=OSError("cut"))
    ended = []

    class Slow(Listener):
        async def on_bus_message(self, message):
            try:
                await trio.sleep_forever()
            finally:
                ended.append(True)

    with pytest.raises(OSError, match="cut"):
        async with bus:
            await bus.subscribe(Slow("slow"))
            await bus.send(Note(source="x", target="slow"))
            await wait_all_tasks_blocked()
    assert ended == [True]


async def test_the_bodys_own_exception_leaves_unwrapped():
    """Hooks are cancelled first."""
    bus = MemoryChannelBus()
    error = ValueError("mine")
    with pytest.raises(ValueError, match="mine") as caught:
        async with bus:
            raise error
    assert caught.value is error
    assert not bus.is_running


async def test_cancelling_around_a_bus_ends_it():
    """The scope that was cancelled catches it."""
    bus = MemoryChannelBus()
    with trio.CancelScope() as scope:
        async with bus:
            scope.cancel()
            await trio.sleep_forever()
    assert scope.cancelled_caught


async def test_leaving_cancels_hooks_that_still_run():
    """Nothing of the bus runs on after its block."""
    bus = MemoryChannelBus()
    ended = []

    class Slow(Listener):
        async def on_bus_message(self, message):
            try:
                await trio.sleep_forever()
            finally:
                ended.append(message.text)

    with trio.fail_after(1):
        async with bus:
            await bus.subscribe(Slow("slow"))
            await bus.send(Note("running", source="x", target="slow"))
            await bus.send(Note("queued", source="x", target="slow"))
            await wait_all_tasks_blocked()
    assert ended == ["running"]


async def test_the_clock_of_a_bus_can_be_injected():
    """So that a run can be repeated exactly."""
    bus = MemoryChannelBus(clock=lambda: 12.5)
    assert bus.clock() == 12.5


async def test_statistics_are_a_frozen_snapshot():
    """They don't change afterwards, and can't be changed."""
    bus = MemoryChannelBus()
    before = bus.statistics()
    await bus.subscribe(Listener("a"))
    assert (before.subscribers, bus.statistics().subscribers) == (0, 1)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        before.delivered = 3


async def test_a_send_after_the_end_is_refused() -> None:
    """A bus that has ended says so, instead of taking messages that nobody reads."""
    async with MemoryChannelBus() as bus:
        pass
    with pytest.raises(StoppedError, match="the bus has ended; send while it runs"):
        await bus.send(Note("x", source="a", target="b"))


async def test_a_sender_that_waits_for_room_is_told_when_the_bus_ends() -> None:
    """Who waits for room in a lane doesn't wait for ever when the bus ends."""
    told = trio.Event()

    class Stuck(BusSubscriber):
        name = "stuck"

        async def on_bus_message(self, message):
            await trio.sleep_forever()

    async def send_on(bus: MemoryChannelBus) -> None:
        with pytest.raises(StoppedError, match="the bus has ended"):
            for _ in range(10):
                await bus.send(Note("x", source="a", target="stuck"))
        told.set()

    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            async with MemoryChannelBus(lane_capacity=1) as bus:
                await bus.subscribe(Stuck())
                nursery.start_soon(send_on, bus)
                await wait_all_tasks_blocked()
            await told.wait()
