"""A job group: what has come of each member.

All of it is synchronous book-keeping, called at delivery or by the Trio task
that owns the group; the waiting is in `_scope.py`.
"""

from typing import Any

import attrs
import trio
from trio.lowlevel import Abort, RaiseCancelT, Task, enable_ki_protection, reschedule

from ..bus import (
    BusJobCancelMessage,
    BusJobCreditMessage,
    BusJobResponseMessage,
    JobFailure,
    JobStatus,
)
from ..errors import CodecError, JobError, JobGroupError, LaneFull
from ._events import EventBuffer
from ._outcomes import JobGroupResponse, JobOutcome
from ._ports import Asker
from ._request import JobRequest
from ._streams import ResponseMessage


class JobGroup:
    """Jobs that were requested together, and share a scope and a failure policy.

    Made by the `job_group` methods of workers and runners, not by hand.

    Attributes:
      job_id: Shared by all members.
      outcomes: How each member ended, of those that have.
    """

    __slots__ = (
        "__weakref__",
        "_asker",
        "_cause",
        "_completed",
        "_ended",
        "_ended_event",
        "_failures",
        "_reason",
        "asked",
        "buffer",
        "hint",
        "job_id",
        "keeps_events",
        "open_members",
        "outcomes",
        "request",
        "scope",
        "waiter",
    )

    def __init__(self, asker: Asker, request: JobRequest, *, keeps_events: bool) -> None:
        timeout = request.timeout
        self.job_id = asker.bus.new_job_id()
        self.outcomes: dict[str, JobOutcome] = {}
        self.scope = (
            trio.CancelScope()
            if timeout is None
            else trio.CancelScope(deadline=trio.current_time() + timeout)
        )
        #: The members that have not ended, in the order asked: cancels go out in it.
        self.open_members = dict.fromkeys(request.worker_names)
        #: Whether the requests have been sent.
        self.asked = False
        #: What to add to "timed out": who was waited for.
        self.hint = ""
        #: The Trio task to wake when all members have ended.
        self.waiter: Task | None = None
        self._asker = asker
        #: What was asked of whom.
        self.request = request
        self._reason: str | None = None
        self._cause: JobStatus | None = None
        self._completed = False
        self._failures: list[str] | None = None
        #: Whether somebody may read the events.
        self.keeps_events = keeps_events
        #: The events that have come; None before the first. See `events`.
        self.buffer: EventBuffer | None = None
        self._ended = False
        self._ended_event: trio.Event | None = None

    def __repr__(self) -> str:
        members = f"{len(self.open_members)} of {len(self.worker_names)} open"
        state = "ended" if self._ended else members
        return f"<JobGroup {self.job_id}, {state}{', failed' if self.failed else ''}>"

    # For users

    @property
    def worker_names(self) -> tuple[str, ...]:
        """The members, in the order asked."""
        return self.request.worker_names

    @property
    def cancel_on_error(self) -> bool:
        """Whether one member's failure cancels the others."""
        return self.request.cancel_on_error

    @property
    def label(self) -> str | None:
        """What to call the group in front of a person."""
        return self.request.label

    @property
    def cancellable(self) -> bool:
        """Whether `BaseWorker.request_cancel_job_group` may cancel it."""
        return self.request.cancellable

    @property
    def responses(self) -> dict[str, dict[str, Any]]:
        """What the members that completed have answered, by worker name."""
        return {
            name: outcome.response or {}
            for name, outcome in self.outcomes.items()
            if outcome.status is JobStatus.COMPLETED
        }

    @property
    def is_done(self) -> bool:
        """Whether the group has completed or failed."""
        return not self.open_members or self.failed or self._completed

    @property
    def failed(self) -> bool:
        """Whether a member's failure, or a call of `fail`, has ended the group."""
        return self._reason is not None

    async def wait(self) -> None:
        """Wait until the group has ended, and with it all its handlers.

        Raises:
          JobGroupError: It failed, timed out or was cancelled.
        """
        if self._ended:
            await trio.lowlevel.checkpoint()
        else:
            self._ended_event = self._ended_event or trio.Event()
            await self._ended_event.wait()
        error = self.make_error(body_done=True)
        if error is not None:
            raise error

    @enable_ki_protection
    def complete(self) -> None:
        """End the group as it is: cancel what is open, and call that no failure."""
        if not self.is_done:
            self._completed = True
            self.scope.cancel()

    @enable_ki_protection
    def fail(self, reason: str | None = None) -> None:
        """End the group as failed: cancel what is open.

        Args:
          reason: What the error says, for a person to read.
        """
        if not self.is_done:
            self._reason = reason or "the group was cancelled"
            self.scope.cancel()

    # Book-keeping at delivery, for the requester

    @property
    def has_events(self) -> bool:
        """Whether any event has come, or been waited for."""
        return self.buffer is not None

    @property
    def events(self) -> EventBuffer:
        """The group's events; allocated when first asked for."""
        if self.buffer is None:
            self.buffer = EventBuffer(
                self._asker.hooks, self.request.single, self._post_credit, self.keeps_events
            )
        return self.buffer

    def receive_held(self, message: ResponseMessage) -> None:
        """Take an outcome that was held back by the events."""
        self._settle(message)

    def receive_response(self, message: ResponseMessage) -> bool:
        """Take an outcome; return False if it isn't the member's first, or nobody asked."""
        if message.source not in self.open_members:
            return False
        # Only an urgent outcome overtakes the job's own events.
        waits = message.seq and isinstance(message, BusJobResponseMessage)
        if not (waits and self.events.hold(message)):
            self._settle(message)
        return True

    def _settle(self, message: ResponseMessage) -> None:
        name, status = message.source, message.status
        completed = status is JobStatus.COMPLETED
        if completed:
            self.outcomes[name] = JobOutcome(status, message.response or {})
        else:
            if status is JobStatus.CANCELLED and (self._cause is not None or self.failed):
                status = self._cause or status
            else:
                self._failures = self._failures or []
                self._failures.append(name)
            self.outcomes[name] = JobOutcome(status, message.response, message.error)
        self.open_members.pop(name, None)
        if self._asker.hooks.used:
            if status is not message.status:
                message = attrs.evolve(message, status=status)
            self._asker.hooks.post_message(message)
        if not completed and self._cause is None and self.request.cancel_on_error:
            self._fail_for(message)
        if not self.open_members:
            self._all_settled()

    def _fail_for(self, message: ResponseMessage) -> None:
        if message.status is JobStatus.TIMED_OUT and trio.current_time() >= self.scope.deadline:
            # The group's own deadline, which the member saw first.
            self.scope.cancel()
        elif not self.failed and not self._completed:
            self._reason = f"worker {message.source!r} {describe(message.status, message.error)}"
            self._asker.hooks.post("on_job_error", message)
            self.scope.cancel()

    @property
    def _has_completed(self) -> bool:
        """Whether all members have ended, and none made the group fail."""
        if self.failed or (self._failures and self.cancel_on_error):
            return False
        return self._completed or self._cause is None

    def _all_settled(self) -> None:
        hooks = self._asker.hooks
        if hooks.used and self._has_completed:
            hooks.post("on_job_completed", JobGroupResponse(self.job_id, self.responses))
        if self.waiter is not None:
            waiter, self.waiter = self.waiter, None
            reschedule(waiter)
        if self.buffer is not None:
            self.buffer.wake_reader()

    def settle(self, name: str, status: JobStatus, kind: str, why: str) -> None:
        """Settle an open member of whom no outcome will come."""
        self._settle(
            BusJobResponseMessage(
                self.job_id,
                status,
                error=JobFailure(kind, why),
                source=name,
                target=self._asker.name,
            )
        )

    def _post_credit(self, name: str, credit: int | None) -> None:
        if name in self.open_members:
            self._asker.bus.post(
                BusJobCreditMessage(self.job_id, credit, source=self._asker.name, target=name)
            )

    # For the Trio task that owns the group

    def abort_wait(self, _: RaiseCancelT) -> Abort:
        """Let cancellation end the wait for the last outcome."""
        self.waiter = None
        return Abort.SUCCEEDED

    def stop_reading(self) -> int:
        """Discard unread events, let the members go on; return how many were discarded."""
        return self.buffer.stop_keeping() if self.buffer is not None else 0

    def begin_close(self) -> None:
        """Cancel what is open. From now on CANCELLED means the cause of closing."""
        if self.failed:
            self._cause, reason = JobStatus.CANCELLED, self._reason or ""
        elif self._completed:
            self._cause, reason = JobStatus.CANCELLED, "the group was completed"
        elif self.scope.cancel_called:
            self._cause, reason = JobStatus.TIMED_OUT, "time is up"
        else:
            self._cause, reason = JobStatus.CANCELLED, "the requester left"
        if self.asked:
            self.cancel_open(reason)
        else:
            for name in tuple(self.open_members):
                self.settle(name, JobStatus.CANCELLED, "NotAsked", reason)

    def cancel_open(self, reason: str) -> None:
        """Tell the open members, if they were asked, to stop."""
        for name in tuple(self.open_members) if self.asked else ():
            self._post_cancel(name, reason)

    def _post_cancel(self, name: str, reason: str | None) -> None:
        cancel = BusJobCancelMessage(self.job_id, reason, source=self._asker.name, target=name)
        try:
            self._asker.bus.post(cancel)
        except CodecError:  # of the reason, which is a person's text
            if reason is not None:
                self._post_cancel(name, None)
        except LaneFull:
            pass  # it goes to a worker that has not begun, and was not asked either

    def give_up(self, grace: float) -> None:
        """Settle as LOST what has not stopped within ``grace`` seconds of its cancel."""
        names = ", ".join(repr(name) for name in sorted(self.open_members))
        self._reason = (
            f"{self._reason + '; ' if self._reason else ''}"
            f"still running {grace} s after cancel: {names}"
        )
        for name in tuple(self.open_members):
            why = f"did not stop within {grace} s of its cancel"
            self.settle(name, JobStatus.LOST, "WorkerLost", why)

    def end(self) -> None:
        """Mark the group as ended; wake those that `wait` for it."""
        self._ended = True
        if self._ended_event is not None:
            self._ended_event.set()

    @property
    def ended_well(self) -> bool:
        """Whether nothing ever interfered with the group, so that it has no error."""
        return self._reason is None and not self.scope.cancel_called

    def make_error(self, *, body_done: bool) -> JobError | None:
        """Return what the block must raise, or None.

        Args:
          body_done: Whether the body ran to its end, rather than being cut off.
        """
        reason = self._reason
        if reason is None:
            timed_out = self.scope.cancel_called
            if self._completed or not (timed_out or self._cause is not None):
                return None
            all_completed = all(o.status is JobStatus.COMPLETED for o in self.outcomes.values())
            if body_done and (all_completed or (timed_out and not self.cancel_on_error)):
                return None
            reason = "cancelled: its requester has stopped"
            if timed_out:
                reason = f"timed out after {self.request.timeout} s{self.hint}"
        return self._error(reason)

    def make_partial_error(self) -> JobError | None:
        """Return the error of a group that ended with members failed, or None."""
        if not self._failures:
            return None
        return self._error(f"{len(self._failures)} of {len(self.worker_names)} failed")

    def make_unasked_error(self) -> JobError:
        """Return the error of a block that can't be entered any more: its body would be in vain."""
        return self._error("completed before anybody was asked")

    def _error(self, reason: str) -> JobError:
        error = (JobError if self.request.single else JobGroupError)(
            reason, self.job_id, self.outcomes
        )
        if self._failures:
            error.__cause__ = ExceptionGroup(
                "members that failed", [self._member_error(name) for name in self._failures]
            )
        error.__suppress_context__ = True
        return error

    def _member_error(self, name: str) -> JobError:
        outcome = self.outcomes[name]
        reason = f"worker {name!r} {describe(outcome.status, outcome.error)}"
        error = JobError(reason, self.job_id, {name: outcome})
        if outcome.error is not None and outcome.error.traceback:
            error.add_note(f"Where it ran:\n{outcome.error.traceback}")
        return error


def describe(status: JobStatus, error: JobFailure | None) -> str:
    """Return what happened to a member, in words that follow its name."""
    words = {JobStatus.TIMED_OUT: "timed out", JobStatus.ERROR: "raised"}
    return words.get(status, status.value) + (f": {error}" if error is not None else "")
