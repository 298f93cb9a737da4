"""`check_bus` and `check_worker`: ours pass, and each broken one is caught by the right clause."""

import contextlib

import attrs
import pytest
import trio
from trio.testing import MockClock

from trioworkers import BaseWorker, MemoryChannelBus, StoppedError, UnknownWorkerError, job
from trioworkers.testing._check_bus import check_bus
from trioworkers.testing._check_worker import check_worker
from trioworkers.testing._conformance import BrokenContractError


class LateBus(MemoryChannelBus):
    """Delivers later than the send returns, one message at a time."""

    def __init__(self):
        super().__init__(lane_capacity=8)
        self._send, self._receive = trio.open_memory_channel(8)

    async def start(self):
        self.nursery.start_soon(self._read)

    async def _read(self):
        with contextlib.suppress(trio.ClosedResourceError):
            async for message in self._receive:
                await trio.sleep(0.01)
                await self.deliver(message)

    async def publish(self, message):
        if message.target is not None and message.target not in self.names:
            raise UnknownWorkerError(message.target, self.names)
        try:
            await self._send.send(message)
        except trio.BrokenResourceError:
            raise StoppedError("the bus has ended", "send while it runs") from None

    async def stop(self):
        self._receive.close()


class SwapsEachPair(MemoryChannelBus):
    """Delivers 1 before 0, and 3 before 2."""

    def __init__(self):
        super().__init__()
        self.held = {}

    async def publish(self, message):
        number = getattr(message, "number", None)
        if message.target is None or number is None:
            await super().publish(message)
        elif number % 2 == 0:
            self.held[message.source, message.target, type(message)] = message
            if message.target not in self.names:
                raise UnknownWorkerError(message.target, self.names)
        else:
            await super().publish(message)
            held = self.held.pop((message.source, message.target, type(message)), None)
            if held is not None:
                await super().publish(held)


class Drops(MemoryChannelBus):
    """Loses every seventh message."""

    count = 0

    async def publish(self, message):
        self.count += 1
        if self.count % 7:
            await super().publish(message)


class Doubles(MemoryChannelBus):
    """Delivers each message twice."""

    async def publish(self, message):
        await super().publish(message)
        await super().publish(message)


class CallsEveryone(MemoryChannelBus):
    """Sends a copy of each targeted message to all."""

    async def publish(self, message):
        if message.target is None:
            await super().publish(message)
            return
        if message.target not in self.names:
            raise UnknownWorkerError(message.target, self.names)
        for name in self.names:
            await super().publish(attrs.evolve(message, target=name))


class TargetedBroadcasts(MemoryChannelBus):
    """Sends a copy of each broadcast to all, whatever they want."""

    async def publish(self, message):
        if message.target is not None:
            await super().publish(message)
            return
        for name in self.names:
            await super().publish(attrs.evolve(message, target=name))


class SwallowsUnknown(MemoryChannelBus):
    """Tells nobody that a target isn't there."""

    async def publish(self, message):
        with contextlib.suppress(UnknownWorkerError):
            await super().publish(message)


class ForgetsPosts(MemoryChannelBus):
    """Does not deliver what is posted."""

    def post(self, message):
        pass


class Replaces(MemoryChannelBus):
    """Lets a second subscriber take the name of the first."""

    async def subscribe(self, subscriber, **options):
        for known in list(self._router):
            if known.subscriber.name == subscriber.name:
                self.unsubscribe_nowait(known.subscriber)
        await super().subscribe(subscriber, **options)


class LosesEarly(MemoryChannelBus):
    """Drops what is sent before it runs."""

    async def publish(self, message):
        if self.is_running:
            await super().publish(message)


class KeepsSubscribers(MemoryChannelBus):
    """Goes on delivering to those that have left."""

    async def unsubscribe(self, subscriber):
        await trio.lowlevel.checkpoint()


class CopiesLocals(MemoryChannelBus):
    """Puts local messages on the transport, as copies."""

    async def send(self, message):
        if message.target is None:
            await super().send(message)
        else:
            await self._publish_in_order(attrs.evolve(message))


