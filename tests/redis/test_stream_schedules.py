"""Runners on Redis buses over a simulated server, which fails in every way: nothing breaks.

Run them longer with ``STREAM_SCHEDULES=10000``; ``STREAM_SEED`` is where they begin.
"""

import os
from collections import Counter

import pytest

from trioworkers.testing.scenarios._catalogue import BUILT_IN
from trioworkers.testing.scenarios._explore import Search, explore

SCHEDULES = int(os.environ.get("STREAM_SCHEDULES", "100"))
SEED = int(os.environ.get("STREAM_SEED", "0"))
#: What must have gone wrong in some hundred runs, or they show little.
FAULTS = (
    "crashed",
    "restarted",
    "paused",
    "muted",
    "cut off",
    "server down",
    "server lost data",
    "out of memory",
    "foreign entry",
    "cutbefore",
    "cutafter",
    "stall",
    "repeat",
)


def test_no_schedule_breaks_a_promise():
    """P1 to P9 and P14, over the first seeds; each fault was met."""
    exercised = Counter()
    for found in explore(Search(("streams",), SEED, SCHEDULES), lambda: False):
        assert not found.violations, found.violations[0]
        exercised += found.of("streams").faults
    if SCHEDULES >= 100:
        missing = [fault for fault in FAULTS if not exercised[fault]]
        assert not missing


@pytest.mark.parametrize("seed", range(5))
def test_the_same_seed_is_the_same_run(seed):
    """To the last event, also in a process that has run others before."""
    first, second = (BUILT_IN["streams"].run(seed).timeline for _ in range(2))
    assert first.first_difference(second) is None


@pytest.mark.parametrize("seed", [509416])
def test_what_was_found_once_stays_mended(seed):
    """509416: a bus is back under another incarnation before the old one is missed."""
    found = explore(Search(("streams",), seed, 1), lambda: False)
    assert not [violation for batch in found for violation in batch.violations]
