"""Runs one scenario after another, with one seed after another, and counts."""

import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import attrs

from .._logged import LOGGERS
from ._catalogue import BUILT_IN
from ._findings import Findings, Violation, violation_of

#: Seconds between two reports.
REPORT_SECONDS = 0.2
#: Real seconds after which a run is taken to hang, and is broken off.
HANGS_SECONDS = 30.0


@attrs.frozen
class Search:
    """Which runs to make: all ``names`` with the first seed, then with the next, and so on.

    Attributes:
      names: The scenarios.
      seed: The first seed.
      schedules: How many runs in all; None is without end.
    """

    names: tuple[str, ...]
    seed: int = 0
    schedules: int | None = None

    def numbers(self, part: int = 0, parts: int = 1) -> Iterator[int]:
        """Yield the numbers of the runs that are one part's share; each seed is one's alone."""
        step, number = len(self.names), 0
        first = part * step
        while True:
            for number in range(first, first + step):
                if self.schedules is not None and number >= self.schedules:
                    return
                yield number
            first += parts * step

    def at(self, number: int) -> tuple[str, int]:
        """Return scenario and seed of a run."""
        seeds, index = divmod(number, len(self.names))
        return self.names[index], self.seed + seeds


def explore(
    search: Search,
    should_stop: Callable[[], bool],
    *,
    part: int = 0,
    parts: int = 1,
    begin: Callable[[int], None] = lambda _number: None,
) -> Iterator[Findings]:
    """Make the runs of ``search``; yield what was found since the last time.

    It yields every `REPORT_SECONDS`, and at once after a violation.

    Args:
      search: What to run.
      should_stop: Asked before each run.
      part: Whose share of the runs to make, from 0.
      parts: How many shares there are.
      begin: Called with the number of each run that begins.
    """
    found, due = Findings(), time.monotonic() + REPORT_SECONDS
    for number in search.numbers(part, parts):
        if should_stop():
            break
        begin(number)
        with _no_logs():
            _run(*search.at(number), found)
        if found.violations or time.monotonic() >= due:
            yield found
            found, due = Findings(), time.monotonic() + REPORT_SECONDS
    yield found


def _run(name: str, seed: int, found: Findings) -> None:
    """Make one run, and note in ``found`` what came of it."""
    tally = found.of(name)
    tally.schedules += 1
    violation = None
    with _alarm() as alarm:
        try:
            run = BUILT_IN[name].run(seed)
        except (Exception, BaseExceptionGroup, _HangsError) as error:  # noqa: BLE001 - told
            if isinstance(error, BaseExceptionGroup) and error.subgroup(KeyboardInterrupt):
                raise KeyboardInterrupt from None
            violation = violation_of(name, seed, error)
        else:
            tally.count(run.timeline)
    if alarm.rang:
        what = f"did not end within {HANGS_SECONDS:g} s of real time"
        if violation is not None:
            what = f"{what}\n{violation.reason}"
        violation = Violation(name, seed, what, violation.timeline if violation else ())
    if violation is not None:
        found.note(violation)


@contextmanager
def _no_logs() -> Iterator[None]:
    """Keep quiet about what goes wrong on purpose, thousands of times."""

    def refuse(_record: logging.LogRecord) -> bool:
        return False

    loggers = [logging.getLogger(name) for name in LOGGERS]
    for logger in loggers:
        logger.addFilter(refuse)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(refuse)


class _HangsError(BaseException):
    """Raised into a run that takes too long, wherever it is: no handler is to answer with it."""


@attrs.define(eq=False)
class _Alarm:
    """Rings when a run has taken too long.

    Attributes:
      rang: Whether it has.
    """

    rang: bool = False

    def ring(self, _number: int, _frame: FrameType | None) -> None:
        """Break off whatever runs now: for ``signal.signal``."""
        self.rang = True
        raise _HangsError(f"broken off after {HANGS_SECONDS:g} s")


@contextmanager
def _alarm() -> Iterator[_Alarm]:
    """Break off what takes too long inside the block, where the system has alarms.

    A run can hang for real: in a loop, or deaf to cancellation. Virtual time
    does not help then. It rings again, for those that go on all the same.
    """
    alarm = _Alarm()
    if not hasattr(signal, "SIGALRM") or threading.current_thread() is not threading.main_thread():
        yield alarm
        return
    before = signal.signal(signal.SIGALRM, alarm.ring)
    signal.setitimer(signal.ITIMER_REAL, HANGS_SECONDS, HANGS_SECONDS)
    try:
        yield alarm
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def lost(search: Search, number: int, exit_status: int | None) -> Findings:
    """Return what is to be said of the run in whose midst a process has ended."""
    name, seed = search.at(number)
    found = Findings()
    found.of(name).schedules += 1
    found.note(Violation(name, seed, f"its process ended in this run, with status {exit_status}"))
    return found
