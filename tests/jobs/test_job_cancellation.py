"""Cancelled from outside, anywhere: the handlers have returned when the block is left."""

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from subscribers import Ear
from support import Doer, assert_quiet, hosting, on_schedules, run
from trio.testing import wait_all_tasks_blocked

from trioworkers import (
    BusJobCancelMessage,
    BusJobRequestMessage,
    JobError,
    JobGroupError,
    JobStatus,
)


async def never(_worker, _message):
    """A handler that doesn't respond."""
    await trio.sleep_forever()


async def slow_to_stop(_worker, _message):
    """A handler that needs a second to clean up."""
    try:
        await trio.sleep_forever()
    finally:
        with trio.CancelScope(shield=True):
            await trio.sleep(1)


@on_schedules()
async def test_cancelled_while_waiting_for_readiness():
    """`Cancelled` leaves the block; no watch, no request is left."""
    asker = Doer("asker")
    async with hosting(asker) as runner:
        with trio.move_on_after(1) as scope:
            async with asker.job("nobody"):
                pytest.fail("the body must not run")
        assert scope.cancelled_caught
        await assert_quiet(runner)


@on_schedules()
async def test_cancelled_in_the_body():
    """The body's `Cancelled` leaves once the handlers have cleaned up."""
    one, two = Doer("one", slow_to_stop), Doer("two", slow_to_stop)
    async with hosting(one, two) as runner:
        start = trio.current_time()
        context = runner.job_group("one", "two", name="do")
        with trio.move_on_after(1) as scope:
            async with context:
                await trio.sleep_forever()
        assert scope.cancelled_caught
        assert one.running == two.running == 0
        assert trio.current_time() == start + 2
        assert {o.status for o in context.outcomes.values()} == {JobStatus.CANCELLED}


@on_schedules()
async def test_cancelled_while_exiting():
    """The wait for the outcome is a cancellation point, and cancels the handlers."""
    one, two = Doer("one", slow_to_stop), Doer("two", slow_to_stop)
    async with hosting(one, two) as runner:
        with trio.move_on_after(1) as scope:
            async with runner.job_group("one", "two", name="do"):
                pass
            pytest.fail("the block must not be passed")
        assert scope.cancelled_caught
        assert one.running == two.running == 0


@on_schedules()
async def test_cancelled_again_while_cleaning_up():
    """A second cancellation doesn't cut the wait short."""
    doer = Doer("doer", slow_to_stop)
    async with hosting(doer) as runner:
        with trio.move_on_after(1.5) as outer:
            with trio.move_on_after(1):
                async with runner.job("doer", name="do"):
                    await trio.sleep_forever()
            await trio.lowlevel.checkpoint()
        assert doer.running == 0
        assert outer.cancelled_caught


@on_schedules()
async def test_a_cancelled_scope_enters_and_leaves_cleanly():
    """In a scope that is cancelled from the start nothing is left running."""
    doer = Doer("doer", never)
    async with hosting(doer) as runner:
        with trio.CancelScope() as scope:
            scope.cancel()
            async with runner.job("doer", name="do"):
                pass
        assert scope.cancelled_caught
        assert doer.running == 0


@on_schedules()
async def test_nested_groups_are_cancelled_from_the_outermost():
    """Three levels: cancelling the requester stops the innermost handlers first."""
    stopped = []

    async def leaf(worker, _message):
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(1)
            stopped.append(worker.name)

    async def branch(worker, message):
        try:
            async with worker.job_group(*message.payload[worker.name], name="do", payload={}):
                pass
        finally:
            stopped.append(worker.name)

    async def root(worker, message):
        try:
            async with worker.job_group(
                "b1", "b2", name="do", payload={"b1": ["l1", "l2"], "b2": ["l3"]}
            ):
                pass
        finally:
            stopped.append(worker.name)

    workers = [Doer("root", root), Doer("b1", branch), Doer("b2", branch)]
    workers += [Doer(f"l{n}", leaf) for n in (1, 2, 3)]
    async with hosting(*workers) as runner:
        with trio.move_on_after(5) as scope:
            await runner.call("root", name="do")
        assert scope.cancelled_caught
        assert sum(worker.running for worker in workers) == 0
        assert sorted(stopped) == ["b1", "b2", "l1", "l2", "l3", "root"]
        assert stopped[-1] == "root"
        assert stopped.index("b1") > max(stopped.index("l1"), stopped.index("l2"))


