"""Trio tasks that call handlers, and wait for the next task instead of ending."""

from collections import deque
from contextvars import Context
from typing import TYPE_CHECKING

import attrs
import trio
from trio.lowlevel import (
    Abort,
    RaiseCancelT,
    checkpoint,
    checkpoint_if_cancelled,
    current_task,
    enable_ki_protection,
    reschedule,
    wait_task_rescheduled,
)
from trio.lowlevel import Task as TrioTask

from ._attempt import Attempt, current_attempt
from ._calls import call, tell
from ._phases import READY, RUNNING
from ._provenance import Node
from ._seats import Seat
from ._stations import Kind
from ._sweeper import Sweeper

if TYPE_CHECKING:
    from ._run import GraphRun

#: Idle Trio tasks that are kept.
MAX_PARKED = 64


@attrs.define(eq=False)
class Runners:
    """The Trio tasks of a run that call handlers, and the tasks that wait for one.

    They take tasks in the order in which those became ready. One wakes the next
    if there is more to do than it can take itself, and so on: there are never
    many more of them than are of use.

    Attributes:
      run: What they work for.
      nursery: Where they are.
      context: What handlers start in a copy of.
      max_running: How many may call handlers at once.
      ready: Tasks that wait for nothing but a runner.
      sweeper: Takes those out of it that have ended.
      count: How many there are.
      resting: How many of them wait in the middle of a handler for room in its
        window, and so don't count as running.
    """

    run: "GraphRun"
    nursery: trio.Nursery
    context: Context
    max_running: int
    ready: deque[Node] = attrs.field(factory=deque)
    sweeper: Sweeper = attrs.field(factory=Sweeper)
    count: int = 0
    resting: int = 0
    _parked: list[Seat] = attrs.field(factory=list)
    _waking: bool = False
    _resuming: deque[TrioTask] = attrs.field(factory=deque)

    @property
    def _is_full(self) -> bool:
        """Whether as many call handlers as may."""
        return self.count - self.resting - len(self._parked) >= self.max_running

    def wake(self) -> None:
        """Let one more take what is ready, if there may be one more."""
        if self._waking or self._is_full:
            return
        self._waking = True
        if self._parked:
            reschedule(self._parked.pop().task)
        else:
            self.count += 1
            self.context.run(self.nursery.start_soon, self._serve)

    def rest(self) -> None:
        """Note that a handler waits, so that another may run."""
        self.resting += 1
        if self._resuming:
            self._let_resume()
        elif self.ready:
            self.wake()

    async def resume(self) -> None:
        """Wait until a handler that waited may go on, as it does before any other begins."""
        if self._is_full:
            task = current_task()
            self._resuming.append(task)

            def leave(_: RaiseCancelT) -> Abort:
                self._resuming.remove(task)
                return Abort.SUCCEEDED

            await wait_task_rescheduled(leave)
        else:
            self.resting -= 1

    def _let_resume(self) -> None:
        """Let a handler that waited go on, if there is a place: one may just have become free.

        There is none while handlers that waited, and were cancelled, end beside the others.
        """
        if not self._is_full:
            self.resting -= 1
            reschedule(self._resuming.popleft())

    @enable_ki_protection
    async def _serve(self) -> None:
        """Call one handler after another.

        They share the cancel scope, since opening one costs as much as all the
        book-keeping of a task. A scope that was cancelled can't be used again.
        All in one function, since each level of awaiting costs time on every task.
        """
        run, ready, parked, context = self.run, self.ready, self._parked, self.context
        max_running = self.max_running
        task = current_task()
        seat = Seat(task, parked)
        attempt: Attempt | None = None
        node: Node | None = None
        self._waking = False
        try:
            await checkpoint_if_cancelled()  # so that nothing begins after the end
            while True:
                error: Exception | None = None
                if seat.is_cancelled:
                    seat.scope, seat.is_cancelled = trio.CancelScope(), False
                try:
                    with seat.scope:
                        while True:
                            while (
                                not ready
                                or self._resuming
                                or self.count - self.resting - len(parked) > max_running
                            ):
                                if len(parked) >= MAX_PARKED:
                                    return
                                parked.append(seat)
                                if self._resuming:
                                    self._let_resume()
                                await wait_task_rescheduled(seat.leave)
                                self._waking = False
                                await checkpoint_if_cancelled()
                            node = ready.popleft()
                            if node.phase != READY:
                                continue  # aborted while it waited
                            if ready and not self._waking:
                                self.wake()
                            station = node.worker
                            node.phase = RUNNING
                            node.seat = seat
                            station.running += 1
                            if run.tracer is not None:
                                run.tracer.started(node)
                            attempt = Attempt(run, station, node, node.source)
                            current_attempt.set(attempt)
                            try:
                                if station.kind is Kind.ASYNC:
                                    result = await station.handler(node.task)
                                else:
                                    result = await call(run, attempt)
                                if result is not None:
                                    raise _returned(station.name, result)
                            except Exception as failure:  # noqa: BLE001 - the task has failed
                                run.failed(attempt, failure)
                            else:
                                if run.succeeded(attempt):
                                    if ready:
                                        self.wake()  # this one is not free yet
                                    await tell(run, attempt)
                                    run.finish(node)
                            attempt = node = None  # what is over is gone
                            task.context = context.copy()
                            if seat.is_cancelled:
                                break
                            if ready:
                                await checkpoint()
                except Exception as left:  # noqa: BLE001 - a group whose cancelled part is done with
                    error = left
                if attempt is not None:
                    run.stopped(attempt, error)
                attempt = node = error = None
                await checkpoint()
        except BaseException as stop:
            if run.interrupted(attempt, stop):
                raise
        finally:
            self.count -= 1
            if self._resuming:
                self._let_resume()
            if not self.count:
                run.runners_gone()


def _returned(name: str, result: object) -> TypeError:
    return TypeError(
        f"{name} returned a {type(result).__name__}, which goes nowhere: publish with "
        "self.publish_work(...)"
    )
