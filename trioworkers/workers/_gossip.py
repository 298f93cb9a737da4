"""How the runners of one bus tell each other which workers are ready."""

import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from ..bus import (
    BusFailedMessage,
    BusMessage,
    BusRejoinedMessage,
    BusRunnerFadingMessage,
    BusWorkerDepartedMessage,
    BusWorkerReadyMessage,
    BusWorkerRegistryMessage,
    WorkerBus,
)
from ..errors import BusDisconnected, DuplicateWorkerError
from ._registry import WorkerRegistry, entries_of
from ._types import WorkerReadyData

logger = logging.getLogger("trioworkers.workers")

#: Workers that one message tells of, so that it stays far below what a codec takes.
MAX_ENTRIES = 500


class RegistryGossip:
    """Keeps a runner's registry up to date with what other runners tell, and tells them.

    A runner that starts, or whose bus has come back, announces itself; the others
    answer with what they have. After that each worker tells of itself when it gets
    ready and when it leaves, and a runner when it leaves with all that it had.

    Args:
      registry: What it keeps; its ``runner_name`` says who "we" are.
      bus: Where the runners meet.
    """

    __slots__ = ("_bus", "_name", "_registry")

    def __init__(self, registry: WorkerRegistry, bus: WorkerBus) -> None:
        self._registry = registry
        self._name = registry.runner_name
        self._bus = bus

    async def announce(self) -> None:
        """Tell the other runners that this one is there, so that they tell what they have."""
        for message in self._snapshot(None):
            await self._bus.send(message)

    async def tell_departure(self) -> None:
        """Tell the other runners that this one leaves, and all its workers with it.

        If the bus can't be reached, they find out by themselves.
        """
        with suppress(BusDisconnected):
            await self._bus.send(BusWorkerDepartedMessage(self._name, source=self._name))

    def _receive_ready(self, message: BusWorkerReadyMessage) -> None:
        if message.runner != self._name:
            self._registry.register(
                WorkerReadyData(
                    message.source,
                    message.runner,
                    message.parent,
                    message.active,
                    message.bridged,
                    message.started_at,
                )
            )

    def _receive_departed(self, message: BusWorkerDepartedMessage) -> None:
        if message.runner != self._name:
            if message.source == message.runner:
                self._registry.unregister_runner(message.runner)
            else:
                self._registry.unregister(message.source, message.runner, message.started_at)

    def _receive_registry(self, message: BusWorkerRegistryMessage) -> None:
        if message.runner == self._name:
            return
        for data in entries_of(message.runner, message.workers):
            try:
                self._registry.register(data)
            except DuplicateWorkerError as error:
                logger.error("worker of runner %r is not known: %s", message.runner, error)
        if message.target is None and message.asks:
            for answer in self._snapshot(message.runner):
                self._bus.post(answer)

    def _receive_rejoined(self, _: BusRejoinedMessage) -> None:
        for message in self._snapshot(None):
            self._bus.post(message)

    def _receive_fading(self, message: BusRunnerFadingMessage) -> None:
        if message.runner != self._name:
            self._registry.fade_runner(message.runner, message.names)

    def _receive_failed(self, _: BusFailedMessage) -> None:
        """Release all who wait for runners that will not be heard of again."""
        here = self._bus.names
        for runner in self._registry.remote_runners:
            if runner not in here:
                self._registry.unregister_runner(runner)

    def _snapshot(self, target: str | None) -> Iterator[BusWorkerRegistryMessage]:
        """Return what is ready here, in as many messages as it takes; the first one asks."""
        workers = self._registry.snapshot()
        for start in range(0, max(len(workers), 1), MAX_ENTRIES):
            yield BusWorkerRegistryMessage(
                self._name,
                workers[start : start + MAX_ENTRIES],
                asks=start == 0,
                source=self._name,
                target=target,
            )


#: What is done at delivery, by message class.
GOSSIP_MESSAGES: dict[type[BusMessage], Callable[[RegistryGossip, Any], None]] = {
    BusWorkerReadyMessage: RegistryGossip._receive_ready,
    BusWorkerDepartedMessage: RegistryGossip._receive_departed,
    BusWorkerRegistryMessage: RegistryGossip._receive_registry,
    BusRejoinedMessage: RegistryGossip._receive_rejoined,
    BusRunnerFadingMessage: RegistryGossip._receive_fading,
    BusFailedMessage: RegistryGossip._receive_failed,
}
