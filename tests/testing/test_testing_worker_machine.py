"""`WorkerMachine`: what its rules do, what it finds, and that it finds nothing in the core."""

import os
import re
from contextlib import suppress

import pytest
import trio
from hypothesis import seed, settings
from hypothesis.stateful import invariant, rule, run_state_machine_as_test
from machines import QUICK, driving, steps_of

from trioworkers import (
    BaseWorker,
    JobError,
    JobGroupError,
    JobStatus,
    WorkerBus,
    WorkerRegistry,
    WorkerRunner,
    job,
)
from trioworkers.jobs import JobGroup, Responder, _scope
from trioworkers.testing import (
    CleanUp,
    GroupPlan,
    InOrder,
    JobScript,
    LeftoverError,
    NeverAnswer,
    PlannedError,
    Priorities,
    PromiseBroken,
    Raise,
    RandomChoices,
    Repeating,
    SimulatedBus,
    Sleep,
    WorkerMachine,
)
from trioworkers.workers._reports import Reports

ENDLESS = GroupPlan(("w0", "w1"), JobScript((NeverAnswer(),)))
TestWorkers = WorkerMachine.TestCase
TestWorkers.settings = settings(
    max_examples=int(os.environ.get("MACHINES", "30")), deadline=None, print_blob=True
)


@pytest.fixture
def drive():
    """Begins machines that a test drives by hand, with two workers that are ready."""
    with driving() as begin:

        def begin_with_workers(machine=None):
            machine = begin(machine or WorkerMachine())
            machine.begin_workers(("w0", "w1"))
            machine.let_time_pass(0)
            return machine

        yield begin_with_workers


def outcomes_of(block):
    return {name: outcome.status for name, outcome in block.group.outcomes.items()}


# What the rules do


def test_blocks_are_open_in_the_background(drive):
    """They are asked for when the run goes on, and left when all have answered."""
    machine = drive()
    plan = GroupPlan(("w0", "w1"), JobScript((Sleep(1),)))
    (block,) = machine.open_blocks([plan]).values
    assert block.group is None
    machine.let_time_pass(0.5)
    assert [len(worker.running) for worker in machine.made] == [1, 1]
    assert not block.is_left
    machine.let_time_pass(0.5)
    assert block.is_left
    assert block.result.raised is None
    assert outcomes_of(block) == dict.fromkeys(("w0", "w1"), JobStatus.COMPLETED)


def test_workers_ask_too(drive):
    """In a block, or without one."""
    machine = drive()
    asker, other = machine.made
    block = machine.open_block_of_worker(asker, GroupPlan(("w1",), JobScript((Sleep(1),))))
    machine.send_and_forget(asker, GroupPlan(("w1",), JobScript((NeverAnswer(),))))
    machine.let_time_pass(0)
    assert len(asker.job_groups) == 2
    assert asker.statistics().detached_groups == 1
    machine.let_time_pass(1)
    assert block.is_left
    assert len(other.running) == 1


def test_a_block_is_cancelled_or_failed_from_outside(drive):
    """The one is left without an error, the other with one; both without handlers."""
    machine = drive()
    cancelled, failed = machine.open_blocks([ENDLESS, ENDLESS]).values
    machine.let_time_pass(0)
    machine.cancel_block(cancelled)
    machine.fail_block(failed)
    machine.let_time_pass(0)
    assert cancelled.is_left
    assert cancelled.result is None
    assert isinstance(failed.result.raised, JobGroupError)
    assert "failed by a rule" in str(failed.result.raised)
    assert not any(worker.running for worker in machine.made)
    machine.cancel_block(failed)
    machine.fail_block(cancelled)


@pytest.mark.parametrize(
    ("how", "status"),
    [
        ("end", None),
        ("cancel", JobStatus.CANCELLED),
        ("stop", JobStatus.CANCELLED),
        ("crash", JobStatus.LOST),
    ],
)
def test_workers_leave_in_four_ways(drive, how, status):
    """Their jobs are finished first, cancelled, or lost."""
    machine = drive()
    (block,) = machine.open_blocks([ENDLESS]).values
    machine.let_time_pass(0)
    worker = machine.made[0]
    if how == "crash":
        machine.crash_worker(worker)
    else:
        machine.remove_worker(worker, how)
    machine.let_time_pass(1)
    assert block.is_left is (status is not None)
    assert (machine.runner.get_worker("w0") is None) is (status is not None)
    if status is not None:
        assert outcomes_of(block)["w0"] is status
    assert [data.worker_name for data in machine.told] == (["w0"] if how == "crash" else [])


