"""Connections are cut and servers go away: jobs go on or are lost, none hangs, and all recovers."""

import signal
import time

import pytest
import trio
from redis_jobs import open_pair, wait_for
from redis_proxies import open_proxy
from redis_servers import open_server
from trio.lowlevel import ParkingLot

from trioworkers import JobStatus
from trioworkers.testing._probes import ProbeNote, ProbeSubscriber

JOBS, NOTES = 8, 200
#: Seconds from when the server is up again until a new job has completed.
BACK_WITHIN = 1.0


async def test_a_cut_connection_disturbs_no_job(real_server, namespace, seen):
    """Whichever side was cut: all go on, each is done once and ends once, with all updates."""
    async with open_proxy(real_server.port) as asks, open_proxy(real_server.port) as hosts:
        async with open_pair(asks.url, namespace, hosts_at=hosts.url, lease=2.0) as pair:
            async with trio.open_nursery() as nursery:
                for number in range(JOBS):
                    nursery.start_soon(
                        lambda n=number: pair.ask_steps(f"{n}", count=60, every=0.02)
                    )
                for proxies in ((asks,), (hosts,), (asks, hosts), (hosts,), (asks,)):
                    await trio.sleep(0.2)
                    for proxy in proxies:
                        proxy.cut()
            pair.expect_whole(60)
            for bus in pair.buses:
                statistics = bus.statistics()
                assert statistics.connections == 4
                assert statistics.leases_lost == 0
            seen(f"{JOBS} of {JOBS} completed, once each; no lease lost")


async def test_replies_that_are_lost_repeat_nothing(real_server, namespace, seen):
    """What the server has done, though its answer never came, is not done again."""
    probe = ProbeSubscriber("probe", ParkingLot())
    async with open_proxy(real_server.port) as asks, open_proxy(real_server.port) as hosts:
        async with open_pair(asks.url, namespace, hosts_at=hosts.url, lease=2.0) as pair:
            await pair.hosts.bus.subscribe(probe)
            async with trio.open_nursery() as nursery:
                for number in range(JOBS):
                    nursery.start_soon(
                        lambda n=number: pair.ask_steps(f"{n}", count=60, every=0.02)
                    )
                nursery.start_soon(send_notes, pair.asks.bus)
                for proxy in (asks, hosts) * 3:
                    proxy.drop_replies()
                    await trio.sleep(0.1)
                    proxy.keep_replies()
                    await trio.sleep(0.1)
            pair.expect_whole(60)
            await wait_for(lambda: len(probe.heard) >= NOTES)
            assert probe.numbers() == list(range(NOTES))
            again = sum(bus.statistics().duplicates for bus in pair.buses)
            seen(f"{JOBS} of {JOBS} completed, {NOTES} messages in order, once; {again} duplicates")


async def send_notes(bus):
    """Send numbered messages to the probe."""
    for number in range(NOTES):
        await bus.send(ProbeNote(number, source="asks", target="probe"))
        await trio.sleep(0.003)


