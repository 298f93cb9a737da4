"""Each request ends in exactly one outcome, and it says what happened."""

import attrs
import pytest
import trio
from support import Asker, Doer, hosting, on_schedules

from trioworkers import InactiveJobError, JobError, JobStatus


@attrs.frozen
class Point:
    x: int
    y: int


class _Stop(BaseException):
    """Not an `Exception`: stops everything."""


async def _outcome(function, *, name="do"):
    """Run one job whose handler is ``function``; return (outcome, error or None)."""
    doer = Doer("doer", function)
    error = None
    async with hosting(doer) as runner:
        context = runner.job("doer", name=name)
        try:
            async with context:
                pass
        except JobError as caught:
            error = caught
        assert doer.running == 0
        assert list(context.outcomes) == ["doer"]
    return context.outcomes["doer"], error


@on_schedules()
async def test_a_handler_that_raises_ends_in_error():
    """An unexpected exception is ERROR, with type, message and remote traceback."""

    async def raises(_worker, _message):
        raise ValueError("too big")

    outcome, error = await _outcome(raises)
    assert outcome.status is JobStatus.ERROR
    assert outcome.response is None
    assert (outcome.error.type, outcome.error.message) == ("ValueError", "too big")
    assert "in raises" in outcome.error.traceback
    assert str(error) == "job t-1: worker 'doer' raised: ValueError: too big"
    assert (error.job_id, dict(error.outcomes)) == ("t-1", {"doer": outcome})
    (cause,) = error.__cause__.exceptions
    assert isinstance(cause, JobError)
    assert 'raise ValueError("too big")' in cause.__notes__[0]


@on_schedules()
async def test_a_handler_that_returns_nothing_completes():
    """None is an empty response, not silence."""

    async def nothing(_worker, _message):
        await trio.sleep(1)

    outcome, error = await _outcome(nothing)
    assert (outcome.status, outcome.response, outcome.error) == (JobStatus.COMPLETED, {}, None)
    assert error is None


@on_schedules(5)
async def test_an_attrs_instance_is_a_response():
    """It arrives as a dict."""

    async def point(_worker, _message):
        return Point(1, 2)

    outcome, _ = await _outcome(point)
    assert outcome.response == {"x": 1, "y": 2}


@on_schedules(5)
async def test_another_value_is_no_response():
    """A handler that returns, say, a string is in ERROR: told, not dropped."""

    async def text(_worker, _message):
        return "done"

    outcome, error = await _outcome(text)
    assert outcome.status is JobStatus.ERROR
    assert "must be a dict, an attrs instance or None, not 'done'" in str(error)


@on_schedules(5)
async def test_a_job_error_is_failed():
    """The reason alone is the message."""

    async def fails(_worker, _message):
        raise JobError("no such city")

    outcome, error = await _outcome(fails)
    assert outcome.status is JobStatus.FAILED
    assert outcome.error.message == "no such city"
    assert "failed: JobError: no such city" in str(error)


@on_schedules(5)
async def test_a_group_of_job_errors_is_failed():
    """Nested groups of nothing else are, too."""

    async def fails(_worker, _message):
        raise ExceptionGroup("all", [JobError("a"), ExceptionGroup("in", [JobError("b")])])

    outcome, _ = await _outcome(fails)
    assert outcome.status is JobStatus.FAILED
    assert "JobError: b" in outcome.error.traceback


@on_schedules(5)
async def test_a_mixed_group_is_an_error():
    """One other exception in it makes it ERROR."""

    async def fails(_worker, _message):
        raise ExceptionGroup("some", [JobError("a"), ValueError("b")])

    outcome, _ = await _outcome(fails)
    assert outcome.status is JobStatus.ERROR
    assert "ValueError: b" in outcome.error.traceback


@on_schedules()
async def test_the_outcome_goes_out_when_the_handler_has_returned():
    """A handler that responds and works on is waited for."""
    done = []

    async def works_on(worker, message):
        await worker.send_job_response(message.job_id, {"n": 1})
        assert message.job_id not in worker.active_jobs
        await trio.sleep(5)
        done.append(trio.current_time())

    doer = Doer("doer", works_on)
    async with hosting(doer) as runner:
        start = trio.current_time()
        assert await runner.call("doer", name="do") == {"n": 1}
        assert done == [trio.current_time()] == [start + 5]


@on_schedules(10)
async def test_an_error_after_the_response_beats_it():
    """What a handler raises after it responded isn't lost."""

    async def responds_then_raises(worker, message):
        await worker.send_job_response(message.job_id, {"n": 1})
        raise ValueError("afterwards")

    outcome, _ = await _outcome(responds_then_raises)
    assert outcome.status is JobStatus.ERROR
    assert outcome.error.message == "afterwards"


@on_schedules(10)
async def test_a_second_response_is_refused():
    """The first stands; the second raises, and nothing of it goes out."""

    async def responds_twice(worker, message):
        await worker.send_job_response(message.job_id, {"n": 1})
        with pytest.raises(InactiveJobError, match="'doer' has no active job 't-1'"):
            await worker.send_job_response(message.job_id, {"n": 2})
        with pytest.raises(RuntimeError, match="no active job"):
            await worker.send_job_update(message.job_id, {})
        with pytest.raises(InactiveJobError):
            await worker.send_job_stream_end(message.job_id, {})

    outcome, _ = await _outcome(responds_twice)
    assert outcome.response == {"n": 1}