def test_names_are_taken_once(drive):
    """All of the new workers are added, or none; a name is free again afterwards."""
    machine = drive()
    assert machine.add_workers(["w2", "w1"]).values == ()
    assert len(machine.made) == 2
    machine.remove_worker(machine.made[1], "stop")
    machine.let_time_pass(0)
    assert [worker.name for worker in machine.add_workers(["w2", "w1"]).values] == ["w2", "w1"]
    assert len(machine.made) == 4


def test_children_are_added_to_those_that_run(drive):
    """Others refuse them."""
    machine = drive()
    parent = machine.made[0]
    (child,) = machine.add_children(parent, ["w3"]).values
    assert child.parent == "w0"
    machine.remove_worker(parent, "stop")
    machine.let_time_pass(0)
    assert machine.runner.get_worker("w3") is None
    assert machine.add_children(parent, ["w3"]).values == ()


def test_workers_are_activated(drive):
    """And the opposite; also when they have left."""
    machine = drive()
    worker = machine.made[0]
    machine.activate_worker(worker, active=False)
    machine.let_time_pass(0)
    assert not worker.active
    machine.activate_worker(worker, active=True)
    machine.let_time_pass(0)
    assert worker.active
    machine.remove_worker(worker, "stop")
    machine.let_time_pass(0)
    machine.activate_worker(worker, active=True)
    machine.let_time_pass(0)
    assert not worker.active


def test_rules_strike_half_way(drive):
    """After a few rounds a request is still under way."""
    machine = drive()
    machine.open_blocks([ENDLESS])
    machine.go_on(1)
    assert machine.bus.in_flight > 0
    assert not any(worker.running for worker in machine.made)
    machine.crash_worker(machine.made[0])


def test_a_name_comes_again_when_nothing_is_under_way_to_it(drive):
    """What was for the first one of that name is not for the next."""
    machine = drive()
    (block,) = machine.open_blocks([ENDLESS]).values
    machine.go_on(1)
    assert machine.bus.in_flight > 0
    machine.crash_worker(machine.made[0])
    (again,) = machine.add_workers(["w0"]).values
    machine.let_time_pass(0)
    assert block.is_left
    assert not again.begun


def by_hand(decisions, schedule=0):
    """Drive a machine, with deliveries to choose from; return it when it has ended."""
    machine = WorkerMachine()
    try:
        machine.begin_deliveries(decisions)
        machine.begin_run(schedule)
        machine.begin_workers(("w0", "w1", "w2"))
        script = JobScript((Sleep(1),), of={"w1": (Raise(),)})
        plan = GroupPlan(("w0", "w1", "w2"), script, cancel_on_error=False)
        machine.open_blocks([plan, plan])
        machine.let_time_pass(2)
    finally:
        machine.teardown()
    return machine


def test_the_same_choices_are_the_same_run():
    """And others are others, of the schedule too."""
    for decisions in (InOrder, lambda: Repeating([2, 0, 5]), lambda: Priorities(3)):
        assert by_hand(decisions()).timeline.events == by_hand(decisions()).timeline.events
    assert len({str(by_hand(RandomChoices(seed)).timeline) for seed in range(10)}) == 10
    assert len({str(by_hand(RandomChoices(0), seed).timeline) for seed in range(10)}) == 10


def test_choices_are_repeated():
    """As far as there is something to choose."""
    repeating = Repeating([1, 0, 7])
    assert [repeating.choose("abc") for _ in range(6)] == [1, 0, 2, 1, 0, 2]
    with pytest.raises(ValueError, match="choices"):
        Repeating([])


def test_nothing_is_logged(drive, caplog):
    """What rules break on purpose is told by the timeline."""
    machine = drive()
    machine.crash_worker(machine.made[0])
    machine.let_time_pass(0)
    assert caplog.records == []
    assert "worker 'w0' failed" in str(machine.timeline)
    assert "PlannedError" in str(machine.timeline)


# What it meets, and what it finds


#: What few examples must bring about.
MATTERS = {
    *JobStatus,
    *("JobGroupError", "PlannedError", "NoneType"),
    *("child", "logged", "a message overtook an older one"),
}


