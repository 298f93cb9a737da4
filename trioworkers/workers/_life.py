"""The states of a worker's life: each comes once, in this order."""

from enum import StrEnum
from typing import Any

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
    """Where one worker is in its life, and what is true of it there.

    Attributes:
      name: The worker's.
      starts_active: Whether it is to be activated when it starts; no more once
        it was told to be active or not.
      state: Where it is.
      stop_requested: Set when it is to stop now.
      begun: Set when it runs, or never will.
      finished: Set when it has stopped, or will never run.
      ending: Whether it finishes what it has accepted, then stops.
      active: Whether it is active now.
      activation_args: What it was activated with, or None.
      parent: The name of the worker's parent, or None.
      started_at: Unix time in seconds when it became ready, or None.
      task: The Trio task that runs the worker.
    """

    name: str
    starts_active: bool
    state: LifeState = LifeState.NEW
    stop_requested: trio.Event = attrs.field(factory=trio.Event)
    begun: trio.Event = attrs.field(factory=trio.Event)
    finished: trio.Event = attrs.field(factory=trio.Event)
    ending: bool = False
    active: bool = False
    activation_args: dict[str, Any] | None = None
    parent: str | None = None
    started_at: float | None = None
    task: Task | None = None

    # From state to state

    def check_new(self) -> None:
        """Raise `StoppedError` if the worker was attached before."""
        if self.state is not LifeState.NEW:
            raise StoppedError(
                f"worker {self.name!r} was attached before ({self.state})",
                "a worker runs once: make a new one",
            )

    def attach(self) -> None:
        """Go from NEW to ATTACHED."""
        self.check_new()
        self.state = LifeState.ATTACHED

    def detach(self) -> None:
        """Go back to NEW: the bus refused it."""
        self.state = LifeState.NEW

    def begin(self) -> None:
        """Go from ATTACHED to RUNNING, in the calling Trio task."""
        if self.state is not LifeState.ATTACHED:
            raise StoppedError(
                f"worker {self.name!r} can't be run: it is {self.state}",
                "a worker runs once: make a new one",
            )
        self.state = LifeState.RUNNING
        self.task = current_task()

    def finish(self) -> None:
        """Go to STOPPED."""
        self.state = LifeState.STOPPED
        self.active = False
        self.begun.set()
        self.finished.set()

    def activate(self, args: dict[str, Any] | None) -> None:
        """Become active, now and not again at the start."""
        self.starts_active = False
        self.active = True
        self.activation_args = args

    def deactivate(self) -> None:
        """Become inactive, also if it was to start active."""
        self.starts_active = False
        self.active = False
        self.activation_args = None

    # Asking and waiting

    @property
    def is_running(self) -> bool:
        """Whether the worker runs now."""
        return self.state is LifeState.RUNNING

    def check_open(self) -> None:
        """Raise `StoppedError` if the worker has stopped."""
        if self.state is LifeState.STOPPED:
            raise StoppedError(
                f"worker {self.name!r} has stopped", "workers run once: make a new one"
            )

    def hosts_current_task(self) -> bool:
        """Whether the calling Trio task is the worker's, or below it."""
        if self.task is None or not self.is_running:
            return False
        task: Task | None = current_task()
        while task is not None:
            if task is self.task:
                return True
            task = task.parent_nursery.parent_task if task.parent_nursery else None
        return False

    async def stop(self) -> None:
        """Request the stop; wait for it, unless in one of the worker's own Trio tasks."""
        self.stop_requested.set()
        await trio.lowlevel.checkpoint()
        if self.is_running and not self.hosts_current_task():
            await self.finished.wait()

    async def wait(self) -> None:
        """Wait until the worker has stopped. Always a checkpoint.

        Raises:
          RuntimeError: The caller is one of the worker's own Trio tasks.
        """
        if self.hosts_current_task():
            raise RuntimeError(
                f"worker {self.name!r} can't wait for its own end in one of its own tasks"
            )
        await self.finished.wait()
