"""Notices simulated runs that will never end, and ends them."""

from collections.abc import Callable, Iterator
from typing import NoReturn

import attrs
import outcome
import trio

#: Rounds of Trio's loop without a step of any Trio task, after which a run is stuck.
IDLE_ROUNDS = 1000
#: Steps of Trio tasks at one moment of virtual time, after which it will never pass.
STEPS = 200_000
#: How often the time is looked at, in steps.
GLANCE = 1000


class ForcedEndError(Exception):
    """Raised in Trio tasks that would keep a stuck run from ending."""


@attrs.define(eq=False)
class Watchdog(trio.abc.Instrument):
    """Notices a run in which nothing, or nothing new, will ever happen again; ends it.

    At first politely: it calls ``free``. If that doesn't help, for instance
    since a Trio task has shielded itself for ever, it raises `ForcedEndError` in all
    Trio tasks that wait.

    Attributes:
      free: What gives the run a chance to end; None before there is anything to free.
      reason: Why the run was ended, or empty.
    """

    free: Callable[[], None] | None = None
    reason: str = ""
    _token: trio.lowlevel.TrioToken | None = None
    _idle: int = 0
    _steps: int = 0
    _next_glance: int = GLANCE
    _moment: float = -1.0
    _freed: bool = False

    def before_run(self) -> None:
        """Remember how to get into the run."""
        self._token = trio.lowlevel.current_trio_token()

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        """Note that something happens, and now and then whether time passes."""
        self._idle = 0
        self._steps += 1
        if self._steps >= self._next_glance:
            self._glance()

    def _glance(self) -> None:
        now = trio.current_time()
        if now != self._moment:
            self._moment = now
            self._steps = 0
        self._next_glance = self._steps + GLANCE
        if self._steps >= STEPS:
            self._steps = 0
            self._next_glance = GLANCE
            self._end(f"livelock: {STEPS} steps, and no virtual time has passed")

    def before_io_wait(self, timeout: float) -> None:
        """Count rounds in which no Trio task ran, though the clock jumps at once."""
        self._idle += 1
        if self._idle >= IDLE_ROUNDS:
            self._idle = 0
            self._end(
                "the run is stuck: every Trio task waits for another one, or for something "
                "outside the simulation"
            )

    def _end(self, reason: str) -> None:
        self.reason = self.reason or reason
        if self._token is not None:
            self._token.run_sync_soon(self._act)

    def _act(self) -> None:
        if not self._freed and self.free is not None:
            self._freed = True
            self.free()
        else:
            _raise_everywhere(self.reason)


def _raise_everywhere(reason: str) -> None:
    """Raise `ForcedEndError` in every Trio task that waits, and has no children to wait for.

    Trio offers no way to end a Trio task that shields itself. A run that can't
    end must be told of all the same.
    """

    def refuse() -> NoReturn:
        raise ForcedEndError(reason)

    for task in list(_leaves()):
        if task._abort_func is not None:
            task._attempt_abort(refuse)
        elif task._next_send_fn is None:
            # Cancelled before, and deaf to that: waiting for a wake-up that was lost.
            trio.lowlevel.reschedule(task, outcome.Error(ForcedEndError(reason)))


def _leaves() -> Iterator[trio.lowlevel.Task]:
    root = trio.lowlevel.current_root_task()
    todo = [] if root is None else list(_main_tasks(root))
    while todo:
        task = todo.pop()
        children = [child for nursery in task.child_nurseries for child in nursery.child_tasks]
        if children:
            todo += children
        else:
            yield task


def _main_tasks(root: trio.lowlevel.Task) -> Iterator[trio.lowlevel.Task]:
    """Yield the Trio task that `trio.run` was called for: not Trio's own ones."""
    for nursery in root.child_nurseries:
        for task in nursery.child_tasks:
            if task.name.startswith("trioworkers.testing"):
                yield task
