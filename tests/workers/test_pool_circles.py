"""Pools whose jobs ask the pool: circles of waiters fail at once, all others get a place."""

import pytest
import trio
from pools import Crew, pool_of
from support import Doer, hosting, on_schedules
from trio.testing import wait_all_tasks_blocked

from trioworkers import JobError, JobStatus


@on_schedules()
async def test_a_member_that_asks_its_full_pool_fails_at_once():
    """It would wait for itself; the error names the chain."""

    async def asks(worker, message):
        await worker.call("pool", name="do")

    pool = pool_of(Crew(asks), 1)
    async with hosting(pool) as runner:
        start = trio.current_time()
        with pytest.raises(JobError) as caught:
            await runner.call("pool", name="do")
        assert trio.current_time() == start
        text = caught.value.outcomes["pool"].error.traceback
        assert "one of the 1 places of pool 'pool' is held by an ancestor" in text
        assert "t-1 -> t-2" in text


@on_schedules()
async def test_a_pool_may_ask_itself_as_deep_as_it_has_members():
    """One level deeper fails at once."""

    async def asks(worker, message):
        depth = message.payload["depth"]
        if depth:
            await worker.call("pool", name="do", payload={"depth": depth - 1})

    async with hosting(pool_of(Crew(asks), 3)) as runner:
        await runner.call("pool", name="do", payload={"depth": 2})
        with pytest.raises(JobError):
            await runner.call("pool", name="do", payload={"depth": 3})


@on_schedules()
async def test_members_that_wait_for_one_another_do_not_wait_for_ever():
    """All hold a place and ask for one more: one fails, so that the others get theirs."""

    async def asks(worker, message):
        await trio.sleep(1)
        if message.payload["depth"]:
            await worker.call("pool", name="do", payload={"depth": 0})

    outcomes = []
    async with hosting(pool_of(Crew(asks), 3)) as runner, trio.open_nursery() as nursery:

        async def ask_deep():
            async with runner.job_group(
                "pool", name="do", payload={"depth": 1}, cancel_on_error=False
            ) as group:
                pass
            outcomes.append(group.outcomes["pool"])

        for _ in range(3):
            nursery.start_soon(ask_deep)
        await trio.sleep(10)
        failed = [outcome for outcome in outcomes if outcome.status is not JobStatus.COMPLETED]
        assert len(outcomes) == 3
        assert [outcome.status for outcome in failed] == [JobStatus.FAILED]
        assert "WaitingCircleError" in str(failed[0].error)


@on_schedules()
async def test_who_waits_no_longer_holds_nobody_up():
    """Having given up, or had its turn: then its parent gives back its place in time."""

    async def asks(worker, message):
        do = message.payload["do"]
        if do.startswith("ask"):
            with trio.move_on_after(1 if do == "ask, give up" else 100):
                await worker.call("pool", name="do", payload={"do": "nothing"})
        if do != "nothing":
            await trio.sleep(message.payload["seconds"])

    for first in ("ask, give up", "ask"):
        async with hosting(pool_of(Crew(asks), 2)) as runner, trio.open_nursery() as nursery:

            async def ask(do, seconds, runner=runner):
                await runner.call("pool", name="do", payload={"do": do, "seconds": seconds})

            start = trio.current_time()
            nursery.start_soon(ask, "sleep", 2)
            await wait_all_tasks_blocked()
            nursery.start_soon(ask, first, 5)
            await trio.sleep(3)
            # The first one has done with waiting, and holds a place still.
            nursery.start_soon(ask, "ask", 0)
            await trio.sleep(0.1)
            assert runner.get_worker("pool").statistics().waiting_jobs == 1
            await trio.sleep(5)
            assert trio.current_time() < start + 10


@on_schedules()
async def test_a_groups_other_member_may_ask_the_pool():
    """Its job shares the id of the pool's, and is no ancestor of it."""

    async def asks(worker, _message):
        return await worker.call("pool", name="do", payload={"seconds": 1})

    workers = pool_of(Crew(), 1), Doer("other", asks)
    async with hosting(*workers) as runner:
        async with runner.job_group("pool", "other", name="do", payload={"seconds": 3}) as group:
            pass
        assert group.responses["other"] == {"seconds": 1}
