"""A requester that is cancelled at any step of any Trio task: P2 holds each time."""

import pytest
import trio

from trioworkers import BaseWorker, BusJobRequestMessage, JobError, WorkerRunner, job
from trioworkers.testing._cancel import cancel_at_every_checkpoint


class Peer(BaseWorker):
    """A worker whose handlers take time to stop, and are counted."""

    running = 0

    @job(name="work")
    async def work(self, message: BusJobRequestMessage) -> dict[str, int]:
        self.running += 1
        try:
            for step in range(3):
                await self.send_job_stream_data(message.job_id, {"step": step})
                await trio.sleep(1)
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(0.5)
            self.running -= 1
        return {}

    @job(name="fail")
    async def fail(self, message: BusJobRequestMessage) -> None:
        await trio.sleep(1)
        raise JobError("as asked")

    @job(name="nested")
    async def nested(self, message: BusJobRequestMessage) -> dict[str, int]:
        self.running += 1
        try:
            async with self.job_group("c", "d", name="work") as group:
                async for _ in group:
                    pass
        finally:
            self.running -= 1
        return {}

    @job(name="turn", sequential=True)
    async def turn(self, message: BusJobRequestMessage) -> dict[str, int]:
        return await self.work(message)


async def two_jobs_at_once(runner: WorkerRunner) -> None:
    """A body that awaits a second job while the first one streams."""
    async with runner.job("a", name="work") as first:
        await runner.call("b", name="turn")
        async for _ in first:
            pass


async def failing_group(runner: WorkerRunner) -> None:
    """A group of which one member fails."""
    with pytest.raises(JobError):
        async with runner.job_group("a", "b", name="fail"):
            await trio.sleep(5)


async def nested_group(runner: WorkerRunner) -> None:
    """Groups within a group."""
    async with runner.job_group("a", "b", name="nested", timeout=100):
        pass


async def queue_of_turns(runner: WorkerRunner) -> None:
    """Several requesters that wait for a sequential handler."""
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(lambda: runner.call("a", name="turn"))


async def late_worker(runner: WorkerRunner) -> None:
    """A job for a worker that arrives later."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: runner.call("late", name="work"))
        await trio.sleep(1)
        await runner.add_workers(Peer("late"))


SCENARIOS = [two_jobs_at_once, failing_group, nested_group, queue_of_turns, late_worker]


def peers() -> list[Peer]:
    """Return new workers."""
    return [Peer(name) for name in "abcd"]


async def all_have_stopped_and_still_work(runner: WorkerRunner) -> None:
    """Check the peers' own count of handlers, and that they do another job."""
    for worker in runner.workers:
        assert isinstance(worker, Peer)
        assert worker.running == 0, f"{worker.name} still runs a handler"
    await runner.call("a", name="work")


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: s.__name__)
@pytest.mark.parametrize("seed", range(3))
def test_cancelled_at_any_step_no_handler_outlives_the_scope(scenario, seed) -> None:
    """Whatever step the requester is cancelled at, all handlers have stopped when it leaves."""
    runs = cancel_at_every_checkpoint(
        scenario, workers=peers, check=all_have_stopped_and_still_work, seed=seed
    )
    assert runs > 5
