"""What happens when a server, a connection or a process goes, and comes back."""

import logging
from contextlib import suppress

import attrs
import pytest
import trio
from redis_buses import LEASE, Busy, make_bus, pair, runners, until
from support import on_schedules

from trioworkers import (
    BaseWorker,
    BusCancelWorkerMessage,
    BusDataMessage,
    BusDisconnected,
    DuplicateWorkerError,
    JobError,
    JobStatus,
    WorkerRunner,
    wire_tag,
)
from trioworkers.testing.streams import StreamServer
from trioworkers.testing.streams._keys import Keys
from trioworkers.testing.streams._path import Obstacle

ECHO = {"name": "echo", "payload": {"x": 1}}


@wire_tag("test.redis.note")
@attrs.define
class Note(BusDataMessage):
    """A user's message."""

    number: int = 0


async def ask(asker, **options):
    """Ask for a long job; return its outcome, and when it was known."""
    async with asker.job_group("busy", cancel_on_error=False, **options) as group:
        pass
    return group.outcomes["busy"], trio.current_time()


async def works_again(asker, seconds):
    """Check that a job succeeds, at most ``seconds`` from now."""
    with trio.fail_after(seconds):
        await asker.registry.wait_ready("busy")
        assert await asker.call("busy", **ECHO) == {"x": 1}


@on_schedules(20)
async def test_a_short_cut_is_not_noticed_by_jobs():
    """Within the lease, what was under way arrives; each handler runs once."""
    async with pair() as (server, asker, _, busy):
        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(
                    lambda n=number: asker.call("busy", name="wait", payload={"seconds": n / 10})
                )
            for client in ("asker", "host", None):
                await trio.sleep(0.4)
                server.cut(client)
        assert len(busy.begun) == 20
        assert asker.bus.statistics().leases_lost == 0
        assert asker.bus.statistics().connections > 1


@on_schedules(10)
async def test_each_message_arrives_once_however_often_it_is_read():
    """A new connection begins at the start of the stream; what was taken before is known."""
    async with pair() as (server, asker, host, _):
        heard = []

        class Listener(BaseWorker):
            async def on_bus_message(self, message):
                if type(message) is Note:
                    heard.append(message.number)

        await host.add_workers(Listener("listener"))
        await asker.registry.wait_ready("listener")
        for number in range(30):
            await asker.bus.send(Note(number, source=asker.name, target="listener"))
            if number % 10 == 9:
                server.cut("host")
                await trio.sleep(1)
        await until(lambda: len(heard) >= 30)
        await trio.sleep(1)
        assert heard == list(range(30))
        assert host.bus.statistics().duplicates > 0


@on_schedules(10)
async def test_a_server_that_is_away_for_a_while_delays_jobs():
    """Requests wait for it, and so do answers."""
    async with pair() as (server, asker, _, busy):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: asker.call("busy", name="wait", payload={"seconds": 1}))
            await trio.sleep(0.5)
            server.shut_down()
            nursery.start_soon(lambda: asker.call("busy", **ECHO))
            await trio.sleep(2)
            assert len(busy.begun) == 1
            server.come_back()
        assert len(busy.begun) == 2


@on_schedules(10)
async def test_a_requester_that_is_cut_off_is_released_and_its_handler_stopped():
    """Its jobs are LOST within a second of its lease; the handler was stopped before that."""
    async with pair() as (server, asker, host, busy):
        outcomes = []

        async def lose():
            outcomes.append(await ask(asker, name="wait"))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(lose)
            await until(lambda: busy.begun)
            obstacle = Obstacle(refuses=True)
            server.client("asker").path.obstruct(obstacle)
            server.cut("asker")
        ((outcome, at),) = outcomes
        assert outcome.status is JobStatus.LOST
        assert busy.ended[0] <= at <= busy.begun[0] + LEASE + 2
        server.client("asker").path.free(obstacle)
        await works_again(asker, 2)
        assert host.bus.statistics().peers == 1


