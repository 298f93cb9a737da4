"""Parents and children: who starts, ends and fails with whom."""

import pytest
import trio
from support import Doer
from trio.testing import wait_all_tasks_blocked

from trioworkers import (
    BaseWorker,
    BusCancelWorkerMessage,
    BusEndWorkerMessage,
    DuplicateWorkerError,
    JobError,
    NotAttachedError,
    StoppedError,
    WorkerRunner,
    job,
)


class Child(BaseWorker):
    """Works for a while."""

    @job(name="sleep")
    async def sleep(self, message):
        await trio.sleep(message.payload["seconds"])


class Parent(BaseWorker):
    """Adds children when it is activated, and notes what it hears of them."""

    def __init__(self, name, *children, watch=True):
        super().__init__(name)
        self.to_add = children
        self.watch_them = watch
        self.ready = []
        self.failed = []

    async def on_activated(self, args):
        await self.add_workers(*self.to_add, watch=self.watch_them)

    async def on_worker_ready(self, data):
        self.ready.append((data.worker_name, data.parent))

    async def on_worker_failed(self, data):
        self.failed.append((data.worker_name, data.error))


async def family(runner, *children, **options):
    """Add a parent with children to ``runner``, and wait until all are ready."""
    parent = Parent("parent", *children, **options)
    await runner.add_workers(parent)
    await runner.registry.wait_ready("parent", *(child.name for child in children))
    await parent.wait_idle()
    return parent


async def test_children_know_their_parent_and_are_watched():
    """The parent's hook fires for each, and the runner hosts them."""
    one, two = Child("one"), Child("two")
    async with WorkerRunner() as runner:
        parent = await family(runner, one, two)
        assert parent.children == [one, two]
        assert (one.parent, parent.parent) == ("parent", None)
        assert sorted(parent.ready) == [("one", "parent"), ("two", "parent")]
        assert runner.get_worker("one") is one
        assert runner.registry.get("one").parent == "parent"
        assert set(runner.workers) == {parent, one, two}
    assert parent.children == []


async def test_children_need_not_be_watched():
    """Then their readiness is not told."""
    async with WorkerRunner() as runner:
        parent = await family(runner, Child("one"), watch=False)
        assert parent.ready == []
        assert [child.name for child in parent.children] == ["one"]


async def test_ending_a_parent_waits_for_its_children(autojump_clock):
    """They finish what they have accepted first."""
    child = Child("one")
    async with WorkerRunner() as runner:
        parent = await family(runner, child)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: runner.call("one", name="sleep", payload={"seconds": 7}))
            await wait_all_tasks_blocked()
            await runner.bus.send(BusEndWorkerMessage(source="x", target="parent"))
            await parent.wait()
            assert trio.current_time() == pytest.approx(7)
            assert runner.workers == ()


async def test_a_parent_that_ends_has_its_children_while_it_has_jobs(autojump_clock):
    """They do what it asks them for, and refuse all others."""

    class Busy(Parent):
        @job(name="ask later")
        async def ask_later(self, message):
            await trio.sleep(5)
            return await self.call("one", name="echo")

    class Echo(Child):
        @job(name="echo")
        async def echo(self, message):
            return {"by": self.name}

    parent = Busy("parent", Echo("one"))
    async with WorkerRunner() as runner:
        await runner.add_workers(parent)
        await runner.registry.wait_ready("parent", "one")
        async with trio.open_nursery() as nursery:

            async def ask():
                assert await runner.call("parent", name="ask later") == {"by": "one"}

            nursery.start_soon(ask)
            await wait_all_tasks_blocked()
            await runner.bus.send(BusEndWorkerMessage(source="x", target="parent"))
            await wait_all_tasks_blocked()
            with pytest.raises(JobError, match="'one' is ending"):
                await runner.call("one", name="echo")
        await parent.wait()
        assert trio.current_time() == pytest.approx(5)


async def test_cancelling_a_parent_cancels_its_children_at_once(autojump_clock):
    """Nothing is waited for."""
    child = Child("one")
    async with WorkerRunner() as runner:
        parent = await family(runner, child)
        await parent.request_job("one", name="sleep", payload={"seconds": 1000})
        await wait_all_tasks_blocked()
        await runner.bus.send(BusCancelWorkerMessage(source="x", target="parent"))
        with trio.fail_after(1):
            await parent.wait()
            await child.wait()
        assert runner.workers == ()


async def test_a_child_that_ends_leaves_its_parent_alone():
    """It is no longer among the children, and its name is free."""
    child = Child("one")
    async with WorkerRunner() as runner:
        parent = await family(runner, child, Child("two"))
        await runner.bus.send(BusEndWorkerMessage(source="x", target="one"))
        await child.wait()
        await wait_all_tasks_blocked()
        assert [c.name for c in parent.children] == ["two"]
        assert "one" not in runner.registry
        await parent.add_workers(Child("one"))
        await runner.registry.wait_ready("one")


async def test_a_childs_report_reaches_its_parent_alone():
    """`send_bus_error_message` of a child is local."""
    child = Child("one")
    errors = []
    async with WorkerRunner() as runner:
        runner.add_event_handler("on_error", lambda _, data: errors.append(data))
        parent = await family(runner, child)
        other = await _added(runner, Parent("other"))
        await child.send_bus_error_message("out of paper")
        await parent.wait_idle()
        assert parent.failed == [("one", "out of paper")]
        assert other.failed == []
    assert errors == []


