"""Bounded lanes: who waits, who must not, and what happens when the target leaves."""

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from subscribers import Alarm, Note
from trio.testing import MockClock, wait_all_tasks_blocked

from trioworkers import LaneFull, UnknownWorkerError
from trioworkers.bus import (
    BusEndWorkerMessage,
    BusSubscriber,
    BusWorkerLocalErrorMessage,
    MemoryChannelBus,
)


class Gated(BusSubscriber):
    """Handles one message per opening of its gate."""

    def __init__(self, name):
        self._name = name
        self.heard = []
        self.gate = trio.Semaphore(0)

    @property
    def name(self):
        return self._name

    async def on_bus_message(self, message):
        await self.gate.acquire()
        self.heard.append(getattr(message, "text", type(message).__name__))


async def fill(bus, name, capacity=1):
    """Fill the data lane of ``name``: one message in its hook, ``capacity`` queued."""
    await bus.send(Note("in the hook", source="x", target=name))
    await wait_all_tasks_blocked()
    for number in range(capacity):
        await bus.send(Note(f"queued {number}", source="x", target=name))


async def test_a_sender_waits_for_room_in_its_targets_lane():
    """It goes on when a hook has taken a message; the order is kept."""
    bus = MemoryChannelBus(lane_capacity=2)
    slow = Gated("slow")
    sent = []

    async def sender():
        await bus.send(Note("waited", source="x", target="slow"))
        sent.append(True)

    async with bus, trio.open_nursery() as nursery:
        await bus.subscribe(slow)
        await fill(bus, "slow", 2)
        nursery.start_soon(sender)
        await wait_all_tasks_blocked()
        assert sent == []
        assert bus.statistics().lanes["slow"].senders_waiting == 1
        slow.gate.release()
        await wait_all_tasks_blocked()
        assert sent == [True]
        for _ in range(3):
            slow.gate.release()
        await wait_all_tasks_blocked()
    assert slow.heard == ["in the hook", "queued 0", "queued 1", "waited"]


async def test_a_waiting_sender_holds_up_nobody_else():
    """Messages to others, and the other lane of the same target, pass."""
    bus = MemoryChannelBus(lane_capacity=1)
    slow, quick = Gated("slow"), Gated("quick")
    async with bus, trio.open_nursery() as nursery:
        await bus.subscribe(slow)
        await bus.subscribe(quick)
        await fill(bus, "slow")
        nursery.start_soon(bus.send, Note("waits", source="x", target="slow"))
        await wait_all_tasks_blocked()
        quick.gate.release()
        slow.gate.release()
        with trio.fail_after(1):
            await bus.send(Note("passes", source="x", target="quick"))
            await bus.send(Alarm(source="x", target="slow"))
        await wait_all_tasks_blocked()
        assert quick.heard == ["passes"]
        nursery.cancel_scope.cancel()


async def test_a_cancelled_sender_has_sent_nothing():
    """A message whose send was cancelled while it waited is not delivered later."""
    bus = MemoryChannelBus(lane_capacity=1)
    slow = Gated("slow")
    async with bus:
        await bus.subscribe(slow)
        await fill(bus, "slow")
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(bus.send, Note("cancelled", source="x", target="slow"))
                await wait_all_tasks_blocked()
                scope.cancel()
        for _ in range(5):
            slow.gate.release()
        await wait_all_tasks_blocked()
    assert slow.heard == ["in the hook", "queued 0"]


async def test_a_broadcast_waits_for_the_full_ones_and_reaches_each_once():
    """The others get it at once."""
    bus = MemoryChannelBus(lane_capacity=1)
    slow, quick = Gated("slow"), Gated("quick")
    eye = Gated("eye")
    for _ in range(10):
        quick.gate.release()
        eye.gate.release()
    async with bus, trio.open_nursery() as nursery:
        await bus.subscribe(slow)
        await bus.subscribe(quick)
        await fill(bus, "slow")
        await bus.subscribe(eye, observe=True)
        nursery.start_soon(bus.send, Note("to all", source="x"))
        await wait_all_tasks_blocked()
        assert quick.heard == ["to all"]
        for _ in range(3):
            slow.gate.release()
        await wait_all_tasks_blocked()
        assert slow.heard == ["in the hook", "queued 0", "to all"]
        assert quick.heard == ["to all"]
        assert eye.heard == ["to all"]


async def test_a_full_lane_raises_where_nobody_can_wait():
    """`post` and `on_message_received` name those that did not get it; others did."""
    bus = MemoryChannelBus(lane_capacity=1)
    slow, quick = Gated("slow"), Gated("quick")
    quick.gate.release()
    async with bus:
        await bus.subscribe(slow)
        await bus.subscribe(quick)
        await fill(bus, "slow")
        with pytest.raises(LaneFull, match="'slow'") as caught:
            bus.post(Note(source="x", target="slow"))
        assert isinstance(caught.value, trio.WouldBlock)
        with pytest.raises(trio.WouldBlock) as caught:
            bus.on_message_received(Note("to all", source="x"))
        assert caught.value.names == ("slow",)
        await wait_all_tasks_blocked()
        assert quick.heard == ["to all"]


