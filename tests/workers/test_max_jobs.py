"""`max_jobs`: how many handlers of one worker run at once, and who waits for whom."""

from functools import partial

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pools import sleep_as_asked
from support import Doer, hosting, on_schedules, run
from trio.testing import wait_all_tasks_blocked

from trioworkers import (
    BaseWorker,
    BusJobCancelMessage,
    BusJobRequestMessage,
    JobError,
    JobStatus,
    job,
)


@on_schedules()
async def test_so_many_handlers_run_at_once_and_the_rest_in_order():
    """Whatever jobs they are for; those that wait are seen."""
    order = []

    async def notes(_worker, message):
        order.append(message.payload["n"])
        await trio.sleep(1)

    doer = Doer("doer", notes, max_jobs=2)
    async with hosting(doer, Doer("asker")) as runner:
        for n in range(6):
            runner.bus.post(
                BusJobRequestMessage(f"j{n}", "do", {"n": n}, source="asker", target="doer")
            )
        now = doer.statistics()
        assert (now.active_jobs, now.waiting_jobs) == (6, 4)
        for done in (2, 4, 6):
            await trio.sleep(0.5)
            assert len(doer.begun) == done
            assert doer.statistics().waiting_jobs == 6 - done
            await trio.sleep(0.5)
        # Those that begin at the same moment do so in any order.
        assert [sorted(order[n : n + 2]) for n in (0, 2, 4)] == [[0, 1], [2, 3], [4, 5]]
        assert doer.most_running == 2


@on_schedules()
async def test_what_waits_can_be_cancelled_and_time_out():
    """Its handler is never called, and those behind it move up."""
    doer = Doer("doer", sleep_as_asked, max_jobs=1)
    async with hosting(doer) as runner, trio.open_nursery() as nursery:
        outcomes = {}

        async def ask(key, scope, timeout):
            context = runner.job(
                "doer", name="do", payload={"seconds": 10, "key": key}, timeout=timeout
            )
            with scope:
                try:
                    async with context:
                        pass
                except JobError:
                    pass
            outcomes[key] = str(context.outcomes["doer"].status)

        scopes = [trio.CancelScope() for _ in range(4)]
        for n, (scope, timeout) in enumerate(zip(scopes, (None, None, 4, None), strict=True)):
            nursery.start_soon(ask, n, scope, timeout)
            await wait_all_tasks_blocked()
        scopes[1].cancel()
        await wait_all_tasks_blocked()
        assert outcomes == {1: "cancelled"}
        await trio.sleep(5)
        assert outcomes == {1: "cancelled", 2: "timed_out"}
        await trio.sleep(20)
        assert (outcomes[0], outcomes[3]) == ("completed", "completed")
        assert len(doer.begun) == 2


@on_schedules()
async def test_a_turn_that_comes_with_the_cancel_calls_no_handler():
    """A handler whose scope is cancelled is never called, also if it got its place."""
    for job_name, max_jobs in (("do", 1), ("queue", None)):
        doer = Doer("doer", sleep_as_asked, max_jobs=max_jobs)
        async with hosting(doer, Doer("asker"), quiet=False) as runner:
            async with trio.open_nursery() as nursery:

                async def first(doer=doer, job_name=job_name, runner=runner):
                    await runner.call("doer", name=job_name, payload={"seconds": 1})
                    # The next one has got its place just now, and may have begun or not.
                    begun = len(doer.begun)
                    runner.bus.post(BusJobCancelMessage("j2", source="asker", target="doer"))
                    await wait_all_tasks_blocked()
                    assert len(doer.begun) == begun

                nursery.start_soon(first)
                await wait_all_tasks_blocked()
                runner.bus.post(
                    BusJobRequestMessage(
                        "j2", job_name, {"seconds": 1}, source="asker", target="doer"
                    )
                )


@on_schedules()
async def test_a_worker_that_asks_itself_with_all_places_taken_fails_at_once():
    """With one place more, it works."""

    async def asks(worker, message):
        if message.payload["depth"]:
            depth = message.payload["depth"] - 1
            await worker.call("doer", name=message.job_name, payload={"depth": depth})

    for job_name in ("do", "queue"):
        async with hosting(Doer("doer", asks, max_jobs=2)) as runner:
            if job_name == "do":
                await runner.call("doer", name="do", payload={"depth": 1})
            start = trio.current_time()
            with pytest.raises(JobError) as caught:
                await runner.call("doer", name=job_name, payload={"depth": 2})
            assert trio.current_time() == start
            assert "is held by an ancestor" in str(caught.value.outcomes["doer"].error)


