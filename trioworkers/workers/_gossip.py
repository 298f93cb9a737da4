"""How the runners of one bus tell each other which workers are ready."""

import logging
from collections.abc import Callable
from typing import Any

from ..bus import (
    BusMessage,
    BusWorkerDepartedMessage,
    BusWorkerReadyMessage,
    BusWorkerRegistryMessage,
    WorkerBus,
)
from ..errors import DuplicateWorkerError
from ._registry import WorkerRegistry, entries_of
from ._types import WorkerReadyData

logger = logging.getLogger("trioworkers.workers")


class RegistryGossip:
    """Keeps a runner's registry up to date with what other runners tell, and tells them.

    A runner that starts announces itself; the others answer with what they
    have. After that each worker tells of itself when it gets ready and when it
    leaves, and a runner when it leaves with all that it had.

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
        await self._bus.send(BusWorkerRegistryMessage(self._name, (), source=self._name))

    async def tell_departure(self) -> None:
        """Tell the other runners that this one leaves, and all its workers with it."""
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
        if message.target is None:  # a runner that has just started: tell it of ours
            self._bus.post(
                BusWorkerRegistryMessage(
                    self._name, self._registry.snapshot(), source=self._name, target=message.runner
                )
            )


#: What is done at delivery, by message class.
GOSSIP_MESSAGES: dict[type[BusMessage], Callable[[RegistryGossip, Any], None]] = {
    BusWorkerReadyMessage: RegistryGossip._receive_ready,
    BusWorkerDepartedMessage: RegistryGossip._receive_departed,
    BusWorkerRegistryMessage: RegistryGossip._receive_registry,
}
