"""The bus inside one process."""

from ._bus import WorkerBus
from ._messages import BusMessage


class MemoryChannelBus(WorkerBus):
    """A `WorkerBus` inside one process, over memory channels.

    What is posted is delivered before `post` returns. Senders to different
    targets never wait for each other.
    """

    async def publish(self, message: BusMessage) -> None:
        """Deliver ``message``, waiting for room where a lane is full."""
        await self.deliver(message)

    #: See `WorkerBus.post`: what is posted is delivered at once.
    post = WorkerBus.on_message_received

    async def _publish_in_order(self, message: BusMessage) -> None:
        await self.publish(message)
