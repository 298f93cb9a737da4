"""Ctrl-C at every line of a scenario."""

import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from types import FrameType, ModuleType

import outcome
import trio

import trioworkers

from ..errors import JobError
from ..workers import BaseWorker, WorkerRunner
from ._determinism import seeded_run
from ._everywhere import HANGS, MakeRunner, MakeWorkers, Scenario, as_test
from ._leftovers import LeftoverError, unfinished
from ._stuck import Watchdog

#: A runner that has run, and all workers that it had.
_Met = tuple[WorkerRunner, tuple[BaseWorker, ...]]

#: Not interrupted, though they may be in the package.
_OWN_FILES = (__file__, as_test.__code__.co_filename, Watchdog._act.__code__.co_filename)

#: Called with the workers, which have ended, after each run.
CheckWorkers = Callable[[tuple[BaseWorker, ...]], object]


def interrupt_at_every_line(
    scenario: Scenario,
    *,
    workers: MakeWorkers = tuple,
    package: ModuleType = trioworkers,
    every: int = 1,
    make_runner: MakeRunner = WorkerRunner,
    check: CheckWorkers | None = None,
    seed: int = 0,
    only: int | None = None,
) -> int:
    """Run ``scenario`` again and again, with Ctrl-C one line of ``package`` later each time.

    All runs have the same schedule, in virtual time. Each must end with
    `KeyboardInterrupt`, alone or beside the `JobError` of a job that was lost by
    it; then no worker may have a job or group, and nothing may be left on the bus
    and in the registry. The previous tracer (a debugger's, or that of coverage)
    is put back. Only the scenario is interrupted, not the runner's start and end.

    Args:
      scenario: Called with a runner that runs and has the workers.
      workers: Makes the workers that are added before the scenario begins.
      package: Whose lines count: a package, subpackages included, or a module.
      every: Lines, >= 1, from one interrupt to the next.
      make_runner: Makes the runner.
      check: Called with the workers after each run, for invariants of your own.
      seed: Chooses the schedule.
      only: The one line to interrupt at, >= 1, counted as executed; None is all.

    Returns:
      How many runs were interrupted.

    Raises:
      ValueError: ``every`` or ``only`` is out of range; ``package`` has no file,
        or the scenario executes no line of it.
      RuntimeError: Not called in the main thread, or Python's handler for Ctrl-C
        is replaced: nothing could be interrupted.
      LeftoverError: An `AssertionError`: Ctrl-C was swallowed, became something
        else, something was left, or the run never ended. It names the line.
      BaseException: What the scenario raises when it isn't interrupted.
    """
    for name, value in (("every", every), ("only", only)):
        if value is not None and value < 1:
            raise ValueError(f"{name} must be an integer >= 1, not {value!r}")
    _check_thread()
    prefix = _prefix(package)
    setting = (workers, make_runner)
    # Twice: the first run also executes lines that fill caches, and no later one does.
    for _ in range(2):
        count = _Interrupter(0, prefix)
        _trace(scenario, count, setting, [], seed, Watchdog())
    if not count.lines:
        raise ValueError(f"the scenario executes no line of {package.__name__!r}")
    lines = range(1, count.lines + 1, every) if only is None else [only]
    for at in lines:
        where = f"Ctrl-C at line {at} of {count.lines}, seed {seed} (only={at} repeats it)"
        interrupter = _Interrupter(at, prefix)
        met: list[_Met] = []
        watchdog = Watchdog()
        end = outcome.capture(partial(_trace, scenario, interrupter, setting, met, seed, watchdog))
        if watchdog.reason:
            raise LeftoverError(where, watchdog.reason)
        if isinstance(end, outcome.Value):
            swallowed = interrupter.lines >= at
            what = "it was swallowed" if swallowed else f"it has only {interrupter.lines} lines"
            raise LeftoverError(where, what)
        if not _is_interrupt(end.error):
            raise LeftoverError(where, f"the run ended with {end.error!r}") from end.error
        for runner, seen in met:
            left = unfinished(runner, seen)
            if left is not None:
                raise LeftoverError(where, left)
            if check is not None:
                try:
                    check(seen)
                except BaseException as error:
                    error.add_note(where)
                    raise
    return len(lines)


