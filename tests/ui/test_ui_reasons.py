"""What users may know of why a job did not complete."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioworkers.bus import JobFailure, JobStatus
from trioworkers.jobs import JobOutcome
from trioworkers.ui._reasons import reason_for_users, without_details


@pytest.mark.parametrize(
    ("status", "failure", "reason"),
    [
        ("completed", None, None),
        ("failed", JobFailure("JobError", "not here", "Traceback"), "not here"),
        ("failed", JobFailure("JobError", "", "Traceback"), "JobError"),
        ("error", JobFailure("KeyError", "secret", "Traceback"), "it raised KeyError"),
        ("lost", JobFailure("SystemExit", "secret", "Traceback"), "it raised SystemExit"),
        ("error", JobFailure("NoHandler", "no handler for it"), "no handler for it"),
        ("lost", JobFailure("WorkerLost", "its worker has left"), "its worker has left"),
        ("timed_out", JobFailure("TimedOut", "time is up"), "time is up"),
    ],
)
def test_how_a_member_ended_is_told(status, failure, reason):
    """With words for people; of an exception other than `JobError` no more than its type."""
    assert reason_for_users(JobOutcome(JobStatus(status), error=failure)) == reason


@given(st.text(min_size=1), st.text())
def test_what_somebody_else_has_raised_is_left_out(name, secret):
    """Whoever that is, and whatever it says."""
    reason = f"2 of 3 failed: worker {name!r} raised: KeyError"
    assert without_details(f"{reason}: {secret}") == reason


@pytest.mark.parametrize("text", ["", "the flag was raised: red", "worker 'a' failed: Lost: x"])
def test_other_reasons_stay_as_they_are(text):
    """They are meant for people."""
    assert without_details(text) == text


def test_hostile_text_is_read_quickly():
    """In a time that grows as its length does; people's words may get into a reason."""
    for text in ("worker '", "worker 'a' raised: ", "worker '\\", "worker 'a\" raised: "):
        assert without_details(text * 100_000) == text * 100_000
