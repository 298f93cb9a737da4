"""Bugs planted one at a time: the harness finds each, and shrinks it to a handful of choices."""

import re
from pathlib import Path

import planted
import pytest

# What a library with bugs covers says nothing, and measuring it takes three times as long.
pytestmark = pytest.mark.no_cover

PAGE = Path(__file__).parents[2] / "docs" / "testing.md"

#: Of a failure that a person can follow.
FEW = 12
#: Of processor time.
SECONDS = 30


@pytest.mark.parametrize("bug", planted.BUGS, ids=lambda bug: bug.plant.__name__)
def test_a_planted_bug_is_found_and_shrunk(bug):
    """In seconds, to few choices; they replay it, and without the bug nothing is wrong."""
    found = planted.find(bug)
    assert found is not None, "not found"
    assert found.seconds < SECONDS
    assert len(found.choices) <= FEW, found
    assert found.plan_size <= FEW, found
    bug.search.replay(found)
    with pytest.MonkeyPatch.context() as patch:
        bug.plant(patch)
        with pytest.raises((Exception, BaseExceptionGroup)):
            bug.search.replay(found)


@pytest.mark.parametrize("search", dict.fromkeys(bug.search for bug in planted.BUGS))
def test_nothing_is_found_where_no_bug_is(search):
    """The same searches, as they are."""
    assert search.search(50) is None


def test_the_docs_list_the_bugs():
    """What the docs say is found is what is planted."""
    shown = re.search(r"(?s)<!-- planted -->\n(.*?)<!-- /planted -->", PAGE.read_text("utf-8"))
    assert shown is not None
    rows = [line.split(" | ")[:2] for line in shown[1].splitlines()[2:]]
    assert rows == [[f"| {bug.promise}", bug.what] for bug in planted.BUGS]
    assert {bug.promise for bug in planted.BUGS} >= {"P1", "P2", "P3", "P5", "P6", "P7", "P8", "P9"}
