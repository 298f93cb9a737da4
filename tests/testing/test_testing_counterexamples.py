"""Schedules that once broke a promise, found by ``trioworkers sim``; none does any more."""

import pytest

from trioworkers.testing.scenarios import BUILT_IN

FOUND = {
    "departures": {
        171: "P5: an early cancel was forgotten when its requester departed",
        381: "P1: a member that was not asked yet was settled twice",
    },
    "shutdown": {10575: "P9: a worker's departure overtook its arrival, which stayed"},
    "background": {5: "P6: asking while stopping raised an error of Trio's"},
    "net-at-most-once": {
        118: "P9: a snapshot came after the departure of a worker in it",
        61229: "P2: an outcome was held for an event that had been lost",
    },
    "net-at-least-once": {
        26: "P9: a snapshot came after the departure of a worker in it",
        40284: "P2: a request that came again was run again",
        41354: "P5: a request that came again was run after its cancel",
        61173: "P2: a request that came again was answered while its handler ran",
    },
}


@pytest.mark.parametrize(
    ("name", "seed"), [(name, seed) for name, seeds in FOUND.items() for seed in seeds]
)
def test_a_schedule_that_broke_a_promise_keeps_it_now(name, seed):
    """See what it was above."""
    BUILT_IN[name].run(seed)
