"""`play`: the core keeps its promises under any plan, and broken promises are seen."""

import os

import attrs
import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import hosting, run

from trioworkers import JobGroupError, JobStatus
from trioworkers.jobs import JobGroup, Responder, _events, _scope, _sending
from trioworkers.testing._job_scripts import (
    Ask,
    CleanUp,
    JobScript,
    NeverAnswer,
    Raise,
    Respond,
    SendChunk,
    SendUpdate,
    Sleep,
)
from trioworkers.testing._plans import GroupPlan, PlannedError, PromiseBroken, play
from trioworkers.testing._scripted import ScriptedWorker
from trioworkers.testing._strategies import group_plans

NAMES = ("w0", "w1", "w2", "w3")


def play_all(*plans, by_worker=False):
    """Play ``plans`` at the same time; return what was seen of each."""

    async def main():
        workers = [ScriptedWorker(name) for name in NAMES]
        asker = ScriptedWorker("asker")
        results = {}
        async with hosting(*workers, asker) as runner:

            async def one(index, plan):
                results[index] = await play(plan, asker if by_worker else runner, workers)

            async with trio.open_nursery() as nursery:
                for index, plan in enumerate(plans):
                    nursery.start_soon(one, index, plan)
            assert all(worker.begun == worker.ended for worker in workers)
        return [results[index] for index in range(len(plans))]

    return run(main)


def play_one(plan):
    """Play ``plan`` alone."""
    (result,) = play_all(plan)
    return result


