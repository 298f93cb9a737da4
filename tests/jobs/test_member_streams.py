"""`MemberStream`, pure: any arrivals come out once each, in order; credit is conserved."""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from trioworkers import (
    CREDIT_WINDOW,
    BusJobResponseMessage,
    BusJobStreamDataMessage,
    BusJobUpdateMessage,
    BusJobUpdateUrgentMessage,
    JobStatus,
)
from trioworkers.jobs._streams import MemberStream


def _event(seq, *, urgent=False):
    cls = BusJobUpdateUrgentMessage if urgent else BusJobUpdateMessage
    return cls("j", {"i": seq}, seq=seq, source="w", target="r")


def _outcome(seq, n=0):
    return BusJobResponseMessage(
        "j", JobStatus.COMPLETED, {"n": n}, seq=seq, source="w", target="r"
    )


@st.composite
def _arrivals(draw):
    """Return (n, arrivals): every number below n at least once, in any order."""
    n = draw(st.integers(0, 20))
    repeats = draw(st.lists(st.integers(0, n - 1), max_size=10)) if n else []
    order = draw(st.permutations([*range(n), *repeats]))
    urgent = draw(st.sets(st.integers(0, n - 1))) if n else set()
    return n, [(i, i in urgent) for i in order]


@settings(max_examples=300)
@given(_arrivals(), st.integers(0, 30))
@example((2, [(1, True), (0, False)]), 0)
@example((2, [(1, False), (1, False), (0, False)]), 1)
def test_any_arrivals_come_out_once_and_in_order(arrivals, when):
    """Each event once; the not urgent ones in order; the outcome only after all."""
    n, messages = arrivals
    stream = MemberStream("w")
    out, outcome, held = [], _outcome(n), False
    for step, (i, urgent) in enumerate(messages):
        if step == min(when, len(messages)):
            held = stream.hold(outcome)
            assert held == bool(set(range(n)) - {j for j, _ in messages[:step]}) or held
        out.extend(stream.accept(_event(i, urgent=urgent)))
        due = stream.due_outcome()
        if due is not None:
            assert held
            assert {m.seq for m in out} == set(range(n))
            held = False
    assert not held
    assert sorted(m.seq for m in out) == list(range(n))
    plain = [m.seq for m in out if not m.is_system]
    assert plain == sorted(plain)
    assert not stream.hold(outcome)
    assert stream.due_outcome() is None


def test_urgent_events_come_out_at_once():
    """Ahead of those that are missing before them."""
    stream = MemberStream("w")
    assert [m.seq for m in stream.accept(_event(2, urgent=True))] == [2]
    assert stream.accept(_event(1)) == ()
    assert [m.seq for m in stream.accept(_event(0))] == [0, 1]
    assert [m.seq for m in stream.accept(_event(3))] == [3]
    assert stream.accept(_event(2, urgent=True)) == ()


def test_events_without_numbers_come_out_as_they_come():
    """They change nothing for the numbered ones."""
    stream = MemberStream("w")
    loose = BusJobStreamDataMessage("j", {}, source="w", target="r")
    assert stream.accept(loose) == (loose,)
    assert stream.accept(loose) == (loose,)
    assert [m.seq for m in stream.accept(_event(0))] == [0]


def test_the_first_held_outcome_wins():
    """A second one doesn't replace it."""
    stream = MemberStream("w")
    assert stream.hold(_outcome(1, n=1))
    assert stream.hold(_outcome(1, n=2))
    stream.accept(_event(0))
    due = stream.due_outcome()
    assert due is not None
    assert due.response == {"n": 1}
    assert stream.due_outcome() is None


def test_outcomes_without_numbers_are_not_held():
    """Nothing is known to be missing before them."""
    assert not MemberStream("w").hold(_outcome(None))


@settings(max_examples=300)
@given(st.lists(st.sampled_from(["send", "take", "hook", "return"]), max_size=400))
def test_credit_is_conserved(actions):
    """Never more than a window unread or unhooked; never stuck with everything handled."""
    stream = MemberStream("w")
    credit, sent, taken, hooked, returned = CREDIT_WINDOW, 0, 0, 0, 0
    for action in actions:
        if action == "send" and credit:
            credit, sent = credit - 1, sent + 1
        elif action == "take" and taken < sent:
            taken += 1
            stream.taken += 1
        elif action == "hook" and hooked < sent:
            hooked += 1
            stream.hooked += 1
        elif action == "return":
            due = stream.due_credit()
            assert due == 0 or due >= CREDIT_WINDOW // 2
            credit += due
            returned += due
        assert credit + sent - returned == CREDIT_WINDOW
        assert returned <= min(taken, hooked)
        assert sent - min(taken, hooked) <= CREDIT_WINDOW
    stream.taken = stream.hooked = sent
    credit += stream.due_credit()
    assert credit > CREDIT_WINDOW // 2


def test_an_unlimited_member_gets_no_credit():
    """It needs none."""
    stream = MemberStream("w", taken=1000, hooked=1000, unlimited=True)
    assert stream.due_credit() == 0
