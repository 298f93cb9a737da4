"""The monitor sees each broken promise, excuses what is declared, and changes nothing."""

import math
from collections import Counter

import attrs
import outcome
import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trioworkers import (
    CREDIT_WINDOW,
    BaseWorker,
    BusDataMessage,
    BusJobRequestMessage,
    BusJobResponseMessage,
    BusJobUpdateMessage,
    BusSystemMessage,
    JobError,
    JobStatus,
    WorkerPool,
    WorkerRunner,
    job,
)
from trioworkers.bus import Lanes
from trioworkers.jobs import JobGroup, Responder, _dispatcher, _events, _intake, _scope, _turns
from trioworkers.testing import (
    CleanUp,
    GroupPlan,
    JobScript,
    NeverAnswer,
    RandomChoices,
    Respond,
    ScriptedWorker,
    SendChunk,
    SendUpdate,
    SimulatedBus,
    SimulationError,
    Situation,
    Sleep,
    Timeline,
    group_plans,
    play,
    seeded_run,
    simulate,
    unexercised,
)
from trioworkers.testing._monitor import Monitor
from trioworkers.testing._stuck import Watchdog

NAMES = ("w0", "w1")


class Hooked(ScriptedWorker):
    """Each hook takes a moment."""

    async def on_bus_message(self, message):
        await trio.lowlevel.checkpoint()

    async def on_job_update(self, message):
        await trio.lowlevel.checkpoint()


@attrs.define
class Note(BusDataMessage):
    """A message of the user's."""

    text: str


@attrs.define
class Alarm(BusSystemMessage):
    """An urgent one."""

    text: str


def monitored(scenario, *, seed=0, on_broken=None, invariants=(), model=None):
    """Run ``scenario``, whatever comes of it; return its monitor."""
    monitor = Monitor(Timeline())
    watchdog = Watchdog()
    if on_broken is not None:
        monitor.on_broken = on_broken
    monitor.check(None, invariants, model)

    async def main():
        bus = SimulatedBus(RandomChoices(seed), monitor.timeline, monitor=monitor)
        watchdog.free = lambda: (monitor.at_end(), bus.answer_lost("stuck"))
        async with WorkerRunner(name="runner", bus=bus) as runner:
            await scenario(runner)

    outcome.capture(seeded_run, main, seed=seed, instruments=[watchdog])
    monitor.at_end()
    return monitor


def playing(*plans, asker=ScriptedWorker, kind=ScriptedWorker):
    """Return a scenario that plays ``plans`` at the same time, and checks nothing itself."""

    async def scenario(runner):
        await runner.add_workers(*map(kind, NAMES), asker("asker"))
        async with trio.open_nursery() as nursery:
            for plan in plans:
                nursery.start_soon(_play, plan, runner.get_worker("asker"))

    return scenario


async def _play(plan, asker):
    with trio.move_on_after(plan.cancel_after or math.inf):
        try:
            name = "play_in_turn" if plan.in_turn else "play"
            async with asker.job_group(*plan.members, name=name, payload=plan.script) as group:
                if plan.reads is None:
                    async for _ in group:
                        await trio.sleep(plan.pause)
                await trio.sleep(plan.stays)
        except JobError:
            pass


READS = GroupPlan(NAMES, JobScript((SendUpdate(3), Sleep(1))), reads=None)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(group_plans(NAMES), min_size=1, max_size=3), st.integers(0, 2**16))
def test_it_finds_nothing_where_nothing_is_wrong_and_changes_nothing(plans, seed):
    """Whatever is played, with it and without it the same happens."""

    async def scenario(runner):
        workers = [Hooked("w0"), ScriptedWorker("w1")]
        asker = Hooked("asker")
        await runner.add_workers(*workers, asker)
        async with trio.open_nursery() as nursery:
            for plan in plans:
                nursery.start_soon(play, plan, asker, workers)

    monitor = monitored(scenario, seed=seed)
    assert monitor.broken == []
    with pytest.MonkeyPatch.context() as patch:
        for name in ("watch", "sent", "arriving", "delivered", "dropped"):
            patch.setattr(Monitor, name, lambda self, _: None)
        unwatched = monitored(scenario, seed=seed)
    own = {"begins", "returns", "raises", "leaves"}
    assert [e for e in monitor.timeline if e.what not in own] == unwatched.timeline.events


