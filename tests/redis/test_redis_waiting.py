"""A server that is slow, mute or not there: all waits are bounded, and each change is told."""

import logging
import signal
import time

import pytest
import trio
from redis_jobs import Host, open_pair, wait_for
from redis_proxies import open_proxy
from redis_servers import free_port, open_server

from trioworkers import BusDisconnected, BusJobUpdateRequestMessage, WorkerRunner
from trioworkers.bus.redis import RedisBus


def ping():
    """Return a message for "host" that it ignores."""
    return BusJobUpdateRequestMessage("x", source="asks", target="host")


async def test_a_mute_server_is_given_up_and_found_again(real_server, namespace, seen):
    """Its connections are dropped after the command timeout; jobs go on when it speaks."""
    async with open_proxy(real_server.port) as proxy:
        async with open_pair(proxy.url, namespace, lease=3.0, command_timeout=0.3) as pair:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(lambda: pair.ask_steps("0", count=60, every=0.02))
                await wait_for(lambda: pair.jobs["0"].updates)
                proxy.mute()
                down = {"disconnected"}
                found = await wait_for(
                    lambda: {bus.statistics().state for bus in pair.buses} == down
                )
                assert found < 1.6  # until it was to be renewed, 1 s, and 0.3 s
                assert "didn't answer in time" in pair.asks.bus.statistics().reason
                await trio.sleep(0.5)
                proxy.unmute()
                back = await pair.echo()
            assert back < 1
            pair.expect_whole(60)
            seen(f"noticed after {found:.2f} s, new job {back:.2f} s after it spoke; job completed")


async def test_a_slow_server_is_waited_for(real_server, namespace, seen):
    """Jobs take longer; no connection is dropped, no lease lost."""
    async with open_proxy(real_server.port) as proxy:
        async with open_pair(proxy.url, namespace, lease=1.0) as pair:
            proxy.delay = 0.15
            took = [await pair.echo() for _ in range(3)]
            assert max(took) < 1.5
            assert min(took) > 0.15
            proxy.delay = 0.0
            for bus in pair.buses:
                statistics = bus.statistics()
                assert (statistics.connections, statistics.leases_lost) == (1, 0)
            seen(f"each reply 0.15 s late: a job took {min(took):.2f} to {max(took):.2f} s")


async def test_sending_while_disconnected_waits_and_then_raises(real_server, namespace, seen):
    """For `send_timeout`; what is sent before that goes out, in order, when the server is back."""
    async with open_proxy(real_server.port) as proxy:
        async with open_pair(proxy.url, namespace, lease=3.0, send_timeout=0.8) as pair:
            await proxy.refuse()
            proxy.cut()
            began = time.monotonic()
            with pytest.raises(BusDisconnected, match=r"waited 0[.]8 s") as caught:
                await pair.asks.bus.send(ping())
            waited = time.monotonic() - began
            assert 0.8 <= waited < 1.2
            assert caught.value.state == "disconnected"
            with trio.move_on_after(0.1) as scope:
                await pair.asks.bus.wait_connected()
            assert scope.cancelled_caught
            async with trio.open_nursery() as nursery:
                nursery.start_soon(pair.asks.bus.send, ping())
                await trio.sleep(0.1)
                began = time.monotonic()
                await proxy.accept()
                await pair.asks.bus.wait_connected()
                connected = time.monotonic() - began
            await pair.echo()
            assert connected < 1
            seen(f"raised after {waited:.2f} s; connected {connected:.2f} s after it was back")


async def test_each_change_of_state_is_one_log_line(kind, namespace, caplog):
    """However often connecting was tried in vain."""
    caplog.set_level(logging.INFO, "trioworkers.bus.redis")
    with open_server(kind) as server:
        async with RedisBus(server.url, namespace=namespace, incarnation="me") as bus:
            for _ in range(2):
                server.stop(signal.SIGKILL)
                await wait_for(lambda: bus.statistics().state == "disconnected")
                await trio.sleep(0.5)
                await trio.to_thread.run_sync(server.start)
                await bus.wait_connected()
    lines = [record.getMessage() for record in caplog.records if record.name.endswith("redis")]
    changes = [line.split()[1] for line in lines if "lost its lease" not in line]
    assert changes == ["connected", *["disconnected", "connected"] * 2, "stopped"]
    assert all(server.url in line for line in lines if "lost its lease" not in line)
    assert len(lines) == len(changes) + 2


@pytest.mark.parametrize("what", ["killed", "mute"])
async def test_shutdown_does_not_need_the_server(kind, namespace, what, seen):
    """Two runners with jobs between them end in bounded time, whatever the server does."""
    lease = 1.0
    with open_server(kind) as server:
        async with open_pair(server.url, namespace, lease=lease, send_timeout=0.5) as pair:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(lambda: pair.ask_steps("0", count=10_000, every=0.02))
                await wait_for(lambda: pair.jobs["0"].updates)
                if what == "killed":
                    server.stop(signal.SIGKILL)
                else:
                    server.pause()
                began = time.monotonic()
                nursery.cancel_scope.cancel()
            left = time.monotonic() - began
        took = time.monotonic() - began
        assert pair.worker.running["0"] == 0
        assert left < lease + 1.2
        assert took < lease + 1.2 + 2 * 0.8
        seen(f"block left after {left:.2f} s (lease {lease}), both runners after {took:.2f} s")


async def test_shutdown_of_an_idle_runner_without_the_server_is_quick(kind, namespace, seen):
    """Saying goodbye is tried for `send_timeout`; nothing else waits for the server."""
    with open_server(kind) as server:
        bus = RedisBus(server.url, namespace=namespace, send_timeout=0.3)
        async with WorkerRunner(bus=bus) as runner:
            await runner.add_workers(Host())
            server.stop(signal.SIGKILL)
            await wait_for(lambda: runner.bus.statistics().state == "disconnected")
            began = time.monotonic()
        took = time.monotonic() - began
        assert took < 0.8
        seen(f"{took:.3f} s (send_timeout 0.3)")


@pytest.mark.parametrize("how", ["refuses", "mute"])
async def test_a_start_without_a_server_fails_in_time(real_server, namespace, how, seen):
    """The error says where, and what went wrong; nothing is left running."""
    async with open_proxy(real_server.port) as proxy:
        if how == "refuses":
            await proxy.refuse()
        else:
            proxy.mute()
        began = time.monotonic()
        with pytest.raises(BusDisconnected, match=r"waited 0[.]7 s") as caught:
            async with RedisBus(proxy.url, namespace=namespace, connect_timeout=0.7):
                pytest.fail("it has started")
        took = time.monotonic() - began
        assert 0.65 < took < 1.2
        assert caught.value.bus == proxy.url
        assert caught.value.reason
        seen(f"after {took:.2f} s (connect_timeout 0.7): {caught.value}")


async def test_a_start_waits_for_a_server_that_comes(kind, namespace):
    """Within `connect_timeout`."""
    port = free_port()
    async with trio.open_nursery() as nursery:
        bus = RedisBus(f"redis://127.0.0.1:{port}", namespace=namespace)
        nursery.start_soon(nursery.start, bus.run)
        await trio.sleep(0.3)
        assert not bus.is_running
        with open_server(kind, port=port):
            with trio.fail_after(1):
                await bus.wait_connected()
            nursery.cancel_scope.cancel()