@on_schedules()
async def test_a_failing_leaf_fails_its_ancestors():
    """Nested groups: an error travels up, siblings are cancelled at each level."""

    async def leaf(worker, _message):
        if worker.name == "l1":
            await trio.sleep(1)
            raise ValueError("leaf")
        await trio.sleep_forever()

    async def branch(worker, message):
        await trio.lowlevel.checkpoint()
        async with worker.job_group("l1", "l2", name="do"):
            pass

    workers = [Doer("b", branch), Doer("sibling", never), Doer("l1", leaf), Doer("l2", leaf)]
    async with hosting(*workers) as runner:
        with pytest.raises(JobGroupError) as caught:
            async with runner.job_group("b", "sibling", name="do"):
                await trio.sleep_forever()
        assert sum(worker.running for worker in workers) == 0
        statuses = {n: o.status for n, o in caught.value.outcomes.items()}
        assert statuses == {"b": JobStatus.FAILED, "sibling": JobStatus.CANCELLED}
        assert "ValueError: leaf" in caught.value.outcomes["b"].error.traceback


# The body raises


@on_schedules()
async def test_a_body_that_raises_leaves_unwrapped():
    """Its own exception leaves the block as it is; the handlers have stopped."""
    doer = Doer("doer", slow_to_stop)
    async with hosting(doer) as runner:
        mine = KeyError("mine")
        with pytest.raises(KeyError) as caught:
            async with runner.job("doer", name="do"):
                await trio.sleep(1)
                raise mine
        assert caught.value is mine
        assert not hasattr(mine, "__notes__")
        assert doer.running == 0


@on_schedules()
async def test_a_body_that_raises_a_group():
    """An exception group of the body's own leaves as it is."""
    doer = Doer("doer", never)
    async with hosting(doer) as runner:
        mine = ExceptionGroup("mine", [KeyError("a"), ValueError("b")])
        with pytest.raises(ExceptionGroup) as caught:
            async with runner.job("doer", name="do"):
                raise mine
        assert caught.value is mine
        assert doer.running == 0


@on_schedules()
async def test_a_nursery_in_the_body_that_fails():
    """The group of a nursery inside keeps its errors, and loses no others."""
    doer = Doer("doer", never)

    async def raises():
        await trio.sleep(1)
        raise KeyError("child")

    async with hosting(doer) as runner:
        with pytest.RaisesGroup(KeyError):
            async with runner.job("doer", name="do"), trio.open_nursery() as nursery:
                nursery.start_soon(raises)
                await trio.sleep_forever()
        assert doer.running == 0


@on_schedules()
async def test_a_body_that_raises_while_the_group_fails():
    """The body's error leaves with the group's failure as a note."""

    async def fails(_worker, _message):
        await trio.sleep(1)
        raise ValueError("remote")

    async with hosting(Doer("doer", fails)) as runner:
        with pytest.raises(KeyError) as caught:
            async with runner.job("doer", name="do"):
                try:
                    await trio.sleep_forever()
                finally:
                    raise KeyError("mine")
        (note,) = caught.value.__notes__
        assert note == "Meanwhile job t-1: worker 'doer' raised: ValueError: remote"


