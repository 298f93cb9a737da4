"""A pool's line, alone: order of arrival, deadlines, and nothing kept for long."""

import math

from hypothesis import example, given, settings
from hypothesis import strategies as st

from trioworkers import BusJobRequestMessage
from trioworkers.jobs._waiting_line import WaitingLine


def _request(job_id, deadline=math.inf):
    return BusJobRequestMessage(job_id, deadline=deadline, source="r", target="w")


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(("join", "join", "pop", "leave", "due", "look", "clear")),
            st.sampled_from((math.inf, 1.0, 2.0, 3.0)),
            st.integers(0, 5),
        ),
        max_size=40,
    )
)
@example([("join", 1.0, 0), ("pop", 1.0, 0), ("join", 3.0, 0), ("look", 1.0, 0)])
def test_the_line_matches_a_plain_model(script):
    """A list of requests says the same after any script."""
    line, model = WaitingLine(), []
    for action, deadline, place in script:
        if action == "join":
            # A job that has left may come again, with another deadline.
            request = _request(f"j{place}", deadline)
            if request.job_id not in line:
                line.join(request)
                model.append(request)
        elif action == "pop" and model:
            assert line.pop() is model.pop(0)
        elif action == "leave":
            request = model.pop(place) if place < len(model) else None
            assert line.leave(request.job_id if request else "unknown") is request
        elif action == "due":
            due = [r for r in model if r.deadline <= deadline < math.inf]
            if deadline < math.inf:
                assert set(map(id, line.pop_due(deadline))) == set(map(id, due))
                model = [r for r in model if r.deadline > deadline]
        elif action == "look":
            assert line.next_deadline == min((r.deadline for r in model), default=math.inf)
        elif action == "clear":
            assert line.clear() == tuple(model)
            model = []
        assert len(line) == len(model)
        assert line.requests == {r.job_id: r for r in model}


def test_those_that_are_due_come_earliest_first():
    """In the order in which their time was up."""
    line = WaitingLine()
    for job_id, deadline in (("late", 3.0), ("early", 1.0), ("never", math.inf), ("mid", 2.0)):
        line.join(_request(job_id, deadline))
    assert [r.job_id for r in line.pop_due(3.0)] == ["early", "mid", "late"]
    assert [r.job_id for r in line.clear()] == ["never"]


def test_deadlines_of_those_that_have_left_are_not_kept_for_ever():
    """Though they are far away, and the line is never looked at."""
    line = WaitingLine()
    for number in range(10_000):
        line.join(_request(f"j{number}", deadline=1e6 - number))
        line.pop()
    assert len(line._deadlines) < 200
