"""The workers that are measured, and a runner that has them ready."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from loguru import logger

logger.remove()

from pipecat.pipeline.job_decorator import job  # noqa: E402
from pipecat.workers.base_worker import BaseWorker  # noqa: E402
from pipecat.workers.runner import WorkerRunner  # noqa: E402


def run(measure: Callable[[], Any]) -> Any:
    """Run one measurement."""
    return asyncio.run(measure())


class Echo(BaseWorker):
    """Answers at once."""

    @job(name="echo")
    async def echo(self, message: Any) -> None:
        """Answer with the payload."""
        await self.send_job_response(message.job_id, message.payload)


class Waiter(BaseWorker):
    """Waits until cancelled, and counts its jobs."""

    started = 0

    @job(name="wait")
    async def wait_forever(self, message: Any) -> None:
        """Never answer."""
        self.started += 1
        await asyncio.Event().wait()


@contextlib.asynccontextmanager
async def running(*workers: BaseWorker, bystanders: int = 0) -> AsyncIterator[WorkerRunner]:
    """Run ``workers`` and idle ones beside them; yield the runner when all are ready."""
    workers += tuple(BaseWorker(f"idle{number}") for number in range(bystanders))
    runner = WorkerRunner(handle_sigint=False, check_dangling_tasks=False)
    await runner.add_workers(*workers)
    task = asyncio.create_task(runner.run(auto_end=False))
    while not all(worker.name in runner.registry for worker in workers):
        await asyncio.sleep(0)
    await settle(runner)
    try:
        yield runner
    finally:
        await runner.cancel()
        await task


async def settle(runner: WorkerRunner) -> None:
    """Wait until what starting has sent is handled. There is no public way to ask."""
    for _ in range(50):
        await asyncio.sleep(0)
    queues = runner.bus._subscriptions.values()
    while any(queue.queue.qsize() or queue.data_queue.qsize() for queue in queues):
        await asyncio.sleep(0)
