"""Pools whose requester is cancelled, or that meet Ctrl-C, at any step."""

import os

import pytest
import trio
from pools import Crew, pool_of

from trioworkers import (
    BaseWorker,
    BusEndWorkerMessage,
    BusJobRequestMessage,
    JobError,
    WorkerPool,
    WorkerRunner,
    job,
)
from trioworkers.testing import cancel_at_every_checkpoint, interrupt_at_every_line


class Member(BaseWorker):
    """Its handlers take time to stop, and are counted."""

    def __init__(self, crew: Crew) -> None:
        super().__init__()
        self.crew = crew

    @job(name="work")
    async def work(self, message: BusJobRequestMessage) -> dict[str, int]:
        self.crew.running += 1
        try:
            for step in range(2):
                await self.send_job_stream_data(message.job_id, {"step": step})
                await trio.sleep(1)
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(0.5)
            self.crew.running -= 1
        return {}

    @job(name="nested")
    async def nested(self, message: BusJobRequestMessage) -> dict[str, int]:
        self.crew.running += 1
        try:
            await self.call("pool", name="work")
        finally:
            self.crew.running -= 1
        return {}

    @job(name="stop")
    async def stop_by_itself(self, message: BusJobRequestMessage) -> None:
        await self.stop()


crew = Crew()


def make_pool() -> list[WorkerPool]:
    """Return a new pool of two; its members are counted by a new `crew`."""
    global crew
    crew = Crew(make=Member)
    return [pool_of(crew, 2)]


async def more_jobs_than_members(runner: WorkerRunner) -> None:
    """Some run and some wait; one is in a group, and is read."""
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(lambda: runner.call("pool", name="work"))
        async with runner.job("pool", name="work") as read:
            async for _ in read:
                pass


async def all_members_wait_for_one(runner: WorkerRunner) -> None:
    """Each holds a place and needs another: one fails."""
    failed = []

    async def ask() -> None:
        try:
            await runner.call("pool", name="nested", timeout=100)
        except JobError as error:
            failed.append(error)

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(ask)
    assert failed


async def times_up_while_it_waits(runner: WorkerRunner) -> None:
    """The time limit ends what runs and what waits."""
    async with trio.open_nursery() as nursery:
        for _ in range(2):
            nursery.start_soon(lambda: runner.call("pool", name="work"))
        with pytest.raises(JobError):
            await runner.call("pool", name="work", timeout=1)


async def a_member_goes(runner: WorkerRunner) -> None:
    """One job makes its member leave; others wait for the next one."""
    async with trio.open_nursery() as nursery:
        for name in ("stop", "work", "work", "work"):
            nursery.start_soon(ask_for, runner, name)


async def ask_for(runner: WorkerRunner, name: str) -> None:
    """Ask the pool, whatever becomes of it."""
    async with runner.job_group("pool", name=name, cancel_on_error=False):
        pass


async def the_pool_ends_meanwhile(runner: WorkerRunner) -> None:
    """What it has accepted is done, in its own time."""
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(ask_for, runner, "work")
        await trio.sleep(1)
        await runner.bus.send(BusEndWorkerMessage(source="x", target="pool"))


SCENARIOS = [
    more_jobs_than_members,
    all_members_wait_for_one,
    times_up_while_it_waits,
    a_member_goes,
    the_pool_ends_meanwhile,
]


async def nothing_runs_and_it_still_works(runner: WorkerRunner) -> None:
    """Check the members' own count of handlers, and that the pool does another job."""
    assert crew.running == 0
    pool = runner.get_worker("pool")
    if pool is not None and not pool.nursery.cancel_scope.cancel_called:
        async with runner.job_group("pool", name="work", cancel_on_error=False, timeout=100):
            pass
        assert pool.statistics().waiting_jobs == 0


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: s.__name__)
@pytest.mark.parametrize("seed", range(2))
def test_cancelled_at_any_step_no_handler_outlives_the_scope(scenario, seed) -> None:
    """Whatever step the requester is cancelled at, all handlers have stopped when it leaves."""
    runs = cancel_at_every_checkpoint(
        scenario, workers=make_pool, check=nothing_runs_and_it_still_works, seed=seed
    )
    assert runs > 5


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: s.__name__)
def test_ctrl_c_at_any_line_ends_the_run_and_leaves_nothing(scenario) -> None:
    """Wherever Ctrl-C falls, the run ends with it, and no handler is left running."""
    every = int(os.environ.get("CTRL_C_STEP", "7"))
    interrupt_at_every_line(
        scenario,
        workers=make_pool,
        every=every,
        check=lambda _: check_stopped(),
        seed=3,
    )


def check_stopped() -> None:
    """Check the members' own count of handlers."""
    assert crew.running == 0
