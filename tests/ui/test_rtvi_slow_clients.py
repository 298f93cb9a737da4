"""Clients that don't read, or are gone without a word: nobody else notices."""

import pytest
import trio
import trio.testing
from rtvi_fuzz import masked_frame
from rtvi_servers import connect_raw, encoded, serving, talking

from trioworkers.ui.rtvi import _client


async def read_all(stream):
    """Return all that is left to read, and whether it was cut off."""
    data = b""
    try:
        async for part in stream:
            data += part
    except trio.BrokenResourceError:
        return data, True
    return data, False


@pytest.fixture
def quick(monkeypatch):
    """Little patience."""
    monkeypatch.setattr(_client, "GRACE", 0.5)


async def test_client_that_never_reads_is_cut_off(quick):
    """After the time to stall and some grace; others are answered all the while."""
    async with serving(stall_timeout=0.3) as served, talking(served) as good:
        stream = await connect_raw(served.port)
        async with stream:
            start = trio.current_time()
            await good.ask("flood")
            while served.server.statistics().clients == 2:
                began = trio.current_time()
                await good.ask("echo", 1)
                assert trio.current_time() - began < 0.5
            assert trio.current_time() - start >= 0.8
            data, was_cut = await read_all(stream)
            assert was_cut or not data.endswith(b"it does not read")
        assert served.server.statistics().clients_dropped == 1


async def test_client_that_reads_on_in_time_sees_why(quick):
    """It gets a close frame with 1013, and nothing after the message that took too long."""
    async with serving(stall_timeout=0.3) as served, talking(served) as good:
        stream = await connect_raw(served.port)
        async with stream:
            await good.ask("flood")
            await trio.sleep(0.4)  # longer than the time to stall
            await good.ask("flood")
            assert served.server.statistics().clients_dropped == 1
            data = b""
            with trio.fail_after(5):
                while b"it does not read" not in data:
                    part = await stream.receive_some()
                    assert part
                    data = (data + part)[-200:]
            close = data[data.index(b"it does not read") - 4 :]
            assert close[:1] == b"\x88"
            assert int.from_bytes(close[2:4], "big") == 1013
            await stream.send_all(masked_frame((1013).to_bytes(2, "big"), 8))
        await served.until(lambda now: now.clients == 1)


async def test_client_that_leaves_while_it_is_written_to():
    """In the middle of a message that it has not read."""
    async with serving() as served, talking(served) as good:
        stream = await connect_raw(served.port)
        await good.ask("flood")
        await trio.aclose_forcefully(stream)
        await served.until(lambda now: now.clients == 1)
        await good.ask("echo", 1)
        assert served.server.statistics().clients_dropped == 0


async def test_client_that_is_gone_without_a_word_is_cut_off(monkeypatch, quick):
    """One that answers no ping; one that does, and one that sends, stay."""
    monkeypatch.setattr(_client, "PING_INTERVAL", 0.1)
    monkeypatch.setattr(_client, "PING_TIMEOUT", 0.2)
    async with serving() as served, talking(served):
        silent = await connect_raw(served.port)
        busy = await connect_raw(served.port)
        async with silent, busy:
            for _ in range(20):
                await busy.send_all(masked_frame(encoded("client-message", {"t": "echo"})))
                await trio.sleep(0.05)
            assert served.server.statistics().clients == 2
            data, _ = await read_all(silent)
            assert b"\x89" in data  # it was pinged
        assert served.server.statistics().clients_dropped == 1


async def test_updates_wait_merged_and_ends_are_all_told():
    """A client that reads late gets of the updates the newest, and each end once."""
    async with serving(stall_timeout=30.0) as served, talking(served) as talk:
        stream = await connect_raw(served.port)
        async with stream:
            await talk.ask("flood")
            for _ in range(20):
                updates = [{"n": n, "pad": "x" * 1000} for n in range(50)]
                await talk.ask("start", {"everybody": True, "updates": updates, "waits": False})
            while served.server.statistics().groups:
                await talk.receive()
            data = b""
            with trio.fail_after(10):
                while data.count(b'"kind":"group_completed"') < 20:
                    data += await stream.receive_some()
            assert data.count(b'"kind":"group_started"') == 20
            assert data.count(b'"kind":"job_completed"') == 40
            assert data.count(b'"kind":"job_update"') < 500
        assert served.server.statistics().updates_merged > 0


async def test_client_that_floods_and_does_not_read_leaves_no_task(quick):
    """It is cut off while what it sent waits to be read, and all that served it has ended."""
    async with serving(stall_timeout=0.3, messages_per_second=1.0) as served:
        async with talking(served) as good:
            before = trio.lowlevel.current_statistics().tasks_living
            stream = await connect_raw(served.port)
            async with stream:
                for _ in range(60):
                    await stream.send_all(masked_frame(encoded("client-message", {"t": "echo"})))
                await good.ask("flood")
                await served.until(lambda now: now.clients == 1)
            await trio.testing.wait_all_tasks_blocked(0.01)
            assert trio.lowlevel.current_statistics().tasks_living == before


async def test_client_for_whom_too_much_waits_is_dropped(quick):
    """Before the time to stall is over; memory is bounded."""
    async with serving(stall_timeout=60.0) as served, talking(served) as good:
        stream = await connect_raw(served.port)
        async with stream:
            for _ in range(5):  # 20 MB
                await good.ask("flood")
            await served.until(lambda now: now.clients == 1)
            assert served.server.statistics().clients_dropped == 1


def frames_in(data):
    """Yield opcode and length of each WebSocket frame of a server; all must be whole."""
    while data:
        size, head = {126: (data[2:4], 4), 127: (data[2:10], 10)}.get(data[1], (data[1:2], 2))
        length = int.from_bytes(size, "big")
        assert len(data) >= head + length
        yield data[0] & 15, length
        data = data[head + length :]


async def test_client_that_closes_while_a_message_is_sent_gets_all_of_it():
    """The answer to its close comes after the frame that was under way, and no others."""
    async with serving() as served, talking(served) as good:
        stream = await connect_raw(served.port)
        async with stream:
            await good.ask("flood")
            await stream.send_all(masked_frame((1000).to_bytes(2, "big"), 8))
            await trio.sleep(0.1)
            data, was_cut = await read_all(stream)
        assert not was_cut
        kinds = [opcode for opcode, _ in frames_in(data)]
        assert kinds[-1] == 8
        assert set(kinds[:-1]) == {1}
        assert len(kinds) < 20
        await served.until(lambda now: now.clients == 1)
