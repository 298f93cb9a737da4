"""Ctrl-C at every step of the book-keeping: nothing hangs, nothing is left over."""

import os

import pytest
import trio

from trioworkers import BaseWorker, BusJobRequestMessage, JobError, WorkerRunner, job
from trioworkers.testing._interrupt import interrupt_at_every_line


class Peer(BaseWorker):
    """A worker that notes which of its handlers are running."""

    running = 0

    async def work(self, message: BusJobRequestMessage, steps: int) -> dict[str, int]:
        self.running += 1
        try:
            for step in range(steps):
                await self.send_job_update(message.job_id, {"step": step})
                await trio.sleep(1)
        finally:
            self.running -= 1
        return {"steps": steps}

    @job(name="short")
    async def short(self, message: BusJobRequestMessage) -> dict[str, int]:
        return await self.work(message, 1)

    @job(name="long")
    async def long(self, message: BusJobRequestMessage) -> dict[str, int]:
        return await self.work(message, 1000)

    @job(name="nested")
    async def nested(self, message: BusJobRequestMessage) -> dict[str, int]:
        self.running += 1
        try:
            async with self.job("b", name="short") as inner:
                pass
            return inner.response
        finally:
            self.running -= 1


async def group_with_events(runner: WorkerRunner) -> None:
    """A group whose events are iterated."""
    async with runner.job_group("a", "b", name="short") as group:
        async for _ in group:
            pass


async def timed_out_group(runner: WorkerRunner) -> None:
    """A group that is cancelled by its timeout."""
    with pytest.raises(JobError):
        async with runner.job_group("a", "b", name="long", timeout=2):
            pass


async def nested_and_forgotten(runner: WorkerRunner) -> None:
    """A nested job beside a job that nobody waits for."""
    requester = runner.get_worker("a")
    assert requester is not None
    await requester.request_job("b", name="short")
    await runner.call("a", name="nested")


SCENARIOS = [group_with_events, timed_out_group, nested_and_forgotten]


def no_handler_runs(workers: tuple[BaseWorker, ...]) -> None:
    """Check the peers' own count of handlers."""
    for worker in workers:
        assert isinstance(worker, Peer)
        assert worker.running == 0, f"{worker.name} still runs a handler"


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: s.__name__)
def test_ctrl_c_at_any_line_ends_the_run_and_leaves_nothing(scenario) -> None:
    """Wherever Ctrl-C falls, the run ends with it, and no handler is left running."""
    every = int(os.environ.get("CTRL_C_STEP", "3"))
    runs = interrupt_at_every_line(
        scenario,
        workers=lambda: [Peer("a"), Peer("b")],
        every=every,
        check=no_handler_runs,
        seed=7,
    )
    assert runs * every > 300
