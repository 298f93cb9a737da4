"""A real server, and workers to run, for the commands that join a bus of many processes."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from redis_servers import RealServer, open_server

WORKERS = '''
import pathlib
import time

import trio

from trioworkers import BaseWorker, JobError, job

HERE = pathlib.Path(__file__).parent


class Clerk(BaseWorker):
    """Notes in files what it does."""

    @job(name="add")
    async def add(self, message):
        return {"sum": sum(message.payload["numbers"])}

    @job(name="work")
    async def work(self, message):
        (HERE / "begun").touch()
        for number in range(message.payload.get("steps", 10**6)):
            try:
                await self.send_job_update(message.job_id, {"step": number})
                await trio.sleep(message.payload.get("seconds", 0.05))
            except BaseException as error:
                (HERE / "cancelled").write_text(repr(error))
                raise
        (HERE / "finished").touch()
        return {"done": True}

    @job(name="deaf")
    async def deaf(self, message):
        await self.send_job_update(message.job_id, {"deaf": True})
        with trio.CancelScope(shield=True):
            while not (HERE / "enough").exists():
                await trio.sleep(0.01)

    @job(name="fail")
    async def fail(self, message):
        raise JobError("out of stock")

    @job(name="raise")
    async def raise_(self, message):
        raise KeyError("no such shelf")

    @job(name="crash")
    async def crash(self, message):
        self.nursery.start_soon(self._crash)
        await trio.sleep_forever()

    async def _crash(self):
        raise RuntimeError("the shop burns")

    @job(name="leave")
    async def leave(self, message):
        await self.end()


def one():
    return Clerk("clerk")


async def several():
    await trio.sleep(0)
    return (Clerk(name) for name in ("a", "b"))


class Named(Clerk):
    def __init__(self):
        super().__init__("named")


class Box:
    one = one


def raises():
    raise ZeroDivisionError("no workers today")


def twice():
    return [Clerk("clerk"), Clerk("clerk")]


def hangs():
    print("begun", flush=True)
    time.sleep(60)


async def waits():
    print("begun", flush=True)
    await trio.sleep(60)


def none():
    return []


def nonsense():
    return ["clerk"]


def forgets():
    Clerk("clerk")


number = 7
'''

_numbers = count()


@pytest.fixture(scope="session")
def valkey() -> Iterator[RealServer]:
    """A server that all tests share: don't stop or change it."""
    with open_server("valkey") as server:
        yield server


@pytest.fixture
def bus(valkey: RealServer) -> list[str]:
    """Options for a bus that no other test uses."""
    return ["--bus", valkey.url, "--namespace", f"cli-{next(_numbers)}"]


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A directory with a module of workers."""
    (tmp_path / "shop.py").write_text(WORKERS)
    return tmp_path
