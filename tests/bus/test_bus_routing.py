"""`MemoryChannelBus`: who gets which message, and what delivery promises."""

import attrs
import pytest
import trio
from subscribers import Alarm, Listener, Note
from trio.testing import assert_checkpoints, wait_all_tasks_blocked

from trioworkers import DuplicateWorkerError, UnknownWorkerError
from trioworkers.bus import (
    BusCancelWorkerMessage,
    MemoryChannelBus,
)


@attrs.define
class LoudNote(Note):
    """A user's message that is also a `Note`."""


async def test_a_targeted_message_reaches_its_target_alone():
    """Bystanders never see it, whatever their interests."""
    bus = MemoryChannelBus()
    a, b = Listener("a"), Listener("b")
    async with bus:
        await bus.subscribe(a)
        await bus.subscribe(b)
        await bus.send(Note("hi", source="x", target="b"))
        await wait_all_tasks_blocked()
    assert (a.heard, b.texts) == ([], ["hi"])
    assert bus.statistics().delivered == 1


async def test_a_message_to_an_unknown_name_is_an_error_at_the_sender():
    """The error lists the names there are; nothing is counted as missed."""
    bus = MemoryChannelBus()
    await bus.subscribe(Listener("real"))
    with pytest.raises(UnknownWorkerError, match=r"named 'ghost'.*'real'"):
        await bus.send(Note(source="x", target="ghost"))
    with pytest.raises(UnknownWorkerError, match="ghost"):
        bus.post(Note(source="x", target="ghost"))
    with pytest.raises(UnknownWorkerError, match="ghost"):
        bus.on_message_received(Note(source="x", target="ghost"))
    assert bus.statistics().missed == 0


async def test_messages_that_may_miss_are_dropped_and_counted():
    """The sender sees no error when their target has gone."""
    bus = MemoryChannelBus()
    await bus.send(BusCancelWorkerMessage(source="x", target="gone"))
    bus.post(BusCancelWorkerMessage(source="x", target="gone"))
    assert bus.statistics().missed == 2
    assert bus.statistics().delivered == 0


async def test_broadcasts_go_to_those_that_want_the_class():
    """An interest covers subclasses; nobody gets a message twice."""
    bus = MemoryChannelBus()
    everything = Listener("everything")
    notes = Listener("notes", Note, LoudNote)
    alarms = Listener("alarms", Alarm)
    nothing = Listener("nothing")
    nothing.wants = ()
    async with bus:
        for listener in (everything, notes, alarms, nothing):
            await bus.subscribe(listener)
        await bus.send(Note(source="x"))
        await bus.send(LoudNote(source="x"))
        await bus.send(Alarm(source="x"))
        await wait_all_tasks_blocked()
    assert [type(m) for m in notes.heard] == [Note, LoudNote]
    assert [type(m) for m in alarms.heard] == [Alarm]
    assert sorted(type(m).__name__ for m in everything.heard) == ["Alarm", "LoudNote", "Note"]
    assert nothing.heard == []


async def test_what_is_not_a_message_is_refused():
    """Likewise what is not a subscriber."""
    bus = MemoryChannelBus()
    with pytest.raises(TypeError, match="expected a BusMessage, not 'hello'"):
        await bus.send("hello")
    with pytest.raises(TypeError, match="expected a BusSubscriber, not 3"):
        await bus.subscribe(3)


async def test_async_functions_of_the_bus_checkpoint():
    """On all paths that do something, and those that do nothing."""
    bus = MemoryChannelBus()
    listener = Listener("a")
    with assert_checkpoints():
        await bus.subscribe(listener)
    with assert_checkpoints():
        await bus.subscribe(listener)
    with assert_checkpoints():
        await bus.send(Note(source="x", target="a"))
    with assert_checkpoints():
        await bus.send(Note(source="x"))
    with assert_checkpoints():
        await bus.unsubscribe(listener)
    with assert_checkpoints():
        await bus.unsubscribe(listener)
    assert listener.left == 1


async def test_subscribing_twice_changes_nothing_but_the_interests():
    """The queue stays, a message comes once, and interests are read again."""
    bus = MemoryChannelBus()
    listener = Listener("a", Note)
    await bus.subscribe(listener)
    await bus.send(Note("kept", source="x"))
    listener.wants = (Alarm,)
    await bus.subscribe(listener)
    assert bus.names == ("a",)
    async with bus:
        await bus.send(Note("unwanted", source="x"))
        await bus.send(Alarm(source="x"))
        await wait_all_tasks_blocked()
    assert sorted(type(m).__name__ for m in listener.heard) == ["Alarm", "Note"]
    assert bus.statistics().subscribers == 1


async def test_two_subscribers_of_one_name_are_refused():
    """Observers and targets share the names; the first keeps it."""
    bus = MemoryChannelBus()
    first = Listener("a")
    await bus.subscribe(first)
    with pytest.raises(DuplicateWorkerError, match="'a' is already in the bus"):
        await bus.subscribe(Listener("a"))
    with pytest.raises(DuplicateWorkerError, match="'a'"):
        await bus.subscribe(Listener("a"), observe=True)
    await bus.subscribe(Listener("eye"), observe=True)
    with pytest.raises(DuplicateWorkerError, match="'eye'"):
        await bus.subscribe(Listener("eye"))
    await bus.unsubscribe(Listener("a"))
    assert bus.names == ("a",)
    assert first.left == 0


