"""What `floor` does, done by the library."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio
import trio.testing

from trioworkers import (
    BaseWorker,
    BusJobRequestMessage,
    MemoryChannelBus,
    WorkerRunner,
    job,
)

from ._timing import Stopwatch


class _Worker(BaseWorker):
    @job(name="echo")
    async def echo(self, message: BusJobRequestMessage) -> dict[str, Any] | None:
        return message.payload

    @job(name="stream")
    async def stream(self, message: BusJobRequestMessage) -> None:
        assert message.payload is not None
        for number in range(message.payload["chunks"]):
            await self.send_job_stream_data(message.job_id, {"number": number})

    @job(name="wait")
    async def wait_forever(self, message: BusJobRequestMessage) -> None:
        await trio.sleep_forever()


@asynccontextmanager
async def _runner(*names: str, bystanders: int = 0) -> AsyncIterator[WorkerRunner]:
    # A fixed incarnation, so that two runs do exactly the same.
    async with WorkerRunner(name="runner", bus=MemoryChannelBus(incarnation="x")) as runner:
        await runner.add_workers(*(_Worker(name) for name in names))
        await runner.add_workers(*(BaseWorker(f"idle{number}") for number in range(bystanders)))
        await runner.registry.wait_ready(*runner.bus.names[1:])
        yield runner


async def jobs(count: int, *, bystanders: int = 0) -> float:
    """Do ``count`` jobs one after another; return seconds per job.

    Args:
      count: How many.
      bystanders: Idle workers on the same bus.
    """
    payload = {"number": 1}
    async with _runner("worker", bystanders=bystanders) as runner:
        with Stopwatch() as watch:
            for _ in range(count):
                response = await runner.call("worker", name="echo", payload=payload)
                assert response is payload
    return watch.seconds / count


async def group(size: int, count: int) -> float:
    """Do ``count`` groups of ``size`` members; return seconds per member."""
    payload = {"number": 1}
    names = [f"member{number}" for number in range(size)]
    async with _runner(*names) as runner:
        with Stopwatch() as watch:
            for _ in range(count):
                async with runner.job_group(*names, name="echo", payload=payload) as members:
                    pass
                assert len(members.responses) == size
    return watch.seconds / size / count


async def stream(chunks: int) -> float:
    """Stream ``chunks`` to a requester that iterates; return seconds per chunk."""
    received = 0
    async with _runner("worker") as runner:
        with Stopwatch() as watch:
            async with runner.job("worker", name="stream", payload={"chunks": chunks}) as events:
                async for _ in events:
                    received += 1
    assert received == chunks
    return watch.seconds / chunks


async def cancel(size: int) -> float:
    """Leave a group of ``size`` waiting handlers; return seconds until all have ended."""
    names = [f"member{number}" for number in range(size)]
    async with _runner(*names) as runner:
        async with runner.job_group(*names, name="wait") as members:
            await trio.testing.wait_all_tasks_blocked()
            watch = Stopwatch()
            watch.start()
            members.group.complete()
        watch.stop()
    assert len(members.outcomes) == size
    return watch.seconds
