"""The states of a worker's life: each comes once, in this order."""

from enum import StrEnum

import attrs
import trio
from trio.lowlevel import Task, current_task

from ..errors import StoppedError


class LifeState(StrEnum):
    """Where a worker is in its life."""

    NEW = "new"
    ATTACHED = "attached"
    RUNNING = "running"
    STOPPED = "stopped"


@attrs.define(eq=False)
class Life:
    """One worker's life.

    Attributes:
      state: Where it is.
      stop_requested: Set when it is to stop now.
      begun: Set when it runs, or never will.
      finished: Set when it has stopped, or will never run.
      ending: Whether it finishes what it has accepted, then stops.
      task: The Trio task that runs the worker.
    """

    state: LifeState = LifeState.NEW
    stop_requested: trio.Event = attrs.field(factory=trio.Event)
    begun: trio.Event = attrs.field(factory=trio.Event)
    finished: trio.Event = attrs.field(factory=trio.Event)
    ending: bool = False
    task: Task | None = None

    def attach(self, name: str) -> None:
        """Go from NEW to ATTACHED."""
        if self.state is not LifeState.NEW:
            raise StoppedError(
                f"worker {name!r} was attached before ({self.state})",
                "a worker runs once: make a new one",
            )
        self.state = LifeState.ATTACHED

    def detach(self) -> None:
        """Go back to NEW: the bus refused it."""
        self.state = LifeState.NEW

    def begin(self, name: str) -> None:
        """Go from ATTACHED to RUNNING, in the calling Trio task."""
        if self.state is not LifeState.ATTACHED:
            raise StoppedError(
                f"worker {name!r} can't be run: it is {self.state}",
                "a worker runs once: make a new one",
            )
        self.state = LifeState.RUNNING
        self.task = current_task()

    def finish(self) -> None:
        """Go to STOPPED."""
        self.state = LifeState.STOPPED
        self.begun.set()
        self.finished.set()

    def check_open(self, name: str) -> None:
        """Raise `StoppedError` if the worker has stopped."""
        if self.state is LifeState.STOPPED:
            raise StoppedError(f"worker {name!r} has stopped", "workers run once: make a new one")

    def hosts_current_task(self) -> bool:
        """Whether the calling Trio task is the worker's, or below it."""
        if self.task is None or self.state is not LifeState.RUNNING:
            return False
        task: Task | None = current_task()
        while task is not None:
            if task is self.task:
                return True
            task = task.parent_nursery.parent_task if task.parent_nursery else None
        return False