@on_schedules()
async def test_handlers_that_wait_for_one_another_do_not_wait_for_ever():
    """All hold a place and ask for one more: one fails, so that the others get theirs."""

    async def asks(worker, message):
        await trio.sleep(1)
        if message.payload["deep"]:
            await worker.call("doer", name="queue", payload={"deep": False})

    outcomes = []
    async with hosting(Doer("doer", asks, max_jobs=2)) as runner, trio.open_nursery() as nursery:

        async def ask():
            async with runner.job_group(
                "doer", name="do", payload={"deep": True}, cancel_on_error=False
            ) as group:
                pass
            outcomes.append(group.outcomes["doer"].status)

        for _ in range(2):
            nursery.start_soon(ask)
        await trio.sleep(10)
        assert sorted(outcomes) == [JobStatus.COMPLETED, JobStatus.FAILED]


@on_schedules()
async def test_a_sequential_job_that_waits_for_its_turn_takes_no_place():
    """Others run meanwhile."""
    doer, order = Doer("doer", sleep_as_asked, max_jobs=2), []
    async with hosting(doer) as runner, trio.open_nursery() as nursery:

        async def ask(key, job_name):
            await runner.call("doer", name=job_name, payload={"seconds": 10})
            order.append((key, trio.current_time()))

        start = trio.current_time()
        for key, job_name in (("q1", "queue"), ("q2", "queue"), ("d1", "do"), ("d2", "do")):
            nursery.start_soon(ask, key, job_name)
            await wait_all_tasks_blocked()
        await trio.sleep(31)
        assert dict(order) == {
            key: pytest.approx(start + seconds)
            for key, seconds in (("q1", 10), ("d1", 10), ("q2", 20), ("d2", 20))
        }
        assert doer.most_running == 2


@pytest.mark.parametrize(
    ("max_jobs", "error"), [(0, ValueError), (-1, ValueError), (1.0, TypeError), (True, TypeError)]
)
def test_bad_numbers_are_refused(max_jobs, error):
    """Before anything starts."""
    with pytest.raises(error, match="max_jobs must be an integer"):
        BaseWorker(max_jobs=max_jobs)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.random_module(),
    st.integers(1, 3),
    st.lists(
        st.tuples(
            st.sampled_from(("do", "queue")),
            st.sampled_from((0.0, 0.5, 1.0, 2.0)),
            st.sampled_from((0.0, 0.5, 1.0)),
            st.sampled_from((None, None, 0.5, 1.5)),
        ),
        min_size=1,
        max_size=10,
    ),
)
def test_any_jobs_keep_the_limit_and_all_end(schedule, max_jobs, jobs):
    """Random arrivals, durations and timeouts, sequential and not."""

    async def main():
        doer = Doer("doer", sleep_as_asked, max_jobs=max_jobs)
        async with hosting(doer) as runner:

            async def ask(job_name, delay, seconds, timeout):
                await trio.sleep(delay)
                async with runner.job_group(
                    "doer",
                    name=job_name,
                    payload={"seconds": seconds},
                    timeout=timeout,
                    cancel_on_error=False,
                ) as group:
                    pass
                status = group.outcomes["doer"].status
                assert status is JobStatus.COMPLETED or (
                    timeout is not None and status is JobStatus.TIMED_OUT
                )

            async with trio.open_nursery() as nursery:
                for each in jobs:
                    nursery.start_soon(ask, *each)
            assert doer.most_running <= max_jobs

    run(main)


def test_a_handler_may_take_no_place():
    """Its jobs run beside as many as may, and wait for none; in turn, if they are sequential."""

    class Watched(BaseWorker):
        @job(name="work")
        async def work(self, message):
            await trio.sleep(10)

        @job(name="watch", takes_place=False)
        async def watch(self, message):
            await trio.sleep(1)

        @job(name="queue", takes_place=False, sequential=True)
        async def queue(self, message):
            await trio.sleep(1)

    async def main():
        async with hosting(Watched("a", max_jobs=1)) as runner:
            began = trio.current_time()
            async with runner.job("a", name="work"):
                for name, seconds in (("watch", 1), ("queue", 2)):
                    async with trio.open_nursery() as nursery:
                        for _ in range(2):
                            nursery.start_soon(partial(runner.call, "a", name=name))
                    assert trio.current_time() - began == seconds
                    began = trio.current_time()
            async with runner.job("a", name="watch"):
                await runner.call("a", name="work")

    run(main)
