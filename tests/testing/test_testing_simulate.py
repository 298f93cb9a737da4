"""Simulated runs: the same again, many different ones, and clear ends of bad ones."""

import random
import re

import pytest
import trio
import trio.lowlevel
from hypothesis import given, settings
from hypothesis import strategies as st

from trioworkers import BaseWorker, BusSubscriber, JobGroupError, WorkerReadyData, job
from trioworkers.testing import (
    InOrder,
    Priorities,
    RandomChoices,
    Recorder,
    Script,
    SimulatedBus,
    SimulationError,
    Timeline,
    check_bus,
    seeded_run,
    simulate,
    simulated,
)


class Echo(BaseWorker):
    """Sends an update, waits a moment, answers."""

    @job(name="echo")
    async def echo(self, message):
        await self.send_job_update(message.job_id, {"step": 1})
        await trio.sleep(0.1)
        return {"name": self.name}


class Mute(BusSubscriber):
    """Takes requests and never answers, not even a cancel."""

    name = "mute"


async def three_groups(runner):
    """Three groups of three, one after another."""
    await runner.add_workers(Echo("a"), Echo("b"), Echo("c"))
    for _ in range(3):
        async with runner.job_group("a", "b", "c", name="echo") as group:
            seen = [event.worker_name async for event in group]
        assert sorted(seen) == ["a", "b", "c"]
        assert len(group.responses) == 3


@pytest.mark.parametrize("seed", range(20))
def test_the_same_seed_gives_the_same_run(seed):
    """To the last event; and what decides differently runs differently."""
    first = simulate(three_groups, seed=seed, twice=True)
    again = simulate(three_groups, seed=seed)
    assert first.timeline.events == again.timeline.events
    assert first.script == again.script


def test_different_seeds_give_different_runs():
    """Or else there would be nothing to find."""
    runs = {str(simulate(three_groups, seed=seed).timeline) for seed in range(20)}
    assert len(runs) == 20


def test_a_script_replays_a_run():
    """The recorded decisions and the seed are all it takes."""
    run = simulate(three_groups, seed=3)
    assert any(run.script)
    again = simulate(three_groups, seed=3, decisions=Script(run.script))
    assert again.timeline.events == run.timeline.events


def test_messages_overtake_each_other_only_if_decided_so():
    """The plainest run delivers in the order sent, and is counted as such."""
    plain = simulate(three_groups, seed=1, decisions=InOrder())
    assert plain.script == ()
    assert not plain.timeline.exercised
    shuffled = simulate(three_groups, seed=1)
    assert shuffled.timeline.exercised["a message overtook an older one"] > 5


@pytest.mark.parametrize("make", [RandomChoices, Priorities])
def test_order_per_channel_is_kept(make):
    """Whatever is decided, a sender's messages to one target arrive in order."""
    for seed in range(30):
        timeline = simulate(three_groups, seed=seed, decisions=make(seed)).timeline
        for where in {event.where for event in timeline}:
            for lane in ("JobUpdate", "JobResponse", "JobRequest"):
                sent = [e.detail for e in timeline if (e.what, e.where) == ("sent", where)]
                got = [e.detail for e in timeline if (e.what, e.where) == ("delivered", where)]
                assert [d for d in sent if d.startswith(lane)] == [
                    d for d in got if d.startswith(lane)
                ]


def test_what_is_not_seeded_is_noticed():
    """A scenario with a chance of its own is not the same the second time."""
    chance = random.Random(5)

    async def scenario(runner):
        await runner.add_workers(Echo("a"))
        for _ in range(chance.randrange(1, 1000)):
            await runner.call("a", name="echo")

    with pytest.raises(SimulationError, match="the same seed gave another run"):
        simulate(scenario, twice=True, limit=1e6)


def test_a_scenario_that_never_ends_is_told_with_its_timeline():
    """Virtual time makes it quick, and the text says what happened until then."""

    async def scenario(runner):
        await runner.add_workers(Echo("a"))
        await runner.call("a", name="echo")
        await trio.sleep_forever()

    with pytest.raises(SimulationError, match=r"did not end within 3600\.0 virtual") as caught:
        simulate(scenario)
    assert "JobResponse" in str(caught.value)


