"""A pool: several workers behind one name."""

from typing import Any

import trio

from trioworkers import BaseWorker, BusJobRequestMessage, WorkerPool, WorkerRunner, job

from .._timing import Stopwatch
from ._workers import running

PAYLOAD = {"number": 1}


class _Member(BaseWorker):
    @job(name="work")
    async def work(self, message: BusJobRequestMessage) -> dict[str, Any] | None:
        await trio.lowlevel.checkpoint()
        return message.payload


async def _ask(runner: WorkerRunner) -> None:
    response = await runner.call("pool", name="work", payload=PAYLOAD)
    assert response is PAYLOAD


async def pool(count: int, *, size: int, jobs: int) -> float:
    """Ask a pool of ``size`` for ``jobs`` jobs at once, ``count`` times; return seconds per job.

    Each job is awaited by a Trio task of its own, and waits for one checkpoint.
    """
    async with running(WorkerPool("pool", _Member, size=size)) as runner:
        with Stopwatch() as watch:
            for _ in range(count):
                async with trio.open_nursery() as requesters:
                    for _ in range(jobs):
                        requesters.start_soon(_ask, runner)
    return watch.seconds / jobs / count
