"""How an RTVI server ends, whatever goes on: clients are told, and nothing is left."""

import os
import random
import signal
import subprocess
import sys
import tempfile
import textwrap
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import attrs
import pytest
import trio
import trio.testing
from rtvi_fuzz import masked_frame, upgrade_request
from rtvi_servers import Desk, Peer, Served, connect_raw, fetch, serving, talking
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from trioworkers import BusEndWorkerMessage, WorkerRunner
from trioworkers.ui.rtvi import RTVIServer, _server


async def is_free(port):
    """Whether nobody listens at a port any more."""
    try:
        stream = await trio.open_tcp_stream("127.0.0.1", port)
    except OSError:
        return True
    await stream.aclose()
    return False


async def test_stop_closes_clients_with_1001():
    """What waits for them is sent first; the port is free when `stop` returns."""
    async with serving() as served, talking(served) as talk, talking(served, binary=True) as other:
        await talk.send("client-message", {"t": "echo", "d": 1})
        await served.until(lambda now: now.messages_received == 3 and not now.requests)
        await served.server.stop()
        assert await is_free(served.port)
        assert (await talk.receive())["data"]["d"] == 1
        assert await talk.closed() == (1001, "the server stops")
        assert (await other.closed())[0] == 1001


async def test_stop_waits_for_no_handshake():
    """Connections that have said nothing, or half a request, or are half closed, go at once."""
    async with serving() as served:
        streams = [await trio.open_tcp_stream("127.0.0.1", served.port) for _ in range(3)]
        await streams[1].send_all(upgrade_request(served.port)[:50])
        await streams[2].send_all(upgrade_request(served.port) + masked_frame(b"x" * 100)[:50])
        await served.until(lambda now: now.clients == 1)
        begun = trio.current_time()
        await served.server.stop()
        assert trio.current_time() - begun < _server.CLOSE_SECONDS + 1
        for stream in streams:
            async with stream:
                with suppress(trio.BrokenResourceError):
                    async for _ in stream:
                        pass


async def test_stop_waits_for_idle_connections_not_at_all():
    """Without clients it takes no time, whoever has connected."""
    async with serving() as served:
        stream = await trio.open_tcp_stream("127.0.0.1", served.port)
        await trio.sleep(0.05)
        begun = trio.current_time()
        await served.server.stop()
        assert trio.current_time() - begun < 1
        await stream.aclose()


async def test_stop_does_not_wait_long_for_clients_that_do_not_read(monkeypatch):
    """It is bounded, and the client is cut off."""
    monkeypatch.setattr(_server, "CLOSE_SECONDS", 0.3)
    async with serving() as served, talking(served) as talk:
        stream = await connect_raw(served.port)
        await talk.ask("flood")
        begun = trio.current_time()
        await served.server.stop()
        assert 0.2 < trio.current_time() - begun < 2
        await stream.aclose()
        assert served.server.statistics().clients == 0
        assert await is_free(served.port)


async def test_exception_in_the_body_leaves_as_it_is():
    """Clients see 1001; the exception is in no group; the port is free."""
    codes = []
    async with trio.open_nursery() as nursery:

        async def watch(served):
            async with talking(served) as talk:
                ready.set()
                codes.append((await talk.closed())[0])

        ready = trio.Event()
        with pytest.raises(KeyError, match="mine"):
            async with serving() as served:
                nursery.start_soon(watch, served)
                await ready.wait()
                raise KeyError("mine")
    assert codes == [1001]
    assert await is_free(served.port)


async def test_graceful_end_tells_what_becomes_of_groups():
    """Those in flight are finished and told; then clients see 1001."""
    async with serving() as served, talking(served) as talk:
        await talk.ask("start")
        await talk.until("ui-job-group", kind="group_started")
        served.runner.end_nowait()
        await trio.sleep(0.05)
        served.release()
        ends = [await talk.until("ui-job-group", kind="job_completed") for _ in range(2)]
        assert {end["data"]["status"] for end in ends} == {"completed"}
        await talk.until("ui-job-group", kind="group_completed")
        assert await talk.closed() == (1001, "the server stops")


async def test_server_that_ends_alone_waits_for_no_group():
    """Its UI worker goes on, and so do the groups."""
    async with serving() as served, talking(served) as talk:
        await talk.ask("start", {"everybody": True})
        await talk.until("ui-job-group", kind="group_started")
        served.runner.bus.post(BusEndWorkerMessage(source="runner", target="server"))
        assert (await talk.closed())[0] == 1001
        with trio.fail_after(5):
            await served.server.wait()
        assert len(served.desk.job_groups) == 1
        again = RTVIServer("again", ui_worker="desk")
        await again.bind()
        await served.runner.add_workers(again)
        async with talking(Served(served.runner, again, served.desk, served.peers)) as late:
            await late.until("ui-job-group", kind="group_started")


