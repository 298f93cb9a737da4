"""What users may know of why a job did not complete."""

import re

from ..bus import JobStatus
from ..jobs import JobOutcome

# As `repr` writes a text.
_NAME = r"""(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
#: How a `JobError` tells that a worker has raised: the type of what it has, and the text.
_RAISED = re.compile(rf"(worker {_NAME} raised: \w+): .*", re.DOTALL)


def reason_for_users(outcome: JobOutcome) -> str | None:
    """Return why a member did not complete; None if it did.

    Of an exception that nobody had expected it is the type alone: its text may hold secrets.
    """
    error = outcome.error
    if error is None:
        return None
    if is_unexpected(outcome):
        return f"it raised {error.type}"
    return without_details(error.message or error.type)


def is_unexpected(outcome: JobOutcome) -> bool:
    """Whether a member has ended by an exception other than a `JobError`."""
    error = outcome.error
    return outcome.status is not JobStatus.FAILED and error is not None and bool(error.traceback)


def without_details(reason: str) -> str:
    """Return the reason of a `JobError` without the text of an exception that led to it.

    That may be one of another member, or of a worker that a member has asked.
    """
    return _RAISED.sub(r"\1", reason)
