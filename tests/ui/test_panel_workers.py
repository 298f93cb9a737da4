"""What the panel tells of workers."""

import json

import trio
from support import Doer
from trio.testing import wait_all_tasks_blocked

from trioworkers import BaseWorker, MemoryChannelBus, WorkerPool, WorkerReadyData, WorkerRunner
from trioworkers.ui.panel._workers import MAX_WORKERS, describe_workers


async def never(_worker, _message):
    await trio.sleep_forever()


async def ask(runner, name):
    await runner.call(name, name="do")


class Mother(BaseWorker):
    async def on_activated(self, args):
        await self.add_workers(Doer("child"))


async def test_tree_jobs_and_pools(autojump_clock):
    """With what each of them is working on."""
    async with WorkerRunner(name="here") as runner, trio.open_nursery() as nursery:
        pool = WorkerPool("pool", lambda: Doer(None, never), size=2)
        await runner.add_workers(Mother("mother"), pool, Doer("slow", never, max_jobs=1))
        await runner.registry.wait_ready("mother", "pool", "slow", "child")
        for name in ("pool", "slow", "slow"):
            nursery.start_soon(ask, runner, name)
        await wait_all_tasks_blocked()
        told = describe_workers(runner)
        by_name = {one["name"]: one for one in told["workers"]}
        assert told["runner"] == "here"
        assert (told["more_workers"], told["remote"], told["more_remote"]) == (0, [], 0)
        assert by_name["child"]["parent"] == "mother"
        assert by_name["mother"]["parent"] is None
        assert by_name["mother"]["class"] == "Mother"
        assert by_name["mother"]["pool"] is None
        assert by_name["pool"]["pool"] == {"size": 2, "busy": 1, "free": 1, "replaced": 0}
        assert by_name["pool[0]"]["parent"] == "pool"
        slow = by_name["slow"]
        assert (slow["active_jobs"], slow["waiting_jobs"], slow["hook_errors"]) == (2, 1, 0)
        assert [(one["name"], one["source"]) for one in slow["jobs"]] == [("do", "here")] * 2
        assert len({one["id"] for one in slow["jobs"]}) == 2
        assert told["bus"]["class"] == "MemoryChannelBus"
        assert told["bus"]["subscribers"] >= 6
        assert "lanes" not in told["bus"]
        json.dumps(told, allow_nan=False)
        nursery.cancel_scope.cancel()


async def test_hooks_that_wait_are_counted(autojump_clock):
    """By lane, those that have not begun."""

    class Slow(BaseWorker):
        async def on_job_request(self, message):
            pass

        async def on_activated(self, args):
            await trio.sleep_forever()

    async with WorkerRunner() as runner:
        await runner.add_workers(Slow("slow"))
        await runner.registry.wait_ready("slow")
        await wait_all_tasks_blocked()
        (told,) = describe_workers(runner)["workers"]
        assert {"data_lane", "system_lane"} <= told.keys()
        runner.cancel_nowait()


async def test_workers_of_others_are_told(autojump_clock):
    """With where they are."""
    async with MemoryChannelBus() as bus, WorkerRunner(name="there", bus=bus) as there:
        async with WorkerRunner(name="here", bus=bus) as here:
            await there.add_workers(Doer("far"))
            await here.registry.wait_ready("far")
            assert describe_workers(here)["remote"] == [
                {"name": "far", "runner": "there", "parent": None, "active": True}
            ]
            assert describe_workers(here)["workers"] == []


async def test_many_workers_and_long_names_are_bounded(autojump_clock):
    """The first ones are listed, the rest counted; jobs, too."""
    async with WorkerRunner(name="r" * 5000) as runner, trio.open_nursery() as nursery:
        await runner.add_workers(*[Doer(f"w{n:04}" + "x" * 3000, never) for n in range(600)])
        names = [worker.name for worker in runner.workers]
        await runner.registry.wait_ready(*names)
        for number in range(2000):
            runner.registry.register(WorkerReadyData(f"far{number}", "there"))
        for name in names[:60]:
            for _ in range(25):
                nursery.start_soon(ask, runner, name)
        await wait_all_tasks_blocked()
        told = describe_workers(runner)
        assert len(told["workers"]) == MAX_WORKERS
        assert told["more_workers"] == 100
        assert len(told["remote"]) == MAX_WORKERS
        assert told["more_remote"] == 1500
        assert told["workers"][0]["active_jobs"] == 25
        assert [len(one["jobs"]) for one in told["workers"][:60]] == [20] * 50 + [0] * 10
        assert len(told["workers"][0]["name"]) == 200
        assert len(json.dumps(told)) < 700_000
        nursery.cancel_scope.cancel()


async def test_runner_that_does_not_run_yet_has_workers():
    """They are there, and idle."""
    runner = WorkerRunner()
    await runner.add_workers(Doer("a"))
    told = describe_workers(runner)
    assert [one["name"] for one in told["workers"]] == ["a"]
    assert told["workers"][0]["active_jobs"] == 0
