"""The face for telling others: activate, deactivate, end, cancel, or any message."""

from abc import ABC, abstractmethod

from ..bus import (
    BusActivateWorkerMessage,
    BusCancelMessage,
    BusDeactivateWorkerMessage,
    BusEndMessage,
    BusMessage,
    BusWorkerErrorMessage,
    BusWorkerLocalErrorMessage,
)
from ..jobs import check_name
from ._types import WorkerActivationArgs


class Messaging(ABC):
    """What a worker tells others with one message, and without waiting for them."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Who tells."""

    @property
    @abstractmethod
    def parent(self) -> str | None:
        """The name of its parent, or None."""

    @abstractmethod
    async def send_bus_message(self, message: BusMessage) -> None:
        """Send any message; see `WorkerBus.send`."""

    async def activate_worker(
        self,
        worker_name: str,
        *,
        args: WorkerActivationArgs | None = None,
        deactivate_self: bool = False,
    ) -> None:
        """Activate a worker; its `on_activated` gets ``args`` as a dict.

        Args:
          worker_name: Whom to activate.
          args: What to tell it.
          deactivate_self: Whether this worker is deactivated first, so that
            the two are never active at once.
        """
        check_name(worker_name, "a worker name")
        if deactivate_self:
            await self.deactivate_worker(self.name)
        data = args.to_dict() if args is not None else None
        await self.send_bus_message(
            BusActivateWorkerMessage(data, source=self.name, target=worker_name)
        )

    async def deactivate_worker(self, worker_name: str) -> None:
        """Deactivate a worker; its `on_deactivated` is called."""
        check_name(worker_name, "a worker name")
        await self.send_bus_message(
            BusDeactivateWorkerMessage(source=self.name, target=worker_name)
        )

    async def send_bus_error_message(self, error: str) -> None:
        """Report an error: a child to its parent, a root worker to everyone."""
        if not isinstance(error, str):
            raise TypeError(f"error must be a str, not {error!r}")
        await self.send_bus_message(self.error_message(error))

    async def end(self, *, reason: str | None = None) -> None:
        """Ask the runner to end the session: all its workers finish, then leave."""
        await self.send_bus_message(BusEndMessage(reason, source=self.name))

    async def cancel(self, *, reason: str | None = None) -> None:
        """Ask the runner to cancel the session: all its workers stop now."""
        await self.send_bus_message(BusCancelMessage(reason, source=self.name))

    def error_message(self, error: str) -> BusMessage:
        """Return the message that reports ``error`` to whom it concerns."""
        if self.parent is None:
            return BusWorkerErrorMessage(error, source=self.name)
        return BusWorkerLocalErrorMessage(error, source=self.name, target=self.parent)
