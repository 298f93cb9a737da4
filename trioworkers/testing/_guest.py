"""One Trio run that goes on only as far as it is told to, in the calling thread."""

import sys
import traceback
import warnings
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import outcome
import trio
import trio.lowlevel
from trio.testing import MockClock

from ..errors import StuckError

#: Rounds of Trio's loop without a pause after which a run is taken to spin.
SPINS = 100_000
#: How often what waits deaf to cancellation is interrupted, before its run is dropped.
INTERRUPTIONS = 100

#: The run that goes on, or was left open: Trio has one at a time.
_latest: "GuestRun | None" = None

_TRIO = str(Path(trio.__file__).parent)


def _never() -> bool:
    return False


class _Abandoned(BaseException):
    """Raised in Trio tasks that wait deaf to cancellation, to end them all the same."""


class _BlockedWatcher(trio.abc.Instrument):
    """Notices when all Trio tasks are blocked; keeps Trio from waiting in a thread then."""

    blocked = False
    #: Whether only what Trio itself does at the end of a run is left.
    ending = False

    def before_io_wait(self, timeout: float) -> None:
        """See `trio.abc.Instrument`."""
        if timeout > 0:
            self.blocked = not self.ending
            # Something to do at once, or else the guest run waits for I/O in a thread.
            trio.lowlevel.current_trio_token().run_sync_soon(_never)


