"""What waits for a client: bounded, and in the end all that matters is told."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioworkers.bus import JobStatus
from trioworkers.ui import (
    BusUICommandMessage,
    BusUIJobCompletedMessage,
    BusUIJobGroupStartedMessage,
    BusUIJobUpdateMessage,
    BusUIResponseMessage,
    BusUITextMessage,
)
from trioworkers.ui._outbox import MAX_CHUNKS, Overflow
from trioworkers.ui.rtvi._encoding import Parcel, encode
from trioworkers.ui.rtvi._frames import unwrap
from trioworkers.ui.rtvi._letters import BATCH, Letters
from trioworkers.ui.rtvi._protocol import Dialect


def update(number, *, is_chunk=False, worker="w"):
    return BusUIJobUpdateMessage("j", worker, {"n": number}, is_chunk, source="desk")


def drain(letters):
    found = []
    while batch := letters.take():
        found += batch
    return found


def test_newer_update_takes_the_place_of_the_older():
    """Of the same worker; all else stays, in order."""
    letters = Letters()
    letters.put(b"start")
    letters.put(b"a1", update(1))
    letters.put(b"b1", update(1, worker="other"))
    letters.put(b"a2", update(2))
    assert drain(letters) == [b"start", b"a2", b"b1"]
    assert letters.merged == 1
    letters.put(b"a3", update(3))
    assert drain(letters) == [b"a3"]


def test_newest_chunks_wait():
    """No more than there may; those of a worker that has ended don't count for another group."""
    letters = Letters()
    for number in range(MAX_CHUNKS + 10):
        letters.put(b"%d" % number, update(number, is_chunk=True))
    assert drain(letters) == [b"%d" % number for number in range(10, MAX_CHUNKS + 10)]
    assert letters.merged == 10


def test_large_chunks_leave_room_and_drop_nobody():
    """The oldest of the same worker go; a reply always has its place."""
    letters = Letters(max_bytes=100)
    for number in range(30):
        letters.put(b"%010d" % number, update(number, is_chunk=True))
    letters.put(b"o" * 10, update(0, is_chunk=True, worker="other"))
    letters.put(b"reply" * 10)
    assert drain(letters) == [*(b"%010d" % number for number in range(25, 30)), b"reply" * 10]
    assert letters.merged == 26
    letters.put(b"x" * 1000, update(30, is_chunk=True))
    assert drain(letters) == [b"x" * 1000]


def payload(frame):
    """Return what is in an unmasked WebSocket frame."""
    head = {126: 4, 127: 10}.get(frame[1], 2)
    return frame[head:]


def told(message, dialect):
    """Return what a client is told."""
    return orjson.loads(payload(Parcel(message).framed(dialect, binary=False)))


@pytest.mark.parametrize("limits", [{"limit": 3}, {"max_bytes": 10}])
def test_too_much_overflows(limits):
    """By number or by bytes; what replaces something, and what must be, is let in."""
    letters = Letters(**limits)
    letters.put(b"abc")
    letters.put(b"abc", update(1))
    letters.put(b"abc")
    with pytest.raises(Overflow):
        letters.put(b"abc")
    letters.put(b"abd", update(2))
    letters.put(b"xyz", limited=False)
    assert drain(letters) == [b"abc", b"abd", b"abc", b"xyz"]
    letters.put(b"x" * 100)  # alone, it may be as long as it likes
    assert len(letters) == 1


class Secret:
    """What JSON has no word for."""


@pytest.mark.parametrize(
    "value", [2**70, "\ud800", {1: 2}, Secret(), [Secret()], {"\udfff": 1}, {"a": {"b": {1}}}]
)
def test_what_is_no_json_is_replaced(value):
    """By what says so, where it stands; the rest is as it was."""
    for kind, data in (
        ("server-response", {"t": "x", "d": value}),
        ("ui-command", {"command": "c", "payload": value}),
        ("ui-job-group", {"kind": "job_update", "data": value, "at": 5}),
        ("server-response", value),
    ):
        message = orjson.loads(encode(kind, data, "\ud800"))
        assert message["id"] == "?"
        assert message["type"] == kind
        if isinstance(data, dict) and "kind" in data:
            assert (message["data"]["kind"], message["data"]["at"]) == ("job_update", 5)


def test_recursion_is_replaced():
    """Whatever refers to itself, or is too deep."""
    loop = []
    loop.append(loop)
    deep = []
    for _ in range(1000):
        deep = [deep]
    for value in (loop, deep):
        message = orjson.loads(encode("server-response", {"t": "x", "d": value}))
        assert "can't be shown" in message["data"]["d"]["error"]


def test_labels_and_names_that_are_no_text():
    """A lone surrogate in a name or label becomes a question mark."""
    started = BusUIJobGroupStartedMessage("j", ("a\ud800", "b"), "l\udfff", source="desk")
    message = told(started, Dialect.NEWER)
    assert message["data"]["workers"] == ["a?", "b"]
    assert message["data"]["label"] == "l?"


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (JobStatus.COMPLETED, "completed"),
        (JobStatus.FAILED, "failed"),
        (JobStatus.ERROR, "error"),
        (JobStatus.CANCELLED, "cancelled"),
        (JobStatus.TIMED_OUT, "cancelled"),
        (JobStatus.LOST, "error"),
    ],
)
def test_status_words(status, word):
    """Clients know four of them; why is there if it did not complete."""
    ended = BusUIJobCompletedMessage("j", "w", status, None, "why", source="desk")
    data = told(ended, Dialect.OLDER)["data"]
    assert (data["kind"], data["status"]) == ("task_completed", word)
    assert ("error" in data) is (word != "completed")


def test_each_form_is_encoded_once():
    """All clients that are alike are sent the same bytes."""
    parcel = Parcel(update(1))
    for dialect in Dialect:
        text = parcel.framed(dialect, binary=False)
        assert parcel.framed(dialect, binary=False) is text
        framed = parcel.framed(dialect, binary=True)
        assert parcel.framed(dialect, binary=True) is framed
        assert (text[0], framed[0]) == (0x81, 0x82)  # whole, a text and a binary one
        assert unwrap(payload(framed)) == payload(text)


def test_what_is_sent_at_once_is_bounded():
    """Many short messages, or a long one."""
    letters = Letters()
    for body in (b"a" * (BATCH - 1), b"b", b"c", b"d" * 2 * BATCH, b"e"):
        letters.put(body)
    assert [len(batch) for batch in iter(letters.take, [])] == [2, 2, 1]


def test_other_messages():
    """Text and commands have forms of their own; what is for one client alone has none."""
    for message in (BusUITextMessage("t", source="d"), BusUICommandMessage("c", source="d")):
        assert Parcel(message).framed(Dialect.NEWER, binary=False)
    assert Parcel(BusUIResponseMessage("r", source="d")).framed(Dialect.NEWER, binary=True) is None


@given(st.lists(st.tuples(st.sampled_from("ucep"), st.integers(0, 2), st.integers(0, 9))))
def test_ends_are_never_lost(events):
    """Whatever is put and popped in between, each end comes out once, in order."""
    letters = Letters()
    put, got = [], []
    for what, worker, number in events:
        if what == "p":
            got += [body for body in letters.take() if body.startswith(b"end")]
        elif what == "e":
            put.append(b"end%d" % len(put))
            end = BusUIJobCompletedMessage("j", str(worker), JobStatus.COMPLETED, source="d")
            letters.put(put[-1], end)
        else:
            letters.put(b"%d" % number, update(number, is_chunk=what == "c", worker=str(worker)))
    assert got + [body for body in drain(letters) if body.startswith(b"end")] == put