async def test_bound_server_that_never_runs_is_closed():
    """A runner that ends before it starts gives the port back."""
    server = RTVIServer(ui_worker="desk")
    await server.bind()
    runner = WorkerRunner()
    await runner.add_workers(server)
    server.abandon()
    assert await is_free(server.port)


async def test_nothing_is_left_running():
    """Whenever it is cancelled from outside: no Trio task, and no socket that listens."""
    chance = random.Random(5)
    before = trio.lowlevel.current_statistics().tasks_living
    for _ in range(25):
        server = RTVIServer(ui_worker="desk")
        await server.bind()

        async def live(server=server):
            async with WorkerRunner() as runner:
                served = Served(runner, server, Desk(), [])
                await runner.add_workers(Peer("one"), Peer("two"), served.desk, server)
                async with trio.open_nursery() as nursery:
                    for version in ("1.3.0", None, "2.0.0"):
                        nursery.start_soon(chat, served, version)

        async def chat(served, version):
            with suppress(ConnectionClosed, InvalidHandshake, OSError, trio.TooSlowError):
                async with talking(served, version=version) as talk:
                    while True:
                        await talk.send("ui-event", {"event": "start"})
                        await talk.send("client-message", {"t": "stuck"})
                        await talk.receive()

        with trio.move_on_after(chance.random() ** 2 * 0.3):
            await live()
        server.unbind()
        assert await is_free(server.port)
    await trio.testing.wait_all_tasks_blocked()
    assert trio.lowlevel.current_statistics().tasks_living == before


PROGRAM = """
    import resource
    import trio
    from rtvi_servers import PAGES, Desk
    from trioworkers import WorkerRunner
    from trioworkers.ui.rtvi import RTVIServer

    async def main():
        options = {"messages_per_second": 10_000, "pages": PAGES}
        server = RTVIServer(ui_worker="desk", **options)
        await server.bind()
        async with WorkerRunner() as runner:
            await runner.add_workers(Desk(), server)
            await server.wait_running()
            print(server.port, flush=True)
            await trio.sleep_forever()

    resource.setrlimit(resource.RLIMIT_NOFILE, (60, 60))
    trio.run(main)
"""


@asynccontextmanager
async def program():
    """Run a server in a process of its own; yield that, and its port."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with tempfile.TemporaryFile() as errors:
        child = await trio.lowlevel.open_process(
            [sys.executable, "-c", textwrap.dedent(PROGRAM)],
            stdout=subprocess.PIPE,
            stderr=errors,
            env=environment,
        )
        try:
            with trio.fail_after(30):
                yield child, int(await child.stdout.receive_some()), errors
        finally:
            child.kill()
            with trio.move_on_after(10, shield=True):
                await child.wait()
            await trio.aclose_forcefully(child.stdout)


def said(errors):
    """Return what a program has written to standard error."""
    errors.seek(0)
    return errors.read().decode()


async def test_control_c_closes_busy_clients_with_1001():
    """Whatever the server does for them just then: the interrupt goes to the main Trio task."""
    closed, busy = [], trio.Semaphore(0)

    async def keep_busy(served):
        async with talking(served) as talk:
            with suppress(ConnectionClosed):
                while True:
                    await talk.ask("echo", "x" * 500)
                    busy.release()
            closed.append(talk.socket.close_code)

    async with program() as (child, port, errors):
        served = Served(None, attrs.make_class("At", ["port"])(port), None, [])
        async with trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(keep_busy, served)
            for _ in range(100):
                await busy.acquire()
            child.send_signal(signal.SIGINT)
        await child.wait()
        assert closed == [1001] * 10
        assert said(errors).rstrip().endswith("\nKeyboardInterrupt")


async def test_too_many_files_are_no_end():
    """Connections for which the system has no room wait until there is."""
    async with program() as (_, port, errors):
        async with AsyncExitStack() as streams:
            for _ in range(80):
                await streams.enter_async_context(await trio.open_tcp_stream("127.0.0.1", port))
            while True:
                await trio.sleep(0.02)
                if "can't accept" in said(errors):
                    break
        assert (await fetch(port)).status == 200
