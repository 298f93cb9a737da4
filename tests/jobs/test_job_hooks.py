"""Hooks on the requester's side, and what they may do without hanging anybody."""

from contextvars import ContextVar

import pytest
import trio
from support import Asker, Doer, assert_quiet, hosting, on_schedules
from trio.testing import wait_all_tasks_blocked

from trioworkers import (
    CREDIT_WINDOW,
    BaseWorker,
    BusDataMessage,
    JobError,
    JobGroupResponse,
    JobStatus,
    LaneFull,
    MemoryChannelBus,
    job,
)


async def everything(worker, message):
    """Send one of each event."""
    job_id = message.job_id
    await worker.send_job_update(job_id, {"n": 1})
    await worker.send_job_update(job_id, {"n": 2}, urgent=True)
    await worker.send_job_stream_start(job_id, {"n": 3})
    await worker.send_job_stream_data(job_id, {"n": 4})
    await worker.send_job_stream_end(job_id, {"n": 5})


@on_schedules()
async def test_every_hook_fires_in_order():
    """Data events in the order sent, the response last, then the completion."""
    asker = Asker()
    async with hosting(Doer("doer", everything), asker):
        async with asker.job("doer", name="do") as context:
            pass
        await wait_all_tasks_blocked()
        events = asker.events()
        urgent = next(
            i for i, (e, m) in enumerate(asker.seen) if e == "update" and m.update["n"] == 2
        )
        del events[urgent]
        assert events == ["update", "start", "data", "end", "response", "completed"]
        last = asker.seen[-1][1]
        assert last == JobGroupResponse(context.job_id, {"doer": {"n": 5}})


@on_schedules()
async def test_hooks_of_a_group_that_fails():
    """Every outcome has its response hook; one error; no completion."""

    async def mixed(worker, _message):
        if worker.name == "bad":
            await trio.sleep(1)
            raise JobError("no")
        await trio.sleep_forever()

    asker = Asker()
    async with hosting(Doer("bad", mixed), Doer("good", mixed), asker):
        with pytest.raises(JobError):
            async with asker.job_group("good", "bad", name="do"):
                pass
        await wait_all_tasks_blocked()
        assert sorted(asker.events()) == ["error", "response", "response"]
        (failed,) = (m for e, m in asker.seen if e == "error")
        assert (failed.source, failed.status) == ("bad", JobStatus.FAILED)


@on_schedules(10)
async def test_synthesised_outcomes_fire_the_same_hooks():
    """A worker that never came is a response like any other."""
    asker = Asker()
    async with hosting(asker):
        with pytest.raises(JobError):
            await asker.call("nobody", timeout=2)
        await wait_all_tasks_blocked()
        assert asker.events() == ["response"]
        assert asker.seen[0][1].error.type == "NotAsked"


@on_schedules(10)
async def test_completion_without_cancel_on_error():
    """A group that tolerates failures completes, with the responses there are."""

    async def maybe(worker, _message):
        if worker.name == "bad":
            raise JobError("no")

    asker = Asker()
    async with hosting(Doer("bad", maybe), Doer("good", maybe), asker):
        async with asker.job_group("good", "bad", name="do", cancel_on_error=False):
            pass
        await wait_all_tasks_blocked()
        assert asker.events()[-1] == "completed"
        assert "error" not in asker.events()
        assert asker.seen[-1][1].responses == {"good": {}}


@pytest.mark.parametrize(
    "hook", ["response", "update", "completed", "stream_start", "stream_data", "stream_end"]
)
def test_a_hook_that_raises_hangs_nobody(hook):
    """Not strict: counted and reported, later hooks run. Strict: it ends the runner."""

    @on_schedules(4)
    async def check():
        class Raises(Asker):
            pass

        async def broken(self, _argument):
            raise ValueError(hook)

        setattr(Raises, f"on_job_{hook}", broken)
        Raises.__init_subclass__()
        asker = Raises()
        async with hosting(Doer("doer", everything), asker, strict=False) as runner:
            got = []
            async with asker.job("doer", name="do") as context:
                got = [event async for event in context]
            assert len(got) == 5
            await wait_all_tasks_blocked()
            assert asker.statistics().hook_errors == (2 if hook == "update" else 1)
            assert runner.statistics().errors == asker.statistics().hook_errors
            assert len(asker.seen) == (5 if hook == "update" else 6)
        strict = Raises("strict")
        raised = []
        try:
            async with hosting(Doer("doer", everything), strict, quiet=False):
                await _ask_and_stay(strict)
        except* ValueError as group:
            raised.append(group)
        except* JobError:
            pass  # its block was open when it crashed
        assert len(raised) == 1

    check()


