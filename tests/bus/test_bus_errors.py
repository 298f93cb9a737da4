"""The errors of a bus that can't be reached: what they say, and what catches them."""

import pickle

import pytest

from trioworkers import BusDeniedError, BusDisconnected, TrioWorkersError

DISCONNECTED = BusDisconnected("redis://10.0.0.1:6379/0", "reconnecting", "refused", 5.0)
DENIED = BusDeniedError("redis://10.0.0.1:6379/0", "wrong password", "give the URL the right one")


def test_a_bus_that_cannot_be_reached():
    """The text says which, how it stands, why, for how long, and what to do."""
    assert str(DISCONNECTED) == (
        "the bus at redis://10.0.0.1:6379/0 can't be reached (reconnecting): refused. Nothing was "
        "sent, but for what was on its way as the connection broke; waited 5 s. Wait with "
        "`await bus.wait_connected()`, try again, or give the bus a longer send_timeout."
    )
    with pytest.raises(ConnectionError, match="waited 5 s"):
        raise DISCONNECTED


def test_a_bus_that_refuses():
    """The text says which, what, and what to do; it is no trouble that passes."""
    assert str(DENIED) == (
        "the bus at redis://10.0.0.1:6379/0 refuses us: wrong password; give the URL the right one"
    )
    assert not isinstance(DENIED, ConnectionError)


@pytest.mark.parametrize("error", [DISCONNECTED, DENIED], ids=lambda error: type(error).__name__)
def test_they_can_be_pickled(error):
    """All fields come back."""
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again)) == (type(error), str(error))
    assert isinstance(again, TrioWorkersError)
