"""Leaving a job group: the one routine that waits for its handlers.

It serves the ``async with`` contexts and fire-and-forget groups alike, on
every path: success, failure, timeout, and cancellation from outside.
"""

import logging
import math

import trio
from trio.lowlevel import (
    Abort,
    RaiseCancelT,
    checkpoint,
    current_task,
    enable_ki_protection,
    wait_task_rescheduled,
)

from ._group import JobGroup

logger = logging.getLogger("trioworkers.jobs")


@enable_ki_protection
async def leave(group: JobGroup, exc: BaseException | None, cancel_grace: float) -> bool:
    """Wait until all members have ended, cancel what is open if need be, close the scope.

    Args:
      group: Whose scope the calling Trio task has entered.
      exc: What the body raised, or None if it ran to its end.
      cancel_grace: Seconds to wait for handlers that were cancelled.

    Returns:
      Whether ``exc`` was this group's own cancellation, and is done with.

    Raises:
      JobError: The group failed or timed out.
      BaseException: What came from outside while it waited here.
    """
    body_done = exc is None
    if body_done:
        try:
            await _wait_settled(group)
        except BaseException as caught_here:  # noqa: BLE001 - raised again below
            exc = caught_here
    if group.open_members:
        await _close(group, cancel_grace)
    try:
        caught = group.scope.__exit__(
            type(exc) if exc else None, exc, exc.__traceback__ if exc else None
        )
    except BaseException as remaining:
        _note_failure(group, remaining)
        raise
    if exc is None or caught:
        error = group.make_error(body_done=body_done)
        if error is not None:
            raise error
        return exc is not None
    _note_failure(group, exc)
    if body_done:
        raise exc
    return False


async def _wait_settled(group: JobGroup) -> None:
    """Wait for the last outcome. Always a checkpoint, and cancellable."""
    if not group.open_members:
        await checkpoint()
        return

    def abort(_: RaiseCancelT) -> Abort:
        group.waiter = None
        return Abort.SUCCEEDED

    group.waiter = current_task()
    await wait_task_rescheduled(abort)


async def _close(group: JobGroup, cancel_grace: float) -> None:
    """Cancel the open members and wait for them, whatever comes."""
    group.begin_close()
    deadline = trio.current_time() + cancel_grace
    if math.isinf(deadline):
        await _wait_stopped(group, None)
        return
    with trio.CancelScope(shield=True, deadline=deadline) as grace:
        await _wait_stopped(group, grace)
    if grace.cancelled_caught:
        logger.error(
            "job %s: %s still running %s s after cancel",
            group.job_id,
            sorted(group.open_members),
            cancel_grace,
        )
        group.give_up(cancel_grace)


async def _wait_stopped(group: JobGroup, grace: trio.CancelScope | None) -> None:
    """Wait for the last outcome, deaf to all but the end of ``grace``.

    Cancellation from outside and Ctrl-C are not lost: Trio delivers them at
    the next checkpoint.
    """

    def abort(_: RaiseCancelT) -> Abort:
        if grace is None or not grace.cancel_called:
            return Abort.FAILED
        group.waiter = None
        return Abort.SUCCEEDED

    while group.open_members:
        group.waiter = current_task()
        await wait_task_rescheduled(abort)


def _note_failure(group: JobGroup, exc: BaseException) -> None:
    if group.failed and not isinstance(exc, trio.Cancelled):
        error = group.make_error(body_done=False)
        exc.add_note(f"Meanwhile {error}")
