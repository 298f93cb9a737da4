"""Sequential handlers: one at a time, in order of arrival, and no waiting in a circle."""

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from support import Doer, hosting, on_schedules, run
from trio.testing import wait_all_tasks_blocked

from trioworkers import BusJobRequestMessage, JobError, JobStatus


@on_schedules(30)
async def test_jobs_run_in_order_of_arrival():
    """One at a time; the order is that of the requests, whatever the schedule."""
    order = []

    async def notes(_worker, message):
        order.append(message.payload["n"])
        await trio.sleep(1)

    doer, asker = Doer("doer", notes), Doer("asker")
    async with hosting(doer, asker) as runner:
        for n in range(10):
            runner.bus.post(
                BusJobRequestMessage(f"j{n}", "queue", {"n": n}, source="asker", target="doer")
            )
        await trio.sleep(20)
        assert order == list(range(10))
        assert doer.most_running == 1


@on_schedules()
async def test_a_job_that_waits_can_be_cancelled():
    """It gives up its place; those behind it move up; its handler is never called."""

    async def slow(_worker, message):
        await trio.sleep(10)
        return message.payload

    doer = Doer("doer", slow)
    async with hosting(doer) as runner, trio.open_nursery() as nursery:
        done = []

        async def ask(n, scope):
            with scope:
                done.append(await runner.call("doer", name="queue", payload={"n": n}))

        scopes = [trio.CancelScope() for _ in range(4)]
        for n, scope in enumerate(scopes):
            nursery.start_soon(ask, n, scope)
            await wait_all_tasks_blocked()
        scopes[1].cancel()
        await wait_all_tasks_blocked()
        assert len(doer.begun) == 1
        assert doer.statistics().active_jobs == 3
        await trio.sleep(35)
        assert [d["n"] for d in done] == [0, 2, 3]
        assert len(doer.begun) == 3


@on_schedules()
async def test_waiting_counts_against_the_timeout():
    """A job whose turn doesn't come in time is TIMED_OUT."""

    async def slow(_worker, _message):
        await trio.sleep(10)

    doer = Doer("doer", slow)
    async with hosting(doer) as runner, trio.open_nursery() as nursery:

        async def first():
            await runner.call("doer", name="queue")

        nursery.start_soon(first)
        await wait_all_tasks_blocked()
        context = runner.job("doer", name="queue", timeout=4)
        with pytest.raises(JobError, match="timed out"):
            async with context:
                pass
        assert context.outcomes["doer"].status is JobStatus.TIMED_OUT
        assert len(doer.begun) == 1


@on_schedules()
async def test_a_handler_that_asks_itself_fails_at_once():
    """It would wait for ever; the error names the chain."""

    async def asks_itself(worker, message):
        await worker.call("doer", name="queue")

    doer = Doer("doer", asks_itself)
    async with hosting(doer) as runner:
        start = trio.current_time()
        with pytest.raises(JobError) as caught:
            await runner.call("doer", name="queue")
        assert trio.current_time() == start
        text = caught.value.outcomes["doer"].error.traceback
        assert "sequential handler 'queue' of 'doer' is held by an ancestor" in text
        assert "t-1 -> t-2" in text
        assert len(doer.begun) == 1


@on_schedules()
async def test_a_circle_through_another_worker_fails_at_once():
    """The chain names every job in between."""

    async def asks(worker, _message):
        other = {"a": "b", "b": "c", "c": "a"}[worker.name]
        await worker.call(other, name="queue" if worker.name == "c" else "do")

    workers = [Doer(name, asks) for name in "abc"]
    async with hosting(*workers) as runner:
        with pytest.raises(JobError) as caught:
            await runner.call("a", name="queue")
        assert "t-1 -> t-2 -> t-3 -> t-4" in caught.value.outcomes["a"].error.traceback


@on_schedules()
async def test_asking_another_handler_of_oneself_is_fine():
    """Only the sequential one is held."""

    async def asks(worker, message):
        if message.job_name == "queue":
            return await worker.call("doer", name="do")
        return {"n": 1}

    async with hosting(Doer("doer", asks)) as runner:
        assert await runner.call("doer", name="queue") == {"n": 1}


@on_schedules()
async def test_a_child_of_another_job_waits_its_turn():
    """A nested request isn't a circle if the holder is no ancestor of it."""

    async def works(worker, _message):
        if worker.name == "other":
            return await worker.call("doer", name="queue")
        await trio.sleep(3)
        return {"n": 1}

    async with hosting(Doer("doer", works), Doer("other", works)) as runner:
        answers = []

        async def ask(name, job_name):
            answers.append(await runner.call(name, name=job_name))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, "doer", "queue")
            nursery.start_soon(ask, "other", "do")
        assert answers == [{"n": 1}, {"n": 1}]


def test_asking_oneself_without_waiting_is_no_circle():
    """The error advises to ask without waiting, so `request_job` must be queued."""

    async def asks_itself(worker, message):
        if message.payload is None:
            await worker.request_job("doer", name="queue", payload={"then": True})

    async def main():
        doer = Doer("doer", asks_itself)
        async with hosting(doer) as runner:
            await runner.call("doer", name="queue")
            await wait_all_tasks_blocked()
            assert len(doer.begun) == 2

    run(main)


@settings(max_examples=60, deadline=None)
@given(
    st.random_module(),
    st.lists(
        st.tuples(st.floats(0, 5), st.floats(0, 5), st.floats(0.1, 5) | st.none()),
        min_size=1,
        max_size=8,
    ),
)
def test_any_queue_keeps_order_and_never_overlaps(schedule, jobs):
    """Random arrivals, durations and timeouts: FIFO, one at a time, all settled."""
    begun, arrived = [], []

    async def works(_worker, message):
        begun.append(message.payload["n"])
        await trio.sleep(message.payload["duration"])

    async def main():
        doer = Doer("doer", works)
        async with hosting(doer) as runner:

            async def ask(n, delay, duration, timeout):
                await trio.sleep(delay)
                arrived.append(n)
                context = runner.job(
                    "doer", name="queue", payload={"n": n, "duration": duration}, timeout=timeout
                )
                try:
                    async with context:
                        pass
                except JobError:
                    assert context.outcomes["doer"].status is JobStatus.TIMED_OUT

            async with trio.open_nursery() as nursery:
                for n, (delay, duration, timeout) in enumerate(jobs):
                    nursery.start_soon(ask, n, delay, duration, timeout)
            assert doer.most_running <= 1
            assert begun == [n for n in arrived if n in begun]
            never_begun = set(range(len(jobs))) - set(begun)
            assert all(jobs[n][2] is not None for n in never_begun)

    run(main)