async def test_messages_that_do_not_wait_for_room_pass_a_full_lane():
    """An order to end is never held up, nor refused."""
    bus = MemoryChannelBus(lane_capacity=1)
    slow = Gated("slow")
    async with bus:
        await bus.subscribe(slow)
        await fill(bus, "slow")
        with trio.fail_after(1):
            await bus.send(BusEndWorkerMessage(source="x", target="slow"))
        bus.post(BusEndWorkerMessage(source="x", target="slow"))
        assert bus.statistics().lanes["slow"].data_queued == 3


async def test_a_hook_that_would_wait_for_itself_gets_lane_full():
    """Also from a Trio task in a nursery that the hook has opened."""
    bus = MemoryChannelBus(lane_capacity=1)
    caught = []

    class Selfish(BusSubscriber):
        name = "selfish"

        async def on_bus_message(self, message):
            if message.text != "go":
                return
            await bus.send(Note("fits", source="selfish", target="selfish"))
            try:
                await bus.send(Note("too much", source="selfish", target="selfish"))
            except LaneFull as error:
                caught.append(str(error))
            try:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(bus.send, Note(source="selfish", target="selfish"))
            except* LaneFull as group:
                caught.append(str(group.exceptions[0]))

    with trio.fail_after(1):
        async with bus:
            await bus.subscribe(Selfish())
            await bus.send(Note("go", source="x", target="selfish"))
            await wait_all_tasks_blocked()
    assert len(caught) == 2
    assert all("no room for another message to 'selfish'" in text for text in caught)
    assert bus.statistics().errors == 0


async def test_a_sender_that_waits_is_told_when_its_target_leaves():
    """It gets the error of an unknown name instead of waiting for ever."""
    bus = MemoryChannelBus(lane_capacity=1)
    slow = Gated("slow")
    told = []

    async def sender():
        with pytest.raises(UnknownWorkerError, match="slow"):
            await bus.send(Note(source="x", target="slow"))
        told.append(True)

    with trio.fail_after(1):
        async with bus, trio.open_nursery() as nursery:
            await bus.subscribe(slow)
            await fill(bus, "slow")
            nursery.start_soon(sender)
            nursery.start_soon(sender)
            await wait_all_tasks_blocked()
            await bus.unsubscribe(slow)
            await wait_all_tasks_blocked()
            assert told == [True, True]


async def test_a_broadcast_that_waits_goes_on_when_the_target_leaves():
    """A broadcast has no target to miss."""
    bus = MemoryChannelBus(lane_capacity=1)
    slow = Gated("slow")
    with trio.fail_after(1):
        async with bus, trio.open_nursery() as nursery:
            await bus.subscribe(slow)
            await fill(bus, "slow")
            nursery.start_soon(bus.send, Note(source="x"))
            await wait_all_tasks_blocked()
            bus.unsubscribe_nowait(slow)
    assert bus.statistics().missed == 0


async def test_a_waiting_message_that_may_miss_is_counted_when_its_target_leaves():
    """As if the target had gone before."""
    bus = MemoryChannelBus(lane_capacity=1)
    slow = Gated("slow")
    with trio.fail_after(1):
        async with bus, trio.open_nursery() as nursery:
            await bus.subscribe(slow)
            await bus.send(Alarm(source="x", target="slow"))
            await wait_all_tasks_blocked()
            await bus.send(Alarm(source="x", target="slow"))
            message = BusWorkerLocalErrorMessage("oh", source="x", target="slow")
            nursery.start_soon(bus.send, message)
            await wait_all_tasks_blocked()
            bus.unsubscribe_nowait(slow)
    assert bus.statistics().missed == 1


async def test_a_full_target_that_leaves_and_comes_back_gets_the_message():
    """A sender waits for the name, not for the object."""
    bus = MemoryChannelBus(lane_capacity=1)
    old, new = Gated("slow"), Gated("slow")
    new.gate.release()
    with trio.fail_after(1):
        async with bus, trio.open_nursery() as nursery:
            await bus.subscribe(old)
            await fill(bus, "slow")
            nursery.start_soon(bus.send, Note("waited", source="x", target="slow"))
            await wait_all_tasks_blocked()
            bus.unsubscribe_nowait(old)
            bus.subscribe_nowait(new)
            await wait_all_tasks_blocked()
    assert new.heard == ["waited"]


@given(st.integers(1, 3), st.lists(st.booleans(), max_size=20), st.random_module())
def test_messages_of_each_sender_arrive_in_order_and_none_is_lost(capacity, pauses, _):
    """Whatever the schedule and the bound: first in, first out per sender and lane."""

    async def main():
        bus = MemoryChannelBus(lane_capacity=capacity)
        heard = []

        class Sink(BusSubscriber):
            name = "sink"

            async def on_bus_message(self, message):
                heard.append((message.source, message.text))
                await trio.sleep(0.01)

        async def sender(name):
            for number, pause in enumerate(pauses):
                await bus.send(Note(str(number), source=name, target="sink"))
                assert bus.statistics().lanes["sink"].data_queued <= capacity
                if pause:
                    await trio.sleep(0.01)

        with trio.fail_after(60):
            async with bus:
                await bus.subscribe(Sink())
                async with trio.open_nursery() as nursery:
                    for name in "abc":
                        nursery.start_soon(sender, name)
                await trio.sleep(10)
        for name in "abc":
            ran = [text for source, text in heard if source == name]
            assert ran == [str(number) for number in range(len(pauses))]

    trio.run(main, clock=MockClock(autojump_threshold=0))
