"""What the tests share: runs on a mock clock, many schedules, and a check for leftovers."""

import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from trioworkers import BaseWorker, LaneStatistics, MemoryChannelBus, WorkerRunner, job

#: Virtual seconds after which a run is taken to hang.
HANGS = 10_000.0
#: Seconds on the wall after which it is.
HANGS_FOR_REAL = 30.0

Handler = Callable[[Any, Any], Awaitable[object]]


def run(function: Callable[..., Awaitable[Any]], *args: object) -> Any:
    """Run ``function`` under Trio on an autojumping clock; a hang raises `TooSlowError`."""

    async def bounded() -> Any:
        with trio.fail_after(HANGS):
            return await function(*args)

    # What is deaf to cancellation can hang all the same, and for real.
    signal.setitimer(signal.ITIMER_REAL, HANGS_FOR_REAL)
    before = signal.signal(signal.SIGALRM, _alarm)
    try:
        return trio.run(bounded, clock=MockClock(autojump_threshold=0))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _alarm(_number: int, _frame: object) -> None:
    raise AssertionError("the run hangs: a Trio task that is deaf to cancellation waits for ever")


def on_schedules(examples: int = 20) -> Callable[[Callable[[], Awaitable[None]]], Any]:
    """Make an async function without arguments a test that runs over many schedules."""

    def decorate(function: Callable[[], Awaitable[None]]) -> Any:
        @settings(
            max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.too_slow]
        )
        @given(schedule=st.random_module())
        def test(schedule: object) -> None:
            run(function)

        for name in ("__name__", "__qualname__", "__module__", "__doc__"):
            setattr(test, name, getattr(function, name))
        return test

    return decorate


async def answer_nothing(_worker: object, _message: object) -> None:
    """Complete a job with an empty response, without a checkpoint."""


class Doer(BaseWorker):
    """Does what ``function(worker, message)`` says, and counts its handlers by itself.

    Jobs ``do`` run side by side, jobs ``queue`` one at a time.
    """

    def __init__(self, name: str, function: Handler = answer_nothing, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self.function = function
        self.running = 0
        self.most_running = 0
        self.begun: list[str] = []
        self.ended: list[str] = []

    @job(name="do")
    async def do(self, message: Any) -> object:
        return await self._count(message)

    @job(name="queue", sequential=True)
    async def queue(self, message: Any) -> object:
        return await self._count(message)

    async def _count(self, message: Any) -> object:
        self.begun.append(message.job_id)
        self.running += 1
        self.most_running = max(self.running, self.most_running)
        try:
            return await self.function(self, message)
        finally:
            self.running -= 1
            self.ended.append(message.job_id)


class Asker(Doer):
    """A `Doer` that records every hook that runs on the requester's side."""

    def __init__(self, name: str = "asker", function: Handler = answer_nothing) -> None:
        super().__init__(name, function)
        self.seen: list[tuple[str, Any]] = []

    def events(self) -> list[str]:
        """Return the names of the hooks that have run."""
        return [event for event, _ in self.seen]

    async def on_job_response(self, message: Any) -> None:
        self.seen.append(("response", message))

    async def on_job_update(self, message: Any) -> None:
        self.seen.append(("update", message))

    async def on_job_completed(self, result: Any) -> None:
        self.seen.append(("completed", result))

    async def on_job_error(self, message: Any) -> None:
        self.seen.append(("error", message))

    async def on_job_stream_start(self, message: Any) -> None:
        self.seen.append(("start", message))

    async def on_job_stream_data(self, message: Any) -> None:
        self.seen.append(("data", message))

    async def on_job_stream_end(self, message: Any) -> None:
        self.seen.append(("end", message))


async def assert_quiet(runner: WorkerRunner) -> None:
    """Check that no job, group, hook, message or handler is left anywhere."""
    await wait_all_tasks_blocked()
    now = runner.statistics()
    for name, worker in now.workers.items():
        left = (
            worker.active_jobs,
            worker.job_groups,
            worker.detached_groups,
            worker.waiting_for,
            worker.early_cancels,
            worker.early_messages,
        )
        assert left == (0, 0, 0, {}, 0, 0), (name, worker)
        assert worker.lanes == LaneStatistics(0, 0, 0, 0), (name, worker)
    assert now.bus.lanes == {}
    assert now.bus.unpublished == 0
    assert (now.job_groups, now.waiting_for) == (0, {})
    for worker in runner.workers:
        assert not worker.active_jobs
        assert not worker.job_groups
        if isinstance(worker, Doer):
            assert worker.running == 0, f"{worker!r} still works"


@asynccontextmanager
async def hosting(
    *workers: BaseWorker, strict: bool = True, quiet: bool = True, bus: Any = None
) -> AsyncIterator[WorkerRunner]:
    """Run ``workers``, all ready; check at the end that nothing is left.

    Args:
      workers: Whom to run.
      strict: As in `WorkerRunner`.
      quiet: Whether to check for leftovers before the runner ends, too.
      bus: As in `WorkerRunner`; with a fixed incarnation if None.
    """
    bus = bus or MemoryChannelBus(incarnation="t")
    runner = WorkerRunner(name="runner", bus=bus, strict=strict)
    async with runner:
        await runner.add_workers(*workers)
        await runner.registry.wait_ready(*(worker.name for worker in workers))
        await wait_all_tasks_blocked()
        watches = runner.statistics().watches - len(runner.workers)
        yield runner
        if quiet:
            await assert_quiet(runner)
            assert runner.statistics().watches - len(runner.workers) == watches
    assert_gone(runner, *workers)


def assert_gone(runner: WorkerRunner, *workers: BaseWorker) -> None:
    """Check that a runner that has ended has left nothing behind."""
    assert runner.registry.local_workers == ()
    assert runner.workers == ()
    assert runner.statistics().watches == 0
    assert runner.statistics().job_groups == 0
    assert runner.name not in runner.bus.names
    for worker in workers:
        assert worker.name not in runner.bus.names
        assert not worker.active_jobs
        assert not worker.job_groups
        if isinstance(worker, Doer):
            assert worker.running == 0, f"{worker!r} still works"
