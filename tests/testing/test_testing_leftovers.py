"""What counts as left over, and what belongs to a worker; and timelines that show it."""

import pytest
import trio
from support import hosting, run

from trioworkers import BaseWorker, TrioWorkersError, WorkerRunner, errors, job
from trioworkers.errors import LeftoverError as SameLeftoverError
from trioworkers.testing import (
    BrokenContractError,
    LeftoverError,
    PromiseBroken,
    SimulationError,
    Timeline,
    TimelineEvent,
)
from trioworkers.testing._leftovers import (
    busy_statistics,
    live_tasks,
    open_work,
    tasks_left,
    unfinished,
    wait_idle,
)


class Asking(BaseWorker):
    """Does one thing for three seconds, or asks another for it."""

    @job(name="work")
    async def work(self, message):
        await trio.sleep(3)

    @job(name="ask")
    async def ask(self, message):
        await self.call("b", name="work")

    @job(name="forget")
    async def forget(self, message):
        await self.request_job("b", name="ask_next")

    @job(name="ask_next")
    async def ask_next(self, message):
        await self.call("c", name="work")


def left_after(scenario, seconds=1.0):
    """Run ``scenario`` beside three workers; return what is open some seconds later."""

    async def main():
        workers = [Asking(name) for name in "abc"]
        async with hosting(*workers, quiet=False) as runner, trio.open_nursery() as nursery:
            nursery.start_soon(scenario, runner)
            await trio.sleep(seconds)
            found = open_work(runner)
            await wait_idle(runner)
            assert busy_statistics(runner) is None
        assert unfinished(runner, workers) is None
        return found

    return run(main)


def test_what_a_block_asked_for_is_left_over():
    """Its handlers, and what they ask for in turn."""

    async def scenario(runner):
        await runner.call("a", name="ask")

    assert left_after(scenario) == "the runner has 1 groups open, waits for {}"

    async def in_a_worker(runner):
        worker = runner.get_worker("a")
        await worker.call("b", name="work")

    assert left_after(in_a_worker) == "worker 'a' has 1 groups open"


def test_what_was_fired_and_forgotten_belongs_to_its_worker():
    """Wherever its handlers run, and whatever they ask for."""

    async def scenario(runner):
        await runner.call("a", name="forget")

    assert left_after(scenario) is None


def test_a_forgotten_job_hides_no_other():
    """Somebody waits for that one."""

    async def scenario(runner):
        await runner.call("a", name="forget")
        worker = runner.get_worker("a")
        await worker.call("c", name="work")

    assert left_after(scenario) == "worker 'a' has 1 groups open"


def test_a_group_that_waits_for_its_workers_is_left_over():
    """It has no handlers yet."""

    async def scenario(runner):
        with trio.move_on_after(2):
            await runner.get_worker("a").call("nobody", name="work")

    assert left_after(scenario) == "worker 'a' has 1 groups open"


def test_a_watch_that_is_left_is_told_unless_it_is_the_users():
    """The library takes its own watches back."""

    async def main():
        async with WorkerRunner() as runner:
            runner.registry.watch("mine", print)
        assert unfinished(runner, ()) is None
        runner.registry.watch_departures(runner._asking.workers_departed)
        runner._asking.workers_departed.__func__.__module__ = "trioworkers.workers"
        return unfinished(runner, ())

    said = "the runner has ended, and its registry still has watches: ['departures']"
    assert run(main) == said


def test_trio_tasks_that_are_left_are_named():
    """Whoever started them."""

    async def main():
        before = live_tasks()
        assert await tasks_left(before) is None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep, 1, name="sleeper")
            return await tasks_left(before)

    assert run(main) == "Trio tasks are left: sleeper"


def test_errors_of_tests_are_in_the_tree():
    """Each is drawn in ``errors.py``; all but one are AssertionErrors."""
    assert SameLeftoverError is LeftoverError
    for kind in (SimulationError, PromiseBroken, LeftoverError, BrokenContractError):
        assert issubclass(kind, TrioWorkersError)
        assert issubclass(kind, AssertionError) is (kind is not SimulationError)
        assert getattr(errors, kind.__name__) is kind
        assert kind.__name__ in (errors.__doc__ or "")


@pytest.mark.parametrize("count", [3, 1000])
def test_the_text_of_a_timeline_is_bounded(count):
    """The last events, then what was exercised, most often first."""
    timeline = Timeline([TimelineEvent(float(n), "sent", "a -> b") for n in range(count)])
    timeline.exercised.update({"rare": 1, "often": 5})
    lines = str(timeline).splitlines()
    assert lines[-2:] == ["         5  times often", "         1  times rare"]
    assert len(lines) <= 303
    assert lines[-3].strip().startswith(f"{count - 1}.000")
    assert (lines[0] == "(700 earlier events)") is (count == 1000)
