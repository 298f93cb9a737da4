"""Which groups are in flight: each is told once, and who comes late is told in short."""

from hypothesis import given
from hypothesis import strategies as st

from trioworkers.bus import JobStatus
from trioworkers.ui import (
    BusUIJobCompletedMessage,
    BusUIJobGroupCompletedMessage,
    BusUIJobGroupStartedMessage,
    BusUIJobUpdateMessage,
)
from trioworkers.ui import _board as board_module
from trioworkers.ui._board import GroupBoard
from trioworkers.ui._recent import MAX_CHUNK_BYTES, MAX_CHUNKS


def started(job="j", workers=("a", "b"), **options):
    return BusUIJobGroupStartedMessage(job, workers, source="desk", **options)


def update(member="a", number=0, job="j", is_chunk=False):
    return BusUIJobUpdateMessage(job, member, {"n": number}, is_chunk, source="desk")


def ended(member="a", job="j", status=JobStatus.COMPLETED):
    return BusUIJobCompletedMessage(job, member, status, source="desk")


def completed(job="j"):
    return BusUIJobGroupCompletedMessage(job, source="desk")


def board_of(*messages):
    board = GroupBoard()
    for message in messages:
        assert board.take(message), message
    return board


def test_a_group_is_on_the_board_while_it_is_in_flight():
    """From its start to its end."""
    board = board_of(started(), update(), ended("a"))
    assert board.cards["j"].open_members == ["b"]
    assert board.take(ended("b"))
    assert board.cards["j"].open_members == []
    assert board.take(completed())
    assert board.cards == {}


def test_what_is_told_twice_is_no_news():
    """A start, an end of a member, an end of a group; nor an update after an end."""
    board = board_of(started(), ended("a"))
    for message in (started(), ended("a"), update("a"), ended("a", status=JobStatus.LOST)):
        assert not board.take(message)
    assert board.take(completed())
    for message in (started(), update("b"), ended("b"), completed()):
        assert not board.take(message)


def test_what_nobody_knows_is_no_news():
    """Of a group whose start was not heard, or of who is no member."""
    board = board_of(started())
    for message in (update("c"), ended("c"), update(job="k"), ended(job="k"), completed("k")):
        assert not board.take(message)


def test_a_replay_has_what_is_needed_to_know_a_group():
    """Its start, the newest parts of streams and the newest update of each member, and the ends."""
    parts = [update("a", n, is_chunk=True) for n in range(MAX_CHUNKS + 7)]
    board = board_of(started(), *parts, update("a", 1), update("a", 2), ended("b"))
    assert list(board.cards["j"].replay()) == [started(), *parts[7:], update("a", 2), ended("b")]


def test_a_board_keeps_little_of_large_streams():
    """Who comes late doesn't need all of it, and there may be many groups."""
    parts = [update("a", "x" * (MAX_CHUNK_BYTES // 2) + str(n), is_chunk=True) for n in range(5)]
    board = board_of(started(), *parts)
    assert list(board.cards["j"].replay()) == [started(), parts[-1]]


def test_a_group_that_is_given_up_ends_for_each_member():
    """Those that have ended have ended; the others are lost, and say why."""
    board = board_of(started(session="s"), ended("a"))
    ends = board.give_up("j", "its worker has gone", at=5)
    assert ends == [
        BusUIJobCompletedMessage(
            "j",
            "b",
            JobStatus.LOST,
            error="its worker has gone",
            at=5,
            session="s",
            source="desk",
        ),
        BusUIJobGroupCompletedMessage("j", at=5, session="s", source="desk"),
    ]
    assert board.cards == {}
    assert board.give_up("j", "again", at=6) == []
    assert not any(map(board.take, (ended("b"), completed(), started())))


def test_a_group_ends_from_afar_with_all_its_members():
    """Should the end of one not have been heard: nobody looks at it for ever."""
    board = board_of(started(), ended("a"))
    first, last = board.news(completed())
    assert (first.worker_name, first.status, first.error) == (
        "b",
        JobStatus.LOST,
        "its end was not heard",
    )
    assert last == completed()
    assert board.news(completed()) == board.news(ended("b")) == []
    assert board.news(started("k")) == [started("k")]


def test_so_many_groups_are_remembered_to_have_ended(monkeypatch):
    """The newest."""
    monkeypatch.setattr(board_module, "MAX_ENDED", 3)
    board = GroupBoard()
    for number in range(5):
        assert board.take(started(f"{number}"))
        assert board.take(completed(f"{number}"))
    assert [board.take(started(f"{number}")) for number in range(5)] == [True, True, *[False] * 3]


messages = st.one_of(
    st.builds(started, st.sampled_from("jk")),
    st.builds(completed, st.sampled_from("jk")),
    st.builds(ended, st.sampled_from("abc"), st.sampled_from("jk")),
    st.builds(
        update, st.sampled_from("abc"), st.integers(0, 9), st.sampled_from("jk"), st.booleans()
    ),
)


@given(st.lists(messages, max_size=40))
def test_whatever_comes_each_group_and_member_is_told_once(coming):
    """And a replay is news to a board that knows nothing, and then none to it."""
    board = GroupBoard()
    news = [message for message in coming if board.take(message)]
    for job in "jk":
        of_job = [message for message in news if message.job_id == job]
        assert [type(m) for m in of_job[:1]] in ([], [BusUIJobGroupStartedMessage])
        assert sum(isinstance(m, BusUIJobGroupStartedMessage) for m in of_job) <= 1
        assert not any(isinstance(m, BusUIJobGroupCompletedMessage) for m in of_job[:-1])
        ends = [m.worker_name for m in of_job if isinstance(m, BusUIJobCompletedMessage)]
        assert len(ends) == len(set(ends))
    for card in board.cards.values():
        other = GroupBoard()
        replay = list(card.replay())
        assert all(map(other.take, replay))
        assert not any(isinstance(m, BusUIJobCompletedMessage) and other.take(m) for m in replay)
        (copy,) = other.cards.values()
        assert list(copy.replay()) == replay
