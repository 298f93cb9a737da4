"""A bus with a transport of its own, cancelled from outside together with what it serves."""

import pytest
import trio

from trioworkers import BaseWorker, UnknownWorkerError, WorkerBus, WorkerRunner, job


class LateBus(WorkerBus):
    """Delivers from a Trio task of its own, as network buses do."""

    async def start(self):
        self.inbox, self.outbox = trio.open_memory_channel(100)
        self.nursery.start_soon(self.read)

    async def read(self):
        async for message in self.outbox:
            try:
                self.on_message_received(message)
            except UnknownWorkerError:
                if (reply := message.bounce()) is not None:
                    self.on_message_received(reply)

    async def publish(self, message):
        await self.inbox.send(message)


class Nester(BaseWorker):
    """Asks another worker, at once or when it is cancelled."""

    def __init__(self, name, log):
        super().__init__(name)
        self.log = log

    @job(name="nest")
    async def nest(self, message):
        try:
            await self.call("leaf", name="wait")
        finally:
            self.log.append("nest left")

    @job(name="wait")
    async def wait(self, message):
        try:
            await trio.sleep_forever()
        finally:
            self.log.append("wait left")


@pytest.mark.parametrize("steps", range(60))
async def test_what_a_bus_serves_ends_before_it(steps, autojump_clock):
    """At whatever step it comes: handlers end, inner ones first, and nobody hangs."""
    log = []
    with trio.fail_after(100), trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def cancel():
                for _ in range(steps):
                    await trio.lowlevel.checkpoint()
                scope.cancel()

            async with WorkerRunner(bus=LateBus()) as runner:
                await runner.add_workers(Nester("nest", log), Nester("leaf", log))
                await runner.call("nest", name="nest")
    assert trio.current_time() == 0
    assert log in ([], ["nest left"], ["wait left", "nest left"])