def test_it_notes_what_handlers_and_blocks_do():
    """Worker by worker, and whether a handler raised."""
    timeline = monitored(playing(READS)).timeline
    (begins,) = [event for event in timeline.of("w0") if event.what == "begins"]
    (returns,) = [event for event in timeline.of("w0") if event.what == "returns"]
    assert (returns.at - begins.at, begins.detail[:5]) == (1.0, "play ")
    (leaves,) = [event for event in timeline.of("asker") if event.what == "leaves"]
    assert (leaves.at, leaves.detail) == (1.0, "sim-1")
    scenario = playing(GroupPlan(("w0",), JobScript((NeverAnswer(),)), cancel_after=1))
    raised = [event for event in monitored(scenario).timeline if event.what == "raises"]
    assert "Cancelled" in raised[0].detail


# What is broken is seen


def broken_by(scenario, seeds=1):
    """Return what is said of the first run of some that breaks anything."""
    for seed in range(seeds):
        monitor = monitored(scenario, seed=seed)
        if monitor.broken:
            assert len(set(monitor.broken)) == len(monitor.broken)
            return monitor.broken
    return []


def test_a_request_that_is_never_answered_is_seen(monkeypatch):
    """P1, where the run would only be stuck."""
    monkeypatch.setattr(_intake.Intake, "request", lambda self, message: None)
    said = broken_by(playing(GroupPlan(("w0",))))
    assert said[0].startswith("P1: job sim-")
    assert said[0].endswith("of 'w0' was never answered")


def test_a_handler_that_is_called_twice_is_seen(monkeypatch):
    """P1, where the responder repeats it."""
    call = Responder._call

    async def again(self, job):
        await call(self, job)
        job.answer = None
        await call(self, job)

    monkeypatch.setattr(Responder, "_call", again)
    assert "P1: the handler of job sim-1 of 'w0' was called 2 times" in broken_by(
        playing(GroupPlan(("w0",)))
    )


def test_a_member_without_an_outcome_is_seen(monkeypatch):
    """P1, where one is forgotten."""
    settled = JobGroup._all_settled

    def forget(self):
        self.outcomes.pop("w1", None)
        settled(self)

    monkeypatch.setattr(JobGroup, "_all_settled", forget)
    (said,) = broken_by(playing(READS))
    assert said == "P1: job sim-1 of 'w1' has no outcome after the block"


def test_an_event_after_the_answer_is_seen():
    """P1, where a responder that isn't ours sends it."""

    async def scenario(runner):
        await runner.add_workers(ScriptedWorker("w0"))
        await runner.call("w0", name="play", payload=JobScript())
        runner.bus.post(BusJobUpdateMessage("sim-1", {}, seq=0, source="w0", target="runner"))

    assert broken_by(scenario) == ["P1: job sim-1 of 'w0' sent an event after its answer"]


@pytest.mark.parametrize("forgotten", [False, True])
def test_a_handler_that_outlives_its_group_is_seen(monkeypatch, forgotten):
    """P2, in a block and where nobody waits."""

    async def not_at_all(*_):
        pass

    monkeypatch.setattr(_scope, "_wait_stopped", not_at_all)
    script = JobScript((CleanUp(2), NeverAnswer()))

    async def scenario(runner):
        worker = ScriptedWorker("w0")
        await runner.add_workers(worker)
        if forgotten:
            await runner.registry.wait_ready("w0")
            await worker.request_job("w0", name="play", payload=script, timeout=1)
        else:
            await _play(GroupPlan(("w0",), script, cancel_after=1), runner)
        await trio.sleep(5)

    assert "P2: a handler of job sim-1 of 'w0' runs on after the block" in broken_by(scenario)


