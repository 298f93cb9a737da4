"""`ScriptedWorker` and the steps that it plays."""

import attrs
import pytest
import trio
from support import hosting, run
from trio.testing import wait_all_tasks_blocked

from trioworkers import JobError, JobGroupError, JobStatus
from trioworkers.testing._job_scripts import (
    Ask,
    AskGroup,
    CleanUp,
    EndStream,
    JobScript,
    NeverAnswer,
    Raise,
    Respond,
    SendChunk,
    SendUpdate,
    Sleep,
    StartStream,
)
from trioworkers.testing._scripted import ScriptedWorker


def play(*steps, timeout=None, name="play"):
    """Let one of two workers play ``steps``; return both, the response or error, and events."""
    one, other = ScriptedWorker("one"), ScriptedWorker("other")

    async def main():
        events = []
        async with hosting(one, other) as runner:
            try:
                async with runner.job(
                    "one", name=name, payload=JobScript(steps), timeout=timeout
                ) as job:
                    async for event in job:
                        events.append((event.type, event.data))
                end = job.response
            except JobError as error:
                end = error
            return end, events, trio.current_time()

    end, events, seconds = run(main)
    assert one.running == other.running == []
    assert one.begun == one.ended
    return end, events, seconds


def status_of(error):
    """Return how the only member ended."""
    (outcome,) = error.outcomes.values()
    return outcome.status


def test_a_script_without_steps_completes():
    """The response says that nothing was sent."""
    assert play() == ({"sent": 0}, [], 0.0)


def test_events_are_numbered():
    """One count for updates and chunks alike."""
    end, events, _ = play(SendUpdate(2), StartStream(), SendChunk(2))
    assert end == {"sent": 5}
    kinds = ["update", "update", "stream_start", "stream_data", "stream_data"]
    assert events == [(kind, {"number": i}) for i, kind in enumerate(kinds)]


def test_an_urgent_update_says_so():
    """Since it may come out of turn."""
    assert play(SendUpdate(urgent=True))[1] == [("update", {"number": 0, "urgent": True})]


def test_a_stream_end_is_the_response():
    """It tells its own number, and how many events there were."""
    end, events, _ = play(SendChunk(), EndStream(), Sleep(1))
    assert end == {"number": 1, "sent": 2}
    assert events[-1] == ("stream_end", end)


@pytest.mark.parametrize("urgent", [False, True])
def test_respond_fixes_the_outcome_and_the_handler_goes_on(urgent):
    """What is sent counts until then; the outcome goes out when the handler returns."""
    assert play(SendUpdate(), Respond(urgent=urgent), Sleep(2))[::2] == ({"sent": 1}, 2.0)


def test_respond_can_fail_the_job():
    """Without an exception."""
    assert status_of(play(Respond(failed=True))[0]) is JobStatus.FAILED


@pytest.mark.parametrize(
    ("error", "status"), [("JobError", JobStatus.FAILED), ("ValueError", JobStatus.ERROR)]
)
def test_raise_fails_the_job(error, status):
    """As expected or unexpectedly."""
    assert status_of(play(Raise(error))[0]) is status


def test_sending_after_the_outcome_is_an_error():
    """As in any handler."""
    end, _, _ = play(Respond(), SendUpdate())
    assert "InactiveJobError" in str(end)


def test_never_answer_ends_when_cancelled():
    """And not before."""
    end, _, seconds = play(NeverAnswer(), timeout=3)
    assert (status_of(end), seconds) == (JobStatus.TIMED_OUT, 3.0)


def test_clean_up_is_deaf_to_cancellation_and_bounded():
    """It runs when the handler is left, however that is."""
    assert play(CleanUp(2), NeverAnswer(), timeout=3)[2] == 5.0
    assert play(CleanUp(2), CleanUp(1), Raise())[2] == 3.0


@pytest.mark.parametrize("reads", [False, True])
@pytest.mark.parametrize("in_turn", [False, True])
def test_a_nested_job_is_asked_and_waited_for(reads, in_turn):
    """Its events stay with the handler that asked."""
    script = JobScript((SendUpdate(200), Sleep(1)))
    ask = Ask("other", script, reads=reads, in_turn=in_turn)
    assert play(ask, ask) == ({"sent": 0}, [], 2.0)


def test_a_nested_job_that_fails_fails_the_handler():
    """Its JobError leaves the step."""
    end, _, _ = play(Ask("other", JobScript((NeverAnswer(),)), timeout=1))
    assert status_of(end) is JobStatus.FAILED
    assert "timed out after 1.0 s" in str(end)


@pytest.mark.parametrize("reads", [False, True])
def test_a_nested_group_may_tolerate_failures(reads):
    """As its requester says; members may do different things."""
    script = JobScript((SendChunk(100),), of={"other": (Raise(),)})
    tolerant = AskGroup(("other",), script, cancel_on_error=False, reads=reads)
    assert play(tolerant)[0] == {"sent": 0}
    assert status_of(play(attrs.evolve(tolerant, cancel_on_error=True))[0]) is JobStatus.FAILED


def test_jobs_in_turn_run_one_at_a_time():
    """The others run side by side."""
    most = []

    async def main(name):
        script = JobScript((Sleep(1),))
        async with hosting(worker) as runner, trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(lambda: runner.call("w", name=name, payload=script))
            await wait_all_tasks_blocked()
            most.append(len(worker.running))

    for name in ("play", "play_in_turn"):
        worker = ScriptedWorker("w")
        run(main, name)
    assert most == [3, 1]


def test_it_knows_for_which_jobs_it_works():
    """Also for those above the job that it was asked for."""
    outer, inner = ScriptedWorker("outer"), ScriptedWorker("inner")
    script = JobScript((Ask("inner", JobScript((Sleep(1),))),))

    async def main():
        async with (
            hosting(outer, inner) as runner,
            runner.job_group("outer", name="play", payload=script) as group,
        ):
            await wait_all_tasks_blocked()
            (request,) = inner.working_for(group.job_id)
            assert request.job_id != group.job_id
            assert inner.working_for(request.job_id) == inner.running == [request]
            assert [r.job_id for r in outer.working_for(group.job_id)] == [group.job_id]
            assert outer.working_for(request.job_id) == []

    run(main)


def test_a_payload_that_is_no_script_is_refused():
    """The job fails before anything runs, and the step that is wrong is named."""
    worker = ScriptedWorker("w")

    async def main():
        async with hosting(worker) as runner:
            with pytest.raises(JobGroupError, match=r"payload\.steps\[0\]"):
                async with runner.job_group("w", name="play", payload={"steps": [{"do": "fly"}]}):
                    pass

    run(main)
    assert not worker.begun
