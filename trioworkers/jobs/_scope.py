"""Leaving a job group: the one routine that waits for its handlers.

It serves the ``async with`` contexts and fire-and-forget groups alike, on
every path: success, failure, timeout, and cancellation from outside.
"""

import logging
import math
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from ._requester import Requester

logger = logging.getLogger("trioworkers.jobs")


@enable_ki_protection
async def leave(requester: "Requester", group: JobGroup, exc: BaseException | None) -> bool:
    """Wait until all members have ended, cancel what is open if need be, close the scope.

    Always a checkpoint if ``exc`` is None.

    Args:
      requester: Whose group it is; has forgotten it afterwards.
      group: Whose scope the calling Trio task has entered.
      exc: What the body raised, or None if it ran to its end.

    Returns:
      Whether ``exc`` was this group's own cancellation, and is done with.

    Raises:
      JobError: The group failed or timed out.
      BaseException: What came from outside while it waited here.
    """
    body_done = exc is None
    try:
        group.keeps_events = False
        if group.has_events:
            requester.discarded += group.stop_reading()
        if exc is None:
            try:
                if group.open_members:
                    group.waiter = current_task()
                    await wait_task_rescheduled(group.abort_wait)
                else:
                    await checkpoint()
            except BaseException as interruption:  # noqa: BLE001 - raised again below
                exc = interruption
        if exc is not None:
            return await _leave_early(group, exc, body_done=body_done)
        group.scope.__exit__(None, None, None)
        if not group.ended_well:
            _raise_error(group, body_done=True)
        return False
    finally:
        requester.close(group)


async def _leave_early(group: JobGroup, exc: BaseException, *, body_done: bool) -> bool:
    """Do what `leave` does, for a block that ``exc`` ends; it came after the body if that is done.

    Apart from it, so that all the jobs that wait to be left normally need less memory.
    """
    if group.open_members:
        await _close(group)
    try:
        caught = group.scope.__exit__(type(exc), exc, exc.__traceback__)
    except BaseException as remaining:
        _note_failure(group, remaining)
        raise
    if not caught:
        _note_failure(group, exc)
        if body_done:
            raise exc
        return False
    _raise_error(group, body_done=body_done)
    return True


def _raise_error(group: JobGroup, *, body_done: bool) -> None:
    error = group.make_error(body_done=body_done)
    if error is not None:
        raise error


async def _close(group: JobGroup) -> None:
    """Cancel the open members and wait for them, whatever comes."""
    group.begin_close()
    cancel_grace = group.request.cancel_grace
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