async def _ask_and_stay(asker):
    async with asker.job("doer", name="do") as context:
        async for _ in context:
            pass
    await trio.sleep_forever()


@on_schedules(10)
async def test_the_error_hook_that_raises():
    """The group's own error still reaches the body."""

    class Raises(Asker):
        async def on_job_error(self, message):
            raise ValueError("hook")

    async def fails(_worker, _message):
        raise JobError("no")

    asker = Raises()
    async with hosting(Doer("doer", fails), asker, strict=False):
        with pytest.raises(JobError, match="no"):
            await asker.call("doer", name="do")
        await wait_all_tasks_blocked()
        assert asker.statistics().hook_errors == 1


@on_schedules()
async def test_a_hook_that_awaits_a_job():
    """Book-keeping doesn't wait for hooks, so a hook may wait for a job."""
    answers = []

    class Curious(Doer):
        async def on_job_update(self, message):
            answers.append(await self.call("other", name="do", payload=message.update))

        async def on_activated(self, args):
            answers.append(await self.call("other", name="do", payload={"at": "start"}))

    async def updates(worker, message):
        await worker.send_job_update(message.job_id, {"n": 1})

    async def echo(_worker, message):
        await trio.sleep(1)
        return message.payload

    asker = Curious("asker")
    async with hosting(Doer("doer", updates), Doer("other", echo), asker):
        await asker.call("doer", name="do")
        await trio.sleep(5)
        assert answers == [{"at": "start"}, {"n": 1}]


@on_schedules()
async def test_a_body_that_awaits_job_two_while_job_one_streams():
    """One job's unread events don't block another's outcome."""

    async def stream(worker, message):
        for i in range(200):
            await worker.send_job_stream_data(message.job_id, {"i": i})

    asker = Asker()
    async with hosting(Doer("doer", stream), Doer("other"), asker):
        got = []
        async with asker.job("doer", name="do") as context:
            async for event in context:
                if event.data["i"] % 50 == 0:
                    await asker.call("other", name="do")
                got.append(event.data["i"])
        assert got == list(range(200))


@on_schedules()
async def test_two_hooks_that_ping_pong():
    """Each hook sends the other worker a message; none waits for the other's lane."""

    class Ball(BusDataMessage):
        pass

    class Player(BaseWorker):
        hits = 0

        async def on_bus_message(self, message):
            if isinstance(message, Ball):
                self.hits += 1
                if self.hits < 50:
                    await self.send_bus_message(Ball(source=self.name, target=message.source))

    ping, pong = Player("ping"), Player("pong")
    async with hosting(ping, pong, bus=MemoryChannelBus(incarnation="t", lane_capacity=1)):
        await ping.send_bus_message(Ball(source="ping", target="pong"))
        await wait_all_tasks_blocked()
        assert ping.hits == 49
        assert pong.hits == 50


@on_schedules()
async def test_a_hook_that_floods_itself_is_told():
    """Waiting for its own lane would never end: `LaneFull`, a `trio.WouldBlock`."""

    class Note(BusDataMessage):
        pass

    seen = []

    class Floods(BaseWorker):
        async def on_bus_message(self, message):
            if isinstance(message, Note) and not seen:
                with pytest.raises(LaneFull, match="no room for another message to 'floods'"):
                    for _ in range(10):
                        await self.send_bus_message(Note(source=self.name, target=self.name))
                        seen.append(1)

    worker = Floods("floods")
    async with hosting(worker, bus=MemoryChannelBus(incarnation="t", lane_capacity=3)):
        await worker.send_bus_message(Note(source="floods", target="floods"))
        await wait_all_tasks_blocked()
        assert len(seen) == 3


