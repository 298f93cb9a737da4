"""Sessions, pacing, and open requests: the book-keeping."""

import pytest

from trioworkers.ui import BusUIJobGroupCompletedMessage
from trioworkers.ui.rtvi._conversation import Ask
from trioworkers.ui.rtvi._errors import Denied
from trioworkers.ui.rtvi._pacing import Pacer
from trioworkers.ui.rtvi._requests import MAX_OPEN, Requests
from trioworkers.ui.rtvi._sessions import MAX_MISSED, MISSED_SECONDS, Sessions, is_secret


def test_idle_sessions_are_bounded():
    """The ones used longest ago go; those with clients or groups stay."""
    sessions = Sessions(max_idle=3)
    busy = sessions.open(lasting=True)
    sessions.joined(busy)
    grouped = sessions.open(lasting=True)
    sessions.group_began(grouped, "job")
    idle = [sessions.open(lasting=True) for _ in range(3)]
    assert sessions.find(idle[0].secret) is idle[0]  # so idle[1] is the oldest now
    sessions.open(lasting=True)
    assert sessions.find(idle[1].secret) is None
    assert sessions.find(idle[0].secret) is idle[0]
    for _ in range(10):
        sessions.open(lasting=True)
    assert sessions.find(busy.secret) is busy
    assert sessions.with_id(grouped.id) is grouped
    assert len(sessions) == 5


def test_session_without_a_secret_goes_with_its_client():
    """Unless a group of it is in flight; then it goes with that."""
    sessions = Sessions()
    for grouped in (False, True):
        session = sessions.open(lasting=False)
        assert sessions.with_id(session.id) is session
        sessions.joined(session)
        if grouped:
            sessions.group_began(session, "job")
        sessions.left(session)
        assert (sessions.with_id(session.id) is session) is grouped
    sessions.group_ended(session, "job")
    assert len(sessions) == 0


def test_session_forgotten_during_the_handshake_is_back():
    """Its client joins it all the same."""
    sessions = Sessions(max_idle=1)
    session = sessions.open(lasting=True)
    sessions.open(lasting=True)
    assert sessions.find(session.secret) is None
    sessions.joined(session)
    assert sessions.find(session.secret) is session


def test_session_is_recalled_by_its_secret():
    """Under the same name, also by a server that has never heard of it."""
    before, after = Sessions(), Sessions()
    session = before.open(lasting=True)
    assert is_secret(session.secret)
    recalled = after.recall(session.secret)
    assert (recalled.id, recalled.secret) == (session.id, session.secret)
    assert after.recall(session.secret) is recalled
    assert after.find(session.secret) is recalled
    assert session.secret not in session.id
    assert before.open(lasting=True).id != session.id


@pytest.mark.parametrize(
    "value", ["", "short", "a" * 42, "a" * 44, "a" * 42 + ";", "a" * 43 + "\n"]
)
def test_what_is_no_secret(value):
    """It is not made a session of."""
    assert not is_secret(value)


def test_secrets_do_not_show():
    """In what is printed."""
    sessions = Sessions()
    session = sessions.open(lasting=True)
    assert session.secret not in repr(session) + repr(sessions)
    assert session.secret != session.id


def test_missed_groups_are_few_and_fresh():
    """The newest ones, for some minutes, and once."""
    session = Sessions().open(lasting=True)
    for number in range(MAX_MISSED + 5):
        session.miss(number, [BusUIJobGroupCompletedMessage(str(number), source="desk")])
    told = [message.job_id for message in session.take_missed(MISSED_SECONDS + 10)]
    assert told == [str(number) for number in range(10, MAX_MISSED + 5)]
    assert list(session.take_missed(0)) == []


def test_pace():
    """A burst, then the rate; what was not used comes back, no more than a burst."""
    pacer = Pacer(10.0, 3.0)
    assert [pacer.take(100.0) for _ in range(3)] == [0, 0, 0]
    assert pacer.take(100.0) == pytest.approx(0.1)
    assert pacer.take(100.1) == pytest.approx(0.1)
    assert [pacer.take(1000.0) for _ in range(4)][:3] == [0, 0, 0]


class Client:
    """Is told answers."""

    def __init__(self):
        self.id = "c"
        self.said = []

    def say(self, say):
        self.said.append((say.kind, say.id))


def test_requests_of_services_outlive_the_ui_worker():
    """All others are answered with an error when it is lost; none is answered twice."""
    requests, client = Requests(), Client()
    of_worker = requests.open(client, Ask("a", None, "1", "a"))
    of_service = requests.open(client, Ask("b", None, "2", "b"), of_service=True)
    requests.refuse_all("lost")
    requests.refuse(of_worker, "again")
    assert client.said == [("error-response", "1")]
    requests.refuse(of_service, "failed")
    assert client.said[1:] == [("error-response", "2")]
    assert len(requests) == 0


def test_requests_are_bounded_and_forgotten():
    """By client."""
    requests, client = Requests(), Client()
    for _ in range(MAX_OPEN):
        requests.open(client, Ask("a", None, None))
    with pytest.raises(Denied, match="busy"):
        requests.open(client, Ask("a", None, None))
    requests.forget("c")
    assert len(requests) == 0
    requests.open(client, Ask("a", None, None))