@on_schedules()
async def test_a_nursery_in_the_body_of_a_group_that_fails():
    """A nursery's group of cancellations and an error keeps the error, and the note."""

    async def fails(_worker, _message):
        await trio.sleep(1)
        raise ValueError("remote")

    async def raises_when_cancelled():
        try:
            await trio.sleep_forever()
        finally:
            raise KeyError("mine")

    async with hosting(Doer("doer", fails)) as runner:
        with pytest.RaisesGroup(KeyError) as caught:
            async with runner.job("doer", name="do"), trio.open_nursery() as nursery:
                nursery.start_soon(raises_when_cancelled)
                await trio.sleep_forever()
        assert "remote" in caught.value.__notes__[0]


# Cancels as messages


@on_schedules()
async def test_a_cancel_right_after_the_request():
    """The handler may have begun or not; its job is CANCELLED, once."""
    doer, peer = Doer("doer", never), Ear("peer", deaf=True)
    async with hosting(doer) as runner:
        bus = runner.bus
        await bus.subscribe(peer)
        bus.post(BusJobRequestMessage("j", "do", source="peer", target="doer"))
        bus.post(BusJobCancelMessage("j", "never mind", source="peer", target="doer"))
        bus.post(BusJobCancelMessage("j", "really", source="peer", target="doer"))
        await wait_all_tasks_blocked()
        (response,) = peer.heard
        assert response.status is JobStatus.CANCELLED
        assert response.error.message == "never mind"
        assert doer.running == 0
        await bus.unsubscribe(peer)


@on_schedules()
async def test_a_cancel_before_its_request():
    """It is answered at once, and the request is not carried out when it comes."""
    doer, peer = Doer("doer", never), Ear("peer", deaf=True)
    async with hosting(doer) as runner:
        bus = runner.bus
        await bus.subscribe(peer)
        bus.post(BusJobCancelMessage("j", source="peer", target="doer"))
        (response,) = peer.heard
        assert response.status is JobStatus.CANCELLED
        assert doer.statistics().early_cancels == 1
        bus.post(BusJobRequestMessage("j", "do", source="peer", target="doer"))
        await wait_all_tasks_blocked()
        assert doer.begun == []
        assert len(peer.heard) == 1
        await bus.unsubscribe(peer)


@on_schedules(5)
async def test_an_early_cancel_is_forgotten_after_a_lease():
    """A request that comes half a minute later is carried out."""
    doer, peer = Doer("doer"), Ear("peer", deaf=True)
    async with hosting(doer) as runner:
        bus = runner.bus
        await bus.subscribe(peer)
        bus.post(BusJobCancelMessage("j", source="peer", target="doer"))
        await trio.sleep(31)
        bus.post(BusJobRequestMessage("j", "do", source="peer", target="doer"))
        await wait_all_tasks_blocked()
        assert doer.begun == ["j"]
        await bus.unsubscribe(peer)


@on_schedules(10)
async def test_a_request_that_comes_twice_is_done_once():
    """The second is counted and dropped."""
    doer, peer = Doer("doer"), Ear("peer", deaf=True)
    async with hosting(doer) as runner:
        await runner.bus.subscribe(peer)
        request = BusJobRequestMessage("j", "do", source="peer", target="doer")
        runner.bus.post(request)
        runner.bus.post(request)
        await wait_all_tasks_blocked()
        assert doer.begun == ["j"]
        assert len(peer.heard) == 1
        assert doer.statistics().duplicate_requests == 1
        await runner.bus.unsubscribe(peer)


@settings(max_examples=60, deadline=None)
@given(st.random_module(), st.integers(0, 6), st.integers(0, 6))
def test_response_and_cancel_racing(schedule, handler_steps, body_steps):
    """However they meet: one outcome, and the handler has returned."""

    async def steps(_worker, _message):
        for _ in range(handler_steps):
            await trio.lowlevel.checkpoint()
        return {"steps": handler_steps}

    async def main():
        doer = Doer("doer", steps)
        async with hosting(doer) as runner:
            context = runner.job("doer", name="do")
            with trio.CancelScope() as scope:
                async with trio.open_nursery() as nursery:

                    async def cancel():
                        for _ in range(body_steps):
                            await trio.lowlevel.checkpoint()
                        scope.cancel()

                    nursery.start_soon(cancel)
                    async with context:
                        pass
            assert doer.running == 0
            status = context.outcomes["doer"].status
            assert status in (JobStatus.COMPLETED, JobStatus.CANCELLED)
            assert runner.statistics().bus.missed == 0
            assert doer.statistics().early_cancels == 0

    run(main)