def test_a_late_acknowledgement_is_seen(monkeypatch):
    """P2, where the outcome comes long after the handler has returned."""
    stopped = Responder._stopped_early

    async def late(self, job):
        with trio.CancelScope(shield=True):
            await trio.sleep(5)
        await stopped(self, job)

    monkeypatch.setattr(Responder, "_stopped_early", late)
    said = broken_by(playing(GroupPlan(("w0",), JobScript((NeverAnswer(),)), cancel_after=1)))
    assert said == ["P2: the cancel of job sim-1 of 'w0' was acknowledged 5 s late"]


def test_a_late_outcome_is_seen(monkeypatch):
    """P2, where a bus without faults takes its time."""
    arrive = SimulatedBus.arrive

    def slowly(self, channel, item):
        if isinstance(item.message, BusJobResponseMessage):
            item.due = trio.current_time() + 5
        arrive(self, channel, item)

    monkeypatch.setattr(SimulatedBus, "arrive", slowly)
    said = broken_by(playing(GroupPlan(("w0",), JobScript((NeverAnswer(),)), cancel_after=1)))
    assert said == ["P2: the outcome of job sim-1 of 'w0' took 5 s to come"]


def test_events_out_of_order_at_the_reader_are_seen(monkeypatch):
    """P3, in a reader that is slow."""
    fill = _events.EventBuffer.fill_batch

    def newest(self):
        self.items.reverse()
        return fill(self)

    monkeypatch.setattr(_events.EventBuffer, "fill_batch", newest)
    said = broken_by(playing(attrs.evolve(READS, pause=0.1)))
    assert said[0].startswith("P3: job sim-1 of 'w")
    assert "gave its reader event" in said[0]


def test_an_event_that_is_read_twice_is_seen(monkeypatch):
    """P3, where it stays in the buffer."""
    fill = _events.EventBuffer.fill_batch

    def keep(self):
        first = self.items[0]
        given = fill(self)
        self.items.appendleft(first)
        monkeypatch.undo()
        return given

    monkeypatch.setattr(_events.EventBuffer, "fill_batch", keep)
    said = broken_by(playing(attrs.evolve(READS, members=("w0",), pause=0.1)))
    assert said[0] == "P3: job sim-1 of 'w0' gave its reader event 0 twice"


def test_events_that_are_discarded_too_early_are_seen(monkeypatch):
    """P3, where the outcome throws them away."""
    settled = JobGroup._all_settled

    def discard(self):
        if self.has_events:
            self.events.items.clear()
        settled(self)

    monkeypatch.setattr(JobGroup, "_all_settled", discard)
    script = JobScript((SendUpdate(30),))
    said = broken_by(playing(GroupPlan(NAMES, script, reads=None, pause=1.0)))
    assert said[0] == "P3: job group sim-1 discarded events that could still be read"


def test_data_before_system_is_seen(monkeypatch):
    """P4, where the data lane does not yield."""

    class Listening(BaseWorker):
        async def on_bus_message(self, message):
            await trio.lowlevel.checkpoint()

    async def scenario(runner):
        await runner.add_workers(Listening("w0"))
        await runner.registry.wait_ready("w0")
        for number in range(5):
            for kind in (Note, Alarm):
                await runner.bus.send(kind(str(number), source="runner", target="w0"))

    assert broken_by(scenario, seeds=20) == []
    run = Lanes._run

    async def rude(self, lane, system):
        self._yielding = None
        await run(self, lane, True)

    monkeypatch.setattr(Lanes, "_run", rude)
    assert broken_by(scenario, seeds=20) == [
        "P4: a hook of 'w0' for data runs before one for a system message"
    ]


def test_two_sequential_handlers_at_once_are_seen(monkeypatch):
    """P5, where nobody waits for a turn."""

    async def no_turn(self, job):
        pass

    monkeypatch.setattr(_turns.Turns, "wait_turn", no_turn)
    plan = GroupPlan(("w0",), JobScript((Sleep(1),)), in_turn=True)
    said = broken_by(playing(plan, plan))
    assert said[0].startswith("P5: sequential handler 'play_in_turn' of 'w0' runs for jobs sim-")


def test_a_success_that_nobody_answered_is_seen(monkeypatch):
    """P6, where the requester makes it up."""
    settle = JobGroup._settle

    def make_up(self, message):
        settle(self, attrs.evolve(message, status=JobStatus.COMPLETED, response={}))

    monkeypatch.setattr(JobGroup, "_settle", make_up)
    plan = GroupPlan(("w0",), JobScript((NeverAnswer(),)), cancel_after=1)
    assert broken_by(playing(plan)) == [
        "P6: job sim-1 of 'w0' counts as completed, but was not answered so"
    ]


