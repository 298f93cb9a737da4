"""Cancellation at every step of a scenario."""

import inspect
from collections.abc import Awaitable, Callable
from functools import partial

import outcome
import trio
import trio.testing

from ..workers import BaseWorker, WorkerRunner
from ._determinism import seeded_run
from ._everywhere import HANGS, MakeRunner, MakeWorkers, Scenario, as_test
from ._leftovers import (
    LeftoverError,
    busy_statistics,
    live_tasks,
    open_work,
    tasks_left,
    unfinished,
    wait_idle,
)
from ._stuck import Watchdog

#: Called with the runner, which still runs, as soon as the scenario has been left.
Check = Callable[[WorkerRunner], object]


def cancel_at_every_checkpoint(
    scenario: Scenario,
    *,
    workers: MakeWorkers = tuple,
    make_runner: MakeRunner = WorkerRunner,
    check: Check | None = None,
    seed: int = 0,
    only: int | None = None,
) -> int:
    """Run ``scenario`` again and again, cancelled one step later each time.

    A step is what one Trio task, any of them, does between two checkpoints. All
    runs have the same schedule, in virtual time. The last one is not cancelled.
    After each, these must hold, whatever step it was:

    - when the scenario is left, no handler of any worker runs, and no group is
      open (P2), but for what was fired and forgotten;
    - when hooks have run, all statistics are back to zero (P8);
    - when the runner has ended, it has left no Trio task (P10), and nothing on
      the bus and in the registry.

    ::

        async def two_at_once(runner: WorkerRunner) -> None:
            async with runner.job_group("a", "b", name="work"):
                pass

        def test_two_at_once() -> None:
            cancel_at_every_checkpoint(two_at_once, workers=lambda: [Mine("a"), Mine("b")])

    Args:
      scenario: Called with a runner that runs and has the workers.
      workers: Makes the workers that are ready when the scenario begins.
      make_runner: Makes the runner.
      check: Called with the runner as soon as the scenario has been left, for
        invariants of your own; sync or async.
      seed: Chooses the schedule.
      only: The one step to cancel at, >= 1, to repeat a failure; None is all.

    Returns:
      How many runs it made.

    Raises:
      ValueError: ``only`` is out of range.
      LeftoverError: An `AssertionError`: something was left, or the run never ended.
        It names the step.
      BaseException: What scenario and check raise; a note names the step.
    """
    if only is not None and only < 1:
        raise ValueError(f"only must be a step >= 1 or None, not {only!r}")
    at = 1 if only is None else only
    runs = 0
    while True:
        canceller, watchdog = _CancelAt(at), Watchdog()
        where = f"cancelled at step {at}, seed {seed}"
        setting = (workers, make_runner, check)
        end: outcome.Maybe[None] = outcome.capture(
            partial(seeded_run, seed=seed, instruments=[canceller, watchdog]),
            _run_once,
            scenario,
            canceller,
            setting,
            where,
        )
        if isinstance(end, outcome.Error):
            if watchdog.reason:
                raise LeftoverError(f"{where} (only={at} repeats it)", watchdog.reason)
            end.error.add_note(f"{where}; pass only={at} to repeat this run alone")
            raise end.error
        runs += 1
        if only is not None or at > canceller.steps:
            return runs
        at += 1


def cancelled_everywhere(
    *,
    workers: MakeWorkers = tuple,
    make_runner: MakeRunner = WorkerRunner,
    check: Check | None = None,
    seed: int = 0,
) -> Callable[[Callable[..., Awaitable[object]]], Callable[..., None]]:
    """Make a scenario a test that is cancelled at every step.

    ::

        @cancelled_everywhere(workers=lambda: [Mine("a")])
        async def test_mine(runner):
            await runner.call("a", name="work")

    The arguments are those of `cancel_at_every_checkpoint`. Parameters of the
    scenario after the runner are filled in by pytest.
    """

    def decorate(scenario: Callable[..., Awaitable[object]]) -> Callable[..., None]:
        def run(bound: Scenario) -> None:
            cancel_at_every_checkpoint(
                bound, workers=workers, make_runner=make_runner, check=check, seed=seed
            )

        return as_test(scenario, run)

    return decorate


class _CancelAt(trio.abc.Instrument):
    """Cancels ``scope`` after the n-th step of any Trio task."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.steps = 0
        self.scope = trio.CancelScope()
        self.counting = False

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        if self.counting:
            self.steps += 1
            if self.steps == self.at:
                self.scope.cancel()


async def _run_once(
    scenario: Scenario,
    canceller: _CancelAt,
    setting: tuple[MakeWorkers, MakeRunner, Check | None],
    where: str,
) -> None:
    """Run ``scenario`` under ``canceller``, then look for what is left."""

    def expect_none(what: str | None) -> None:
        if what is not None:
            raise LeftoverError(where, what)

    make_workers, make_runner, check = setting
    before = live_tasks()
    seen: set[BaseWorker] = set()
    with trio.fail_after(HANGS):
        runner = make_runner()
        async with runner:
            workers = tuple(make_workers())
            await runner.add_workers(*workers)
            await runner.registry.wait_ready(*(worker.name for worker in workers))
            await trio.testing.wait_all_tasks_blocked()
            canceller.counting = True
            with canceller.scope:
                await scenario(runner)
            canceller.counting = False
            expect_none(open_work(runner))
            seen.update(workers, runner.workers)
            if check is not None:
                result = check(runner)
                if inspect.isawaitable(result):
                    await result
            await wait_idle(runner)
            expect_none(busy_statistics(runner))
        expect_none(unfinished(runner, seen))
    expect_none(await tasks_left(before))
