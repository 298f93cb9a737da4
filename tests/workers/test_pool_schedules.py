"""Properties of pools over many schedules: random plans, requesters, crashes and endings.

Run them longer with ``POOL_SCHEDULES=10000``.
"""

import os

import trio
import trio.testing
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import run

from trioworkers import (
    BusCancelWorkerMessage,
    BusEndWorkerMessage,
    StoppedError,
    WorkerPool,
    WorkerRunner,
)
from trioworkers.testing import JobScript, ScriptedWorker, group_plans, play, simulate

EXAMPLES = int(os.environ.get("POOL_SCHEDULES", "60"))

many = settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None
)


class Crew:
    """Makes the members of one pool; watches that no more than ``size`` work at once."""

    def __init__(self, size):
        self.size = size
        self.members = []

    def __call__(self):
        member = Member(self)
        self.members.append(member)
        return member

    @property
    def running(self):
        return [request for member in self.members for request in member.running]


class Member(ScriptedWorker):
    """Plays the script that is meant for its pool."""

    def __init__(self, crew):
        super().__init__()
        self.crew = crew

    async def _play(self, message, script):
        assert message.target == "pool"
        assert len(self.crew.running) < self.crew.size
        assert all(message.job_id != other.job_id for other in self.crew.running)
        return await super()._play(message, JobScript(script.steps_of("pool")))

    async def explode(self):
        raise OSError("on fire")


async def play_one(plan, delay, requester, crew, workers):
    """Play a plan after a while, and see that no member works for it when it has ended."""
    await trio.sleep(delay)
    try:
        result = await play(plan, requester, workers)
    except StoppedError:
        return
    for member in crew.members:
        assert not member.working_for(result.job_id), "P2"
        assert member.begun[result.job_id] <= 1, "P1"


async def play_all(runner, crew, plans, trouble=(), others=()):
    """Play plans at the same time, while there is trouble; then nothing may be left."""
    pool = WorkerPool("pool", crew, size=crew.size)
    await runner.add_workers(pool, *others)
    requesters = (runner, *others)
    async with trio.open_nursery() as nursery:
        for n, (plan, delay) in enumerate(plans):
            requester = requesters[n % len(requesters)]
            nursery.start_soon(play_one, plan, delay, requester, crew, (*crew.members, *others))
        for what, delay in trouble:
            nursery.start_soon(make_trouble, runner, pool, what, delay)
    await trio.testing.wait_all_tasks_blocked()
    assert not crew.running
    if pool in runner.workers:
        now = pool.statistics()
        assert (now.active_jobs, now.waiting_jobs, now.busy_members) == (0, 0, 0)


async def make_trouble(runner, pool, what, delay):
    """Let something happen to the pool or one of its members."""
    await trio.sleep(delay)
    members = pool.children
    if what == "crash" and members:
        member = members[int(delay * 10) % len(members)]
        if member.active_jobs and member in runner.workers:
            member.nursery.start_soon(member.explode)
    elif what == "end member" and members:
        address = {"source": "x", "target": members[-1].name}
        runner.bus.post(BusEndWorkerMessage(**address))
    elif what == "end":
        runner.bus.post(BusEndWorkerMessage(source="x", target="pool"))
    elif what == "cancel":
        runner.bus.post(BusCancelWorkerMessage(source="x", target="pool"))
    elif what == "stop":
        await pool.stop()


delays = st.sampled_from((0.0, 0.5, 1.0, 2.0))
troubles = st.lists(
    st.tuples(st.sampled_from(("crash", "crash", "end member", "end", "cancel", "stop")), delays),
    max_size=2,
)
plans_beside = st.lists(
    st.tuples(group_plans(("w0", "pool", "w1")), delays), min_size=1, max_size=5
)
#: Jobs of the pool that ask the pool, as deep as they like.
plans_within = st.lists(
    st.tuples(group_plans(("pool",), max_depth=3, circular=True), delays), min_size=1, max_size=6
)


async def bounded(scenario, runner, *args):
    """Run a scenario; what nobody bounds ends after a while, if others depend on it."""
    with trio.move_on_after(200) as scope:
        await scenario(runner, *args)
    return scope.cancelled_caught


@many
@given(st.random_module(), st.integers(1, 3), plans_beside)
def test_any_plans_keep_the_promises(schedule, size, plans):
    """P1, P2, P3, P6 and P7 for all requesters, and never more at once than members."""

    async def main():
        async with WorkerRunner() as runner:
            crew = Crew(size)
            others = (ScriptedWorker("w0"), ScriptedWorker("w1"))
            late = await bounded(play_all, runner, crew, plans, (), others)
            assert not late

    run(main)


@many
@given(st.random_module(), st.integers(1, 3), plans_within)
def test_a_pool_that_asks_itself_never_waits_for_ever(schedule, size, plans):
    """However its jobs ask it for more: circles fail at once, all else gets its turn."""

    async def main():
        async with WorkerRunner() as runner:
            assert not await bounded(play_all, runner, Crew(size), plans)

    run(main)


@many
@given(st.random_module(), st.integers(1, 3), plans_beside, troubles)
def test_trouble_breaks_no_promise(schedule, size, plans, trouble):
    """Members that crash or go, a pool that ends or is stopped: all is answered."""

    async def main():
        async with WorkerRunner(strict=False) as runner:
            crew = Crew(size)
            others = (ScriptedWorker("w0"), ScriptedWorker("w1"))
            await bounded(play_all, runner, crew, plans, trouble, others)
            assert not crew.running

    run(main)


@many
@given(st.integers(0, 2**32), st.integers(1, 3), plans_beside)
def test_any_order_of_delivery_keeps_the_promises(seed, size, plans):
    """On a bus where messages are under way for a while."""

    async def scenario(runner):
        others = (ScriptedWorker("w0"), ScriptedWorker("w1"))
        assert not await bounded(play_all, runner, Crew(size), plans, (), others)

    simulate(scenario, seed=seed)


@many
@given(
    st.integers(0, 2**32),
    st.integers(1, 3),
    plans_beside,
    st.lists(
        st.tuples(st.sampled_from(("end member", "end", "cancel", "stop")), delays), max_size=2
    ),
)
def test_trouble_in_any_order_breaks_no_promise(seed, size, plans, trouble):
    """On such a bus, while members go and the pool ends."""

    async def scenario(runner):
        others = (ScriptedWorker("w0"), ScriptedWorker("w1"))
        await bounded(play_all, runner, Crew(size), plans, trouble, others)

    simulate(scenario, seed=seed)


def test_the_same_seed_gives_the_same_run():
    """Members' names and order depend on nothing else."""

    async def scenario(runner):
        pool = WorkerPool("pool", ScriptedWorker, size=3)
        await runner.add_workers(pool)
        async with trio.open_nursery() as nursery:
            for _ in range(6):
                nursery.start_soon(lambda: runner.call("pool", name="play", payload=JobScript()))

    simulate(scenario, seed=1, twice=True)