@settings(
    max_examples=int(os.environ.get("GROUP_PLANS", "200")),
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(st.random_module(), st.lists(group_plans(NAMES), min_size=1, max_size=4), st.booleans())
def test_any_plan_keeps_the_promises(schedule, plans, by_worker):
    """Asked by a runner or a worker, whatever the others do; and each plan ends."""
    for plan, result in zip(plans, play_all(*plans, by_worker=by_worker), strict=True):
        assert result.plan is plan
        assert set(result.outcomes) == set(plan.members)
        assert result.left >= result.began


# What is seen


def test_a_plain_plan_completes():
    """Nobody reads, nothing leaves the block."""
    result = play_one(GroupPlan(("w0", "w1")))
    assert result.job_id
    assert [outcome.response for outcome in result.outcomes.values()] == [{"sent": 0}] * 2
    assert (result.raised, result.cancelled, result.read_to_end) == (None, False, False)
    assert result.events == []


def test_events_are_seen_in_order():
    """By member, to the end."""
    script = JobScript((SendUpdate(3),), of={"w1": (SendChunk(100),)})
    result = play_one(GroupPlan(("w0", "w1"), script, reads=None, pause=0.01))
    assert result.read_to_end
    assert [event.data["number"] for event in result.events_of("w0")] == [0, 1, 2]
    assert [event.data["number"] for event in result.events_of("w1")] == list(range(100))


def test_reading_may_stop_early():
    """The rest is not missed."""
    result = play_one(GroupPlan(("w0",), JobScript((SendUpdate(5),)), reads=2))
    assert len(result.events) == 2
    assert not result.read_to_end


def test_a_failure_is_seen():
    """It is part of the result."""
    result = play_one(GroupPlan(("w0", "w1"), JobScript((NeverAnswer(),), of={"w1": (Raise(),)})))
    assert isinstance(result.raised, JobGroupError)
    statuses = {name: outcome.status for name, outcome in result.outcomes.items()}
    assert statuses == {"w0": JobStatus.CANCELLED, "w1": JobStatus.FAILED}


def test_the_body_may_raise():
    """After it has stayed."""
    result = play_one(GroupPlan(("w0",), JobScript((NeverAnswer(),)), stays=2, raises=True))
    assert isinstance(result.raised, PlannedError)
    assert result.left == 2.0


def test_the_plan_may_cancel_the_block():
    """The block waits for what its handlers have to clean up."""
    plan = GroupPlan(("w0",), JobScript((CleanUp(2), NeverAnswer())), cancel_after=1)
    result = play_one(plan)
    assert result.cancelled
    assert (result.began, result.left) == (0.0, 3.0)


def test_cancelled_from_outside_it_lets_that_through():
    """And has checked what it can."""

    async def main():
        worker = ScriptedWorker("w0")
        async with hosting(worker) as runner:
            with trio.move_on_after(1) as scope:
                await play(GroupPlan(("w0",), JobScript((NeverAnswer(),))), runner, [worker])
            assert scope.cancelled_caught

    run(main)


def test_whether_a_plan_is_bounded():
    """It is, unless a step waits for ever, on whatever level."""
    never = JobScript(of={"w0": (Ask("w1", JobScript((NeverAnswer(),))),)})
    assert GroupPlan(("w0",)).is_bounded
    assert not GroupPlan(("w0",), never).is_bounded
    assert GroupPlan(("w0",), never, timeout=1).is_bounded
    assert GroupPlan(("w0",), never, cancel_after=1).is_bounded


# What is not kept: one bug at a time

IN_BLOCK = GroupPlan(("w0", "w1"), JobScript((SendUpdate(3), Sleep(1))), reads=None)


def broken(plan):
    """Play ``plan``, which must break a promise; return what is said about it."""
    with pytest.RaisesGroup(PromiseBroken, flatten_subgroups=True) as raised:
        play_all(plan)
    (error,) = _leaves(raised.value)
    assert repr(plan) in str(error)
    assert error.result.plan is plan
    return str(error)


def _leaves(error):
    if isinstance(error, BaseExceptionGroup):
        return [leaf for part in error.exceptions for leaf in _leaves(part)]
    return [error]


def test_a_second_outcome_is_seen(monkeypatch):
    """P1, where a responder answers twice and the requester takes it."""
    finish = Responder._finish

    def twice(self, job):
        finish(self, job)
        self.active[job.request.job_id] = job
        finish(self, job)

    monkeypatch.setattr(Responder, "_finish", twice)
    play_one(IN_BLOCK)  # The requester drops the second.
    monkeypatch.setattr(JobGroup, "receive_response", lambda self, m: self._settle(m) or True)
    assert "P1: 'w0' got a further outcome" in broken(attrs.evolve(IN_BLOCK, reads=0))


def test_a_member_without_an_outcome_is_seen(monkeypatch):
    """P1, where one is forgotten."""

    def forget(self):
        self.outcomes.pop("w1", None)
        settled(self)

    settled = JobGroup._all_settled
    monkeypatch.setattr(JobGroup, "_all_settled", forget)
    assert "P1: 'w1' has no outcome" in broken(IN_BLOCK)


def test_a_member_that_nobody_asked_is_seen(monkeypatch):
    """P1, where another's outcome is added."""

    def add(self):
        self.outcomes["w3"] = self.outcomes["w0"]
        settled(self)

    settled = JobGroup._all_settled
    monkeypatch.setattr(JobGroup, "_all_settled", add)
    assert "P1: 'w3' has an outcome, but was not asked" in broken(IN_BLOCK)


def test_a_handler_that_is_called_twice_is_seen(monkeypatch):
    """P1, where the responder repeats it."""
    call = Responder._call

    async def again(self, job):
        await call(self, job)
        job.answer = None
        await call(self, job)

    monkeypatch.setattr(Responder, "_call", again)
    assert "P1: 'w0' was called 2 times" in broken(GroupPlan(("w0",)))


def test_an_error_with_other_outcomes_is_seen(monkeypatch):
    """P1, where the error leaves a member out."""
    make = JobGroup._error

    def incomplete(self, reason):
        error = make(self, reason)
        error.outcomes = {}
        return error

    monkeypatch.setattr(JobGroup, "_error", incomplete)
    assert "P1: the error names other" in broken(GroupPlan(("w0",), JobScript((Raise(),))))


@pytest.mark.parametrize("how", [{"timeout": 1}, {"cancel_after": 1}, {"raises": True, "stays": 1}])
def test_a_block_that_is_left_early_is_seen(monkeypatch, how):
    """P2, on each path out of the block."""

    async def not_at_all(*_):
        pass

    monkeypatch.setattr(_scope, "_wait_stopped", not_at_all)
    said = broken(GroupPlan(("w0",), JobScript((CleanUp(2), NeverAnswer())), **how))
    assert "P2: a handler of 'w0' still runs after the block" in said
    assert "P1: 'w0' has no outcome" in said


def test_a_nested_handler_that_runs_on_is_seen(monkeypatch):
    """P2, where only a job within the job is left early."""
    close = _scope._close

    async def not_when_nested(group):
        if group.request.single:
            group.begin_close()
        else:
            await close(group)

    monkeypatch.setattr(_scope, "_close", not_when_nested)
    nested = Ask("w1", JobScript((CleanUp(2), NeverAnswer())))
    said = broken(GroupPlan(("w0",), JobScript((nested,)), cancel_after=1))
    assert "P2: a handler of 'w1' still runs after the block, for nested job" in said


def test_an_outcome_before_the_handler_has_returned_is_seen(monkeypatch):
    """P2, without any cancellation."""
    send = _sending.send_response

    async def at_once(responder, job_id, response, status, *, urgent):
        await send(responder, job_id, response, status, urgent=urgent)
        job = responder.active[job_id]
        responder._finish(job)
        responder.active[job_id] = job

    monkeypatch.setattr("trioworkers.workers._faces.send_response", at_once)
    assert "P2: a handler of 'w0'" in broken(GroupPlan(("w0",), JobScript((Respond(), Sleep(1)))))


def patch_entering(monkeypatch, change):
    """Let ``change(enter, stream, message)`` decide how an event enters the buffer."""
    enter = _events.EventBuffer._enter
    monkeypatch.setattr(
        _events.EventBuffer,
        "_enter",
        lambda self, stream, message: change(lambda m: enter(self, stream, m), message),
    )


def test_a_lost_event_is_seen(monkeypatch):
    """P3, at the end or by the gap that it leaves."""
    for number, said in [(1, "P3: event 2 of 'w0' came before [1]"), (2, "P3: events [2] of 'w0'")]:
        with monkeypatch.context() as patch:
            patch_entering(patch, lambda enter, m, n=number: m.update == {"number": n} or enter(m))
            assert said in broken(IN_BLOCK)


def test_an_event_that_comes_twice_is_seen(monkeypatch):
    """P3: no lost event, and none too many."""
    patch_entering(monkeypatch, lambda enter, m: (enter(m), enter(m)))
    assert "P3: event 0 of 'w0' came twice" in broken(IN_BLOCK)


def test_events_out_of_order_are_seen(monkeypatch):
    """P3, in a reader that is slow."""
    fill = _events.EventBuffer.fill_batch

    def newest(self):
        self.items.reverse()
        return fill(self)

    monkeypatch.setattr(_events.EventBuffer, "fill_batch", newest)
    said = broken(attrs.evolve(IN_BLOCK, pause=0.01))
    assert "P3: event" in said
    assert "came before" in said


def test_a_failure_that_looks_like_success_is_seen(monkeypatch):
    """P6, where the block does not raise."""
    monkeypatch.setattr(JobGroup, "make_error", lambda self, *, body_done: None)
    said = broken(GroupPlan(("w0",), JobScript((Raise(),)), stays=1))
    assert "P6: 'w0' ended as failed, but the block did not raise" in said


def test_a_swallowed_error_of_the_body_is_seen(monkeypatch):
    """P7, where the block takes it for its own."""
    leave = _scope.leave

    async def swallow(requester, group, exc):
        return await leave(requester, group, exc) or exc is not None

    monkeypatch.setattr("trioworkers.jobs._context.leave", swallow)
    assert "P7: the body's own error" in broken(GroupPlan(("w0",), raises=True))


def test_a_random_plan_finds_a_bug_and_shrinks_it(monkeypatch):
    """The search ends at the plainest plan that shows a lost event."""
    patch_entering(
        monkeypatch, lambda enter, m: getattr(m, "update", None) == {"number": 0} or enter(m)
    )
    smallest = None

    @settings(max_examples=500, deadline=None, database=None, derandomize=True)
    @given(st.random_module(), group_plans(NAMES))
    def search(schedule, plan):
        nonlocal smallest
        try:
            play_all(plan)
        except BaseExceptionGroup:
            smallest = plan
            raise

    with pytest.RaisesGroup(PromiseBroken, flatten_subgroups=True):
        search()
    assert smallest == GroupPlan(("w0",), JobScript((SendUpdate(),)), reads=None)
