"""A runner that only looks on: who is on the bus, as news come in."""

import secrets
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import attrs
import trio

from trioworkers import (
    BusMessage,
    BusWorkerDepartedMessage,
    BusWorkerReadyMessage,
    BusWorkerRegistryMessage,
    WorkerReadyData,
    WorkerRunner,
)
from trioworkers.bus import Hook

from ._bus_options import CLI_PREFIX

if TYPE_CHECKING:
    from trioworkers.bus.redis import RedisBus, RedisPeer

#: Answers of a runner after which all that it had to tell at first is known.
ENOUGH = 2


@attrs.frozen
class RunnerView:
    """A runner, and its workers.

    Attributes:
      name: Its name.
      peer: Its process; None if that isn't known (yet, or any more).
      workers: Its workers that are ready, by name.
    """

    name: str
    peer: "RedisPeer | None"
    workers: tuple[WorkerReadyData, ...]


@attrs.frozen
class View:
    """All that is known.

    Attributes:
      runners: By name; not those of this command.
      silent: Processes of which no runner has told anything.
    """

    runners: tuple[RunnerView, ...]
    silent: tuple["RedisPeer", ...]


class _Listener(WorkerRunner):
    """A runner that shows all that it is delivered."""

    def __init__(self, bus: "RedisBus", listen: Callable[[BusMessage], None]) -> None:
        super().__init__(name=new_name(), bus=bus)
        self.listen = listen

    def on_delivery(self, message: BusMessage) -> Hook | None:
        """Do what a runner does, then show the message."""
        hook = super().on_delivery(message)
        self.listen(message)
        return hook


class Onlooker:
    """Joins the bus as a runner without workers, and knows who else is there.

    See `open_onlooker`. A runner that joins says so, and all others answer with the workers
    that they have. That all have answered is known, as the bus knows which processes
    live: so nobody waits longer than that takes.
    """

    def __init__(self, bus: "RedisBus") -> None:
        self._bus = bus
        self.runner = _Listener(bus, self._listen)
        self._changed = trio.Event()
        #: How often each of the other runners has told what it has.
        self._told: Counter[str] = Counter()
        self._peers: dict[str, RedisPeer] = {}
        self._silent: tuple[RedisPeer, ...] = ()

    def _listen(self, message: BusMessage) -> None:
        listen = _LISTENED_TO.get(type(message))
        if listen is not None:
            listen(self, message)
            self._changed.set()
            self._changed = trio.Event()

    def _note_told(self, message: BusWorkerRegistryMessage) -> None:
        if message.runner != self.runner.name and message.asks:
            # One that tells all, unasked, has only just begun.
            self._told[message.runner] += 1 if message.target is not None else ENOUGH

    def _note_ready(self, message: BusWorkerReadyMessage) -> None:
        self._told.setdefault(message.runner, 0)

    def _note_departed(self, message: BusWorkerDepartedMessage) -> None:
        if message.source == message.runner:
            self._told.pop(message.runner, None)
            self._peers.pop(message.runner, None)

    async def wait_complete(self, seconds: float) -> None:
        """Wait until all processes that have a lease have told what they have.

        Afterwards `view` names those that have not, within ``seconds``.

        An answer can come in parts. It has come as a whole when the answer to a second
        question comes, since messages of one process to another keep their order.
        """
        name = self.runner.name
        with trio.move_on_after(seconds):
            await self._bus.send(BusWorkerRegistryMessage(name, (), source=name))
            while True:
                answered = {who for who, times in self._told.items() if times >= ENOUGH}
                changed = self._changed
                # Each process has a runner, or will have one: ask no sooner than that may be all.
                if len(answered) >= self._bus.statistics().peers:
                    peers = await self._bus.peers()
                    if all(not answered.isdisjoint(peer.runners) for peer in peers):
                        break
                await changed.wait()
        await self.look_up()

    async def look_up(self) -> None:
        """Ask the server which process each runner is in."""
        peers = await self._bus.peers()
        self._peers = {runner: peer for peer in peers for runner in peer.runners}
        self._silent = tuple(peer for peer in peers if not peer.runners)

    async def wait_news(self, seen: trio.Event) -> None:
        """Wait until something has changed since ``seen`` was the `mark`."""
        await seen.wait()
        if self._silent or any(name not in self._peers for name in self._shown()):
            await self.look_up()

    @property
    def mark(self) -> trio.Event:
        """What to give to `wait_news`, taken before the view."""
        return self._changed

    def view(self) -> View:
        """Return what is known now."""
        registry = self.runner.registry
        workers: dict[str, list[WorkerReadyData]] = {name: [] for name in self._shown()}
        for name in sorted(registry):
            data = registry.get(name)
            assert data is not None
            workers.setdefault(data.runner, []).append(data)
        return View(
            tuple(
                RunnerView(name, self._peers.get(name), tuple(workers[name]))
                for name in sorted(workers)
            ),
            self._silent,
        )

    def _shown(self) -> list[str]:
        return [name for name in self._told if not name.startswith(CLI_PREFIX)]


@asynccontextmanager
async def open_onlooker(bus: "RedisBus") -> AsyncIterator[Onlooker]:
    """Look on while the block runs."""
    onlooker = Onlooker(bus)
    async with onlooker.runner:
        yield onlooker


_LISTENED_TO: dict[type[BusMessage], Callable[[Onlooker, Any], None]] = {
    BusWorkerRegistryMessage: Onlooker._note_told,
    BusWorkerReadyMessage: Onlooker._note_ready,
    BusWorkerDepartedMessage: Onlooker._note_departed,
}


def new_name() -> str:
    """Return a name for a runner of this command."""
    return CLI_PREFIX + secrets.token_hex(6)
