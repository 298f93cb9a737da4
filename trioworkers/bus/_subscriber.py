"""What a bus needs of those that it delivers to."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any

from ._messages import BusMessage

#: An async function of one argument that runs in a lane.
Hook = Callable[[Any], Awaitable[object]]


class BusSubscriber(ABC):
    """Mixin for objects that receive messages from a `WorkerBus`.

    Override `on_bus_message`, which runs in a lane. What must happen at the
    moment of delivery, whatever the lanes hold, belongs in `on_delivery`.
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """The unique name that identifies this subscriber on the bus."""

    @property
    def interests(self) -> tuple[type[BusMessage], ...]:
        """Classes, subclasses included, whose broadcasts it wants. Default: all."""
        return (BusMessage,)

    def on_delivery(self, message: BusMessage) -> Hook | None:
        """Do the book-keeping for ``message``; return the hook to run in its lane, or None.

        Called once per message, synchronously, in the sender's Trio task: it
        must not run user code, and what it raises is logged and counted by
        the bus, never seen by the sender.
        """
        return self.on_bus_message

    async def on_bus_message(self, message: BusMessage) -> None:
        """Handle one message; messages of a lane come one at a time, in order."""

    def on_unsubscribed(self) -> None:
        """Note that nothing more will be delivered. Synchronous, as `on_delivery`."""