@on_schedules(10)
async def test_a_responder_that_is_cut_off_stops_before_its_requester_is_released():
    """On its own clock, a margin before its lease ends; and it comes back as somebody new."""
    async with pair() as (server, asker, host, busy):
        outcomes = []

        async def lose():
            outcomes.append(await ask(asker, name="wait"))

        before = host.bus.statistics().incarnation
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lose)
            await until(lambda: busy.begun)
            cut_at = trio.current_time()
            obstacle = Obstacle(refuses=True)
            server.client("host").path.obstruct(obstacle)
            server.cut("host")
        ((outcome, at),) = outcomes
        assert outcome.status is JobStatus.LOST
        assert busy.ended[0] < at
        assert busy.ended[0] <= cut_at + LEASE
        assert at <= cut_at + LEASE + 1
        server.client("host").path.free(obstacle)
        await works_again(asker, 3)
        assert host.bus.statistics().incarnation != before


@on_schedules(10)
async def test_a_process_that_vanishes_on_a_quiet_bus_is_missed():
    """Nobody says that it has gone, and nobody else does anything."""
    server = StreamServer()
    async with runners(server, "asker") as (asker,):
        outcomes = []

        async def lose():
            outcomes.append(await ask(asker, name="wait"))

        async def host():
            runner = WorkerRunner(name="host", bus=make_bus(server, "host"))
            async with runner:
                busy = Busy("busy")
                await runner.add_workers(busy)
                await until(lambda: busy.begun)
                server.client("host").path.obstruct(Obstacle(refuses=True))
                server.cut("host")
                gone_at.append(trio.current_time())
                await trio.sleep_forever()

        gone_at = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lose)
            nursery.start_soon(host)
            await until(lambda: outcomes)
            nursery.cancel_scope.cancel()
        ((outcome, at),) = outcomes
        assert outcome.status is JobStatus.LOST
        assert at <= gone_at[0] + LEASE + 1


async def test_a_server_that_has_lost_everything_is_joined_anew(autojump_clock):
    """All come back under new incarnations; what was under way is LOST, and new jobs work."""
    async with pair() as (server, asker, host, busy):
        outcomes = []

        async def lose():
            outcomes.append(await ask(asker, name="wait"))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(lose)
            await until(lambda: busy.begun)
            server.shut_down()
            server.come_back(Keys())
            back_at = trio.current_time()
        assert outcomes[0][0].status is JobStatus.LOST
        assert outcomes[0][1] <= back_at + 1
        await works_again(asker, 1)
        assert len(busy.ended) == 1
        assert host.bus.statistics().leases_lost == 1


@on_schedules(10)
async def test_a_server_that_takes_nothing_new_for_very_long():
    """Who waits for a cancel that can't be sent is released, and the handler stopped."""
    async with pair() as (server, asker, _, busy):
        with trio.move_on_after(1):
            async with asker.job("busy", name="wait"):
                await until(lambda: busy.begun)
                server.model.out_of_memory = True
                await trio.sleep_forever()
        assert len(busy.ended) == 1
        assert trio.current_time() <= 1 + 3 * LEASE + 2
        assert asker.bus.statistics().state == "disconnected"
        server.model.out_of_memory = False
        await works_again(asker, 1)


# Waiting for the server


@on_schedules(10)
async def test_a_sender_waits_for_the_server_so_long_and_no_longer():
    """Then it is told, and the message isn't delivered later on."""
    async with pair() as (server, asker, host, _):
        delivered = host.bus.statistics().delivered
        server.shut_down()
        await trio.sleep(0.1)
        before = trio.current_time()
        with pytest.raises(BusDisconnected, match="the connection was refused"):
            await asker.bus.send(Note(source=asker.name, target="busy"))
        assert trio.current_time() == pytest.approx(before + 3, abs=0.01)
        server.come_back()
        await works_again(asker, 1)
        assert host.bus.statistics().missed == 0
        # The job, and nothing else.
        assert host.bus.statistics().delivered <= delivered + 3