@on_schedules(10)
async def test_a_value_after_a_response_is_an_error():
    """Returning is responding, so this is a second response."""

    async def responds_then_returns(worker, message):
        await worker.send_job_response(message.job_id, {"n": 1})
        return {"n": 2}

    outcome, _ = await _outcome(responds_then_returns)
    assert outcome.status is JobStatus.ERROR
    assert outcome.error.type == "InactiveJobError"


@on_schedules(20)
async def test_responses_that_race_leave_one_winner():
    """Two Trio tasks of a handler respond at once: one is told that it lost."""
    refused = []

    async def races(worker, message):
        async def respond(n):
            try:
                await worker.send_job_response(message.job_id, {"n": n})
            except InactiveJobError:
                refused.append(n)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(respond, 1)
            nursery.start_soon(respond, 2)

    outcome, _ = await _outcome(races)
    assert [outcome.response["n"], *refused] in ([1, 2], [2, 1])


@on_schedules(5)
async def test_a_response_may_say_that_it_failed():
    """`status=` is the outcome; the response is there to look at."""

    async def fails(worker, message):
        await worker.send_job_response(message.job_id, {"n": 1}, status=JobStatus.FAILED)

    outcome, error = await _outcome(fails)
    assert (outcome.status, outcome.response) == (JobStatus.FAILED, {"n": 1})
    assert str(error) == "job t-1: worker 'doer' failed"
    assert len(error.__cause__.exceptions) == 1


@on_schedules(5)
async def test_a_bad_response_is_refused_at_the_call():
    """A wrong type or status raises in the handler, and the job is still open."""

    async def confused(worker, message):
        with pytest.raises(TypeError, match="a job's response must be a dict"):
            await worker.send_job_response(message.job_id, ["no"])
        with pytest.raises(ValueError, match="'done' is not a valid JobStatus"):
            await worker.send_job_response(message.job_id, {}, status="done")
        with pytest.raises(TypeError, match="what a job sends must be a dict"):
            await worker.send_job_update(message.job_id, "half")
        return {"ok": True}

    outcome, _ = await _outcome(confused)
    assert outcome.response == {"ok": True}


@on_schedules(5)
async def test_a_name_without_handler_is_an_error_at_once():
    """The error names the handlers there are."""
    outcome, _ = await _outcome(None, name="dig")
    assert outcome.status is JobStatus.ERROR
    assert outcome.error.type == "NoHandler"
    assert outcome.error.message == (
        "worker 'doer' has no handler for job 'dig'; its handlers: 'do', 'queue'"
    )
    outcome, _ = await _outcome(None, name=None)
    assert "no handler for a job without a name" in outcome.error.message


@on_schedules(5)
async def test_jobs_without_handler_go_to_the_hook():
    """`on_job_request` serves them as a handler does; named jobs don't reach it."""
    asked = []

    class Hooked(Doer):
        async def on_job_request(self, message):
            asked.append(message.job_name)
            return {"hook": message.job_name}

    async with hosting(Hooked("doer")) as runner:
        assert await runner.call("doer", name="dig") == {"hook": "dig"}
        assert await runner.call("doer") == {"hook": None}
        assert await runner.call("doer", name="do") == {}
    assert asked == ["dig", None]


@on_schedules(5)
async def test_jobs_without_handler_go_to_event_handlers():
    """An event handler added from outside serves them, too; the first value counts."""
    doer = Doer("doer")

    @doer.event_handler("on_job_request")
    async def first(_worker, message):
        return {"name": message.job_name}

    @doer.event_handler("on_job_request")
    def second(_worker, _message):
        return {"name": "not this"}

    async with hosting(doer) as runner:
        assert await runner.call("doer", name="dig") == {"name": "dig"}


@on_schedules(10)
async def test_a_base_exception_settles_the_job_and_propagates():
    """The requester hears LOST; the exception ends the runner."""

    async def stops(_worker, _message):
        raise _Stop("now")

    doer = Doer("doer", stops)
    seen = []
    with pytest.RaisesGroup(_Stop, flatten_subgroups=True):
        async with hosting(doer, quiet=False) as runner:
            context = runner.job("doer", name="do")
            with pytest.raises(JobError, match="'doer' lost: _Stop: now"):
                async with context:
                    pass
            seen.append(context.outcomes["doer"])
    assert seen[0].status is JobStatus.LOST
    assert seen[0].error.type == "_Stop"


@on_schedules(10)
async def test_call_returns_the_response_or_raises():
    """`call` is a job block in one line, for workers and runners."""

    async def double(_worker, message):
        n = message.payload["n"]
        if n < 0:
            raise JobError("negative")
        return {"n": 2 * n}

    doer, asker = Doer("doer", double), Asker()
    async with hosting(doer, asker) as runner:
        assert await runner.call("doer", name="do", payload={"n": 4}) == {"n": 8}
        assert await asker.call("doer", name="do", payload={"n": 5}) == {"n": 10}
        with pytest.raises(JobError, match="negative"):
            await asker.call("doer", name="do", payload={"n": -1})


@on_schedules(5)
async def test_contexts_say_when_they_are_used_too_early_or_twice():
    """The messages say what to do."""
    async with hosting(Doer("doer")) as runner:
        context = runner.job("doer", name="do")
        with pytest.raises(RuntimeError, match="use `async with` first"):
            _ = context.job_id
        async with context:
            with pytest.raises(RuntimeError, match="leave the block first"):
                _ = context.response
        assert context.response == {}
        assert repr(context.group) == "<JobGroup t-1, ended>"
        with pytest.raises(RuntimeError, match="entered once"):
            async with context:
                pass
