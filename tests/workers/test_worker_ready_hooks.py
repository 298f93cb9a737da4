"""`on_worker_ready`, `watch_workers` and `@worker_ready`."""

import pytest
import trio

from trioworkers import BaseWorker, WorkerRunner, worker_ready


class Watcher(BaseWorker):
    """Notes who gets ready."""

    def __init__(self, name="watcher"):
        super().__init__(name)
        self.seen = []

    async def on_worker_ready(self, data):
        self.seen.append(data.worker_name)


async def test_on_worker_ready_fires_for_local_roots():
    """Those there before and those that come; not for itself, nor for others' children."""

    class Parent(BaseWorker):
        async def on_activated(self, args):
            await self.add_workers(BaseWorker("child"))

    watcher = Watcher()
    async with WorkerRunner() as runner:
        await runner.add_workers(BaseWorker("early"))
        await runner.registry.wait_ready("early")
        await runner.add_workers(watcher)
        await runner.registry.wait_ready("watcher")
        await runner.add_workers(Parent("late"))
        await runner.registry.wait_ready("child")
        await watcher.wait_idle()
        assert watcher.seen == ["early", "late"]


async def test_workers_without_the_hook_watch_nothing():
    """Roots are watched only where something would run."""
    async with WorkerRunner() as runner:
        await runner.add_workers(BaseWorker("plain"))
        await runner.registry.wait_ready("plain")
        plain = runner.statistics().watches
        await runner.add_workers(Watcher())
        await runner.registry.wait_ready("watcher")
        assert runner.statistics().watches == plain + 2
        await runner.get_worker("watcher").stop()
        assert runner.statistics().watches == plain
    assert runner.statistics().watches == 0


async def test_watch_workers_tells_of_present_and_future_ones():
    """Each time one gets ready; doing it again tells again of a present one."""
    watcher = Watcher()
    child = BaseWorker("child")

    class Parent(BaseWorker):
        async def on_activated(self, args):
            await self.add_workers(child, watch=False)

    async with WorkerRunner() as runner:
        await runner.add_workers(watcher)
        await runner.registry.wait_ready("watcher")
        await watcher.watch_workers("child", "never")
        await watcher.wait_idle()
        assert watcher.seen == []
        await runner.add_workers(Parent("parent"))
        await runner.registry.wait_ready("child")
        await watcher.wait_idle()
        assert sorted(watcher.seen) == ["child", "parent"]
        await watcher.watch_workers("child")
        await watcher.wait_idle()
        assert watcher.seen[-1] == "child"
        await child.stop()
        watcher.seen.clear()
        await runner.get_worker("parent").add_workers(BaseWorker("child"), watch=False)
        await runner.registry.wait_ready("child")
        await watcher.wait_idle()
        assert watcher.seen == ["child"]


async def test_watching_what_is_no_name_is_refused():
    """Nothing is watched then."""
    watcher = Watcher()
    async with WorkerRunner() as runner:
        await runner.add_workers(watcher)
        await runner.registry.wait_ready("watcher")
        before = runner.statistics().watches
        with pytest.raises(TypeError, match="a worker name must be a str, not 3"):
            await watcher.watch_workers("fine", 3)
        assert runner.statistics().watches == before


async def test_a_decorated_method_runs_when_its_worker_is_ready():
    """It gets the data, in the data lane; only for that name."""
    seen = []

    class Worker(BaseWorker):
        @worker_ready(name="db")
        async def db_is_there(self, data):
            seen.append((self.name, data.worker_name, data.runner))

    async with WorkerRunner(name="r") as runner:
        await runner.add_workers(Worker("w"), BaseWorker("other"))
        await runner.registry.wait_ready("w")
        await runner.add_workers(BaseWorker("db"))
        await runner.registry.wait_ready("db")
        await runner.get_worker("w").wait_idle()
    assert seen == [("w", "db", "r")]


async def test_a_decorated_method_that_raises_ends_the_runner():
    """As any hook, where errors are strict."""

    class Worker(BaseWorker):
        @worker_ready(name="db")
        async def db_is_there(self, data):
            raise ValueError("not that one")

    with (
        trio.fail_after(1),
        pytest.RaisesGroup(pytest.RaisesExc(ValueError, match="not that"), flatten_subgroups=True),
    ):
        async with WorkerRunner() as runner:
            await runner.add_workers(BaseWorker("db"), Worker("w"))
            await trio.sleep_forever()


async def test_a_subclass_inherits_and_overrides_decorated_methods():
    """The override need not repeat the decorator."""
    seen = []

    class Base(BaseWorker):
        @worker_ready(name="db")
        async def db_is_there(self, data):
            seen.append("base")

    class Inherits(Base):
        pass

    class Overrides(Base):
        async def db_is_there(self, data):
            seen.append("override")

    async with WorkerRunner() as runner:
        await runner.add_workers(BaseWorker("db"))
        await runner.add_workers(Inherits("i"))
        await runner.registry.wait_ready("i", "db")
        await runner.get_worker("i").wait_idle()
        assert seen == ["base"]
        await runner.add_workers(Overrides("o"))
        await runner.registry.wait_ready("o")
        await runner.get_worker("o").wait_idle()
    assert seen == ["base", "override"]


def test_the_decorator_refuses_what_cannot_work():
    """A name that is none, a method that is not async, two methods for one name."""
    with pytest.raises(TypeError, match=r"@worker_ready\(name=...\) must be a str, not 3"):
        worker_ready(name=3)
    with pytest.raises(ValueError, match=r"@worker_ready\(name=...\) must not be empty"):
        worker_ready(name="")
    with pytest.raises(TypeError, match="must be `async def`"):

        @worker_ready(name="db")
        def not_async(self, data):
            pass

    with pytest.raises(TypeError, match="two @worker_ready handlers for 'db': one and two"):

        class Twice(BaseWorker):
            @worker_ready(name="db")
            async def one(self, data):
                pass

            @worker_ready(name="db")
            async def two(self, data):
                pass
