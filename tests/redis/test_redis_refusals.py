"""A server that answers, but does not do what it is told: it is full, read-only, or loads."""

import signal
import time
from functools import partial

import pytest
import trio
from redis_jobs import open_pair, wait_for
from redis_servers import open_server

from trioworkers import BusDisconnected, BusJobUpdateRequestMessage, JobStatus

LEASE, SEND_TIMEOUT = 0.9, 0.4
OPTIONS = {"lease": LEASE, "send_timeout": SEND_TIMEOUT}


def states(pair):
    """Return how both links stand."""
    return {bus.statistics().state for bus in pair.buses}


async def send_in_vain(pair):
    """Send something; return the error, and the seconds that it took to come."""
    began = time.monotonic()
    with pytest.raises(BusDisconnected) as caught, trio.fail_after(5):
        await pair.asks.bus.send(BusJobUpdateRequestMessage("x", source="asks", target="host"))
    return caught.value, time.monotonic() - began


async def test_a_server_out_of_memory_is_waited_for(kind, namespace, seen):
    """Sends wait, then fail; leases are kept; what waits goes out when there is memory again."""
    with open_server(kind) as server:
        async with open_pair(server.url, namespace, **OPTIONS) as pair:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(lambda: pair.ask_steps("0", count=10, every=0.05))
                await wait_for(lambda: pair.jobs["0"].updates)
                server.call("CONFIG", "SET", "maxmemory", 1)
                error, waited = await send_in_vain(pair)
                assert error.state == "refused"
                assert "OOM" in error.reason
                assert SEND_TIMEOUT <= waited < SEND_TIMEOUT + 0.5
                async with pair.asks.job_group(
                    "host", name="echo", payload={"key": "no"}, cancel_on_error=False
                ) as group:
                    pass
                outcome = group.outcomes["host"]
                assert outcome.status is not JobStatus.COMPLETED
                assert "OOM" in outcome.error.message
                await trio.sleep(1.5 * LEASE)
                assert len(pair.jobs["0"].updates) < 10
                server.call("CONFIG", "SET", "maxmemory", 0)
                back = await pair.echo_until_done()
            assert back < 1
            pair.expect_whole(10)
            assert pair.worker.begun["no"] == 0
            for bus in pair.buses:
                statistics = bus.statistics()
                assert (statistics.connections, statistics.leases_lost) == (1, 0)
            assert states(pair) == {"connected"}
            seen(
                f"send failed after {waited:.2f} s (send_timeout {SEND_TIMEOUT}), leases kept for "
                f"{1.5 * LEASE + waited:.1f} s (lease {LEASE}), new job {back:.2f} s after; "
                "job under way completed"
            )


async def test_a_server_that_is_read_only_for_a_while(kind, namespace, seen):
    """As a replica it is of no use; when it is promoted again, jobs go on."""
    with open_server(kind) as server:
        async with open_pair(server.url, namespace, lease=2.0) as pair:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(lambda: pair.ask_steps("0", count=40, every=0.02))
                await wait_for(lambda: pair.jobs["0"].updates)
                server.call("REPLICAOF", "127.0.0.1", 1)
                await wait_for(lambda: states(pair) == {"disconnected"})
                await trio.sleep(0.3)
                for bus in pair.buses:
                    assert "read only replica" in bus.statistics().reason
                server.call("REPLICAOF", "NO", "ONE")
                back = await pair.echo()
            assert back < 1
            pair.expect_whole(40)
            seen(f"new job {back:.2f} s after it took writes again; job under way completed")


async def test_a_server_that_loads_its_data_is_waited_for(kind, namespace, seen):
    """While it loads it is of no use; then jobs go on."""
    slowly = (("key-load-delay", "100"), ("loading-process-events-interval-bytes", "1024"))
    with open_server(kind, appendonly=True, fsync="always", args=slowly) as server:
        server.call("EVAL", "for i = 1, 12000 do redis.call('SET', 'k' .. i, i) end", 0)
        async with open_pair(server.url, namespace, lease=5.0) as pair:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(lambda: pair.ask_steps("0", count=40, every=0.02))
                await wait_for(lambda: pair.jobs["0"].updates)
                await trio.to_thread.run_sync(server.stop, signal.SIGKILL)
                began = time.monotonic()
                await trio.to_thread.run_sync(lambda: server.start(may_load=True))
                reasons = set()

                def is_back():
                    reasons.update(bus.statistics().reason for bus in pair.buses)
                    return states(pair) == {"connected"}

                await wait_for(is_back)
                gap = time.monotonic() - began
                assert b"loading:0" in server.call("INFO", "persistence")
                back = await pair.echo()
            assert any("loading" in reason.lower() for reason in reasons), reasons
            assert back < 1
            pair.expect_whole(40)
            seen(
                f"connected {gap:.2f} s after its start; new job {back:.2f} s after; job completed"
            )


async def test_a_server_that_messages_have_filled_is_freed_by_reading_them(kind, namespace, seen):
    """What has been read is deleted, although nothing can be sent; then the rest goes out."""
    with open_server(kind) as server:
        async with open_pair(server.url, namespace, lease=2.0, send_timeout=10.0) as pair:
            for line in server.call("INFO", "memory").splitlines():
                if line.startswith(b"used_memory:"):
                    server.call("CONFIG", "SET", "maxmemory", int(line[12:]) + 4_000_000)
            met = set()

            async def watch():
                while True:
                    met.update(states(pair))
                    await trio.sleep(0.002)

            began = time.monotonic()
            async with trio.open_nursery() as watching:
                watching.start_soon(watch)
                async with trio.open_nursery() as nursery:
                    for number in range(100):
                        nursery.start_soon(partial(pair.echo, f"{number:0>200000}"))
                watching.cancel_scope.cancel()
            took = time.monotonic() - began
            assert "refused" in met
            assert set(pair.worker.begun.values()) == {1}
            seen(f"100 jobs of 0.2 MB with 4 MB of room: {took:.2f} s")
