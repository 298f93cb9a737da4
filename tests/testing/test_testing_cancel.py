"""Cancellation and Ctrl-C everywhere: what leaks is caught, and the run can be repeated."""

import signal
import sys
import threading
import types

import pytest
import trio
from trio.testing import MockClock

from trioworkers import BaseWorker, WorkerRunner, job
from trioworkers.testing._cancel import cancel_at_every_checkpoint, cancelled_everywhere
from trioworkers.testing._determinism import seeded_run
from trioworkers.testing._interrupt import interrupt_at_every_line, interrupted_everywhere
from trioworkers.testing._leftovers import LeftoverError


class Peer(BaseWorker):
    """Works for three virtual seconds, and counts the handlers that run."""

    running = 0

    @job(name="work")
    async def work(self, message):
        self.running += 1
        try:
            for step in range(3):
                await self.send_job_update(message.job_id, {"step": step})
                await trio.sleep(1)
        finally:
            self.running -= 1

    @job(name="spawn")
    async def spawn(self, message):
        """Leave work of its own behind, when it is not cancelled before."""
        await trio.sleep(1)
        trio.lowlevel.spawn_system_task(trio.sleep, 1_000_000)

    @job(name="forget")
    async def forget(self, message):
        """Ask another, and don't wait."""
        await self.request_job("b", name="work")


class Hooked(Peer):
    """A hook of it takes time."""

    async def on_job_update(self, message):
        await trio.sleep(3)


def peers():
    """Return new workers."""
    return [Peer("a"), Hooked("b")]


async def ask(runner):
    """A scenario without a fault."""
    async with runner.job_group("a", "b", name="work") as group:
        async for _ in group:
            pass


async def leave_a_task(runner):
    """A scenario that leaves a Trio task in some runs."""
    await runner.call("a", name="spawn")


async def forget_a_job(runner):
    """A scenario that leaves a job to a worker."""
    await runner.call("a", name="forget")


async def ask_in_a_task(runner):
    """A scenario that leaves a job behind: a Trio task outside of its scope asks for it."""
    worker = runner.get_worker("a")
    worker.nursery.start_soon(lambda: worker.call("b", name="work"))
    await trio.sleep(1)


def test_a_sound_scenario_passes_and_every_step_is_tried():
    """The last run is the one that no cancellation meets."""
    steps = []

    async def check(runner):
        steps.append(trio.current_time())
        assert [worker.running for worker in runner.workers] == [0, 0]
        await trio.lowlevel.checkpoint()

    runs = cancel_at_every_checkpoint(ask, workers=peers, check=check)
    assert runs == len(steps) > 20
    assert len({round(at) for at in steps}) == 4  # cancelled in each of its seconds
    assert cancel_at_every_checkpoint(ask, workers=peers, only=3) == 1


def test_the_same_seed_makes_the_same_number_of_runs():
    """Another one may make another."""
    runs = [cancel_at_every_checkpoint(ask, workers=peers, seed=seed) for seed in (1, 1, 2, 2)]
    assert runs[0] == runs[1]
    assert runs[2] == runs[3]


def test_jobs_that_are_forgotten_may_go_on():
    """They belong to their worker; what is left of them then is still looked for."""
    assert cancel_at_every_checkpoint(forget_a_job, workers=peers) > 5


def test_a_trio_task_that_is_left_is_caught():
    """The error names the step and the Trio task, and how to repeat the run."""
    with pytest.raises(LeftoverError, match=r"Trio tasks are left: trio\.sleep") as caught:
        cancel_at_every_checkpoint(leave_a_task, workers=peers)
    step = int(caught.value.where.split()[3].strip(","))
    assert f"pass only={step} to repeat" in caught.value.__notes__[0]
    with pytest.raises(LeftoverError, match=f"cancelled at step {step}, seed 0: Trio tasks"):
        cancel_at_every_checkpoint(leave_a_task, workers=peers, only=step)
    if step > 1:
        assert cancel_at_every_checkpoint(leave_a_task, workers=peers, only=step - 1) == 1


def test_a_handler_that_outlives_the_scenario_is_caught():
    """Whoever asked: it was the scenario."""
    with pytest.raises(
        LeftoverError, match=r"worker '.' (still runs 1 handlers|has 1 groups open)"
    ):
        cancel_at_every_checkpoint(ask_in_a_task, workers=peers)


def test_a_group_that_outlives_the_scenario_is_caught():
    """Also one of the runner."""

    async def ask_elsewhere(runner):
        runner.get_worker("a").nursery.start_soon(lambda: runner.call("b", name="work"))
        await trio.sleep(1)

    with pytest.raises(LeftoverError, match="the runner has 1 groups open"):
        cancel_at_every_checkpoint(ask_elsewhere, workers=peers)


def test_what_check_and_scenario_raise_leaves_with_a_note():
    """As it is, not in a group."""

    def check(runner):
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine") as caught:
        cancel_at_every_checkpoint(ask, workers=peers, check=check, seed=5)
    assert caught.value.__notes__ == [
        "cancelled at step 1, seed 5; pass only=1 to repeat this run alone"
    ]


def test_a_scenario_that_never_ends_is_an_error():
    """When it isn't cancelled; before, it ends by that."""

    async def endless(runner):
        await trio.sleep_forever()

    with pytest.raises(trio.TooSlowError) as caught:
        cancel_at_every_checkpoint(endless, only=10_000)
    assert "cancelled at step 10000" in caught.value.__notes__[0]