async def test_a_name_is_free_again_after_unsubscribing():
    """The new subscriber gets what is sent from then on; the old one nothing."""
    bus = MemoryChannelBus()
    old, new = Listener("a"), Listener("a")
    async with bus:
        await bus.subscribe(old)
        await bus.unsubscribe(old)
        await bus.subscribe(new)
        await bus.send(Note("for the new one", source="x", target="a"))
        await bus.send(Note("for all", source="x"))
        await wait_all_tasks_blocked()
    assert old.heard == []
    assert new.texts == ["for the new one", "for all"]


async def test_observers_see_every_message_and_are_no_targets():
    """Targeted ones, broadcasts, and those whose target has gone."""
    bus = MemoryChannelBus()
    eye = Listener("eye")
    async with bus:
        await bus.subscribe(eye, observe=True)
        await bus.subscribe(Listener("a", Alarm))
        await bus.send(Note("to a", source="x", target="a"))
        await bus.send(Note("to all", source="x"))
        await bus.send(BusCancelWorkerMessage("missed", source="x", target="gone"))
        await wait_all_tasks_blocked()
        with pytest.raises(UnknownWorkerError):
            await bus.send(Note(source="x", target="eye"))
        assert bus.names == ("a",)
        assert bus.statistics().observers == 1
        await bus.unsubscribe(eye)
        await bus.send(Note("unseen", source="x"))
        await wait_all_tasks_blocked()
    assert [getattr(m, "text", None) or m.reason for m in eye.heard] == [
        "to a",
        "to all",
        "missed",
    ]
    assert eye.left == 1


async def test_a_slow_observer_slows_nobody():
    """What finds its queue full is dropped for it and counted."""
    bus = MemoryChannelBus(lane_capacity=2)

    class Slow(Listener):
        async def on_bus_message(self, message):
            self.heard.append(message)
            await trio.sleep_forever()

    slow, a = Slow("slow"), Listener("a")
    async with bus:
        await bus.subscribe(slow, observe=True)
        await bus.subscribe(a)
        with trio.fail_after(1):
            for number in range(10):
                await bus.send(Note(str(number), source="x", target="a"))
                await wait_all_tasks_blocked()
        assert len(a.heard) == 10
        statistics = bus.statistics()
        assert statistics.unobserved == 10 - 1 - 2
        assert statistics.lanes["slow"].data_queued == 2
        assert "a" not in statistics.lanes


async def test_unsubscribing_cancels_the_hook_and_waits_for_it():
    """When it returns, no hook of the subscriber runs any more."""
    bus = MemoryChannelBus()
    events = []

    class Slow(Listener):
        async def on_bus_message(self, message):
            try:
                await trio.sleep_forever()
            finally:
                with trio.CancelScope(shield=True):
                    await trio.lowlevel.checkpoint()
                events.append("hook has ended")

    slow = Slow("slow")
    async with bus:
        await bus.subscribe(slow)
        await bus.send(Note(source="x", target="slow"))
        await bus.send(Note("never seen", source="x", target="slow"))
        await wait_all_tasks_blocked()
        await bus.unsubscribe(slow)
        events.append("unsubscribed")
        await wait_all_tasks_blocked()
    assert events == ["hook has ended", "unsubscribed"]
    assert bus.names == ()
    assert bus.statistics().errors == 0


async def test_a_hook_may_unsubscribe_its_own_subscriber():
    """It doesn't wait for itself: it is cancelled, and nothing more comes."""
    bus = MemoryChannelBus()
    events = []

    class Leaver(Listener):
        async def on_bus_message(self, message):
            events.append("leaves")
            await bus.unsubscribe(self)
            await trio.sleep_forever()

    with trio.fail_after(1):
        async with bus:
            await bus.subscribe(Leaver("a"))
            await bus.send(Note(source="x", target="a"))
            await bus.send(Note(source="x", target="a"))
            await wait_all_tasks_blocked()
            assert bus.names == ()
    assert events == ["leaves"]


async def test_job_ids_are_unique_and_begin_with_the_incarnation():
    """A given incarnation gives the same ids again; random ones differ."""
    bus = MemoryChannelBus(incarnation="run7")
    assert [bus.new_job_id() for _ in range(3)] == ["run7-1", "run7-2", "run7-3"]
    assert MemoryChannelBus().new_job_id() != MemoryChannelBus().new_job_id()


def test_a_lane_capacity_below_one_is_refused():
    """The message says the range and the value."""
    with pytest.raises(ValueError, match="lane_capacity must be an integer >= 1, not 0"):
        MemoryChannelBus(lane_capacity=0)


async def test_subscribing_again_while_the_bus_runs_starts_no_second_lanes():
    """Each message is heard once, and unsubscribing still ends all hooks."""
    bus = MemoryChannelBus()
    a = Listener("a")
    async with bus:
        await bus.subscribe(a)
        await bus.send(Note("1", source="x", target="a"))
        await wait_all_tasks_blocked()
        tasks = trio.lowlevel.current_statistics().tasks_living
        await bus.subscribe(a)
        await bus.send(Note("2", source="x", target="a"))
        await wait_all_tasks_blocked()
        assert a.texts == ["1", "2"]
        assert trio.lowlevel.current_statistics().tasks_living == tasks
        await bus.unsubscribe(a)
    assert a.left == 1
