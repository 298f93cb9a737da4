"""Wrong passwords are told at once, and no password is told to anybody."""

import logging
import time
import traceback

import pytest
import trio
from redis_jobs import wait_for
from redis_servers import open_server

from trioworkers import BusDeniedError, BusDisconnected, BusJobUpdateRequestMessage, WorkerRunner
from trioworkers.bus.redis import RedisBus

SECRET, WRONG, USER = "correct-horse", "battery-staple", "somebody"


def change_password(server, password):
    """Give the server another password."""
    server.call("CONFIG", "SET", "requirepass", password)
    server._password = password


def told(error):
    """Return all that an error tells, with its causes."""
    return repr(error) + "".join(traceback.format_exception(error))


async def test_a_wrong_password_is_told_at_once(kind, namespace, seen):
    """Not after `connect_timeout`: trying again is of no use."""
    with open_server(kind, password=SECRET) as server:
        for url in (
            f"redis://:{WRONG}@127.0.0.1:{server.port}",
            f"redis://{USER}:{WRONG}@127.0.0.1:{server.port}",
            server.url,
        ):
            began = time.monotonic()
            with pytest.raises(BusDeniedError, match="password"):
                async with RedisBus(url, namespace=namespace, connect_timeout=10):
                    pytest.fail("it has started")
            took = time.monotonic() - began
            assert took < 1
        seen(f"{took:.3f} s")


async def test_no_password_is_told(kind, namespace, caplog):
    """Neither in logs, nor by any object or error, whatever goes wrong."""
    caplog.set_level(logging.DEBUG)
    texts = []
    with open_server(kind, password=SECRET) as server:
        at = f"127.0.0.1:{server.port}"
        for url in (f"redis://:{WRONG}@{at}", f"redis://{USER}:{WRONG}@{at}"):
            bus = RedisBus(url, namespace=namespace)
            with pytest.raises(BusDeniedError) as caught:
                await bus.__aenter__()
            texts += [told(caught.value), repr(bus), str(bus), repr(bus.statistics())]
        for url in (f"redis://:{WRONG}@{at}/x", f"http://:{WRONG}@{at}", f"redis://:{WRONG}@:x"):
            with pytest.raises((ValueError, TypeError)) as refused:
                RedisBus(url)
            texts.append(told(refused.value))
        bus = RedisBus(f"redis://:{SECRET}@{at}", namespace=namespace, send_timeout=0.2)
        async with WorkerRunner(name="me", bus=bus) as runner:
            texts += [repr(runner), repr(bus), repr(bus.statistics())]
            change_password(server, WRONG)
            server.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            await wait_for(lambda: bus.statistics().state == "disconnected")
            with pytest.raises(BusDisconnected) as disconnected:
                await bus.send(BusJobUpdateRequestMessage("x", source="me", target="you"))
            await wait_for(lambda: "password" in bus.statistics().reason)
            texts += [told(disconnected.value), repr(bus), repr(bus.statistics())]
            change_password(server, SECRET)
            with trio.fail_after(2):
                await bus.wait_connected()
    texts += [record.getMessage() + repr(record.args) for record in caplog.records]
    texts += [text for record in caplog.records if (text := record.exc_text)]
    assert len(caplog.records) >= 3
    for text in texts:
        assert SECRET not in text
        assert WRONG not in text
