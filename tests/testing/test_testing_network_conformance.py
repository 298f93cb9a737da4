"""`check_network_bus`: ours passes, and each broken one is caught by the right clause."""

from contextlib import suppress

import attrs
import pytest
import trio

from trioworkers import UnknownWorkerError
from trioworkers.bus import BusLocalMessage
from trioworkers.bus.redis import RedisBus
from trioworkers.testing import BrokenContractError, check_network_bus
from trioworkers.testing._probes import ProbeAlarm, ProbeNote, ProbePosted
from trioworkers.testing.streams import StreamServer

CLAUSES = 20


class Drops(RedisBus):
    """Loses a message."""

    async def publish(self, message):
        if getattr(message, "number", 0) != 7:
            await super().publish(message)


class Doubles(RedisBus):
    """Sends each message twice."""

    async def publish(self, message):
        await super().publish(message)
        await super().publish(message)


class SwapsEachPair(RedisBus):
    """Sends the second note of each pair first."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.held = {}

    async def publish(self, message):
        key = message.source, message.target
        if not isinstance(message, ProbeNote):
            await super().publish(message)
        elif key not in self.held:
            self.held[key] = message
        else:
            await super().publish(message)
            await super().publish(self.held.pop(key))


class ForgetsPosts(RedisBus):
    """Does not send what is posted."""

    def post(self, message):
        if not isinstance(message, ProbePosted):
            super().post(message)


class CallsEveryone(RedisBus):
    """Sends to all what is for one."""

    async def publish(self, message):
        await super().publish(message)
        if isinstance(message, ProbeNote) and message.target is not None:
            for name in self.names:
                await super().publish(attrs.evolve(message, target=name))


class KeepsBroadcasts(RedisBus):
    """Broadcasts to those that are here."""

    async def publish(self, message):
        if message.target is None:
            await self.deliver(message)
        else:
            await super().publish(message)


class SwallowsUnknown(RedisBus):
    """Says nothing of names that nobody has."""

    async def publish(self, message):
        with suppress(UnknownWorkerError):
            await super().publish(message)


class ClaimsNothing(RedisBus):
    """Looks at nobody else when it takes a name."""

    async def claim(self, *names):
        pass


class KeepsNames(RedisBus):
    """Gives no name back."""

    def release_nowait(self, *names):
        pass


class LeavesSilently(RedisBus):
    """Does not say goodbye."""

    async def stop(self):
        pass


class SwallowsLocals(RedisBus):
    """Says nothing of local messages to names that are elsewhere."""

    async def send(self, message):
        if isinstance(message, BusLocalMessage):
            with suppress(UnknownWorkerError):
                await super().send(message)
        else:
            await super().send(message)


class SystemLater(RedisBus):
    """Delivers system messages late."""

    def accept(self, message):
        if isinstance(message, ProbeAlarm):
            self.nursery.start_soon(self.accept_later, message)
        else:
            super().accept(message)

    async def accept_later(self, message):
        await trio.sleep(10)
        super().accept(message)


class OneAtATime(RedisBus):
    """Sends one message after another, whatever lane they take."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.lock = trio.Lock()

    async def publish(self, message):
        async with self.lock:
            await super().publish(message)


class CountsNoErrors(RedisBus):
    """Does not count what subscribers raise."""

    def statistics(self):
        return attrs.evolve(super().statistics(), errors=0)


class Unbounded(RedisBus):
    """Sends whatever it is told."""

    def __init__(self, server):
        super().__init__(server, window=10**6)


class SendsTwiceWhenCancelled(RedisBus):
    """Sends what a sender gave up on all the same."""

    async def publish(self, message):
        try:
            await super().publish(message)
        except trio.Cancelled:
            for _ in range(2):
                self.nursery.start_soon(super().publish, message)
            raise


class NeverQuiet(RedisBus):
    """Always has something left to send."""

    def statistics(self):
        return attrs.evolve(super().statistics(), unpublished=1)


class EndsSlowly(RedisBus):
    """Takes its time to end."""

    def __aexit__(self, *exc):
        return self.end_slowly(super().__aexit__, *exc)

    async def end_slowly(self, end, *exc):
        with trio.move_on_after(50, shield=True):
            await trio.sleep_forever()
        return await end(*exc)


