"""Buses over a wire: one that talks to itself, and several that meet at a hub."""

import trio

from trioworkers import BusLocalMessage, DuplicateWorkerError, MessageCodec, UnknownWorkerError
from trioworkers.bus import WorkerBus


class WireBus(WorkerBus):
    """Encodes and decodes all that it carries, and delivers it itself."""

    def __init__(self, codec=None, **options):
        super().__init__(**options)
        self.codec = codec or MessageCodec()

    async def publish(self, message):
        await self.deliver(self.codec.decode(self.codec.encode(message)))

    def post(self, message):
        if not isinstance(message, BusLocalMessage):
            message = self.codec.decode(self.codec.encode(message))
        self.on_message_received(message)


class Hub:
    """Knows which bus has which name, and holds what is under way.

    Attributes:
      owners: The bus that has claimed a name, by name.
      gate: Claims wait while it is shut.
    """

    def __init__(self):
        self.owners = {}
        self.buses = []
        self.gate = trio.Event()
        self.gate.set()

    def shut(self):
        """Let claims wait until `gate` is set."""
        self.gate = trio.Event()

    def names_of(self, bus):
        """Return the names that ``bus`` has claimed."""
        return {name for name, owner in self.owners.items() if owner is bus}


class HubBus(WorkerBus):
    """Meets others at a `Hub`: each has the names that it has claimed there."""

    def __init__(self, hub, name, **options):
        super().__init__(incarnation=name, **options)
        self.hub = hub
        self.name = name
        self.codec = MessageCodec()
        self.late = 0
        self._send, self._receive = trio.open_memory_channel(1000)

    async def start(self):
        self._take(self.names)
        self.hub.buses.append(self)
        self.nursery.start_soon(self._read)

    async def stop(self):
        self.hub.buses.remove(self)
        self.release_nowait(*self.hub.names_of(self))

    def new_runner_name(self):
        return f"{super().new_runner_name()}@{self.name}"

    def _take(self, names):
        for name in names:
            if self.hub.owners.get(name, self) is not self:
                raise DuplicateWorkerError(name, "the hub")
        self.hub.owners.update(dict.fromkeys(names, self))

    async def claim(self, *names):
        self._take(names)
        await self.hub.gate.wait()

    def release_nowait(self, *names):
        for name in names:
            if self.hub.owners.get(name) is self:
                del self.hub.owners[name]

    async def publish(self, message):
        if message.target in self.names:
            await self.deliver(message)
        else:
            await trio.lowlevel.checkpoint()
            self._pass_on(message)

    def post(self, message):
        if isinstance(message, BusLocalMessage) or self.has_failed or message.target in self.names:
            super().post(message) if self.has_failed else self.on_message_received(message)
        else:
            self._pass_on(message)

    def _pass_on(self, message):
        data = self.codec.encode(message)
        if message.target is None:
            others = [bus for bus in self.hub.buses if bus is not self]
            self.on_message_received(message)
        elif message.target in self.hub.owners:
            others = [self.hub.owners[message.target]]
        elif message.may_miss:
            others = []
        else:
            raise UnknownWorkerError(message.target, tuple(self.hub.owners))
        for bus in others:
            bus._send.send_nowait(data)

    def crash(self, error):
        """Let the Trio task that reads raise ``error``."""
        self._send.send_nowait(error)

    async def _read(self):
        async for data in self._receive:
            if isinstance(data, Exception):
                raise data
            try:
                self.accept(self.codec.decode(data))
            except UnknownWorkerError:
                self.late += 1
