"""Bugs of a bus over streams, planted one at a time: the scenario finds each."""

import gc

import planted_streams
import pytest

# What a library with bugs covers says nothing, and measuring it takes three times as long.
# Runs that hang are given up as they are, and complain when they are collected.
pytestmark = [
    pytest.mark.no_cover,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.mark.parametrize("bug", planted_streams.STREAM_BUGS, ids=lambda bug: bug.plant.__name__)
def test_a_planted_bug_is_found(bug):
    """Within some hundred runs, whatever it is."""
    found = bug.find()
    gc.collect()
    assert found is not None