async def test_what_was_taken_before_a_cut_is_not_taken_again(real_server, namespace, seen):
    """It is still there, and is read again."""
    probe = ProbeSubscriber("probe", ParkingLot())
    async with open_proxy(real_server.port) as hosts:
        async with open_pair(real_server.url, namespace, hosts_at=hosts.url, lease=2.0) as pair:
            bus = pair.hosts.bus
            await bus.subscribe(probe)
            for number in range(10):
                await pair.asks.bus.send(ProbeNote(number, source="asks", target="probe"))
            await wait_for(lambda: len(probe.heard) == 10)
            hosts.cut()
            await wait_for(lambda: bus.statistics().duplicates)
            await pair.asks.bus.send(ProbeNote(10, source="asks", target="probe"))
            await wait_for(lambda: len(probe.heard) > 10)
            assert probe.numbers() == list(range(11))
            seen(f"{bus.statistics().duplicates} entries came again, and were dropped")


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["SIGTERM", "SIGKILL"])
async def test_a_server_that_restarts_with_its_data_loses_no_job(kind, namespace, how, seen):
    """Away for less than the lease: jobs go on, and none is lost."""
    with open_server(kind, appendonly=True, fsync="always") as server:
        async with open_pair(server.url, namespace, lease=2.0) as pair:
            async with trio.open_nursery() as nursery:
                for number in range(JOBS):
                    nursery.start_soon(
                        lambda n=number: pair.ask_steps(f"{n}", count=40, every=0.02)
                    )
                await trio.sleep(0.3)
                await trio.to_thread.run_sync(server.stop, how)
                down = time.monotonic()
                await trio.sleep(0.5)
                await trio.to_thread.run_sync(server.start)
                gap = time.monotonic() - down
                took = await pair.echo("after")
            assert took < BACK_WITHIN
            pair.expect_whole(40)
            seen(f"down {gap:.2f} s, a new job after {took:.2f} s more; {JOBS} completed")


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["SIGTERM", "SIGKILL"])
async def test_a_server_that_restarts_without_its_data_is_survived(kind, namespace, how, seen):
    """Jobs under way are lost, and told so; nobody hangs; new ones work at once."""
    with open_server(kind) as server:
        async with open_pair(server.url, namespace, lease=2.0) as pair:
            async with trio.open_nursery() as nursery:
                for number in range(JOBS):
                    nursery.start_soon(
                        lambda n=number: pair.ask_steps(f"{n}", count=1000, every=0.02)
                    )
                await trio.sleep(0.3)
                await trio.to_thread.run_sync(server.stop, how)
                down = time.monotonic()
                await trio.sleep(0.5)
                await trio.to_thread.run_sync(server.start)
                up = time.monotonic()
                took = await pair.echo_until_done()
            assert took < BACK_WITHIN
            outcomes = pair.expect_one_outcome_each()
            assert outcomes == {"lost": JOBS}
            told = max(asked.ended for asked in pair.jobs.values()) - up
            assert told < BACK_WITHIN
            seen(
                f"down {up - down:.2f} s, a new job after {took:.2f} s more; "
                f"{JOBS} lost, told after {told:.2f} s",
            )


async def test_a_server_that_is_away_for_longer_than_the_lease(kind, namespace, seen):
    """Jobs end as lost within lease + 1 s, their handlers before that; then all is well again."""
    lease = 1.0
    with open_server(kind, appendonly=True) as server:
        async with open_pair(server.url, namespace, lease=lease) as pair:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(lambda: pair.ask_steps("0", count=1000, every=0.02))
                await trio.sleep(0.2)
                await trio.to_thread.run_sync(server.stop)
                down = time.monotonic()
                stopped = await wait_for(lambda: not pair.worker.running["0"])
                assert stopped < lease
                await wait_for(lambda: pair.jobs["0"].outcomes)
                told = pair.jobs["0"].ended - down
                assert told < lease + 1.05
                await trio.to_thread.run_sync(server.start)
                took = await pair.echo_until_done()
            assert pair.expect_one_outcome_each() == {"lost": 1}
            assert took < BACK_WITHIN
            seen(
                f"handler stopped after {stopped:.2f} s, LOST after {told:.2f} s; "
                f"new job {took:.2f} s after the server was back",
            )


async def test_failover_to_a_replica(kind, namespace, seen):
    """With the first server gone, a replica that was promoted is found by its address."""
    at_once = (("repl-diskless-sync-delay", "0"),)
    with open_server(kind, args=at_once) as first, open_server(kind) as second:
        second.call("REPLICAOF", "127.0.0.1", first.port)
        await wait_for(lambda: b"master_link_status:up" in second.call("INFO", "replication"))
        async with open_pair([first.url, second.url], namespace, lease=3.0) as pair:
            async with trio.open_nursery() as nursery:
                for number in range(JOBS):
                    nursery.start_soon(
                        lambda n=number: pair.ask_steps(f"{n}", count=60, every=0.02)
                    )
                await trio.sleep(0.3)
                assert first.call("WAIT", 1, 1000) == 1
                await trio.to_thread.run_sync(first.stop, signal.SIGKILL)
                await trio.sleep(0.3)
                second.call("REPLICAOF", "NO", "ONE")
                took = await pair.echo_until_done()
            assert took < BACK_WITHIN
            outcomes = pair.expect_one_outcome_each()
            assert all(bus.statistics().address.endswith(str(second.port)) for bus in pair.buses)
            if outcomes[JobStatus.LOST]:  # only if the replica had not got all
                assert any(bus.statistics().leases_lost for bus in pair.buses)
            seen(f"new job {took:.2f} s after the promotion; jobs: {dict(outcomes)}")