def test_it_meets_what_matters():
    """All outcomes, leavings and ways out of blocks, in few examples."""
    met = set()

    class Meeting(WorkerMachine):
        @invariant()
        def holds(self):
            for block in self.opened:
                if block.group is not None and block.is_left:
                    met.update(outcomes_of(block).values())
                    met.add(type(getattr(block.result, "raised", None)).__name__)
            met.update("child" for worker in self.made if worker.parent)
            met.update(self.timeline.exercised)
            met.update(event.what for event in self.timeline)

    some = settings(QUICK, max_examples=10, stateful_step_count=50)
    for start in range(10):
        run_state_machine_as_test(seed(start)(Meeting), settings=some)
        if met >= MATTERS:
            break
    assert met >= MATTERS


def find(machine=WorkerMachine):
    """Search for a failure; return it, shrunk."""
    with pytest.raises((AssertionError, ExceptionGroup)) as caught:
        run_state_machine_as_test(machine, settings=settings(QUICK, max_examples=500))
    return caught.value


async def not_at_all(*_):
    pass


def without_tombstones(self, message):
    cancel(self, message)
    self.tombstones = None


async def twice(self, job):
    await call(self, job)
    job.answer = None
    await call(self, job)


cancel, call = Responder.cancel, Responder._call
hosted = WorkerRunner.workers.fget
ASKED = GroupPlan(("w0",), JobScript((CleanUp(1), NeverAnswer())))
OTHER = GroupPlan(("w0", "w1"), JobScript((NeverAnswer(),)), cancel_on_error=False)
SHORT = GroupPlan(("w0",))

#: What to break, and what is said then.
BUGS = {
    "blocks don't wait for handlers": (
        (_scope, "_wait_stopped", not_at_all),
        "P1: 'w0' has no outcome after the block",
    ),
    "cancels are forgotten": (
        (Responder, "cancel", lambda self, message: None),
        "the example does not end within 3600 virtual s",
    ),
    "early cancels are forgotten": (
        (Responder, "cancel", without_tombstones),
        "P2: a handler of 'w0' runs for a block that has been left",
    ),
    "outcomes are not sent": (
        (Responder, "_finish", lambda self, job: self.active.pop(job.request.job_id)),
        "the example does not end within 3600 virtual s",
    ),
    "failed groups look well": (
        (JobGroup, "make_error", lambda self, *, body_done: None),
        "P6: the group was failed, but the block did not raise",
    ),
    "handlers are called twice": (
        (Responder, "_call", twice),
        "P1: 'w0' was called 2 times",
    ),
    "the runner forgets that names are taken": (
        (WorkerRunner, "workers", property(lambda self: (*hosted(self), *hosted(self)))),
        "P11: the runner has two workers of one name: ['w0', 'w1', 'w0', 'w1']",
    ),
    "workers that run are not on the bus": (
        (SimulatedBus, "names", ()),
        "P9: the runner has ['w0', 'w1'], but the bus set()",
    ),
    "workers stay in the registry": (
        (WorkerRegistry, "unregister", lambda self, name, runner: None),
        "P9: the registry has {",
    ),
    "crashes are not told": (
        (Reports, "report", lambda self, worker, error: None),
        "P6: a crash was not told: {'w0': 1}",
    ),
    "workers stay on the bus": (
        (WorkerBus, "unsubscribe_nowait", lambda self, subscriber: None),
        "its bus still has ['runner', 'w0', 'w1']",
    ),
}


@pytest.mark.parametrize(("bug", "said"), BUGS.values(), ids=BUGS)
def test_bugs_are_seen(monkeypatch, drive, bug, said):
    """By a few rules, or at the end; the next example is none the worse for it."""
    monkeypatch.setattr(*bug)
    machine = WorkerMachine()
    machine.begin_deliveries(Repeating([9]))  # always the newest, so that cancels come early
    with pytest.raises((AssertionError, ExceptionGroup)) as caught:
        try:
            machine.begin_run(schedule=0)
            machine.begin_workers(("w0", "w1"))
            machine.let_time_pass(0)
            machine.promises_are_kept()
            early, late, other, _ = machine.open_blocks([ASKED, ASKED, OTHER, SHORT]).values
            machine.go_on(1)
            machine.cancel_block(early)
            machine.let_time_pass(0)
            machine.promises_are_kept()
            machine.fail_block(other)
            machine.let_time_pass(0)
            machine.promises_are_kept()
            machine.cancel_block(late)
            machine.let_time_pass(0)
            machine.crash_worker(machine.made[0])
            machine.let_time_pass(1)
            machine.promises_are_kept()
        finally:
            machine.teardown()
    error = caught.value
    assert said in str(error.exceptions[0] if isinstance(error, ExceptionGroup) else error)
    monkeypatch.undo()
    drive().let_time_pass(1)


