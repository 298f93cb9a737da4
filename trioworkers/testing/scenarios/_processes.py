"""Explores in several processes at once."""

import multiprocessing
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import connection
from multiprocessing.context import SpawnContext
from typing import Any

import attrs

from ._explore import HANGS_SECONDS, Search, explore, lost
from ._findings import Findings

#: Seconds that the caller waits at most for something to look at.
TICK = 0.1
#: Seconds in which a process must have stopped: in the midst of a run that hangs, too.
STOP_SECONDS = HANGS_SECONDS + 5.0


@attrs.define(eq=False)
class _Explorer:
    """A process that explores, and what connects it.

    Attributes:
      process: It.
      reports: Where its findings come from; anything sent there tells it to stop.
      number: The run that it is in, in memory that is shared; -1 before the first.
    """

    process: multiprocessing.process.BaseProcess
    reports: "connection.Connection[Any, Any]"
    number: Any

    @classmethod
    def start(cls, context: SpawnContext, search: Search, part: int, parts: int) -> "_Explorer":
        """Start a process for one of ``parts`` shares."""
        here, there = context.Pipe()
        number = context.RawValue("q", -1)
        process = context.Process(
            target=_explore_there, args=(there, number, search, part, parts), daemon=True
        )
        with _ctrl_c_held():
            process.start()
        there.close()
        return cls(process, here, number)

    def tell_to_stop(self) -> None:
        """Let it end the run that it is in, and no more; it may have ended already."""
        with suppress(OSError):
            self.reports.send(None)

    def end(self) -> None:
        """End it now, whatever it does."""
        self.process.kill()
        self.process.join()
        self.reports.close()


@contextmanager
def _ctrl_c_held() -> Iterator[None]:
    """Hold back Ctrl-C inside the block; processes that are started there never hear of it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def explore_apart(
    search: Search, should_stop: Callable[[], bool], processes: int
) -> Iterator[Findings]:
    """Like `explore`, in several processes; yields at least every `TICK`, perhaps nothing new.

    Once told to stop, a process ends the run that it is in. None is left when the
    iterator has ended or is closed. They don't hear Ctrl-C: whoever asks decides.

    Args:
      search: What to run.
      should_stop: Asked every `TICK`.
      processes: How many, >= 1.
    """
    context = multiprocessing.get_context("spawn")
    explorers: list[_Explorer] = []
    try:
        for part in range(processes):
            explorer = _Explorer.start(context, search, part, processes)
            explorers.append(explorer)
        yield from _reports(search, should_stop, explorers)
    finally:
        for explorer in explorers:
            explorer.end()


def _reports(
    search: Search, should_stop: Callable[[], bool], explorers: list[_Explorer]
) -> Iterator[Findings]:
    """Yield what ``explorers`` find, until all have ended."""
    open_ones = {explorer.reports: explorer for explorer in explorers}
    deadline: float | None = None
    while open_ones:
        ready = connection.wait(list(open_ones), TICK)
        if not ready:
            yield Findings()
        for reports in ready:
            explorer = open_ones[reports]  # type: ignore[index]
            try:
                yield explorer.reports.recv()
            except (EOFError, OSError):
                del open_ones[explorer.reports]
                explorer.process.join()
                if explorer.process.exitcode:
                    yield lost(search, max(0, explorer.number.value), explorer.process.exitcode)
        if deadline is None and should_stop():
            deadline = time.monotonic() + STOP_SECONDS
            for explorer in open_ones.values():
                explorer.tell_to_stop()
        if deadline is not None and time.monotonic() > deadline:
            for explorer in open_ones.values():
                explorer.process.kill()  # then its connection ends, and it is told as lost


def _explore_there(
    reports: "connection.Connection[Any, Any]", number: Any, search: Search, part: int, parts: int
) -> None:
    """Explore in this process; the caller has one end of ``reports``."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def begin(run: int) -> None:
        number.value = run

    try:
        # It is readable once told to stop, and also if the caller is no more.
        for found in explore(search, reports.poll, part=part, parts=parts, begin=begin):
            reports.send(found)
        if reports.poll():
            reports.recv()  # what is unread would reset the connection
    except (EOFError, OSError):
        pass  # the caller is no more
