"""A `WorkerBus` with a transport that takes its time: order, loss and errors."""

import attrs
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from subscribers import Listener, Note
from trio.testing import MockClock, assert_checkpoints, wait_all_tasks_blocked

from trioworkers import BaseWorker, JobError, UnknownWorkerError, WorkerRunner, job
from trioworkers.bus import (
    BusDataMessage,
    BusLocalMessage,
    WorkerBus,
)


@attrs.define
class Private(BusLocalMessage, BusDataMessage):
    """A message that must not reach the transport."""

    text: str = ""


class SlowBus(WorkerBus):
    """Publishes through a memory channel, after a delay, and delivers what comes out."""

    def __init__(self, delay=1.0, **options):
        super().__init__(**options)
        self.delay = delay
        self.published = []
        self.failing = {}
        self.publishing = 0
        self._send, self._receive = trio.open_memory_channel(0)
        self._reader_scope = trio.CancelScope()

    async def publish(self, message):
        assert self.publishing == 0, "one message at a time"
        self.publishing += 1
        try:
            await trio.sleep(self.delay)
            if message.text in self.failing:
                raise self.failing[message.text]
            self.published.append(message.text)
            if self.is_running:
                await self._send.send(message)
        finally:
            self.publishing -= 1

    async def read(self):
        async for message in self._receive:
            await self.deliver(message)


async def test_posted_messages_go_out_in_order_in_the_background(autojump_clock):
    """`post` returns at once; `statistics` tells what waits for the transport."""
    bus = SlowBus()
    async with bus:
        for text in "abc":
            bus.post(Note(text, source="x"))
        assert bus.statistics().unpublished == 3
        async with trio.open_nursery() as nursery:
            nursery.start_soon(bus.read)
            await trio.sleep(10)
            nursery.cancel_scope.cancel()
    assert bus.published == ["a", "b", "c"]
    assert bus.statistics().unpublished == 0


async def test_send_keeps_the_order_with_what_was_posted_before(autojump_clock):
    """A send waits until earlier posts are on the transport."""
    bus = SlowBus()
    listener = Listener("b")
    async with bus, trio.open_nursery() as nursery:
        await bus.subscribe(listener)
        nursery.start_soon(bus.read)
        bus.post(Note("1", source="x", target="b"))
        bus.post(Note("2", source="x", target="b"))
        await bus.send(Note("3", source="x", target="b"))
        assert bus.published == ["1", "2", "3"]
        bus.post(Note("4", source="x", target="b"))
        await bus.send(Note("5", source="x", target="b"))
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert listener.texts == ["1", "2", "3", "4", "5"]


async def test_what_is_posted_before_the_bus_runs_goes_out_when_it_does(autojump_clock):
    """It is kept until then."""
    bus = SlowBus()
    bus.post(Note("early", source="x"))
    await trio.sleep(5)
    assert bus.published == []
    async with bus, trio.open_nursery() as nursery:
        nursery.start_soon(bus.read)
        await trio.sleep(5)
        nursery.cancel_scope.cancel()
    assert bus.published == ["early"]


async def test_local_messages_never_reach_the_transport():
    """Sent or posted, they are delivered at once and here."""
    bus = SlowBus()
    listener = Listener("b")
    async with bus:
        await bus.subscribe(listener)
        with assert_checkpoints():
            await bus.send(Private("sent", source="x", target="b"))
        bus.post(Private("posted", source="x", target="b"))
        await wait_all_tasks_blocked()
    assert listener.texts == ["sent", "posted"]
    assert bus.published == []


async def test_a_local_message_to_an_unknown_name_is_an_error_at_the_sender():
    """No transport could find it either."""
    bus = SlowBus()
    with pytest.raises(UnknownWorkerError, match="ghost"):
        await bus.send(Private(source="x", target="ghost"))
    with pytest.raises(UnknownWorkerError, match="ghost"):
        bus.post(Private(source="x", target="ghost"))


async def test_a_send_that_fails_tells_its_sender_and_the_bus_goes_on(autojump_clock):
    """The next message is published as usual."""
    bus = SlowBus()
    bus.failing["bad"] = OSError("cut")
    async with bus, trio.open_nursery() as nursery:
        nursery.start_soon(bus.read)
        with pytest.raises(OSError, match="cut"):
            await bus.send(Note("bad", source="x"))
        await bus.send(Note("good", source="x"))
        nursery.cancel_scope.cancel()
    assert bus.published == ["good"]


