"""Runners on one bus: they come at any time, work for one another, leave with jobs in flight."""

import pytest
import trio
from subscribers import Ear
from support import Doer, assert_gone, assert_quiet, on_schedules
from trio.testing import wait_all_tasks_blocked

from trioworkers import (
    BaseWorker,
    BusWorkerDepartedMessage,
    JobError,
    JobStatus,
    MemoryChannelBus,
    WorkerRunner,
)


class _Left(Exception):
    """What makes a runner leave."""


async def never(_worker, _message):
    await trio.sleep_forever()


async def play_back(worker, message):
    await worker.send_job_update(message.job_id, {"by": worker.name})
    return {"by": worker.name, **message.payload}


async def ask_the_other(worker, message):
    """Have a peer of another runner say who it is."""
    if message.job_name == "queue":
        return {"by": worker.name}
    return await worker.call(message.payload["peer"], name="queue")


async def _cancel(runner, scope):
    await runner.cancel()


async def _cancel_from_outside(runner, scope):
    scope.cancel()
    await trio.sleep_forever()


async def _raise(runner, scope):
    raise _Left


async def _crash(runner, scope):
    async def crash():
        raise _Left

    for worker in runner.workers:
        worker.nursery.start_soon(crash)
    await trio.sleep_forever()


#: How a runner leaves, and how jobs end that its workers do then.
WAYS = {
    _cancel: (JobStatus.CANCELLED, "WorkerStopped"),
    _cancel_from_outside: (JobStatus.LOST, "WorkerLost"),
    _raise: (JobStatus.LOST, "WorkerLost"),
    _crash: (JobStatus.LOST, "WorkerLost"),
}


async def run_until(runner, leave_now, leave):
    """Run a runner until the event is set; then it leaves in that way."""
    try:
        with trio.CancelScope() as scope:
            async with runner:
                await leave_now.wait()
                await leave(runner, scope)
    except* _Left:
        pass


async def finish(context, done):
    """Run a job to its end, and note its outcome."""
    try:
        async with context:
            pass
    except JobError:
        pass
    (outcome,) = context.outcomes.values()
    done.append(outcome)


@pytest.mark.parametrize("leave", WAYS)
def test_a_runner_that_leaves_with_jobs_in_flight(leave):
    """They end at once, with an outcome that says so; what it had asked for is cancelled."""

    @on_schedules(10)
    async def check():
        bus = MemoryChannelBus(incarnation="t")
        near, here = BaseWorker("near"), Doer("here", never)
        far, guest = Doer("far", never), BaseWorker("guest")
        two, leave_now = WorkerRunner(name="two", bus=bus), trio.Event()
        lost, asked_by_guest, goes_on = [], [], []
        async with bus, WorkerRunner(name="one", bus=bus) as one, trio.open_nursery() as nursery:
            await one.add_workers(near, here)
            await two.add_workers(far, guest)
            nursery.start_soon(run_until, two, leave_now, leave)
            await one.registry.wait_ready("near", "here", "far", "guest")
            await two.registry.wait_ready("here")
            async with trio.open_nursery() as jobs:
                for requester in (near, one):
                    jobs.start_soon(finish, requester.job("far", name="do"), lost)
                jobs.start_soon(finish, guest.job("here", name="do"), asked_by_guest)
                nursery.start_soon(finish, near.job("here", name="do"), goes_on)
                await wait_all_tasks_blocked()
                assert (far.running, here.running) == (2, 2)
                leave_now.set()
            assert [(outcome.status, outcome.error.type) for outcome in lost] == [WAYS[leave]] * 2
            assert [outcome.status for outcome in asked_by_guest] == [JobStatus.CANCELLED]
            assert (far.running, here.running) == (0, 1)
            await wait_all_tasks_blocked()
            assert one.registry.remote_workers == ()
            assert set(bus.names) == {"one", "near", "here"}
            assert goes_on == []
            assert_gone(two, far)
            await here.stop()
            await wait_all_tasks_blocked()
            assert [outcome.status for outcome in goes_on] == [JobStatus.CANCELLED]
            await assert_quiet(one)

    check()