async def _added(runner, worker):
    await runner.add_workers(worker)
    await runner.registry.wait_ready(worker.name)
    return worker


async def test_a_childs_crash_is_told_to_its_parent_if_errors_are_not_strict():
    """The runner counts it, the parent's hook gets type and message."""

    class Crashes(BaseWorker):
        async def on_activated(self, args):
            if args is not None:
                self.nursery.start_soon(self.crash)

        async def crash(self):
            raise OSError("on fire")

    class Plain(BaseWorker):
        pass

    child = Plain("one")

    @child.event_handler("on_activated")
    def fail(worker, args):
        raise OSError("on fire")

    async with WorkerRunner(strict=False) as runner:
        parent = await family(runner, child)
        await wait_all_tasks_blocked()
        await parent.wait_idle()
        assert parent.failed == [("one", "OSError: on fire")]
        assert runner.statistics().errors == 1
        crashing = Crashes("two")
        await parent.add_workers(crashing)
        await runner.registry.wait_ready("two")
        crashing.nursery.start_soon(crashing.crash)
        await crashing.wait()
        await wait_all_tasks_blocked()
        assert parent.failed[1][0] == "two"
        assert "ExceptionGroup" in parent.failed[1][1]
        assert [c.name for c in parent.children] == ["one"]


async def test_a_childs_crash_ends_the_runner_if_errors_are_strict():
    """With all its workers."""

    class Crashes(BaseWorker):
        async def start(self):
            raise OSError("on fire")

    with (
        trio.fail_after(1),
        pytest.RaisesGroup(pytest.RaisesExc(OSError, match="on fire"), flatten_subgroups=True),
    ):
        async with WorkerRunner() as runner:
            await runner.add_workers(Parent("parent", Crashes("one")))
            await trio.sleep_forever()


async def test_all_children_are_added_or_none():
    """A name that is taken, twice there, or a worker added before, refuses all."""
    used = Child("used")
    async with WorkerRunner() as runner:
        parent = await family(runner, used)
        fresh = Child("fresh")
        with pytest.raises(DuplicateWorkerError, match="'parent' is already in the bus"):
            await parent.add_workers(fresh, Child("parent"))
        with pytest.raises(DuplicateWorkerError, match="'fresh' is already in this call"):
            await parent.add_workers(fresh, Child("fresh"))
        with pytest.raises(DuplicateWorkerError, match="'used'"):
            await parent.add_workers(fresh, used)
        with pytest.raises(TypeError, match="expected a BaseWorker, not 'w'"):
            await parent.add_workers(fresh, "w")
        await used.stop()
        with pytest.raises(StoppedError, match="'used' was attached before"):
            await parent.add_workers(fresh, used)
        assert "fresh" not in runner.bus.names
        await wait_all_tasks_blocked()
        assert parent.children == []
        await parent.add_workers(fresh)
        await runner.registry.wait_ready("fresh")


async def test_a_parent_that_does_not_run_yet_cannot_add_children():
    """The error says so, and the child can still be added elsewhere."""
    runner = WorkerRunner()
    parent, child = Parent("parent"), Child("one")
    await runner.add_workers(parent)
    with pytest.raises(NotAttachedError, match=r"does not run yet; .*wait until it is ready"):
        await parent.add_workers(child)
    assert runner.bus.names == ("parent",)
    async with runner:
        await runner.add_workers(child)
        await runner.registry.wait_ready("one")


async def test_adding_children_is_all_or_nothing_when_cancelled():
    """A cancellation comes before anything is done, or after everything."""
    for pauses in range(6):
        children = [Child(f"child{number}") for number in range(3)]
        with trio.fail_after(1):
            async with WorkerRunner() as runner:
                parent = await family(runner)
                with trio.CancelScope() as scope:
                    async with trio.open_nursery() as nursery:

                        @nursery.start_soon
                        async def add(parent=parent, children=children):
                            await parent.add_workers(*children)

                        for _ in range(pauses):
                            await trio.lowlevel.checkpoint()
                        scope.cancel()
                await wait_all_tasks_blocked()
                hosted = [child for child in children if child in runner.workers]
                assert hosted == parent.children
                assert len(hosted) in (0, 3)


async def test_what_a_handler_adds_does_not_work_on_its_behalf():
    """What it asks for is no part of that handler's job."""

    class Added(BaseWorker):
        async def on_activated(self, args):
            await self.call("doer", name="do")

    async def add(worker, _):
        await worker.add_workers(Added("added"))

    async def note(_, message):
        parents.append(message.parent_job_id)

    parents = []
    async with WorkerRunner() as runner:
        await runner.add_workers(Doer("doer", note), Doer("adder", add))
        await runner.call("adder", name="do")
        await wait_all_tasks_blocked()
        assert parents == [None]


async def test_children_of_children_end_first(autojump_clock):
    """The order of leaving is from the leaves to the root."""
    order = []

    class Leaver(Parent):
        async def cleanup(self):
            order.append(self.name)

    grandchild = Leaver("grandchild")
    child = Leaver("child", grandchild)
    root = Leaver("root", child)
    async with WorkerRunner() as runner:
        await runner.add_workers(root)
        await runner.registry.wait_ready("grandchild")
    assert order == ["grandchild", "child", "root"]
