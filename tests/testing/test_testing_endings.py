"""Simulated runs that would hang, never end or leave the simulation: told, with what to do."""

import contextlib

import pytest
import trio
import trio.testing

from trioworkers import BaseWorker, JobError, job
from trioworkers.testing import SimulationError, simulate


class Stubborn(BaseWorker):
    """Its handlers don't end as handlers should."""

    @job(name="deaf")
    async def deaf(self, message):
        with trio.CancelScope(shield=True):
            await trio.sleep_forever()

    @job(name="busy")
    async def busy(self, message):
        while True:
            await trio.lowlevel.checkpoint()

    @job(name="thread")
    async def thread(self, message):
        await trio.to_thread.run_sync(len, "")

    @job(name="socket")
    async def socket(self, message):
        await trio.open_tcp_stream("127.0.0.1", 1)


def ask(name):
    """Return a scenario that asks for one job, and doesn't mind if it fails."""

    async def scenario(runner):
        await runner.add_workers(Stubborn("stubborn"))
        with contextlib.suppress(JobError):
            await runner.call("stubborn", name=name, timeout=5)

    return scenario


def test_a_handler_that_shields_itself_for_ever_ends_with_the_run():
    """Nothing could end it, so the simulation does."""
    with pytest.raises(SimulationError, match=r"(?s)every Trio task waits.*JobRequest"):
        simulate(ask("deaf"))


@pytest.mark.no_cover  # so many steps
def test_a_livelock_is_told():
    """Steps without end, and no virtual time passes, so that no limit is ever reached."""
    with pytest.raises(SimulationError, match=r"(?s)livelock: 200000 steps.*JobRequest"):
        simulate(ask("busy"))


@pytest.mark.parametrize(
    ("what", "instead"),
    [("thread", "Call the function directly"), ("socket", r"trio\.testing\.memory_stream_pair")],
)
def test_what_the_simulation_cannot_decide_is_refused(what, instead):
    """Even if the error is caught; with what to use instead."""
    with pytest.raises(SimulationError, match=f"can't use {what}s: .*{instead}"):
        simulate(ask(what))


def test_threads_work_again_after_a_simulation():
    """Trio is as it was."""

    async def nothing(runner):
        pass

    simulate(nothing)
    assert trio.run(trio.to_thread.run_sync, len, "four") == 4


def test_a_scenario_that_leaves_a_trio_task_is_told():
    """One that it has put beside the runner."""
    left = []

    async def stray():
        await trio.sleep_forever()

    async def scenario(runner):
        trio.lowlevel.spawn_system_task(stray, name="a stray task")
        left.append(runner)

    with pytest.raises(SimulationError, match=r"Trio tasks are left: .*a stray task"):
        simulate(scenario)
    assert left