@on_schedules(10)
async def test_a_request_that_can_not_be_sent_is_lost():
    """After as long as a sender waits; it is never delivered."""
    async with pair() as (server, asker, _, busy):
        server.shut_down()
        await trio.sleep(0.1)
        before = trio.current_time()
        with pytest.raises(JobError, match="can't be reached"):
            await asker.call("busy", **ECHO)
        assert trio.current_time() == pytest.approx(before + 3, abs=0.01)
        server.come_back()
        await works_again(asker, 1)
        assert len(busy.begun) == 1


async def test_waiting_for_the_connection(autojump_clock):
    """`wait_connected` returns when messages can be sent again."""
    async with pair() as (server, asker, _, _):
        server.shut_down()
        await trio.sleep(0.1)
        with trio.move_on_after(1) as scope:
            await asker.bus.wait_connected()
        assert scope.cancelled_caught
        assert asker.bus.statistics().state == "disconnected"
        server.come_back()
        with trio.fail_after(1):
            await asker.bus.wait_connected()


async def test_a_server_that_is_not_there_at_the_start(autojump_clock):
    """Entering raises after `connect_timeout`."""
    server = StreamServer()
    server.shut_down()
    with pytest.raises(BusDisconnected, match="the connection was refused"):
        async with make_bus(server, "early", connect_timeout=4.0):
            pass
    assert trio.current_time() == pytest.approx(4, abs=0.1)


async def test_one_log_line_for_each_change(autojump_clock, caplog):
    """However often it is tried to connect."""
    caplog.set_level(logging.INFO, logger="trioworkers.bus.redis")
    server = StreamServer()
    async with make_bus(server, "bus"):
        server.shut_down()
        await trio.sleep(3)
        server.come_back()
        await trio.sleep(1)
    assert [record.message.partition(":")[2].split()[0] for record in caplog.records] == [
        "connected",
        "disconnected",
        "connected",
        "stopped",
    ]


@on_schedules(10)
async def test_leaving_never_depends_on_the_server():
    """With the server gone, a runner ends, and its workers with it."""
    server = StreamServer()
    with trio.fail_after(10):
        async with runners(server, "asker") as (asker,):
            await asker.add_workers(Busy("busy"))
            await trio.sleep(0.1)
            server.shut_down()


def hold_up_reading(runner):
    """Let a runner's bus read nothing more from now on, until the returned event is set."""
    reader, go_on = runner.bus._reader, trio.Event()
    read = reader._read

    async def read_later(session):
        await go_on.wait()
        await read(session)

    reader._read = read_later
    return go_on


@on_schedules(5)
async def test_who_gets_a_name_knows_that_its_former_owner_has_gone():
    """Also if the claim's reply comes before the news; the new worker can start at once."""
    async with pair() as (server, asker, _, _busy):
        server.client("host").path.obstruct(Obstacle(refuses=True))
        server.cut("host")
        await trio.sleep(LEASE / 2)
        hold_up_reading(asker)
        await trio.sleep(LEASE)
        assert "busy" in asker.registry
        async with asker.bus.claiming("busy"):
            assert "busy" not in asker.registry


@on_schedules(5)
async def test_what_a_process_has_sent_before_it_left_arrives():
    """Also if the bus hears that it has gone, by sending to it, before all of that is read."""
    heard = []

    class Listener(BaseWorker):
        async def on_bus_message(self, message):
            if type(message) is Note and message.target:
                heard.append(message.number)

    server = StreamServer()
    async with runners(server, "asker") as (asker,):
        await asker.add_workers(Listener("listener"))
        async with runners(server, "host") as (host,):
            await host.registry.wait_ready("listener")
            go_on = hold_up_reading(asker)
            await trio.sleep(6)  # after which no read is under way
            for number in range(10):
                await host.bus.send(Note(number, source=host.name, target="listener"))
        await asker.bus.send(Note(source=asker.name))
        go_on.set()
        await until(lambda: len(heard) == 10)
        assert heard == list(range(10))