@pytest.mark.no_cover  # a search
def test_bugs_are_found_and_shrunk(monkeypatch):
    """The failure shows its timeline, and who decided on deliveries."""
    monkeypatch.setattr(Reports, "report", lambda self, worker, error: None)
    error = find()
    assert isinstance(error, LeftoverError)
    assert "P6: a crash was not told: {'w0': 1}" in str(error)
    assert len(steps_of(error)) <= 5
    notes = "\n".join(error.__notes__)
    assert re.search(r"0\.000  sent +w0 -> \* +WorkerDeparted", notes)
    assert "begin_deliveries(decisions=InOrder())" in notes


@pytest.mark.no_cover  # a search
def test_bugs_that_need_several_steps_are_found_and_shrunk(monkeypatch):
    """A block that is left early needs a worker, a request, time and a cancel."""
    monkeypatch.setattr(_scope, "_wait_stopped", not_at_all)
    error = find()
    assert error.split(PromiseBroken)[1] is None
    assert re.search("P[12]: .* after the block", str(error.exceptions[0]))
    assert len(steps_of(error)) <= 5


# Workers of users


class Till(BaseWorker):
    """Counts money. Has a race."""

    def __init__(self, name):
        super().__init__(name)
        self.total = self.paid = 0

    @job(name="pay")
    async def pay(self, message):
        total = self.total
        await trio.lowlevel.checkpoint()
        self.total = total + 1
        self.paid += 1


class TillMachine(WorkerMachine):
    """Pays into tills. Their race needs no scripts, which they could not play."""

    open_blocks = open_block_of_worker = send_and_forget = None

    def make_worker(self, name):
        return Till(name)

    @rule(till=WorkerMachine.workers)
    def pay(self, till):
        self.start_soon(self.ask, till.name)

    async def ask(self, name):
        with suppress(JobError):
            await self.runner.call(name, name="pay")

    @invariant()
    def holds(self):
        for till in self.made:
            assert till.total == till.paid


@pytest.mark.no_cover  # a search
def test_users_find_races_in_their_workers():
    """With their own rules and invariants, beside the ready ones."""
    error = find(TillMachine)
    assert isinstance(error, AssertionError)
    steps = steps_of(error)
    assert 2 <= steps.count("pay") <= 3
    assert len(steps) <= 6


class Fragile(BaseWorker):
    """Can't bear to be activated."""

    async def on_activated(self, args):
        raise OSError("not me")


@pytest.mark.no_cover  # a search
def test_users_find_hooks_that_raise():
    """What no rule has caused makes the example fail, though the runner goes on."""

    class FragileMachine(WorkerMachine):
        def make_worker(self, name):
            return Fragile(name, active=False)

    error = find(FragileMachine)
    assert error.split(OSError)[1] is None
    assert "activate_worker" in steps_of(error)
    assert len(steps_of(error)) <= 5


def test_users_say_which_errors_are_expected():
    """And take rules away."""

    class SturdyMachine(WorkerMachine):
        add_children = None
        crash_worker = None

        def make_worker(self, name):
            return Fragile(name)

        def expects(self, error):
            return isinstance(error, OSError | JobError)

    run_state_machine_as_test(SturdyMachine, settings=settings(QUICK, max_examples=10))
    machine = SturdyMachine()
    assert not {"add_children", "crash_worker"} & {r.function.__name__ for r in machine.rules}
    assert SturdyMachine().expects(OSError())
    assert not SturdyMachine().expects(PlannedError())


def test_a_handler_that_cleans_up_holds_the_end_up(drive):
    """As long as it needs, in virtual time."""
    machine = drive()
    script = JobScript((CleanUp(3.0), CleanUp(3.0), NeverAnswer()))
    machine.open_blocks([GroupPlan(("w0",), script)])
    machine.let_time_pass(0)
    machine.teardown()
    assert machine.now == 6