@on_schedules(10)
async def test_a_runner_that_ends_finishes_what_others_asked_of_it():
    """Until then its workers are known; then they are not."""
    bus = MemoryChannelBus(incarnation="t")

    async def slow(worker, message):
        await trio.sleep(5)
        return {"at": trio.current_time()}

    far = Doer("far", slow)
    begin = trio.current_time()
    done = []
    async with bus, WorkerRunner(name="one", bus=bus) as one, trio.open_nursery() as nursery:
        async with WorkerRunner(name="two", bus=bus) as two:
            await two.add_workers(far)
            await one.registry.wait_ready("far")
            nursery.start_soon(finish, one.job("far", name="do"), done)
            await wait_all_tasks_blocked()
        await wait_all_tasks_blocked()
        (outcome,) = done
        assert (outcome.status, outcome.response) == (JobStatus.COMPLETED, {"at": begin + 5})
        assert one.registry.remote_workers == ()
        assert_gone(two, far)


@on_schedules(10)
async def test_a_runner_that_ends_says_so():
    """After its workers, and by its own name: whatever was known of it can be forgotten."""
    bus = MemoryChannelBus(incarnation="t")
    ear = Ear()
    async with bus:
        await bus.subscribe(ear)
        async with WorkerRunner(name="two", bus=bus) as two:
            await two.add_workers(Doer("far"))
            await two.registry.wait_ready("far")
        departed = [(m.source, m.runner) for m in ear.of(BusWorkerDepartedMessage)]
        assert departed == [("far", "two"), ("two", "two")]
        await bus.unsubscribe(ear)


@on_schedules(20)
async def test_a_third_runner_learns_of_all_that_are_there():
    """By their snapshots: not of who has left, and of who comes and goes from then on."""
    bus = MemoryChannelBus(incarnation="t", clock=lambda: 3.0)
    async with bus, WorkerRunner(name="a", bus=bus) as a, WorkerRunner(name="b", bus=bus) as b:
        gone, stays = Doer("gone"), Doer("stays", play_back, active=False)
        await a.add_workers(gone, stays)
        await b.add_workers(Doer("other", play_back))
        await b.registry.wait_ready("gone", "stays", "other")
        await gone.stop()
        async with WorkerRunner(name="c", bus=bus) as c:
            await wait_all_tasks_blocked()  # nobody announces anything any more
            known = {
                entry.worker_name: (entry.runner, entry.active, entry.started_at)
                for entry in map(c.registry.get, c.registry)
            }
            assert known == {"stays": ("a", False, 3.0), "other": ("b", True, 3.0)}
            assert await c.call("other", name="do", payload={"n": 1}) == {"by": "other", "n": 1}

            await c.add_workers(Doer("new", play_back))
            for runner in (a, b):
                await runner.registry.wait_ready("new")
                async with runner.job("new", name="do", payload={}) as job:
                    assert [event.data async for event in job] == [{"by": "new"}]
                assert job.response == {"by": "new"}
            await stays.stop()
            await wait_all_tasks_blocked()
            assert set(c.registry) == {"other", "new"}
        await wait_all_tasks_blocked()
        assert set(a.registry) == set(b.registry) == {"other"}


@on_schedules(20)
async def test_runners_that_start_at_once_find_each_other_and_exchange_jobs():
    """Whoever is first: each knows the others' workers, and any may ask any."""
    bus = MemoryChannelBus(incarnation="t")
    names = ("a", "b", "c")
    ended = {name: trio.Event() for name in names}
    replies = []

    async def live(name):
        async with WorkerRunner(name=f"runner {name}", bus=bus) as runner:
            await runner.add_workers(Doer(name, ask_the_other))
            await runner.registry.wait_ready(*names)
            for target in names:
                for peer in names:
                    if peer != target:
                        reply = await runner.call(target, name="do", payload={"peer": peer})
                        replies.append(reply == {"by": peer})
            ended[name].set()
            for event in ended.values():
                await event.wait()

    async with bus, trio.open_nursery() as nursery:
        for name in names:
            nursery.start_soon(live, name)
    assert replies == [True] * 18
    assert bus.names == ()