def interrupted_everywhere(
    *,
    workers: MakeWorkers = tuple,
    package: ModuleType = trioworkers,
    every: int = 1,
    make_runner: MakeRunner = WorkerRunner,
    check: CheckWorkers | None = None,
    seed: int = 0,
) -> Callable[[Callable[..., Awaitable[object]]], Callable[..., None]]:
    """Make a scenario a test that meets Ctrl-C at every line.

    The arguments are those of `interrupt_at_every_line`. Parameters of the
    scenario after the runner are filled in by pytest.
    """

    def decorate(scenario: Callable[..., Awaitable[object]]) -> Callable[..., None]:
        def run(bound: Scenario) -> None:
            interrupt_at_every_line(
                bound,
                workers=workers,
                package=package,
                every=every,
                make_runner=make_runner,
                check=check,
                seed=seed,
            )

        return as_test(scenario, run)

    return decorate


class _Interrupter:
    """A tracer that sends SIGINT at the n-th line executed in files below ``prefix``."""

    def __init__(self, at: int, prefix: str) -> None:
        self.at = at
        self.prefix = prefix
        self.lines = 0
        self.active = False

    def __call__(self, frame: FrameType, event: str, arg: object) -> "_Interrupter | None":
        file = frame.f_code.co_filename
        if not file.startswith(self.prefix) or file in _OWN_FILES:
            return None
        if event == "line" and self.active:
            self.lines += 1
            if self.lines == self.at:
                sys.settrace(None)  # what comes of it is not counted, and quicker so
                signal.raise_signal(signal.SIGINT)
        return self


def _trace(
    scenario: Scenario,
    interrupter: _Interrupter,
    setting: tuple[MakeWorkers, MakeRunner],
    met: list[_Met],
    seed: int,
    watchdog: Watchdog,
) -> None:
    """Run once under ``interrupter``; then the tracer is the one that it was."""
    tracer = sys.gettrace()
    sys.settrace(interrupter)
    try:
        instruments = [watchdog]
        seeded_run(
            _run_once, scenario, interrupter, setting, met, seed=seed, instruments=instruments
        )
    finally:
        sys.settrace(tracer)


async def _run_once(
    scenario: Scenario,
    interrupter: _Interrupter,
    setting: tuple[MakeWorkers, MakeRunner],
    met: list[_Met],
) -> None:
    """Run ``scenario`` on a runner of its own; the clock makes a hang an error."""
    make_workers, make_runner = setting
    with trio.fail_after(HANGS):
        runner = make_runner()
        async with runner:
            workers = tuple(make_workers())
            await runner.add_workers(*workers)
            interrupter.active = True
            try:
                await scenario(runner)
            finally:
                interrupter.active = False
                met.append((runner, tuple({*workers, *runner.workers})))


def _check_thread() -> None:
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError(
            "Ctrl-C reaches the main thread alone: call interrupt_at_every_line there"
        )
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        raise RuntimeError(
            "Trio turns Ctrl-C into KeyboardInterrupt only where Python's own handler for "
            "SIGINT is in place: restore signal.default_int_handler first"
        )


def _prefix(package: ModuleType) -> str:
    file = getattr(package, "__file__", None)
    if file is None:
        raise ValueError(f"package {package.__name__!r} has no file whose lines could be counted")
    path = Path(file)
    return f"{path.parent}{os.sep}" if path.name == "__init__.py" else str(path)


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for part in error.exceptions for leaf in _leaves(part)]
    return [error]


def _is_interrupt(error: BaseException) -> bool:
    """Whether ``error`` is Ctrl-C, perhaps beside a job that was lost by it."""
    leaves = _leaves(error)
    return any(isinstance(leaf, KeyboardInterrupt) for leaf in leaves) and all(
        isinstance(leaf, KeyboardInterrupt | JobError) for leaf in leaves
    )