# What the handler's side sees


@on_schedules()
async def test_on_job_cancelled_runs_in_the_handlers_task_before_the_outcome():
    """The hook can clean up: the requester hears only then."""
    tasks, finished = [], []

    class Cleans(Doer):
        async def on_job_cancelled(self, message):
            assert message.job_id not in (m.job_id for m in finished)
            tasks.append(trio.lowlevel.current_task())
            await trio.sleep(2)
            finished.append(message)

    async def runs(_worker, _message):
        tasks.append(trio.lowlevel.current_task())
        await trio.sleep_forever()

    doer = Cleans("doer", runs)
    async with hosting(doer) as runner:
        start = trio.current_time()
        with trio.move_on_after(1):
            async with runner.job("doer", name="do"):
                pass
        assert trio.current_time() == start + 3
        assert len(finished) == 1
        assert finished[0].reason == "the requester left"
        assert tasks[0] is tasks[1]


@on_schedules(10)
async def test_on_job_cancelled_may_raise():
    """Strict: the outcome still goes out, and the error ends the runner."""

    class Raises(Doer):
        async def on_job_cancelled(self, message):
            raise ValueError("cleaning up")

    for strict in (False, True):
        doer = Raises("doer", never)
        context = None
        try:
            async with hosting(doer, strict=strict) as runner:
                context = runner.job("doer", name="do")
                with trio.move_on_after(1):
                    async with context:
                        pass
                await trio.lowlevel.checkpoint()
                if not strict:
                    assert doer.statistics().hook_errors == 1
                    assert runner.statistics().errors == 1
        except* ValueError:
            assert strict
        assert context is not None
        assert context.outcomes["doer"].status is JobStatus.CANCELLED


@on_schedules()
async def test_a_real_error_beats_a_cancellation():
    """A handler that fails while it is stopped is in ERROR, and the error has its text."""

    async def breaks(_worker, _message):
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("while stopping")

    async def fails(_worker, _message):
        await trio.sleep(1)
        raise JobError("first")

    async with hosting(Doer("fails", fails), Doer("breaks", breaks)) as runner:
        with pytest.raises(JobGroupError) as caught:
            async with runner.job_group("fails", "breaks", name="do"):
                pass
        assert caught.value.reason == "worker 'fails' failed: JobError: first"
        assert caught.value.outcomes["breaks"].status is JobStatus.ERROR
        assert len(caught.value.__cause__.exceptions) == 2


@on_schedules()
async def test_a_handler_that_shields_itself_may_still_complete():
    """A cancel is a request: what the handler returns counts."""

    async def finishes(_worker, _message):
        with trio.CancelScope(shield=True):
            await trio.sleep(2)
        return {"done": True}

    async with hosting(Doer("doer", finishes)) as runner:
        context = runner.job("doer", name="do")
        with trio.move_on_after(1) as scope:
            async with context:
                pass
        assert scope.cancelled_caught
        assert context.outcomes["doer"].status is JobStatus.COMPLETED


@on_schedules()
async def test_completing_a_group_that_waits_for_readiness():
    """There is nothing to complete yet: the block says so instead of losing a `Cancelled`."""
    async with hosting(Doer("doer")) as runner:
        context = runner.job_group("doer", "nobody", name="do")

        async def complete():
            await trio.sleep(1)
            context.group.complete()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(complete)
            with pytest.raises(JobGroupError, match="completed before"):
                async with context:
                    pytest.fail("the body must not run")
        await assert_quiet(runner)
