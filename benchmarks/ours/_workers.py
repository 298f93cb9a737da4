"""The workers that are measured, and a runner that has them ready."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import attrs
import trio

from trioworkers import (
    BaseWorker,
    BusJobRequestMessage,
    MemoryChannelBus,
    WorkerRunner,
    job,
)


@attrs.frozen
class Order:
    """A typed payload, and the response to it."""

    item: str
    amount: int


class Worker(BaseWorker):
    """Does whatever job is measured."""

    @job(name="echo")
    async def echo(self, message: BusJobRequestMessage) -> dict[str, Any] | None:
        """Return the payload."""
        return message.payload

    @job(name="double")
    async def double(self, message: BusJobRequestMessage, order: Order) -> Order:
        """Return another order."""
        return Order(order.item, order.amount * 2)

    @job(name="stream")
    async def stream(self, message: BusJobRequestMessage) -> None:
        """Send ``chunks`` chunks, each with ``length`` more characters."""
        assert message.payload is not None
        length = message.payload.get("length", 0)
        for number in range(message.payload["chunks"]):
            data = {"number": number}
            await self.send_job_stream_data(
                message.job_id, data | {"text": "x" * length} if length else data
            )

    @job(name="wait")
    async def wait_forever(self, message: BusJobRequestMessage) -> None:
        """Wait until cancelled."""
        await trio.sleep_forever()


@asynccontextmanager
async def running(*workers: BaseWorker, bystanders: int = 0) -> AsyncIterator[WorkerRunner]:
    """Run ``workers`` and idle ones beside them; yield the runner when all are ready."""
    # A fixed incarnation, so that two runs do exactly the same.
    async with WorkerRunner(name="runner", bus=MemoryChannelBus(incarnation="x")) as runner:
        await runner.add_workers(*workers)
        await runner.add_workers(*(BaseWorker(f"idle{number}") for number in range(bystanders)))
        await runner.registry.wait_ready(*runner.bus.names[1:])
        yield runner


def named(count: int) -> list[Worker]:
    """Return ``count`` workers, named member0, member1, ..."""
    return [Worker(f"member{number}") for number in range(count)]