class LeaksATask(RedisBus):
    """Leaves something running."""

    async def stop(self):
        trio.lowlevel.spawn_system_task(trio.sleep, 1000)
        await super().stop()


async def test_buses_on_one_server_keep_the_contract(autojump_clock):
    """All clauses hold; `make_bus` may be async."""
    server = StreamServer()

    async def make():
        await trio.lowlevel.checkpoint()
        return RedisBus(server, lane_capacity=16)

    held = await check_network_bus(make)
    assert len(held) == CLAUSES
    assert held[0] == "delivery"


async def test_buses_that_never_meet_break_the_first_clause(autojump_clock):
    """Each has a server of its own."""
    with pytest.raises(BrokenContractError, match="UnknownWorkerError") as caught:
        await check_network_bus(lambda: RedisBus(StreamServer()))
    assert caught.value.clause == "delivery"


async def test_a_bus_that_comes_too_late_is_caught(autojump_clock):
    """The third one of a clause is somewhere else."""
    server, made = StreamServer(), []

    def make():
        made.append(1)
        return RedisBus(server if len(made) < 3 else StreamServer())

    with pytest.raises(BrokenContractError, match="'probe-late'"):
        await check_network_bus(make, only=["late comers"])


BROKEN = [
    (Drops, "delivery", "had 39 of 40 messages"),
    (Doubles, "delivery", r"got the numbers \[0, 0, 1, 1"),
    (SwapsEachPair, "order", "came as "),
    (ForgetsPosts, "posting", "had 20 of 40"),
    (CallsEveryone, "targets", "got 40 messages that are for another"),
    (KeepsBroadcasts, "broadcasts", "had 0 of 5 messages"),
    (SwallowsUnknown, "unknown targets", "send did not raise UnknownWorkerError"),
    (ClaimsNothing, "names", "A second subscribe did not raise DuplicateWorkerError"),
    (ClaimsNothing, "names at once", "Of two, 0 were refused"),
    (KeepsNames, "unsubscribing", "it still raised DuplicateWorkerError|still did not raise"),
    (LeavesSilently, "leaving", "After its bus has ended, a send still did not raise"),
    (SwallowsLocals, "local messages", "a name of another bus did not raise"),
    (SystemLater, "system first", "it waited for the data hook that runs"),
    (OneAtATime, "system passes full lanes", "room that data senders wait for"),
    (CountsNoErrors, "raising subscribers", r"they count \(0, 0\)"),
    (Unbounded, "bounded lanes", "Its sender never waited, for 3000 messages"),
    (OneAtATime, "bounded lanes", "A sender to another target waited, too"),
    (SendsTwiceWhenCancelled, "cancelled senders", "They came as "),
    (NeverQuiet, "statistics", "With nothing to do"),
    (EndsSlowly, "shutdown of the target", "It took 50 s, more than 10"),
    (EndsSlowly, "shutdown of the sender", "It took 50 s, more than 10"),
    (LeaksATask, "shutdown of the sender", "Trio tasks are left: trio.sleep"),
]


@pytest.mark.parametrize(
    ("bus", "clause", "detail"), BROKEN, ids=lambda value: getattr(value, "__name__", "")
)
async def test_a_broken_bus_is_caught(autojump_clock, bus, clause, detail):
    """The error names bus, clause, what it promises, and what happened instead."""
    server = StreamServer()
    with pytest.raises(BrokenContractError, match=detail) as caught:
        await check_network_bus(lambda: bus(server), only=[clause], most_queued=3000)
    assert caught.value.clause == clause
    assert str(caught.value).startswith(f"{bus.__name__} breaks the clause {clause!r}: ")


async def test_check_network_bus_refuses_bad_arguments():
    """Before any bus is run."""
    server = StreamServer()
    with pytest.raises(ValueError, match="settle must be > 0, not -1"):
        await check_network_bus(lambda: RedisBus(server), settle=-1)
    with pytest.raises(ValueError, match="no clause 'ordre'; clauses: 'delivery', 'order'"):
        await check_network_bus(lambda: RedisBus(server), only=["ordre"])
    with pytest.raises(TypeError, match="make_bus must return a WorkerBus, not None"):
        await check_network_bus(lambda: None)
