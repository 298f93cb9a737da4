"""`WorkerPool`: several workers behind one name."""

import pytest
import trio
from pools import Crew, pool_of
from subscribers import Listener
from support import Asker, Doer, hosting, on_schedules
from trio.testing import wait_all_tasks_blocked

from trioworkers import (
    BaseWorker,
    BusEndWorkerMessage,
    BusJobCancelMessage,
    BusJobRequestMessage,
    JobError,
    JobStatus,
    MemoryChannelBus,
    WorkerPool,
    WorkerRunner,
)
from trioworkers.bus import CREDIT_WINDOW


async def ask(runner, done, n, seconds=1.0):
    """Ask the pool for one job; note when it was done, and by whom."""
    payload = {"n": n, "seconds": seconds}
    answer = await runner.call("pool", name="do", payload=payload)
    done.append((answer["n"], trio.current_time()))


# Who does what, and when


@on_schedules()
async def test_so_many_at_once_and_the_rest_in_order():
    """Of five jobs for two members, two run at a time; those that wait are seen."""
    crew, done = Crew(), []
    pool = pool_of(crew, 2)
    async with hosting(pool) as runner, trio.open_nursery() as nursery:
        start = trio.current_time()
        for n in range(5):
            nursery.start_soon(ask, runner, done, n)
            await wait_all_tasks_blocked()
        now = pool.statistics()
        assert (now.active_jobs, now.waiting_jobs) == (5, 3)
        assert (now.size, now.busy_members, now.free_members) == (2, 2, 0)
        assert len(pool.active_jobs) == 5
        await trio.sleep(4)
        assert sorted(done) == [(n, pytest.approx(start + n // 2 + 1)) for n in range(5)]
        assert crew.most_running == 2
        now = pool.statistics()
        assert (now.active_jobs, now.waiting_jobs) == (0, 0)
        assert (now.busy_members, now.free_members) == (0, 2)


@on_schedules()
async def test_who_is_free_first_takes_the_next_job():
    """Whatever the member did before."""
    crew, done = Crew(), []
    async with hosting(pool_of(crew, 2)) as runner, trio.open_nursery() as nursery:
        for n, seconds in enumerate((10, 1, 2, 3)):
            nursery.start_soon(ask, runner, done, n, seconds)
            await wait_all_tasks_blocked()
        await trio.sleep(11)
        assert [n for n, _ in done] == [1, 2, 3, 0]
        assert sorted(len(member.begun) for member in crew.members) == [1, 3]


async def test_a_member_works_in_the_name_of_the_pool(autojump_clock):
    """It knows itself by its own name; requesters know the pool alone."""

    async def tells(worker, message):
        await worker.send_job_update(message.job_id, {"from": worker.name})
        await worker.send_job_stream_start(message.job_id, {})
        for n in range(3):
            await worker.send_job_stream_data(message.job_id, {"n": n})
        return {"member": worker.name, "asked": message.target, "active": len(worker.active_jobs)}

    pool, other = pool_of(Crew(tells), 1), Doer("other", tells)
    async with hosting(pool, other) as runner:
        async with runner.job_group("pool", "other", name="do") as group:
            events = [(event.worker_name, event.type) async for event in group]
        assert sorted(set(events)) == sorted(
            (name, kind)
            for name in ("pool", "other")
            for kind in ("update", "stream_start", "stream_data")
        )
        assert group.responses["pool"] == {"member": "pool[0]", "asked": "pool", "active": 1}


async def test_members_are_children_with_names_of_the_pool():
    """Or with their own, if they have one."""
    async with hosting(pool_of(Crew(), 3)) as runner:
        pool = runner.get_worker("pool")
        assert [child.name for child in pool.children] == ["pool[0]", "pool[1]", "pool[2]"]
        assert {child.parent for child in pool.children} == {"pool"}
        assert pool.size == 3
    async with hosting(WorkerPool("named", lambda: BaseWorker("one"), size=1)) as runner:
        assert [child.name for child in runner.get_worker("named").children] == ["one"]


async def test_a_slow_requester_slows_the_member(autojump_clock):
    """Credit reaches the member that streams."""
    sent = 0

    async def streams(worker, message):
        nonlocal sent
        for n in range(4 * CREDIT_WINDOW):
            await worker.send_job_stream_data(message.job_id, {"n": n})
            sent += 1

    async with hosting(pool_of(Crew(streams), 1)) as runner:
        async with runner.job("pool", name="do") as streaming:
            await wait_all_tasks_blocked()
            assert sent == CREDIT_WINDOW
            numbers = [event.data["n"] async for event in streaming]
        assert numbers == list(range(4 * CREDIT_WINDOW))


async def test_jobs_wait_for_members_that_are_not_ready(autojump_clock):
    """The pool is ready at once, and has nobody free yet."""

    class Slow(Doer):
        async def start(self):
            await trio.sleep(5)
            await super().start()

    pool, done = WorkerPool("pool", lambda: Slow(None, Crew().function), size=2), []
    async with WorkerRunner() as runner:
        await runner.add_workers(pool)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, runner, done, 0)
            await trio.sleep(1)
            now = pool.statistics()
            assert (now.waiting_jobs, now.busy_members, now.free_members) == (1, 0, 0)
        assert done == [(0, pytest.approx(6))]


@on_schedules()
async def test_a_job_that_no_member_has_a_handler_for_holds_nobody_up():
    """It is answered, and the next one that waits is taken."""
    pool, done = pool_of(Crew(), 1), []
    async with hosting(pool) as runner, trio.open_nursery() as nursery:
        nursery.start_soon(ask, runner, done, 0)
        await wait_all_tasks_blocked()
        for _ in range(3):

            async def ask_for_nonsense():
                with pytest.raises(JobError, match="'pool' has no handler for job 'nonsense'"):
                    await runner.call("pool", name="nonsense")

            nursery.start_soon(ask_for_nonsense)
            await wait_all_tasks_blocked()
        nursery.start_soon(ask, runner, done, 1)
        await trio.sleep(3)
        assert [n for n, _ in done] == [0, 1]
        await ask_for_nonsense()  # while the member is free
        await ask(runner, done, 2)


# Cancelling and time limits


@on_schedules()
async def test_cancel_reaches_the_right_one():
    """Two run and two wait: each is cancelled alone, and the others are done."""
    for cancelled in range(4):
        crew, done = Crew(), []
        async with hosting(pool_of(crew, 2)) as runner, trio.open_nursery() as nursery:
            scopes = [trio.CancelScope() for _ in range(4)]

            async def ask_within(n, scopes=scopes, runner=runner, done=done):
                with scopes[n]:
                    await ask(runner, done, n, seconds=10)

            for n in range(4):
                nursery.start_soon(ask_within, n)
                await wait_all_tasks_blocked()
            scopes[cancelled].cancel()
            await wait_all_tasks_blocked()
            # A place that was given up is taken, and one in the line is not.
            assert len(crew.begun) == (3 if cancelled < 2 else 2)
            await trio.sleep(30)
            assert sorted(n for n, _ in done) == [n for n in range(4) if n != cancelled]


@on_schedules()
async def test_what_is_cancelled_while_it_waits_is_answered_at_once():
    """No handler is called for it, and no hook: no member ever had it."""
    crew = Crew(make=lambda crew: Hooked(crew))
    pool = pool_of(crew, 1)
    async with hosting(pool) as runner, trio.open_nursery() as nursery:
        nursery.start_soon(ask, runner, [], 0, 10)
        await wait_all_tasks_blocked()
        start = trio.current_time()
        context = runner.job("pool", name="do", payload={"seconds": 1})
        with pytest.raises(JobError):
            async with context:
                await wait_all_tasks_blocked()
                assert pool.statistics().waiting_jobs == 1
                context.group.fail("enough")
                await trio.sleep_forever()
        assert trio.current_time() == start
        assert context.outcomes["pool"].status is JobStatus.CANCELLED
        assert pool.statistics().waiting_jobs == 0
        await trio.sleep(10)
        assert len(crew.begun) == 1
        assert crew.members[0].seen == []


class Hooked(Doer):
    """A member that notes its hooks."""

    def __init__(self, crew):
        super().__init__(None, crew._run)
        self.seen = []

    async def on_job_request(self, message):
        self.seen.append(("request", message.job_name))
        return {"by": "hook"}

    async def on_job_cancelled(self, message):
        self.seen.append(("cancelled", message.job_id))

    async def on_job_update_requested(self, message):
        self.seen.append(("update requested", message.job_id))
        await self.send_job_update(message.job_id, {"so": "far"})


async def test_a_cancel_that_comes_before_its_request_still_cancels_it(autojump_clock):
    """As at any worker."""
    crew, asker = Crew(), Asker()
    pool = pool_of(crew, 1)
    async with hosting(pool, asker, quiet=False) as runner:
        address = {"source": "asker", "target": "pool"}
        runner.bus.post(BusJobCancelMessage("early", **address))
        assert pool.statistics().early_cancels == 1
        runner.bus.post(BusJobRequestMessage("early", "do", {"seconds": 1}, **address))
        await wait_all_tasks_blocked()
        assert pool.statistics().early_cancels == 0
        assert crew.begun == []


async def test_a_request_that_comes_again_is_known(autojump_clock):
    """Whether its job runs, waits, has been given up, or the pool is ending."""
    crew = Crew()
    pool = pool_of(crew, 1)
    address = {"source": "asker", "target": "pool"}
    async with hosting(pool, Doer("asker"), quiet=False) as runner:

        def request(job_id):
            runner.bus.post(BusJobRequestMessage(job_id, "do", {"seconds": 1}, **address))

        for job_id in ("runs", "waits", "is given up"):
            request(job_id)
        runner.bus.post(BusJobCancelMessage("is given up", **address))
        for job_id in ("runs", "waits", "is given up"):
            request(job_id)
        await runner.bus.send(BusEndWorkerMessage(source="x", target="pool"))
        for job_id in ("runs", "waits", "is given up"):
            request(job_id)
        assert pool.statistics().duplicate_requests == 6
        await pool.wait()
        assert crew.begun == ["runs", "waits"]


@on_schedules()
async def test_waiting_counts_against_the_timeout():
    """The time limit that travelled ends the wait, whatever the requester does."""
    crew, asker = Crew(), Asker()
    pool = pool_of(crew, 1)
    async with hosting(pool, asker, quiet=False) as runner:
        start = trio.current_time()
        for job_id, deadline in (("busy", 100), ("late", 7), ("soon", 3), ("soon too", 3)):
            runner.bus.post(
                BusJobRequestMessage(
                    job_id,
                    "do",
                    {"seconds": 20},
                    deadline=start + deadline,
                    source="asker",
                    target="pool",
                )
            )
        waiting = []
        for _ in range(4):
            waiting.append(pool.statistics().waiting_jobs)
            await trio.sleep(2)
        assert waiting == [3, 3, 1, 1]
        assert pool.statistics().waiting_jobs == 0
        await trio.sleep(13)
        assert crew.begun == ["busy"]


@on_schedules()
async def test_a_timeout_while_it_waits_is_told_as_one():
    """By the requester's own clock, at the same moment."""
    crew = Crew()
    async with hosting(pool_of(crew, 1)) as runner, trio.open_nursery() as nursery:
        nursery.start_soon(ask, runner, [], 0, 10)
        await wait_all_tasks_blocked()
        start = trio.current_time()
        context = runner.job("pool", name="do", payload={"seconds": 1}, timeout=4)
        with pytest.raises(JobError, match="timed out after 4 s"):
            async with context:
                pass
        assert trio.current_time() == pytest.approx(start + 4)
        assert context.outcomes["pool"].status is JobStatus.TIMED_OUT
        assert len(crew.begun) == 1


@on_schedules()
async def test_what_a_departed_requester_waited_for_is_cancelled():
    """Both what runs and what waits, of that requester alone."""
    crew = Crew()
    pool = pool_of(crew, 1)
    async with hosting(pool, quiet=False) as runner:
        address = {"target": "pool"}
        for job_id, source in (("a", "gone"), ("b", "gone"), ("c", "runner")):
            runner.bus.post(
                BusJobRequestMessage(job_id, "do", {"seconds": 5}, source=source, **address)
            )
        await wait_all_tasks_blocked()
        pool._engine.remote_workers_departed(("gone",))
        await wait_all_tasks_blocked()
        assert crew.begun == ["a", "c"]
        assert crew.running == 1
        await trio.sleep(5)


# Members by name, and hooks


@on_schedules()
async def test_a_member_can_not_be_asked_by_its_own_name():
    """Not even in one group with its pool, whose job id it would share."""
    async with hosting(pool_of(Crew(), 1)) as runner:
        with pytest.raises(JobError, match=r"'pool\[0\]' does the jobs of pool 'pool' alone"):
            await runner.call("pool[0]", name="do", payload={"seconds": 1})
        async with runner.job_group(
            "pool", "pool[0]", name="do", payload={"seconds": 1}, cancel_on_error=False
        ) as group:
            pass
        assert group.outcomes["pool"].status is JobStatus.COMPLETED
        assert group.outcomes["pool[0]"].status is JobStatus.ERROR


async def test_a_cancel_to_a_member_is_answered_in_its_own_name(autojump_clock):
    """Not in that of the pool, which may do a job of that id."""
    observer = Listener("observer")
    async with hosting(pool_of(Crew(), 1), Doer("asker"), quiet=False) as runner:
        await runner.bus.subscribe(observer, observe=True)
        runner.bus.post(BusJobCancelMessage("x", source="asker", target="pool[0]"))
        await wait_all_tasks_blocked()
        assert [message.source for message in observer.heard] == ["asker", "pool[0]"]
        await runner.bus.unsubscribe(observer)


async def test_hooks_of_a_job_are_those_of_the_member(autojump_clock):
    """`on_job_request`, `on_job_cancelled`, and `on_job_update_requested`, which is passed on."""
    crew, asker = Crew(make=lambda crew: Hooked(crew)), Asker()
    pool = pool_of(crew, 1)
    async with hosting(pool, asker) as runner:
        assert await runner.call("pool", name="unknown") == {"by": "hook"}
        running = await asker.request_job("pool", name="do", payload={"seconds": 100})
        waiting = await asker.request_job("pool", name="do", payload={"seconds": 100})
        for job_id in (running, waiting):
            await asker.request_job_update(job_id, "pool")
        await wait_all_tasks_blocked()
        for job_id in (waiting, running):
            await asker.cancel_job_group(job_id)
        await wait_all_tasks_blocked()
        member = crew.members[0]
        assert member.seen == [
            ("request", "unknown"),
            ("update requested", running),
            ("cancelled", running),
        ]
        updates = [m.update for event, m in asker.seen if event == "update"]
        assert updates == [{"so": "far"}]


async def test_questions_for_updates_slow_their_senders(autojump_clock):
    """They wait for the member, not in it."""

    class Slow(Doer):
        async def on_job_update_requested(self, message):
            await trio.sleep(1)

    crew, asker = Crew(make=lambda crew: Slow(None, crew._run)), Asker()
    bus = MemoryChannelBus(lane_capacity=2)
    async with hosting(pool_of(crew, 1), asker, bus=bus) as runner:
        job_id = await asker.request_job("pool", name="do", payload={"seconds": 30})
        async with trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(asker.request_job_update, job_id, "pool")
            await wait_all_tasks_blocked()
            lanes = [runner.get_worker(name).statistics().lanes for name in ("pool", "pool[0]")]
            assert [lane.data_queued for lane in lanes] == [2, 2]
            assert lanes[0].senders_waiting > 0
        await trio.sleep(30)


async def test_messages_to_the_pool_are_its_own(autojump_clock):
    """Its `on_bus_message` sees requests; the members' do not."""
    seen = []
    crew = Crew()
    pool = pool_of(crew, 1)

    @pool.event_handler("on_bus_message")
    async def note(worker, message):
        seen.append((worker.name, type(message).__name__))

    async with hosting(pool) as runner:
        crew.members[0].add_event_handler("on_bus_message", note)
        await wait_all_tasks_blocked()
        seen.clear()
        await runner.call("pool", name="do", payload={"seconds": 1})
        await wait_all_tasks_blocked()
    assert ("pool", "BusJobRequestMessage") in seen
    assert ("pool[0]", "BusJobRequestMessage") not in seen


async def test_a_pool_asks_others_in_its_own_name(autojump_clock):
    """It is a worker, too."""
    async with hosting(pool_of(Crew(), 1), Doer("other", Crew().function)) as runner:
        pool = runner.get_worker("pool")
        assert await pool.call("other", name="do", payload={"seconds": 1}) == {"seconds": 1}
        with pytest.raises(RuntimeError, match="no active job 'x'"):
            await pool.send_job_update("x")
