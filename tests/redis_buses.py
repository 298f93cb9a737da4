"""Runners that meet at a server in memory, in virtual time."""

from contextlib import AsyncExitStack, asynccontextmanager

import trio

from trioworkers import BaseWorker, WorkerRunner, job
from trioworkers.bus.redis import RedisBus
from trioworkers.testing.streams import StreamServer

LEASE = 10.0


class Busy(BaseWorker):
    """Does what it is asked, and notes how long its handlers run."""

    def __init__(self, name, **options):
        super().__init__(name, **options)
        self.begun = []
        self.ended = []

    @job(name="echo")
    async def echo(self, message):
        self.begun.append(trio.current_time())
        return message.payload

    @job(name="count")
    async def count(self, message):
        for number in range(message.payload["to"]):
            await self.send_job_update(message.job_id, {"number": number})
        return {}

    @job(name="wait")
    async def wait_for_it(self, message):
        self.begun.append(trio.current_time())
        try:
            await trio.sleep((message.payload or {}).get("seconds", 1e6))
        finally:
            self.ended.append(trio.current_time())
        return {"waited": True}


def make_bus(server, name, **options):
    """Return a bus of its own way to ``server``."""
    options = {"lease": LEASE, "send_timeout": 3.0, "incarnation": name} | options
    return RedisBus(server.client(name), **options)


@asynccontextmanager
async def runners(server, *names, **options):
    """Run a runner for each name, on a bus of its own."""
    async with AsyncExitStack() as stack:
        opened = []
        for name in names:
            runner = WorkerRunner(name=name, bus=make_bus(server, name, **options))
            opened.append(await stack.enter_async_context(runner))
        yield opened


@asynccontextmanager
async def pair(**options):
    """Run ``asker``, and ``host`` with a `Busy` worker that is called "busy"."""
    server = StreamServer()
    async with runners(server, "asker", "host", **options) as (asker, host):
        busy = Busy("busy")
        await host.add_workers(busy)
        await asker.registry.wait_ready("busy")
        yield server, asker, host, busy


async def until(condition):
    """Wait, in virtual time, until ``condition()`` holds."""
    while not condition():  # noqa: ASYNC110 - what is waited for is in several processes' places
        await trio.sleep(0.01)