@pytest.mark.parametrize("name", ["a", "b"])
@cancelled_everywhere(workers=peers)
async def test_the_decorator_passes_what_pytest_fills_in(runner, name, tmp_path):
    """Marks and fixtures work; the runner is the harness's."""
    assert isinstance(runner, WorkerRunner)
    assert tmp_path.is_dir()
    await runner.call(name, name="work")


@interrupted_everywhere(workers=peers, every=40)
@pytest.mark.parametrize("name", ["a"])
async def test_the_decorator_for_ctrl_c_passes_marks_below_it(runner, name):
    """Likewise."""
    await runner.call(name, name="work")


def test_a_decorated_leak_is_caught():
    """The decorated function raises."""
    leaky = cancelled_everywhere(workers=peers, seed=3)(leave_a_task)
    assert leaky.__name__ == "leave_a_task"
    with pytest.raises(LeftoverError):
        leaky()


def test_ctrl_c_passes_and_puts_the_tracer_back():
    """Also the SIGINT handler; the workers have ended when they are checked."""
    seen = []
    mine = []

    def tracer(frame, event, arg):
        mine.append(event)

    before, handler = sys.gettrace(), signal.getsignal(signal.SIGINT)
    sys.settrace(tracer)
    try:
        runs = interrupt_at_every_line(ask, workers=peers, every=25, check=seen.append)
        after = sys.gettrace()
    finally:
        sys.settrace(before)
    assert after is tracer
    assert mine
    assert signal.getsignal(signal.SIGINT) is handler
    assert runs == len(seen) > 10
    assert all(worker.running == 0 for workers in seen for worker in workers)


def test_swallowed_ctrl_c_is_caught():
    """The error says at which line, and how to repeat it."""

    async def swallow(runner):
        for _ in range(3):
            try:
                await runner.call("a", name="work")
            except BaseException:
                return

    with pytest.raises(LeftoverError, match=r"Ctrl-C at line \d+ of \d+, seed 0 .*swallowed"):
        interrupt_at_every_line(swallow, workers=peers, every=10)


def test_ctrl_c_that_becomes_something_else_is_caught():
    """The run must end with KeyboardInterrupt."""

    async def change(runner):
        try:
            await runner.call("a", name="work")
        except KeyboardInterrupt:
            raise ValueError("changed") from None

    with pytest.raises(LeftoverError, match=r"the run ended with ValueError\('changed'\)"):
        interrupt_at_every_line(change, workers=peers, every=10)


def test_ctrl_c_needs_the_main_thread_and_pythons_handler():
    """Otherwise nothing would be interrupted, and all would seem well."""
    raised = []

    def elsewhere():
        try:
            interrupt_at_every_line(ask, workers=peers)
        except RuntimeError as error:
            raised.append(str(error))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert raised == ["Ctrl-C reaches the main thread alone: call interrupt_at_every_line there"]
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with pytest.raises(RuntimeError, match=r"restore .*default_int_handler"):
            interrupt_at_every_line(ask, workers=peers)
    finally:
        signal.signal(signal.SIGINT, handler)


def test_arguments_out_of_range_are_refused():
    """Before anything runs."""
    with pytest.raises(ValueError, match="only must be a step >= 1 or None, not 0"):
        cancel_at_every_checkpoint(ask, only=0)
    with pytest.raises(ValueError, match="every must be an integer >= 1, not 0"):
        interrupt_at_every_line(ask, every=0)
    with pytest.raises(ValueError, match="'empty' has no file"):
        interrupt_at_every_line(ask, package=types.ModuleType("empty"))
    with pytest.raises(ValueError, match="executes no line of 'this_one'"):
        module = types.ModuleType("this_one")
        module.__file__ = "/nowhere/this_one.py"
        interrupt_at_every_line(ask, workers=peers, package=module)


def schedule(seed, **options):
    """Return the order in which Trio ran twenty tasks, five times each."""

    async def note(number, order):
        for _ in range(5):
            await trio.lowlevel.checkpoint()
            order.append(number)

    async def main():
        order = []
        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(note, number, order)
        return order

    return seeded_run(main, seed=seed, **options)


def test_a_seed_is_a_schedule():
    """Same seed, same order, whatever was random before; seeds differ."""
    first = schedule(1)
    trio._core._run._r.random()
    assert schedule(1) == first
    assert schedule(2) != first


def test_a_seeded_run_puts_trios_randomness_back():
    """Also when it raises."""
    run = trio._core._run
    state, allowed = run._r.getstate(), run._ALLOW_DETERMINISTIC_SCHEDULING

    async def fail():
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        seeded_run(fail, seed=1)
    assert run._r.getstate() == state
    assert run._ALLOW_DETERMINISTIC_SCHEDULING is allowed


def test_a_seeded_run_jumps_over_time_unless_it_gets_a_clock():
    """Arguments are passed on, and the result comes back."""

    async def wait(seconds):
        await trio.sleep(seconds)
        return trio.current_time()

    assert seeded_run(wait, 1000.0, seed=0) == 1000
    clock = MockClock(rate=0.0, autojump_threshold=0)
    clock.jump(5)
    assert seeded_run(wait, 1000.0, seed=0, clock=clock) == 1005