@on_schedules(5)
async def test_a_handler_stops_whose_requester_was_never_ready_when_its_process_goes():
    """A worker can ask before it is ready, so that other runners have never heard of it."""

    class Early(BaseWorker):
        async def start(self):
            with suppress(JobError):
                await self.call("busy", name="wait")
            await super().start()

    async with pair() as (server, asker, _, busy):
        await asker.add_workers(Early("early"))
        await until(lambda: busy.begun)
        server.client("asker").path.obstruct(Obstacle(refuses=True))
        server.cut("asker")
        with trio.fail_after(LEASE + 1):
            await until(lambda: busy.ended)


@on_schedules(5)
async def test_a_name_that_another_process_takes_over_is_known_whatever_is_read_first():
    """That the new worker is ready is read together with the news that the old one has gone."""
    server = StreamServer()
    async with runners(server, "asker", "host", "heir") as (asker, host, heir):
        await host.add_workers(Busy("busy"))
        await heir.add_workers(Busy("other"))
        await asker.registry.wait_ready("busy", "other")
        server.client("host").path.obstruct(Obstacle(refuses=True))
        server.cut("host")
        await trio.sleep(LEASE / 2)
        go_on = hold_up_reading(asker)
        new = Busy("busy")
        while True:
            try:
                await heir.add_workers(new)
                break
            except DuplicateWorkerError:
                await trio.sleep(0.1)
        await trio.sleep(1)
        go_on.set()
        await until(lambda: asker.registry.get("busy").runner == "heir")
        await works_again(asker, 10)
        assert new.begun


@on_schedules(5)
async def test_a_lease_that_is_lost_ends_the_session():
    """Whoever notices it: a new lease begins with a new session."""
    async with pair() as (_, asker, _host, _busy):
        asker.bus._membership.lose("for a test")
        assert asker.bus.statistics().state == "disconnected"
        await works_again(asker, 2)


@on_schedules(5)
async def test_what_is_posted_stays_in_order_while_its_target_is_looked_for():
    """Though the owner of the name becomes known meanwhile, by another way."""
    heard = []

    class Listener(BaseWorker):
        async def on_bus_message(self, message):
            if type(message) is Note:
                heard.append(message.number)

    async with pair() as (_, asker, host, _busy):
        await host.add_workers(Listener("listener"))
        await asker.registry.wait_ready("listener")
        owners = asker.bus._membership.peers.owners
        owner = owners.pop("listener")
        asker.bus.post(Note(1, source=asker.name, target="listener"))
        owners["listener"] = owner
        asker.bus.post(Note(2, source=asker.name, target="listener"))
        await until(lambda: len(heard) == 2)
        assert heard == [1, 2]


@on_schedules(5)
async def test_a_handler_stops_in_time_though_much_waits_to_be_read():
    """What a process sent before it went is still read; what it asked for is stopped at once."""
    server = StreamServer()
    async with runners(server, "asker", "host", "other") as (asker, host, other):
        busy = Busy("busy")
        await host.add_workers(busy)
        for runner in (asker, other):
            await runner.registry.wait_ready("busy")
        unpack = host.bus._reader._unpack

        async def unpack_slowly(id_, body):
            await trio.sleep(1)
            return await unpack(id_, body)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: ask(asker, name="wait"))
            await until(lambda: busy.begun)
            cut_at = trio.current_time()
            server.client("asker").path.obstruct(Obstacle(refuses=True))
            server.cut("asker")
            await trio.sleep(LEASE - 1)
            host.bus._reader._unpack = unpack_slowly
            for number in range(30):
                await other.bus.send(Note(number, source=other.name, target="busy"))
            await until(lambda: busy.ended)
        assert busy.ended[0] <= cut_at + LEASE + 1


@on_schedules(5)
async def test_nothing_is_owed_for_a_worker_that_has_left():
    """Also for what comes after it left."""
    async with pair() as (_, asker, host, busy):
        peer = asker.bus._membership.peers.owners["busy"]
        await host.bus.send(BusCancelWorkerMessage(source="host", target="busy"))
        await busy.wait()
        asker.bus._membership.peers.owners["busy"] = peer
        asker.bus.post(Note(source=asker.name, target="busy"))
        await trio.sleep(1)
        assert host.bus.statistics().missed
        assert not len(host.bus._receiver.debts)