async def test_a_posted_message_that_nobody_has_is_counted_as_missed(autojump_clock):
    """There is no sender to tell; those behind it still go out."""
    bus = SlowBus()
    bus.failing["bad"] = UnknownWorkerError("ghost")
    async with bus, trio.open_nursery() as nursery:
        nursery.start_soon(bus.read)
        bus.post(Note("bad", source="x"))
        bus.post(Note("good", source="x"))
        await trio.sleep(5)
        nursery.cancel_scope.cancel()
    assert bus.published == ["good"]
    assert bus.statistics().missed == 1


async def test_a_posted_message_that_cannot_be_published_ends_the_bus(autojump_clock):
    """It is not lost silently: the block ends with the transport's error."""
    bus = SlowBus()
    bus.failing["bad"] = OSError("cut")
    with pytest.RaisesGroup(pytest.RaisesExc(OSError, match="cut"), flatten_subgroups=True):
        async with bus:
            bus.post(Note("bad", source="x"))
            await trio.sleep_forever()


async def test_a_cancelled_send_loses_no_posted_message(autojump_clock):
    """Its sender may have been publishing what others had posted."""
    bus = SlowBus()
    listener = Listener("b")
    bus.post(Note("posted 1", source="x", target="b"))
    bus.post(Note("posted 2", source="x", target="b"))
    with trio.move_on_after(0.5) as scope:
        await bus.send(Note("cancelled", source="y", target="b"))
    assert scope.cancelled_caught
    async with bus, trio.open_nursery() as nursery:
        await bus.subscribe(listener)
        nursery.start_soon(bus.read)
        await trio.sleep(10)
        nursery.cancel_scope.cancel()
    assert [(m.source, m.text) for m in listener.heard] == [("x", "posted 1"), ("x", "posted 2")]


@given(
    st.lists(
        st.tuples(st.sampled_from("xyz"), st.sampled_from(["post", "send", "cancel"])),
        max_size=20,
    ),
    st.random_module(),
)
def test_order_per_sender_holds_and_no_post_is_lost(steps, _):
    """Whatever the schedule and whoever is cancelled while waiting for the transport."""

    async def main():
        bus = SlowBus(delay=0.1)
        listener = Listener("b")
        expected = {name: [] for name in "xyz"}

        async def sender(name):
            for number, (who, how) in enumerate(steps):
                if who != name:
                    continue
                message = Note(f"{number}", source=name, target="b")
                if how == "post":
                    bus.post(message)
                    expected[name].append(message.text)
                elif how == "send":
                    await bus.send(message)
                    expected[name].append(message.text)
                else:
                    with trio.move_on_after(0.05):
                        await bus.send(message)

        with trio.fail_after(600):
            async with bus, trio.open_nursery() as nursery:
                await bus.subscribe(listener)
                nursery.start_soon(bus.read)
                async with trio.open_nursery() as senders:
                    for name in "xyz":
                        senders.start_soon(sender, name)
                await trio.sleep(100)
                nursery.cancel_scope.cancel()
        for name in "xyz":
            assert [m.text for m in listener.heard if m.source == name] == expected[name]

    trio.run(main, clock=MockClock(autojump_threshold=0))


class LateBus(WorkerBus):
    """Delivers a second after a message was posted."""

    async def publish(self, message):
        await trio.sleep(1)
        await self.deliver(message)


async def test_a_request_whose_worker_leaves_under_way_is_lost(autojump_clock):
    """The requester is told, instead of waiting for an answer that can't come."""

    class Echo(BaseWorker):
        @job(name="echo")
        async def echo(self, message):
            return {}

    worker = Echo("echo")
    with trio.fail_after(60):
        async with WorkerRunner(bus=LateBus()) as runner:
            await runner.add_workers(worker)
            await trio.sleep(10)
            with pytest.raises(JobError, match="lost: NotDelivered: nobody on the bus is named"):
                async with runner.job("echo", name="echo"):
                    await worker.stop()
            assert runner.bus.statistics().missed == 1
