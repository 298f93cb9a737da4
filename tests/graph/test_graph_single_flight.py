"""Of equal work in flight, one does it for all."""

import pytest

from trioworkers.graph._single_flight import SingleFlight


@pytest.fixture
def flights():
    """Work that somebody does for "key", and three who wait for it."""
    flights = SingleFlight()
    assert flights.lead("key")
    for waiter in range(3):
        assert not flights.lead("key")
        flights.wait("key", waiter)
    return flights


def test_other_work_is_others(flights):
    """Keys have nothing to do with one another."""
    assert flights.lead("other")
    assert len(flights) == 2
    assert flights.land("other") == []
    assert len(flights) == 1


def test_all_who_wait_are_told_when_it_is_done(flights):
    """In order; and nothing is left of it."""
    assert flights.land("key") == [0, 1, 2]
    assert len(flights) == 0
    assert flights.lead("key")


def test_who_gives_up_is_followed_by_the_next_alone(flights):
    """The others go on waiting, and newcomers join them."""
    assert flights.give_up("key") == 0
    assert not flights.lead("key")
    flights.wait("key", 3)
    assert flights.give_up("key") == 1
    assert flights.land("key") == [2, 3]


def test_who_leaves_is_not_asked(flights):
    """It was aborted."""
    flights.leave("key", 0)
    flights.leave("key", 2)
    assert flights.give_up("key") == 1
    assert flights.land("key") == []


def test_the_last_one_to_give_up_leaves_nothing(flights):
    """The next task begins anew."""
    for waiter in range(3):
        assert flights.give_up("key") == waiter
    assert flights.give_up("key") is None
    assert len(flights) == 0
