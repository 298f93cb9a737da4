"""The states of a worker's life: each comes once, in this order."""

from enum import StrEnum
from typing import Any

import attrs
from trio.lowlevel import (
    Abort,
    ParkingLot,
    RaiseCancelT,
    Task,
    checkpoint,
    current_task,
    enable_ki_protection,
    reschedule,
    wait_task_rescheduled,
)

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
      stop_requested: Whether it is to stop now.
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
    stop_requested: bool = False
    ending: bool = False
    active: bool = False
    activation_args: dict[str, Any] | None = None
    parent: str | None = None
    started_at: float | None = None
    task: Task | None = None
    _sleeper: Task | None = None
    _waiting: ParkingLot | None = None

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
        self.task = current_task()
        self._enter(LifeState.RUNNING)

    def finish(self) -> None:
        """Go to STOPPED."""
        self.active = False
        self._enter(LifeState.STOPPED)

    def _enter(self, state: LifeState) -> None:
        self.state = state
        if self._waiting is not None:
            self._waiting.unpark_all()

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

    async def wait_while(self, *states: LifeState) -> None:
        """Wait until it is in none of ``states``. Always a checkpoint."""
        await checkpoint()
        while self.state in states:
            self._waiting = self._waiting or ParkingLot()
            await self._waiting.park()

    @enable_ki_protection
    def request_stop(self) -> None:
        """Let the worker stop now; doing it again changes nothing."""
        self.stop_requested = True
        if self._sleeper is not None:
            sleeper, self._sleeper = self._sleeper, None
            reschedule(sleeper)

    async def wait_stop(self) -> None:
        """Wait until the stop is requested. For the worker's own Trio task; always a checkpoint."""
        if self.stop_requested:
            await checkpoint()
        else:
            self._sleeper = current_task()
            await wait_task_rescheduled(self._abort_sleep)

    def _abort_sleep(self, _: RaiseCancelT) -> Abort:
        self._sleeper = None
        return Abort.SUCCEEDED

    async def stop(self) -> None:
        """Request the stop; wait for it, unless in one of the worker's own Trio tasks."""
        self.request_stop()
        await checkpoint()
        if self.is_running and not self.hosts_current_task():
            await self.wait()

    async def wait(self) -> None:
        """Wait until the worker has stopped. Always a checkpoint.

        Raises:
          RuntimeError: The caller is one of the worker's own Trio tasks.
        """
        if self.hosts_current_task():
            raise RuntimeError(
                f"worker {self.name!r} can't wait for its own end in one of its own tasks"
            )
        await self.wait_while(LifeState.NEW, LifeState.ATTACHED, LifeState.RUNNING)


class LifeFace:
    """What users see of a worker's life, and how they end it."""

    _life: Life

    @property
    def active(self) -> bool:
        """Whether it is active now."""
        return self._life.active

    @property
    def activation_args(self) -> dict[str, Any] | None:
        """What it was last activated with, or None while it is inactive."""
        return self._life.activation_args

    @property
    def parent(self) -> str | None:
        """The name of its parent, or None for a root worker."""
        return self._life.parent

    @property
    def started_at(self) -> float | None:
        """Unix time in seconds when it became ready, or None."""
        return self._life.started_at

    async def stop(self) -> None:
        """Stop now: cancel its jobs and the groups it has requested.

        Requesters are told CANCELLED. Returns when it has stopped; called from
        one of its own Trio tasks it only asks for it.
        """
        await self._life.stop()

    async def wait(self) -> None:
        """Wait until it has stopped. Always a checkpoint.

        Raises:
          RuntimeError: The caller is one of its own Trio tasks.
        """
        await self._life.wait()