def test_a_buffer_without_bound_is_seen(monkeypatch):
    """P8, where nothing makes the producer wait."""
    monkeypatch.setattr(
        "trioworkers.jobs._active.ActiveJob.grant", lambda self, credit: None, raising=True
    )
    accept = Responder._accept

    def without_bound(self, message):
        accept(self, attrs.evolve(message, credit=10_000))

    monkeypatch.setattr(Responder, "_accept", without_bound)
    plan = GroupPlan(("w0",), JobScript((SendChunk(2 * CREDIT_WINDOW),)), reads=None, pause=1.0)
    said = broken_by(playing(plan))
    assert "P8: job sim-1 of 'w0' sent an event without credit" in said
    assert f"P8: job sim-1 of 'w0' has {CREDIT_WINDOW + 1} events in the buffer" in said


def test_a_lane_without_bound_is_seen(monkeypatch):
    """P8, where senders don't wait; up to its capacity all is well."""

    class Slow(BaseWorker):
        """Takes one message after the other, slowly."""

        async def on_bus_message(self, message):
            await trio.sleep(10)

    async def scenario(runner):
        await runner.add_workers(Slow("w0"))
        await runner.registry.wait_ready("w0")
        with trio.move_on_after(5):
            for number in range(1040):
                await runner.bus.send(Note(str(number), source="runner", target="w0"))

    monitor = monitored(scenario)
    assert monitor.broken == []
    assert monitor.timeline.exercised[Situation.LANE_FULL] == 1
    monkeypatch.setattr(Lanes, "full", lambda self, *, system: False)
    said = broken_by(scenario)
    assert said[0] == "P8: a lane of 'w0' holds 1025 entries, capacity 1024"


# What is excused


class Deaf(BaseWorker):
    """Works on, whatever comes."""

    @job(name="play")
    async def play(self, message):
        with trio.CancelScope(shield=True):
            await trio.sleep(100)


def test_a_member_may_be_given_up_after_its_grace():
    """The requester has asked for that, and it is LOST."""

    async def scenario(runner):
        await runner.add_workers(Deaf("w0"))
        with pytest.raises(JobError, match=r"still running 1 s after cancel"):
            async with runner.job("w0", name="play", timeout=1, cancel_grace=1):
                pass

    assert monitored(scenario).broken == []


@pytest.mark.parametrize("excused", [False, True])
def test_a_member_may_be_given_up_if_its_runner_has_gone(excused):
    """Only once that was declared."""

    async def scenario(runner):
        await runner.add_workers(Deaf("w0"))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_play, GroupPlan(("w0",)), runner)
            await runner.registry.wait_ready("w0")
            await trio.testing.wait_all_tasks_blocked()
            if excused:
                runner.bus.monitor.departed("runner")
            runner._asking.workers_departed(["w0"])

    said = monitored(scenario).broken
    assert (said == []) is excused


def test_crashed_workers_owe_nothing():
    """Their handlers don't count, and neither does what they asked."""

    async def scenario(runner):
        await runner.add_workers(ScriptedWorker("w0"))
        await runner.registry.wait_ready("w0")
        request = BusJobRequestMessage(
            "j", "play", {"steps": [{"do": "never"}]}, source="elsewhere", target="w0"
        )
        runner.bus.post(request)
        await trio.testing.wait_all_tasks_blocked()
        runner.bus.monitor.crashed(["w0"])
        await runner.get_worker("w0").stop()

    assert monitored(scenario).broken == []


# Pools


