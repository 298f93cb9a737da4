"""Bugs of a bus over streams, planted one at a time: the scenario finds each."""

import planted_streams
import pytest

# What a library with bugs covers says nothing, and measuring it takes three times as long.
pytestmark = pytest.mark.no_cover


@pytest.mark.parametrize("bug", planted_streams.STREAM_BUGS, ids=lambda bug: bug.plant.__name__)
def test_a_planted_bug_is_found(bug):
    """Within some hundred runs, whatever it is."""
    assert bug.find() is not None
