"""P7: what checkpoints, what may not, and what happens to `Cancelled`."""

import pytest
import trio
from support import Asker, Doer, hosting, on_schedules
from trio.testing import assert_checkpoints, assert_no_checkpoints

from trioworkers import CREDIT_WINDOW, InactiveJobError, JobGroupError


async def never(_worker, _message):
    await trio.sleep_forever()


@on_schedules(5)
async def test_asking_checkpoints():
    """`call`, leaving a block, and fire and forget, whatever the outcome's speed."""
    asker = Asker()
    async with hosting(Doer("doer"), asker) as runner:
        with assert_checkpoints():
            await runner.call("doer", name="do")
        context = runner.job("doer", name="do")
        with assert_no_checkpoints():
            await context.__aenter__()
        await trio.sleep(1)
        assert "doer" in context.outcomes
        with assert_checkpoints():
            await context.__aexit__(None, None, None)
        with assert_checkpoints():
            await asker.request_job("doer", name="do")
        with assert_checkpoints():
            await asker.request_job_group("doer", name="do")
        with assert_checkpoints():
            group = await asker.create_job_group_and_request_job(["doer"], name="do")
        with assert_checkpoints():
            await group.wait()
        with assert_checkpoints():
            await group.wait()
        with assert_checkpoints():
            assert not await asker.request_cancel_job_group("t-99")


@on_schedules(5)
async def test_failing_blocks_checkpoint_too():
    """Also a job that nobody can do."""
    async with hosting(Doer("doer")) as runner:
        with assert_checkpoints(), pytest.raises(Exception, match="no handler"):
            await runner.call("doer", name="nothing")


@on_schedules(5)
async def test_commands_checkpoint():
    """Asking for an update and cancelling, open or not."""
    asker = Asker()
    async with hosting(Doer("doer", never), Doer("quick"), asker):
        with pytest.raises(JobGroupError):
            async with asker.job_group("doer", "quick", name="do") as group:
                await trio.sleep(1)
                with assert_checkpoints():
                    await asker.request_job_update(group.job_id, "doer")
                with assert_checkpoints():
                    await asker.request_job_update(group.job_id, "quick")
                with trio.CancelScope(shield=True), assert_checkpoints():
                    await asker.cancel_job_group(group.job_id)
                await trio.sleep_forever()


@on_schedules(5)
async def test_sending_checkpoints():
    """Updates, stream ends and responses always; chunks at least once per window."""
    reached = []

    async def sends(worker, message):
        job_id = message.job_id
        with assert_checkpoints():
            await worker.send_job_update(job_id)
        with assert_checkpoints():
            await worker.send_job_update(job_id, urgent=True)
        with assert_checkpoints():
            await worker.send_job_stream_start(job_id)
        with assert_checkpoints():
            for _ in range(CREDIT_WINDOW + 1):
                await worker.send_job_stream_data(job_id)
        with assert_checkpoints():
            await worker.send_job_stream_end(job_id)
        with assert_no_checkpoints(), pytest.raises(InactiveJobError):
            await worker.send_job_stream_data(job_id)
        reached.append(True)

    async def responds(worker, message):
        with assert_checkpoints():
            await worker.send_job_response(message.job_id)
        reached.append(True)

    async with hosting(Doer("sends", sends), Doer("responds", responds)) as runner:
        await runner.call("sends", name="do")
        await runner.call("responds", name="do")
    assert reached == [True, True]


@on_schedules(5)
async def test_a_chunk_is_always_a_cancellation_point():
    """Even where it is no schedule point; and a cancelled send sends nothing."""
    reached = []

    async def sends(worker, message):
        with trio.CancelScope() as scope:
            scope.cancel()
            await worker.send_job_stream_data(message.job_id, {"n": 1})
        assert scope.cancelled_caught
        reached.append(True)
        await worker.send_job_stream_data(message.job_id, {"n": 2})

    async with hosting(Doer("doer", sends)) as runner:
        async with runner.job("doer", name="do") as context:
            got = [event.data async for event in context]
    assert got == [{"n": 2}]
    assert reached == [True]


@on_schedules(5)
async def test_iterating_is_a_cancellation_point_and_lets_others_run():
    """A full buffer is no reason to hog the thread."""

    async def floods(worker, message):
        for _ in range(3 * CREDIT_WINDOW):
            await worker.send_job_stream_data(message.job_id)

    async with hosting(Doer("doer", floods)) as runner:
        async with runner.job("doer", name="do") as context:
            await trio.sleep(1)
            with trio.CancelScope() as scope:
                scope.cancel()
                await anext(context)
            assert scope.cancelled_caught
            with assert_checkpoints():
                for _ in range(CREDIT_WINDOW + 1):
                    await anext(context)
            async for _ in context:
                pass
            with assert_checkpoints(), pytest.raises(StopAsyncIteration):
                await anext(context)


@on_schedules(5)
async def test_a_chunk_sent_while_cancelled_from_outside_is_not_counted():
    """Credit and numbers are spent only on what is sent: the stream goes on in order."""

    async def sends(worker, message):
        for n in range(2 * CREDIT_WINDOW):
            with trio.move_on_after(0.5):
                await worker.send_job_stream_data(message.job_id, {"n": n})

    async with hosting(Doer("doer", sends)) as runner:
        async with runner.job("doer", name="do") as context:
            await trio.sleep(100)
            got = [event.data["n"] async for event in context]
    assert got == list(range(CREDIT_WINDOW))


@on_schedules(5)
async def test_a_schedule_point_per_window_of_chunks():
    """Another Trio task gets its turn while a handler streams without end."""
    steps = 0

    async def floods(worker, message):
        for _ in range(10 * CREDIT_WINDOW):
            await worker.send_job_stream_data(message.job_id)

    async def counts():
        nonlocal steps
        while True:
            steps += 1
            await trio.lowlevel.checkpoint()

    async with hosting(Doer("doer", floods)) as runner, trio.open_nursery() as nursery:
        nursery.start_soon(counts)
        await trio.lowlevel.checkpoint()
        steps = 0
        await runner.call("doer", name="do")
        assert steps >= 9
        nursery.cancel_scope.cancel()
