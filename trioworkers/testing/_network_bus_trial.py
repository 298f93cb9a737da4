"""One clause of the contract of buses that join processes, with two of them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import attrs
import trio

from ..bus import BusMessage, WorkerBus
from ..errors import DuplicateWorkerError, UnknownWorkerError
from ._bus_trial import BusTrial
from ._probes import ProbeNote, ProbeSubscriber


@attrs.define(eq=False)
class NetworkBusTrial(BusTrial):
    """A `BusTrial` of two buses; those who send are on `BusTrial.bus`.

    Attributes:
      there: The other bus, on which those are who get messages.
      make_another: Returns a further one that does not run.
      sender: Who sends; the block `running` subscribes it.
    """

    there: WorkerBus = attrs.field(kw_only=True)
    make_another: Callable[[], Awaitable[WorkerBus]] = attrs.field(kw_only=True)
    sender: ProbeSubscriber = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.sender = self.probe("sender")

    @asynccontextmanager
    async def running(self, *there: ProbeSubscriber) -> AsyncIterator[WorkerBus]:
        """Run both buses, with `sender` on the one and ``there`` on the other; yield the one."""
        async with self.there, self.bus as bus:
            await bus.subscribe(self.sender)
            for probe in there:
                await self.there.subscribe(probe)
            yield bus

    def note(self, number: int, target: ProbeSubscriber | None = None) -> ProbeNote:
        """Return a note of `sender`, to one or to all."""
        return ProbeNote(
            number, source=self.sender.name, target=None if target is None else target.name
        )

    async def send_some(self, target: ProbeSubscriber, count: int) -> None:
        """Send notes 0 to ``count`` - 1."""
        for number in range(count):
            await self.bus.send(self.note(number, target))

    async def subscribe_when_free(self, bus: WorkerBus, probe: ProbeSubscriber, when: str) -> None:
        """Subscribe under a name that is about to be free."""
        await self._until_not(DuplicateWorkerError, partial(bus.subscribe, probe), when)

    async def expect_unknown(self, message: Callable[[], BusMessage], when: str) -> None:
        """Send until nobody has the name any more."""
        with trio.move_on_after(self.within):
            while True:
                try:
                    await self.bus.send(message())
                except UnknownWorkerError:
                    return
                await trio.sleep(self.settle / 5)
        self.broken(f"{when}, a send still did not raise UnknownWorkerError.")

    async def _until_not(
        self, error: type[Exception], async_fn: Callable[[], Awaitable[object]], when: str
    ) -> None:
        with trio.move_on_after(self.within):
            while True:
                try:
                    await async_fn()
                except error:
                    await trio.sleep(self.settle / 5)
                else:
                    return
        self.broken(f"{when}, it still raised {error.__name__}.")
