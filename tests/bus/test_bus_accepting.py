"""What a transport does with a full lane: put more into it, look, and wait for room."""

import pytest
import trio
from subscribers import AtDelivery, Listener, Note
from support import run
from trio.testing import wait_all_tasks_blocked

from trioworkers import (
    BaseWorker,
    BusJobRequestMessage,
    LaneFull,
    MemoryChannelBus,
    UnknownWorkerError,
    WorkerRunner,
)
from trioworkers.bus import Lanes


class Stuck(Listener):
    """Its hook waits until it may go on, for each message anew."""

    def __init__(self, name, *interests):
        super().__init__(name, *interests)
        self.gate = trio.Semaphore(0)

    async def on_bus_message(self, message):
        await super().on_bus_message(message)
        await self.gate.acquire()


def test_a_full_lane_accepts_more():
    """All that is accepted comes, in order, behind what was there."""

    async def check():
        async with MemoryChannelBus(lane_capacity=1) as bus:
            stuck, other = Stuck("stuck"), Listener("other")
            await bus.subscribe(stuck)
            await bus.subscribe(other)
            for text in "abcd":
                bus.accept(Note(text, source="x", target="stuck"))
            bus.accept(Note("e", source="x"))
            await wait_all_tasks_blocked()
            assert bus.lane_is_full("stuck", system=False)
            assert not bus.lane_is_full("stuck", system=True)
            assert not bus.lane_is_full("nobody", system=False)
            with pytest.raises(LaneFull):
                bus.on_message_received(Note("f", source="x", target="stuck"))
            for _ in "abcde":
                stuck.gate.release()
            await wait_all_tasks_blocked()
            assert stuck.texts == [*"abcde"]
            assert other.texts == ["e"]
            with pytest.raises(UnknownWorkerError, match="nobody"):
                bus.accept(Note("g", source="x", target="nobody"))

    run(check)


def test_a_worker_that_does_not_run_yet_keeps_no_more():
    """What it would have to keep beyond a lane's capacity is refused, accepted or not."""

    async def check():
        async with MemoryChannelBus(lane_capacity=2) as bus:
            runner = WorkerRunner(bus=bus)
            await runner.add_workers(BaseWorker("early"))
            for number in range(2):
                bus.accept(BusJobRequestMessage(str(number), source="x", target="early"))
            with pytest.raises(LaneFull, match="early"):
                bus.accept(BusJobRequestMessage("2", source="x", target="early"))

    run(check)


def test_what_is_accepted_in_book_keeping():
    """It is delivered after the message that it came of, into a full lane, too."""

    async def check():
        async with MemoryChannelBus(lane_capacity=1) as bus:
            stuck = Stuck("stuck")

            def pass_on(message):
                for text in "abc":
                    bus.accept(Note(text, source="x", target="stuck"))
                bus.accept(Note("d", source="x", target="nobody"))
                assert stuck.heard == []

            await bus.subscribe(stuck)
            await bus.subscribe(AtDelivery("relay", pass_on))
            bus.on_message_received(Note("go", source="x", target="relay"))
            for _ in "abc":
                stuck.gate.release()
            await wait_all_tasks_blocked()
            assert stuck.texts == [*"abc"]
            assert bus.statistics().missed == 1

    run(check)


async def wait_and_note(bus, waited, name="stuck"):
    await bus.wait_lane_room(name, system=False)
    waited.append(name)


def test_waiting_for_room():
    """It ends when there is room, when the subscriber leaves, or at once if nobody is there."""

    async def check():
        async with MemoryChannelBus(lane_capacity=2) as bus, trio.open_nursery() as nursery:
            stuck, waited = Stuck("stuck"), []
            await bus.subscribe(stuck)
            await wait_and_note(bus, waited, "nobody")
            await wait_and_note(bus, waited)
            assert waited == ["nobody", "stuck"]
            for text in "abcd":
                bus.accept(Note(text, source="x", target="stuck"))
            await wait_all_tasks_blocked()
            waited.clear()
            nursery.start_soon(wait_and_note, bus, waited)
            await wait_all_tasks_blocked()
            stuck.gate.release()  # two are queued then, which is as many as may be
            await wait_all_tasks_blocked()
            assert waited == []
            stuck.gate.release()
            await wait_all_tasks_blocked()
            assert waited == ["stuck"]
            bus.accept(Note("e", source="x", target="stuck"))
            nursery.start_soon(wait_and_note, bus, waited)
            await wait_all_tasks_blocked()
            assert len(waited) == 1
            await bus.unsubscribe(stuck)
            await wait_all_tasks_blocked()
            assert len(waited) == 2

    run(check)


def test_those_who_only_look_keep_no_sender_waiting():
    """They are woken in turn; who would be left over in an empty lane is woken, too."""

    async def check():
        async with MemoryChannelBus(lane_capacity=1) as bus, trio.open_nursery() as nursery:
            stuck, waited = Stuck("stuck"), []
            await bus.subscribe(stuck)
            await bus.send(Note("a", source="x", target="stuck"))
            await wait_all_tasks_blocked()
            await bus.send(Note("b", source="x", target="stuck"))
            for _ in range(3):
                nursery.start_soon(wait_and_note, bus, waited)
            await wait_all_tasks_blocked()
            nursery.start_soon(bus.send, Note("c", source="x", target="stuck"))
            await wait_all_tasks_blocked()
            assert (waited, bus.statistics().lanes["stuck"].senders_waiting) == ([], 4)
            for _ in "abc":
                stuck.gate.release()
            await wait_all_tasks_blocked()
            assert stuck.texts == [*"abc"]
            assert len(waited) == 3

    run(check)


def test_one_who_looks_leaves_the_turn_of_senders_alone():
    """As long as the lane holds something, the next one that waits is woken by that."""

    async def check():
        done = []
        lanes = Lanes(2, raise_it)
        gate = trio.Semaphore(0)

        async def hook(_):
            await gate.acquire()

        async def look():
            await lanes.wait_room(system=False, puts=False)
            done.append("looked")

        async def put():
            await lanes.wait_room(system=False)
            done.append("put")

        async with trio.open_nursery() as nursery:
            lanes.start(nursery)
            for _ in range(3):
                lanes.put(hook, None, system=False)
                await wait_all_tasks_blocked()
            for wait in (look, put):
                nursery.start_soon(wait)
                await wait_all_tasks_blocked()
            gate.release()
            await wait_all_tasks_blocked()
            assert done == ["looked"]
            gate.release()
            await wait_all_tasks_blocked()
            assert done == ["looked", "put"]
            nursery.cancel_scope.cancel()

    run(check)


def raise_it(error):
    raise error