def test_a_run_that_is_stuck_for_good_is_told_too():
    """A block waits for a cancelled member that never answers; the simulation ends all the same."""

    async def scenario(runner):
        await runner.bus.subscribe(Mute())
        runner.registry.register(WorkerReadyData("mute", "elsewhere"))
        async with runner.job("mute"):
            pass

    with pytest.raises(SimulationError, match="did not end within 10 virtual seconds"):
        simulate(scenario, limit=10)


def test_what_a_scenario_raises_comes_with_the_timeline():
    """As it is, with the timeline as a note."""

    async def scenario(runner):
        await runner.add_workers(Echo("a"))
        await runner.call("a", name="echo")
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine") as caught:
        simulate(scenario, seed=7)
    assert "Seed 7." in caught.value.__notes__[0]
    assert "JobRequest" in caught.value.__notes__[0]


class Account(BaseWorker):
    """Has a race: it reads the balance, waits, and writes it back."""

    balance = 0

    @job(name="add")
    async def add(self, message):
        before = self.balance
        await trio.lowlevel.checkpoint()
        self.balance = before + 1


async def two_deposits(runner):
    """Two requesters at once; the second answer may come from a stale balance."""
    account = Account("account")
    await runner.add_workers(account, Echo("x"), Echo("y"))
    async with trio.open_nursery() as nursery:
        for name in ("x", "y"):
            requester = runner.get_worker(name)
            nursery.start_soon(lambda r=requester: r.call("account", name="add"))
    assert account.balance == 2


def test_a_race_is_found_shrunk_and_replayed():
    """The failure says how to replay it, in few decisions."""
    test = simulated(max_examples=200)(two_deposits)
    with pytest.raises(AssertionError) as caught:
        test()
    notes = "\n".join(caught.value.__notes__)
    found = re.search(
        r"replay: simulate\(two_deposits, seed=(\d+), decisions=Script\((.*)\)\)", notes
    )
    assert found is not None
    seed, choices = int(found[1]), [int(n) for n in re.findall(r"\d+", found[2])]
    assert len(choices) <= 12
    with pytest.raises(AssertionError):
        simulate(two_deposits, seed=seed, decisions=Script(choices))


@simulated(max_examples=50)
async def test_a_worker_that_stops_leaves_nobody_waiting(runner):
    """Requests that are under way to it come back as lost or cancelled."""
    workers = [Echo(name) for name in "abc"]
    await runner.add_workers(*workers)

    async def ask():
        try:
            async with runner.job_group("a", "b", "c", name="echo"):
                pass
        except JobGroupError:
            pass

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        nursery.start_soon(ask)
        await trio.sleep(0.1)
        nursery.start_soon(workers[1].stop)
        nursery.start_soon(ask)
        await trio.sleep(1)
        nursery.cancel_scope.cancel()


@settings(max_examples=200)
@given(st.lists(st.integers(0, 5)), st.lists(st.integers(2, 6), max_size=20))
def test_a_recorded_script_chooses_the_same(choices, sizes):
    """What a recorder notes of any decisions, a script replays."""
    recorder = Recorder(Script(choices))
    chosen = [recorder.choose(range(size)) for size in sizes]
    script = Script(recorder.script)
    assert [script.choose(range(size)) for size in sizes] == chosen
    assert all(0 <= choice < size for choice, size in zip(chosen, sizes, strict=True))


def test_a_decision_that_is_no_option_is_refused():
    """A `Decisions` of the user's that is wrong is told so at once."""

    class Wrong:
        def choose(self, options):
            return len(options)

    with pytest.raises(ValueError, match="decision 2 is not one of 2 options"):
        Recorder(Wrong()).choose("ab")


@pytest.mark.parametrize("capacity", [1, 16, 1024])
@pytest.mark.parametrize("seed", range(5))
def test_the_simulated_bus_keeps_the_contract_of_a_bus(seed, capacity):
    """Whatever it decides: it passes what any bus must."""

    def make_bus():
        return SimulatedBus(RandomChoices(seed), Timeline(), lane_capacity=capacity)

    clauses = seeded_run(check_bus, make_bus, seed=seed)
    assert len(clauses) == 18


def test_twice_with_decisions_is_refused_before_anything_runs():
    """Decisions are used up by the first run, so that two runs can't be compared."""
    ran = []

    async def scenario(runner):
        ran.append(runner)

    with pytest.raises(ValueError, match="twice=True needs decisions=None"):
        simulate(scenario, decisions=InOrder(), twice=True)
    assert ran == []
