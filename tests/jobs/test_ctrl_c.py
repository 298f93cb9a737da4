"""Ctrl-C at every step of the book-keeping: nothing hangs, nothing is left over."""

import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import FrameType

import pytest
import trio
import trio.testing

import trioworkers
from trioworkers import BaseWorker, BusJobRequestMessage, JobError, WorkerRunner, job

PACKAGE = str(Path(trioworkers.__file__).parent)


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


Scenario = Callable[[WorkerRunner], Awaitable[None]]


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


class Interrupter:
    """Sends SIGINT at the n-th line that the package executes."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.lines = 0

    def __call__(self, frame: FrameType, event: str, arg: object) -> "Interrupter | None":
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        if event == "line":
            self.lines += 1
            if self.lines == self.at:
                signal.raise_signal(signal.SIGINT)
        return self


async def run_once(scenario: Scenario, workers: list[Peer], interrupter: Interrupter) -> None:
    """Run ``scenario`` on a runner of its own; the clock makes a hang an error."""
    with trio.fail_after(10_000):
        async with WorkerRunner() as runner:
            await runner.add_workers(*workers)
            tracer = sys.gettrace()  # a debugger's, or that of coverage
            sys.settrace(interrupter)
            try:
                await scenario(runner)
            finally:
                sys.settrace(tracer)


def lines_of(scenario: Scenario) -> int:
    """Return how many lines of the package ``scenario`` executes."""
    interrupter = Interrupter(at=0)
    run(scenario, [Peer("a"), Peer("b")], interrupter)
    return interrupter.lines


def run(scenario: Scenario, workers: list[Peer], interrupter: Interrupter) -> None:
    """Run ``scenario`` in virtual time, always on the same schedule."""
    trio._core._run._r.seed(7)  # type: ignore[attr-defined]
    clock = trio.testing.MockClock(autojump_threshold=0)
    trio.run(run_once, scenario, workers, interrupter, clock=clock)


def leaves(error: BaseException) -> list[BaseException]:
    """Return the exceptions in a tree of groups."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for part in error.exceptions for leaf in leaves(part)]
    return [error]


def interrupted(error: BaseException) -> bool:
    """Whether ``error`` is Ctrl-C, perhaps beside a job that was lost by it."""
    kinds = {type(leaf) for leaf in leaves(error)}
    return KeyboardInterrupt in kinds and all(
        kind is KeyboardInterrupt or issubclass(kind, JobError) for kind in kinds
    )


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: s.__name__)
def test_ctrl_c_at_any_line_ends_the_run_and_leaves_nothing(scenario: Scenario) -> None:
    """Wherever Ctrl-C falls, the run ends with it, and no handler is left running."""
    total = lines_of(scenario)
    assert total > 300
    step = int(os.environ.get("CTRL_C_STEP", "3"))
    for at in range(1, total, step):
        workers = [Peer("a"), Peer("b")]
        interrupter = Interrupter(at)
        try:
            run(scenario, workers, interrupter)
        except BaseException as error:
            if not interrupted(error):
                raise AssertionError(f"line {at}: {error!r}") from error
        else:
            assert interrupter.lines < at, f"Ctrl-C at line {at} was swallowed"
        for worker in workers:
            assert worker.running == 0, f"line {at}: a handler outlived the runner"
            statistics = worker.statistics()
            assert statistics.active_jobs == statistics.job_groups == 0, f"line {at}"
