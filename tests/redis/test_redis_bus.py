"""Runners on one server do jobs for one another, and keep the promises while all is well."""

import pytest
import trio
from redis_buses import Busy, pair, runners, until
from support import on_schedules

from trioworkers import (
    BaseWorker,
    BusDataMessage,
    CodecError,
    DuplicateWorkerError,
    JobError,
    JobGroupError,
    JobStatus,
    MessageCodec,
    UnknownWorkerError,
    WorkerRunner,
    job,
    wire_tag,
)
from trioworkers.bus.redis import RedisBus
from trioworkers.testing.streams import StreamServer


@wire_tag("test.redis.letter")
class Letter(BusDataMessage):
    """A user's message without fields."""


class Stuck(BaseWorker):
    """Has a hook that waits until it may go on."""

    def __init__(self, name, **options):
        super().__init__(name, **options)
        self.gate = trio.Event()
        self.letters = 0

    async def on_bus_message(self, message):
        if type(message) is Letter:
            await self.gate.wait()
            self.letters += 1


@on_schedules(10)
async def test_jobs_go_both_ways():
    """A worker asks another runner's worker, and is asked."""
    async with pair() as (_, asker, host, _):
        await asker.add_workers(Busy("other"))
        await host.registry.wait_ready("other")
        assert await asker.call("busy", name="echo", payload={"x": 1}) == {"x": 1}
        assert await host.call("other", name="echo", payload={"y": 2}) == {"y": 2}


@on_schedules(10)
async def test_all_updates_come_in_order():
    """What is sent before the outcome has come before iteration ends."""
    async with (
        pair() as (_, asker, _, _),
        asker.job("busy", name="count", payload={"to": 500}) as j,
    ):
        numbers = [event.data["number"] async for event in j]
        assert numbers == list(range(500))


async def test_many_messages_share_an_entry(autojump_clock):
    """A hundred requests at once cost a few entries, not a hundred."""
    async with pair() as (_, asker, _, _):
        before = asker.bus.statistics().sent
        async with trio.open_nursery() as nursery:
            for number in range(100):
                nursery.start_soon(
                    lambda n=number: asker.call("busy", name="echo", payload={"n": n})
                )
        assert asker.bus.statistics().sent - before < 10


@on_schedules(10)
async def test_leaving_a_block_stops_the_remote_handler():
    """When the block has been left, the handler in the other process has returned."""
    async with pair() as (_, asker, _, busy):
        with trio.move_on_after(1):
            async with asker.job("busy", name="wait"):
                await trio.sleep_forever()
        assert len(busy.ended) == 1


@on_schedules(30)
async def test_an_answer_is_not_overtaken_by_the_departure_of_its_worker():
    """A worker that answers and leaves at once has answered."""

    class Last(BaseWorker):
        @job(name="last")
        async def last(self, message):
            await self.end()
            return {"said": True}

    async with runners(StreamServer(), "asker", "host") as (asker, host):
        await host.add_workers(Last("last"))
        assert await asker.call("last", name="last") == {"said": True}
        await until(lambda: not host.workers)


@on_schedules(20)
async def test_what_a_runner_has_answered_arrives_though_it_leaves():
    """All accepted jobs are done before a runner has ended, and their answers have come."""
    server = StreamServer()
    async with runners(server, "asker") as (asker,):
        outcomes = []

        async def ask(number):
            outcomes.append(await asker.call("busy", name="echo", payload={"n": number}))

        async with trio.open_nursery() as nursery:
            async with runners(server, "host") as (host,):
                await host.add_workers(Busy("busy"))
                await asker.registry.wait_ready("busy")
                for number in range(10):
                    nursery.start_soon(ask, number)
                await until(lambda: len(host.get_worker("busy").begun) == 10)
        assert len(outcomes) == 10


# Names


async def test_a_name_of_another_process_is_refused(autojump_clock):
    """The error names the process that has it, and nothing was added."""
    async with pair() as (_, asker, _, _):
        with pytest.raises(DuplicateWorkerError, match=r"'busy' is already in process \d+ on "):
            await asker.add_workers(Busy("free"), Busy("busy"))
        assert asker.workers == ()
        await asker.add_workers(Busy("free"))


async def test_a_name_is_refused_at_the_start_too(autojump_clock):
    """Entering the runner raises; the first one keeps the name."""
    async with pair() as (server, asker, _, _):
        late = WorkerRunner(name="late", bus=RedisBus(server.client("late")))
        await late.add_workers(Busy("busy"))
        with pytest.raises(DuplicateWorkerError, match="'busy' is already"):
            async with late:
                pass
        assert await asker.call("busy", name="echo", payload={"x": 1}) == {"x": 1}


