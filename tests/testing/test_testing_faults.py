"""Faults drawn by Hypothesis: bounded, shrunk, and replayed from what is printed."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trioworkers import BaseWorker, BusDataMessage
from trioworkers.testing import (
    Crash,
    Cut,
    Drop,
    Link,
    ScriptedWorker,
    fault_plans,
    group_plans,
    play,
    simulate,
    simulated,
)

NAMES = ("left", "right")


@given(fault_plans(NAMES, drops=3, crashes=0, restarts=False))
def test_fault_plans_are_bounded(faults):
    """At most so many of each kind, between the runners that there are."""
    counts = Counter(type(fault) for fault in faults)
    assert counts[Drop] <= 3
    assert counts[Crash] == 0
    assert all(count <= 3 for count in counts.values())
    for fault in faults:
        if isinstance(fault, Drop | Cut):
            assert {fault.source, fault.target} == set(NAMES)


def test_every_kind_of_fault_is_drawn():
    """All nine."""
    drawn = set()

    @settings(max_examples=500)
    @given(fault_plans(NAMES))
    def draw(faults):
        drawn.update(map(type, faults))

    draw()
    assert len(drawn) == 9


def test_faults_need_two_runners():
    """One has no links."""
    with pytest.raises(ValueError, match="at least two names"):
        fault_plans(["left"])
    with pytest.raises(ValueError, match="give runners=, too"):
        simulated(faults=fault_plans(NAMES))


class Counting(BaseWorker):
    """Counts messages, which isn't safe if one comes twice."""

    count = 0

    async def on_bus_message(self, message):
        self.count += type(message) is BusDataMessage


def test_a_failure_is_shrunk_to_its_fault_and_replayed():
    """Of all faults one is left, and the printed line gives the same failure."""
    runners = {"left": tuple, "right": lambda: [Counting("counting")]}
    link = Link(delivery="at-least-once")

    async def twice(network):
        await network["left"].bus.send(BusDataMessage(source="left", target="counting"))
        worker = network["right"].get_worker("counting")
        await network.settle()
        assert worker.count <= 1, f"counted {worker.count} times"

    test = simulated(
        runners=runners,
        link=link,
        faults=fault_plans(NAMES, crashes=0, pauses=0, cuts=0, slow_consumers=0),
        max_examples=500,
    )(twice)
    with pytest.raises(AssertionError, match="counted 2 times") as caught:
        test()
    (replay,) = [line for line in caught.value.__notes__ if "replay: " in line]
    call = replay.split("replay: ")[1].splitlines()[0]
    faults = call.split("faults=(")[1].split("), seed")[0]
    assert "Duplicate(" in faults or "Disconnect(" in faults
    assert faults.count("source=") == 1
    from trioworkers import testing

    scope = {**vars(testing), "twice": twice, "runners": runners}
    with pytest.raises(AssertionError, match="counted 2 times"):
        eval(call, scope)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(NAMES), group_plans(("w0", "w1"))), max_size=3),
    fault_plans(NAMES, crashes=0, pauses=0, cuts=0, disconnects=0),
    st.sampled_from(["once", "at-least-once"]),
    st.integers(0, 2**32),
)
def test_what_only_delays_breaks_no_promise(asks, faults, delivery, seed):
    """Lost, late, doubled and overtaking messages: groups behave as ever."""
    workers = []

    def make(name):
        workers.append(ScriptedWorker(name))
        return workers[-1:]

    async def scenario(network):
        for name, plan in asks:
            await play(plan, network[name], workers)

    simulate(
        scenario,
        runners={"left": lambda: make("w0"), "right": lambda: make("w1")},
        link=Link(delivery=delivery, lease=100.0),
        faults=faults,
        seed=seed,
    )
