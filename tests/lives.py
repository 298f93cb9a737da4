"""Workers that note their lives, and a bus and a registry without a runner."""

import trio

from trioworkers import BaseWorker, MemoryChannelBus, WorkerRegistry, job


class Logged(BaseWorker):
    """Notes its life."""

    def __init__(self, name="w", **options):
        super().__init__(name, **options)
        self.log = []

    async def on_activated(self, args):
        self.log.append(("activated", args))

    async def on_deactivated(self):
        self.log.append(("deactivated",))

    async def cleanup(self):
        self.log.append(("cleanup",))

    @job(name="sleep")
    async def sleep(self, message):
        await trio.sleep(10)
        return {"slept": True}


class Sleeper(BaseWorker):
    """Sleeps for a job, and notes its end."""

    def __init__(self, name="sleeper", log=None):
        super().__init__(name)
        self.log = [] if log is None else log

    @job(name="sleep")
    async def sleep(self, message):
        try:
            await trio.sleep(message.payload["seconds"])
        finally:
            self.log.append(f"{self.name}: handler has ended")
        return {"slept": message.payload["seconds"]}

    async def cleanup(self):
        self.log.append(f"{self.name}: cleaned up")


async def attached(worker, **options):
    """Attach ``worker`` to a new bus, made with ``options``, and a new registry."""
    bus, registry = MemoryChannelBus(**options), WorkerRegistry("r")
    await worker.attach(registry=registry, bus=bus)
    return bus, registry