@pytest.mark.parametrize("seed", range(10))
def test_pools_keep_the_promises(seed, monkeypatch):
    """What members do is seen under the pool's name."""

    async def scenario(runner):
        await runner.add_workers(WorkerPool("pool", ScriptedWorker, size=2))
        script = JobScript((SendUpdate(2), Sleep(1)))
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(lambda: runner.call("pool", name="play", payload=script))

    assert monitored(scenario, seed=seed).broken == []
    begin = _dispatcher.Dispatcher._begin

    def twice(self, member, request):
        if len(self._doing) == 1:
            member.take(request)
            member.active.clear()
        return begin(self, member, request)

    monkeypatch.setattr(_dispatcher.Dispatcher, "_begin", twice)
    assert any(
        "of 'pool' was called 2 times" in said for said in monitored(scenario, seed=seed).broken
    )


# The end of a run, and findings


def test_what_is_found_is_told_at_once_and_noted():
    """Each thing once, for whoever ends the run; at its end, nothing more is found."""
    told = []

    def never(runner):
        raise AssertionError("always wrong")

    monitor = monitored(playing(READS), invariants=[never], on_broken=lambda: told.append(1))
    assert monitor.broken == ["invariant 'never': always wrong"]
    assert told == [1]
    assert [event.detail for event in monitor.timeline if event.what == "broken"] == monitor.broken
    monitor.at_end()
    assert told == [1]


# Invariants and models


def test_an_invariant_is_checked_after_each_delivery():
    """By its name; what it raises ends the run."""
    seen = []

    def few_handlers(runner):
        seen.append(len(runner.workers))
        assert sum(w.statistics().active_jobs for w in runner.workers) < 2, "two at once"

    simulate(playing(GroupPlan(("w0",))), invariants=[few_handlers])
    assert len(seen) > 4
    with pytest.raises(SimulationError, match="invariant 'few_handlers': two at once"):
        simulate(playing(READS), invariants=[few_handlers])


def test_an_invariant_that_has_an_error_of_its_own_says_so():
    """It is not taken for a broken promise."""

    def wrong(runner):
        return runner.no_such_thing

    with pytest.raises(
        SimulationError, match=r"invariant 'wrong': AttributeError: .*no_such_thing"
    ):
        simulate(playing(READS), invariants=[wrong])


class Counting:
    """Counts answers; there must be so many at the end."""

    expected = 2

    def __init__(self):
        self.count = 0

    def delivered(self, message):
        if isinstance(message, BusJobResponseMessage):
            self.count += 1
            assert self.count < 3

    def ended(self):
        assert self.count == self.expected, f"{self.count} answers"


def test_a_model_follows_each_run():
    """A new one each time; it is told of deliveries, and of the end."""
    simulate(playing(READS), model=Counting)
    simulate(playing(READS), model=Counting)
    with pytest.raises(SimulationError, match="the model: assert 3 < 3"):
        simulate(playing(READS, READS), model=Counting)


def test_a_model_is_told_of_the_end():
    """What has not happened by then never will."""
    monitor = monitored(playing(attrs.evolve(READS, members=("w0",))), model=Counting())
    (said,) = monitor.broken
    assert said.startswith("the model: 1 answers")


# Situations


def test_situations_are_met_and_counted():
    """Random plans over some schedules meet all that needs no network and no full lane."""
    total = Counter()
    elsewhere = {Situation.REQUEST_CAME_TWICE, Situation.LANE_FULL}

    @settings(max_examples=150, deadline=None, database=None, derandomize=True)
    @given(st.lists(group_plans(NAMES), min_size=1, max_size=3), st.integers(0, 2**16))
    def search(plans, seed):
        async def scenario(runner):
            workers = [ScriptedWorker("w0"), ScriptedWorker("w1")]
            await runner.add_workers(*workers)
            await runner.registry.wait_ready(*NAMES)
            async with trio.open_nursery() as nursery:
                for plan in plans:
                    nursery.start_soon(play, plan, runner, workers)
                if seed % 4 == 0:
                    nursery.start_soon(workers[0].stop)
                    nursery.cancel_scope.deadline = trio.current_time() + 10

        total.update(simulate(scenario, seed=seed).timeline.exercised)

    search()
    urgent = JobScript((SendUpdate(3), Respond(urgent=True)))
    for seed in range(20):
        total += simulate(playing(GroupPlan(NAMES, urgent)), seed=seed).timeline.exercised
    assert set(unexercised(total)) <= elsewhere, total
    assert unexercised(total, ["mine"]) == ["mine"]