class OneAtATime(MemoryChannelBus):
    """Sends nothing while a hook runs."""

    async def publish(self, message):
        while self.is_running and self.statistics().lanes:  # noqa: ASYNC110
            await trio.sleep(0.01)
        await super().publish(message)


class RaisesIntoSender(MemoryChannelBus):
    """Lets the errors of book-keeping reach the sender."""

    async def publish(self, message):
        errors = self.statistics().errors
        await super().publish(message)
        if self.statistics().errors > errors:
            raise ValueError("a subscriber raised")


class WaitsForObservers(MemoryChannelBus):
    """A slow observer slows the senders."""

    async def publish(self, message):
        for observer in self._router.observers.values():
            await observer.lanes.wait_room(system=False)
        await super().publish(message)


class Unbounded(MemoryChannelBus):
    """Keeps whatever is sent."""

    def __init__(self):
        super().__init__(lane_capacity=10**9)


class NeverQuiet(MemoryChannelBus):
    """Counts a message that isn't there."""

    def statistics(self):
        return attrs.evolve(super().statistics(), unpublished=1)


class RunsTwice(MemoryChannelBus):
    """Can be entered again after its end."""

    async def __aenter__(self):
        self._entered = self._nursery is not None
        return await super().__aenter__()


class LeaksATask(MemoryChannelBus):
    """Leaves a Trio task behind."""

    async def start(self):
        trio.lowlevel.spawn_system_task(trio.sleep, 100_000)


class EndsSlowly(MemoryChannelBus):
    """Takes its time to leave."""

    async def leave(self, *details):
        with trio.move_on_after(50, shield=True):
            await trio.sleep_forever()
        return await super().__aexit__(*details)

    __aexit__ = leave


@pytest.mark.parametrize("capacity", [1, 16, 1024])
async def test_the_bus_in_memory_keeps_the_contract(autojump_clock, capacity):
    """All clauses hold, also with the smallest lanes."""
    held = await check_bus(lambda: MemoryChannelBus(lane_capacity=capacity))
    assert len(held) == 18
    assert held[0] == "delivery"


async def test_a_bus_in_memory_made_by_an_async_function_passes_on_the_real_clock():
    """`make_bus` may be async, and no clause needs a virtual clock."""

    async def make():
        await trio.lowlevel.checkpoint()
        return MemoryChannelBus(lane_capacity=4)

    await check_bus(make, settle=0.001)


async def test_a_bus_that_delivers_later_keeps_most_of_the_contract(autojump_clock):
    """Arrival is waited for; that one full lane holds up a single reader is found."""
    skip = ("before running", "posting", "system passes full lanes")
    held = await check_bus(LateBus, skip=skip)
    assert len(held) == 15


BROKEN = [
    (Drops, "delivery", r"probe-a' had \d+ of 40 messages"),
    (Doubles, "delivery", r"got the numbers \[0, 0, 1, 1"),
    (SwapsEachPair, "order", r"came as \[1, 0, 3, 2"),
    (ForgetsPosts, "posting", "had 20 of 40"),
    (CallsEveryone, "targets", "A bystander got 41 messages"),
    (TargetedBroadcasts, "broadcasts", r"'probe-notes' got the numbers \[0, 1, 2, 3, 4, 10"),
    (SwallowsUnknown, "unknown targets", "send did not raise UnknownWorkerError"),
    (Replaces, "names", "A second subscribe did not raise DuplicateWorkerError"),
    (LosesEarly, "before running", "had 0 of 2 messages"),
    (KeepsSubscribers, "unsubscribing", "while the hook was running"),
    (CopiesLocals, "local messages", "What was delivered is a copy"),
    (OneAtATime, "system first", "Sending it waited for a data hook"),
    (RaisesIntoSender, "raising subscribers", "It raised ValueError.'a subscriber raised'"),
    (WaitsForObservers, "observers", "A sender waited for a stuck observer"),
    (Unbounded, "bounded lanes", "Its sender never waited, for 10000 messages"),
    (NeverQuiet, "statistics", "With nothing to do, 1 unpublished"),
    (RunsTwice, "runs once", "Running it after its end"),
    (LeaksATask, "shutdown", "Trio tasks are left: trio.sleep"),
    (EndsSlowly, "shutdown", "It took 50 s, more than 10"),
]


