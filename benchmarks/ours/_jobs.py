"""Jobs of one worker: one after another, many at once, and very many."""

import trio

from trioworkers import (
    BaseWorker,
    BusJobResponseMessage,
    BusJobResponseUrgentMessage,
    WorkerRunner,
)

from .._resident import resident_bytes, settled_bytes
from .._timing import Stopwatch
from ._workers import Order, Worker, running

PAYLOAD = {"number": 1}


async def _ask(runner: WorkerRunner, count: int) -> None:
    for _ in range(count):
        response = await runner.call("worker", name="echo", payload=PAYLOAD)
        assert response is PAYLOAD


async def round_trip(count: int, *, bystanders: int = 0, earlier: int = 0) -> float:
    """Do ``count`` jobs one after another; return seconds per job.

    Args:
      count: How many.
      bystanders: Idle workers on the same bus.
      earlier: Jobs done before, which are not timed.
    """
    async with running(Worker("worker"), bystanders=bystanders) as runner:
        await _ask(runner, earlier)
        with Stopwatch() as watch:
            await _ask(runner, count)
    return watch.seconds / count


class _Listener(BaseWorker):
    def __init__(self, name: str, expected: int) -> None:
        super().__init__(name)
        self.missing = expected
        self.heard_all = trio.Event()

    async def on_job_response(
        self, message: BusJobResponseMessage | BusJobResponseUrgentMessage
    ) -> None:
        self.missing -= 1
        if not self.missing:
            self.heard_all.set()


async def hook(count: int) -> float:
    """As `round_trip`, for a worker that overrides `on_job_response`."""
    listener = _Listener("listener", count)
    async with running(Worker("worker"), listener):
        with Stopwatch() as watch:
            for _ in range(count):
                response = await listener.call("worker", name="echo", payload=PAYLOAD)
                assert response is PAYLOAD
            await listener.heard_all.wait()
    return watch.seconds / count


async def typed(count: int) -> float:
    """As `round_trip`, with attrs classes as payload and as response."""
    order = Order("tea", 2)
    async with running(Worker("worker")) as runner:
        with Stopwatch() as watch:
            for _ in range(count):
                response = await runner.call("worker", name="double", payload=order)
                assert response["amount"] == 4
    return watch.seconds / count


async def concurrent(count: int, *, requesters: int) -> float:
    """Let ``requesters`` Trio tasks do ``count`` jobs each, at once; return seconds per job."""
    async with running(Worker("worker")) as runner:
        with Stopwatch() as watch:
            async with trio.open_nursery() as nursery:
                for _ in range(requesters):
                    nursery.start_soon(_ask, runner, count)
    return watch.seconds / count / requesters


async def soak(count: int) -> tuple[float, float]:
    """Do ``count`` jobs; return seconds per job, and bytes gained after the first tenth."""
    async with running(Worker("worker")) as runner:
        await _ask(runner, count // 10)
        before = settled_bytes()
        with Stopwatch() as watch:
            await _ask(runner, count - count // 10)
        gained = resident_bytes() - before
    return watch.seconds / (count - count // 10), gained