@on_schedules(10)
async def test_hooks_slow_a_producer_that_nobody_iterates():
    """Without a reader, credit comes back when the hook has run."""
    sent = 0

    class Slow(Doer):
        async def on_job_stream_data(self, message):
            await trio.sleep(1)

    async def produce(worker, message):
        nonlocal sent
        for i in range(3 * CREDIT_WINDOW):
            await worker.send_job_stream_data(message.job_id, {"i": i})
            sent += 1

    asker = Slow("asker")
    async with hosting(Doer("doer", produce), asker):
        await asker.request_job("doer", name="do")
        await trio.sleep(10.5)
        assert sent == CREDIT_WINDOW
        await trio.sleep(CREDIT_WINDOW)
        assert CREDIT_WINDOW < sent <= CREDIT_WINDOW * 2 + 11
        await trio.sleep(3 * CREDIT_WINDOW)
        assert sent == 3 * CREDIT_WINDOW


# The context that user code runs in

_of_requester: ContextVar[str] = ContextVar("_of_requester", default="unset")


@on_schedules()
async def test_handlers_do_not_see_the_requesters_context():
    """Nor do jobs that run in a handler task which is used again."""
    seen, tasks = [], []

    async def looks(_worker, _message):
        seen.append(_of_requester.get())
        tasks.append(trio.lowlevel.current_task())
        _of_requester.set("left behind")
        await trio.lowlevel.checkpoint()

    async with hosting(Doer("doer", looks)) as runner:
        _of_requester.set("mine")
        for _ in range(3):
            await runner.call("doer", name="do")
            await wait_all_tasks_blocked()
        assert seen == ["unset"] * 3
        assert tasks[0] is tasks[1] is tasks[2]
        assert _of_requester.get() == "mine"


@on_schedules()
async def test_hooks_do_not_see_a_senders_context():
    """A lane begins with the first message, but not in its sender's context."""
    seen = []

    class Looks(Asker):
        async def on_job_update(self, message):
            seen.append(_of_requester.get())

    async def updates(worker, message):
        _of_requester.set("the responder's")
        await worker.send_job_update(message.job_id, {})

    asker = Looks()
    async with hosting(Doer("doer", updates), asker):
        _of_requester.set("the body's")
        await asker.call("doer", name="do")
        await wait_all_tasks_blocked()
        assert seen == ["unset"]


@on_schedules()
async def test_a_hooks_job_is_no_child_of_the_senders_job():
    """A hook that asks the sender's sequential handler waits; it is no circle."""
    answers = []

    class Asks(Doer):
        async def on_job_update(self, message):
            answers.append(await self.call("doer", name="queue", payload={"quick": True}))

    async def updates(worker, message):
        if message.payload is None:
            await worker.send_job_update(message.job_id, {})
            await trio.sleep(1)
        return {"parent": message.parent_job_id}

    asker = Asks("asker")
    async with hosting(Doer("doer", updates), asker):
        await asker.call("doer", name="queue")
        await trio.sleep(1)
        assert answers == [{"parent": None}]


@on_schedules()
async def test_a_nested_job_names_its_parents():
    """The chain of job ids travels with each request."""
    seen = {}

    class Chain(BaseWorker):
        @job(name="step")
        async def step(self, message):
            seen[self.name] = (message.parent_job_id, message.ancestors)
            if message.payload["then"]:
                first, *rest = message.payload["then"]
                await self.call(first, name="step", payload={"then": rest})

    async with hosting(*(Chain(name) for name in "abc")) as runner:
        await runner.call("a", name="step", payload={"then": ["b", "c"]})
    assert seen == {"a": (None, ()), "b": ("t-1", ()), "c": ("t-2", ("t-1",))}


@on_schedules(10)
async def test_update_requests_reach_the_handlers_worker():
    """`on_job_update_requested` can answer while the handler works."""

    class Reports(Doer):
        async def on_job_update_requested(self, message):
            await self.send_job_update(message.job_id, {"done": 0.5})

    async def works(_worker, _message):
        await trio.sleep(10)

    asker = Asker()
    async with hosting(Reports("doer", works), asker) as runner:
        async with asker.job("doer", name="do") as context:
            await trio.sleep(1)
            await asker.request_job_update(context.job_id, "doer")
            assert (await anext(context)).data == {"done": 0.5}
        await assert_quiet(runner)
