"""How a job ends, seen from its responder: from exceptions to outcomes."""

import traceback
from typing import Any

import attrs
import trio

from ..bus import JobFailure, JobStatus
from ..errors import JobError


@attrs.define(eq=False)
class Answer:
    """The outcome of a job as its responder will send it.

    Attributes:
      status: How the job ends.
      response: Its result.
      error: Why it did not complete.
      urgent: Whether it overtakes the job's own events.
    """

    status: JobStatus
    response: dict[str, Any] | None = None
    error: JobFailure | None = None
    urgent: bool = False


def failure_of(error: BaseException) -> JobFailure:
    """Return ``error`` in a form that crosses processes."""
    text = "".join(traceback.format_exception(error))
    message = error.reason if isinstance(error, JobError) else str(error)
    return JobFailure(type(error).__name__, message, text)


def answer_of(error: Exception) -> Answer:
    """Return the outcome of a handler that raised ``error``.

    `JobError`, or a group of nothing else, is FAILED; all else is ERROR.
    """
    status = JobStatus.FAILED if _consists_of(error, JobError) else JobStatus.ERROR
    return Answer(status, error=failure_of(error))


def only_cancelled(error: BaseException) -> bool:
    """Whether ``error`` is cancellation and nothing else."""
    return _consists_of(error, trio.Cancelled)


def stopped(status: JobStatus, name: str, why: str) -> Answer:
    """Return the outcome of jobs that worker ``name`` can't do, since it ``why``."""
    kind = "WorkerLost" if status is JobStatus.LOST else "WorkerStopped"
    return Answer(status, error=JobFailure(kind, f"worker {name!r} {why}"))


def _consists_of(error: BaseException, kind: type[BaseException]) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return all(_consists_of(part, kind) for part in error.exceptions)
    return isinstance(error, kind)