class GuestRun:
    """Drives one run of Trio by hand: guest mode, in the calling thread, on a virtual clock.

    There is one at a time: beginning another one ends it.

    Between two calls of its methods the run stands still. Sync functions of
    Trio, such as `trio.Event.set`, work then, and take effect in the next call.
    No thread is started and nothing sleeps, so work that needs threads, sockets
    or a cushion in `trio.testing.wait_all_tasks_blocked` waits for ever.

    Args:
      async_fn: What to run. It has not begun when this returns.

    Attributes:
      clock: The run's clock.
      scope: What ``async_fn`` runs in; cancel it to end the run.
      ended: Whether the run is over.
      dropped: Whether it was left as it was: what it raises then comes of that.
      error: What it has raised, or None.

    Raises:
      RuntimeError: A Trio run is going on in this thread.
    """

    def __init__(self, async_fn: Callable[[], Awaitable[object]]) -> None:
        self.clock = MockClock()
        self.scope = trio.CancelScope()
        self.ended = False
        self.dropped = False
        self.error: BaseException | None = None
        self._main: trio.lowlevel.Task | None = None
        self._watcher = _BlockedWatcher()
        #: What Trio wants to be called next: always one function while it runs.
        self._next: deque[Callable[[], object]] = deque()
        self._replace_latest()
        trio.lowlevel.start_guest_run(
            self._run,
            async_fn,
            run_sync_soon_threadsafe=self._next.append,
            done_callback=self._done,
            clock=self.clock,
            instruments=[self._watcher],
        )

    def _replace_latest(self) -> None:
        """End a run that was left open, such as by a test that failed half-way."""
        global _latest
        if _latest is not None and not _latest.ended:
            _latest.abandon()
        _latest = self

    async def _run(self, async_fn: Callable[[], Awaitable[object]]) -> None:
        self._main = trio.lowlevel.current_task()
        try:
            with self.scope:
                await async_fn()
        finally:
            self._watcher.ending = True

    def _done(self, result: outcome.Outcome[Any]) -> None:
        global _latest
        if _latest is self:
            _latest = None
        self.ended = True
        self.error = result.error if isinstance(result, outcome.Error) else None

    # Going on

    def rounds(self, count: int, stop: Callable[[], bool] = _never) -> bool:
        """Let every Trio task that can run take a step, ``count`` times.

        Args:
          count: How often, at most.
          stop: Ends it early, as soon as it returns True.

        Returns:
          Whether there is nothing left to do: all are blocked, it was stopped, or
          the run has ended.
        """
        self._watcher.blocked = False
        for _ in range(count):
            if self.ended or self._watcher.blocked or stop():
                return True
            self._next.popleft()()
        return False

    def until_blocked(self, stop: Callable[[], bool] = _never) -> None:
        """Go on until all Trio tasks are blocked; time stands still.

        Args:
          stop: Ends it early, as soon as it returns True.

        Raises:
          StuckError: They go on and on.
        """
        if not self.rounds(SPINS, stop):
            raise StuckError(f"some Trio task is never blocked, at {self._now}", self.where())

    def advance(self, seconds: float, stop: Callable[[], bool] = _never) -> None:
        """Go on for ``seconds`` of virtual time, as `until_blocked` at each deadline.

        What is due happens at its time, in order; what is due at the end, too.
        """
        end = self.clock.current_time() + seconds
        while True:
            self.until_blocked(stop)
            if self.ended or stop():
                return
            left = end - self.clock.current_time()
            if left <= 0:
                return
            due = trio.lowlevel.current_statistics().seconds_to_next_deadline
            self.clock.jump(min(due, left))

    # What waits

    @property
    def _now(self) -> str:
        return f"{self.clock.current_time():g} virtual s"

    def where(self) -> str:
        """Return which Trio tasks wait for no other one, and in which lines, innermost last."""
        return "\n".join(map(_place, _leaves(self._main))) if self._main is not None else ""

    # Ending by force

    def abandon(self) -> None:
        """End the run whatever it waits for.

        What waits deaf to cancellation gets an exception there. If it catches
        that, again and again, or never waits, the run is dropped as it is.
        """
        self.scope.cancel()
        for _ in range(INTERRUPTIONS):
            try:
                self.until_blocked()
            except StuckError:
                break
            if self.ended or self._main is None:
                break
            for task in list(_leaves(self._main)):
                trio.lowlevel.reschedule(task, outcome.Error(_Abandoned()))
        if not self.ended:
            self._drop()
        if isinstance(self.error, BaseExceptionGroup):
            self.error = self.error.split(_Abandoned)[1]
        elif isinstance(self.error, _Abandoned):
            self.error = None

    def _drop(self) -> None:
        """Leave the run as it is. What Python and Trio say to that is kept from others."""
        self.dropped = True
        root = trio.lowlevel.current_root_task()
        tasks = list(_below(root)) if root is not None else []
        said, sys.unraisablehook = sys.unraisablehook, lambda _: None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                for task in reversed(tasks):
                    for nursery in task.child_nurseries:
                        nursery._children.clear()  # else its `__del__` complains, any time later
                    for _ in range(INTERRUPTIONS):
                        with suppress(BaseException):
                            task.coro.close()
                            break
                self._next.clear()  # the last reference to the run: Trio closes it
        finally:
            sys.unraisablehook = said
        self.ended = True


def _below(task: trio.lowlevel.Task) -> Iterator[trio.lowlevel.Task]:
    """Yield ``task`` and all Trio tasks in its nurseries."""
    yield task
    for nursery in task.child_nurseries:
        for child in nursery.child_tasks:
            yield from _below(child)


def _leaves(task: trio.lowlevel.Task) -> Iterator[trio.lowlevel.Task]:
    """Yield ``task``, or the Trio tasks below it, that don't wait for others to end."""
    children = [child for nursery in task.child_nurseries for child in nursery.child_tasks]
    if not children:
        yield task
    for child in sorted(children, key=lambda child: child.name):
        yield from _leaves(child)


def _place(task: trio.lowlevel.Task) -> str:
    frames = traceback.StackSummary.extract(task.iter_await_frames())
    lines = [
        f"    {frame.filename}:{frame.lineno} in {frame.name}: {frame.line}"
        for frame in frames
        if not frame.filename.startswith(_TRIO)
    ]
    return "\n".join([f"  Trio task {task.name!r} waits in", *lines])