async def test_runner_names_are_unique_too(autojump_clock):
    """Two processes with one runner name: the second is refused."""
    async with pair() as (server, _, _, _):
        with pytest.raises(DuplicateWorkerError, match="'host' is already"):
            async with WorkerRunner(name="host", bus=RedisBus(server.client("other"))):
                pass


async def test_runners_without_a_name_get_different_ones(autojump_clock):
    """Each process counts from 0, so the bus's own name is part of it."""
    server = StreamServer()
    buses = [RedisBus(server.client(name)) for name in "ab"]
    async with WorkerRunner(bus=buses[0]) as one, WorkerRunner(bus=buses[1]) as other:
        assert one.name != other.name


@on_schedules(10)
async def test_a_name_is_free_when_its_worker_has_ended():
    """Another process may have it then, and is found under it."""
    async with pair() as (_, asker, host, busy):
        await busy.stop()
        await until(lambda: "busy" not in asker.registry)
        await asker.add_workers(Busy("busy"))
        await host.registry.wait_ready("busy")
        assert await host.call("busy", name="echo", payload={"x": 1}) == {"x": 1}


async def test_nobody_is_told(autojump_clock):
    """A message to a name that nobody has raises, as on any bus."""
    async with pair() as (_, asker, _, _):
        with pytest.raises(UnknownWorkerError, match="nobody on the bus is named 'ghost'"):
            await asker.bus.send(Letter(source=asker.name, target="ghost"))


# Bounds


@on_schedules(10)
async def test_a_stuck_target_stops_its_senders_and_nobody_else():
    """`send` waits after lane and window are full; what goes to others goes on."""
    async with runners(StreamServer(), "asker", "host", lane_capacity=4, window=4) as (asker, host):
        stuck = Stuck("stuck")
        await host.add_workers(stuck, Busy("busy"))
        await asker.registry.wait_ready("stuck", "busy")
        sent = 0

        async def flood():
            nonlocal sent
            for _ in range(50):
                await asker.bus.send(Letter(source=asker.name, target="stuck"))
                sent += 1

        async with trio.open_nursery() as nursery:
            nursery.start_soon(flood)
            await trio.sleep(1)
            assert sent < 20
            assert await asker.call("busy", name="echo", payload={"x": 1}) == {"x": 1}
            stuck.gate.set()
        assert sent == 50
        await until(lambda: stuck.letters == 50)


# What can't be sent, or read


async def test_a_payload_that_no_codec_takes_fails_the_job(autojump_clock):
    """The error names the field; nothing was sent."""
    async with pair() as (_, asker, _, busy):
        with pytest.raises(JobError, match="payload"):
            await asker.call("busy", name="echo", payload={"x": object()})
        assert busy.begun == []


async def test_a_message_over_the_limit_is_refused_at_send(autojump_clock):
    """It raises in the sender."""
    async with runners(StreamServer(), "a", "b", codec=MessageCodec(max_bytes=200)) as (a, b):
        with pytest.raises(CodecError, match="the limit is 200"):
            await a.bus.send(Letter(source="x" * 300, target=b.name))


@pytest.mark.parametrize(
    ("payload", "status"),
    [({"x": "x" * 500}, JobStatus.LOST), ({"seconds": 0}, JobStatus.COMPLETED)],
)
async def test_a_request_that_can_not_be_read_is_answered(autojump_clock, payload, status):
    """A process with another limit says so, and nobody hangs."""
    server = StreamServer()
    async with runners(server, "asker") as (asker,):
        small = RedisBus(server.client("host"), codec=MessageCodec(max_bytes=400))
        async with WorkerRunner(name="host", bus=small) as host:
            await host.add_workers(Busy("busy"))
            await asker.registry.wait_ready("busy")
            async with asker.job_group(
                "busy", name="wait", payload=payload, cancel_on_error=False
            ) as g:
                pass
            assert g.outcomes["busy"].status is status
            assert bool(small.statistics().refused) is (status is JobStatus.LOST)


async def test_an_answer_that_can_not_be_read_is_an_error(autojump_clock):
    """The requester is told why, though its worker has answered."""
    server = StreamServer()
    async with runners(server, "host") as (host,):
        small = RedisBus(server.client("asker"), codec=MessageCodec(max_bytes=700))

        class Wordy(BaseWorker):
            @job(name="talk")
            async def talk(self, message):
                return {"text": "x" * 1000}

        await host.add_workers(Wordy("wordy"))
        async with WorkerRunner(name="asker", bus=small) as asker:
            with pytest.raises(JobGroupError) as caught:
                async with asker.job_group("wordy", name="talk"):
                    pass
        outcome = caught.value.outcomes["wordy"]
        assert outcome.status is JobStatus.ERROR
        assert "can't be read here" in outcome.error.message