@pytest.mark.parametrize(
    ("bus", "clause", "detail"), BROKEN, ids=lambda value: getattr(value, "__name__", "")
)
async def test_a_broken_bus_is_caught_by_the_first_clause_it_breaks(
    autojump_clock, bus, clause, detail
):
    """The error names bus, clause, what it promises, and what happened instead."""
    with pytest.raises(BrokenContractError, match=detail) as caught:
        await check_bus(bus)
    assert caught.value.clause == clause
    assert str(caught.value).startswith(f"{bus.__name__} breaks the clause {clause!r}: ")
    assert caught.value.promise in str(caught.value)


async def test_a_reader_that_waits_for_room_holds_up_system_messages(autojump_clock):
    """The clause names P4's hard case."""
    with pytest.raises(BrokenContractError, match="room that data senders wait for"):
        await check_bus(LateBus, only=["system passes full lanes"])


async def test_check_bus_refuses_bad_arguments():
    """Before any bus is run."""
    with pytest.raises(ValueError, match="within must be > 0, not 0"):
        await check_bus(MemoryChannelBus, within=0)
    with pytest.raises(ValueError, match="no clause 'ordre'; clauses: 'delivery', 'order'"):
        await check_bus(MemoryChannelBus, only=["ordre"])
    with pytest.raises(TypeError, match="make_bus must return a WorkerBus, not None"):
        await check_bus(lambda: None)


class Good(BaseWorker):
    """A worker with two jobs."""

    def __init__(self):
        super().__init__("good")

    @job(name="greet")
    async def greet(self, message):
        await self.send_job_update(message.job_id, {"step": 1})
        await trio.sleep(1)
        return {"hello": message.payload["name"]}

    @job(name="fail")
    async def fail(self, message):
        raise ValueError("as asked")


class NeverReady(Good):
    async def start(self):
        await trio.sleep(1000)


class NeverEnds(Good):
    async def stop(self):
        await trio.lowlevel.checkpoint()


class Silent(Good):
    async def greet(self, message):
        await trio.sleep_forever()


class Restarts(Good):
    async def attach(self, *, registry, bus):
        await trio.lowlevel.checkpoint()


class LeavesWork(Good):
    async def start(self):
        await super().start()
        trio.lowlevel.spawn_system_task(trio.sleep, 100_000)


async def test_workers_keep_the_contract(autojump_clock):
    """A worker with jobs, and the plainest one."""
    held = await check_worker(Good, jobs={"greet": {"name": "you"}, "fail": None})
    assert len(held) == 12
    assert await check_worker(lambda: BaseWorker(None)) == held


BROKEN_WORKERS = [
    (NeverReady, "readiness", "not ready after 60 s"),
    (LeavesWork, "readiness", "Trio tasks are left: trio.sleep"),
    (Silent, "jobs", "Job 'greet' had no outcome after 60 s"),
    (NeverEnds, "readiness", "has not ended after 1200 s"),
    (Restarts, "runs once", r"attach\(\) while it runs did not raise StoppedError"),
]


@pytest.mark.parametrize(
    ("worker", "clause", "detail"), BROKEN_WORKERS, ids=lambda value: getattr(value, "__name__", "")
)
def test_a_broken_worker_is_caught_by_the_first_clause_it_breaks(worker, clause, detail):
    """The error names worker, clause, and what happened instead."""

    async def check():
        await check_worker(worker, jobs={"greet": {"name": "you"}})

    with pytest.raises(BrokenContractError, match=detail) as caught:
        trio.run(check, clock=MockClock(autojump_threshold=0))
    assert caught.value.clause == clause
    assert caught.value.contract == worker.__name__


async def test_check_worker_refuses_bad_arguments():
    """Before any worker is run."""
    with pytest.raises(ValueError, match="within must be > 0, not -1"):
        await check_worker(Good, within=-1)
    with pytest.raises(ValueError, match="no clause 'x'; clauses: 'readiness'"):
        await check_worker(Good, skip=["x"])
    with pytest.raises(TypeError, match="make_worker must return a BaseWorker, not 3"):
        await check_worker(lambda: 3)
