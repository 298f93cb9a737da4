"""Random graphs against a model of provenance; and bugs planted in the engine, that it finds.

Run them longer with ``GRAPH_SCHEDULES=10000``.
"""

import os
import re

import planted_graphs
import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trioworkers.graph import Graph
from trioworkers.testing import simulate
from trioworkers.testing.flows import FlowBroken, FlowPlan, flow_plans, play_flow
from trioworkers.testing.flows._build import build
from trioworkers.testing.flows._plan import Outlet, Script, SinkPlan, WorkerPlan
from trioworkers.testing.scenarios import BUILT_IN

SCHEDULES = int(os.environ.get("GRAPH_SCHEDULES", "300"))

#: What a property of graphs must have met to say anything.
SITUATIONS = (
    "a join fires",
    "a join lacks something, and fires",
    "a join refuses",
    "a task is tried again",
    "a handler is cancelled",
    "a handler runs again for its state",
    "a watch is told",
    "an abort stops something",
    "a run is cancelled",
    "joins hold too much",
)


def test_random_graphs_keep_the_promises():
    """P1, P2, P6, P8, P10, P12 and P13, completion and statistics, over many graphs."""
    met = dict.fromkeys(SITUATIONS, 0)
    for seed in range(SCHEDULES):
        run = BUILT_IN["graphs"].run(seed)
        for situation in met:
            met[situation] += run.timeline.exercised[situation]
    if SCHEDULES >= 3000:
        assert all(met.values()), met


def play(plan: FlowPlan, seed: int) -> None:
    """Play a plan in a simulated run."""

    async def scenario(_runner: object) -> None:
        await play_flow(plan)

    simulate(scenario, seed=seed)


@settings(
    max_examples=max(60, SCHEDULES // 20),
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
)
@given(flow_plans(), st.integers(0, 2**16))
def test_graphs_that_shrink_keep_the_promises(plan, seed):
    """The same, drawn by Hypothesis, for a small counterexample."""
    play(plan, seed)


#: A source aborts another, that waits in a ``yield``, while a third is about to go on.
GOES_ON = FlowPlan(
    workers=(
        WorkerPlan(
            kind="source",
            cls=1,
            scripts=(
                Script(outputs=(1, 1, 3)),
                Script(sleeps=0.5, outputs=(2, 1, 1)),
                Script(outputs=(2, 1)),
            ),
        ),
        WorkerPlan(cls=2, scripts=(Script(aborts=-2), Script(), Script())),
    ),
    outlets=(
        (Outlet(type=2, consumer=1), Outlet(type=1, consumer=0)),
        (Outlet(type=1, consumer=1), Outlet(type=3)),
    ),
    sinks=((), (SinkPlan(type=3, notifies=True),)),
    window=2,
    max_running=1,
    budget=14,
)


def test_a_cancelled_source_makes_no_place_for_another():
    """One more than may run went on beside the rest."""
    for seed in range(20):
        play(GOES_ON, seed)


def test_the_same_seed_gives_the_same_run():
    """All that happens, and when."""
    first, second = (BUILT_IN["graphs"].run(17).timeline for _ in range(2))
    assert first.first_difference(second) is None
    assert len(first) > 10


@settings(max_examples=50, deadline=None, database=None)
@given(flow_plans())
def test_random_graphs_are_fit_to_run(plan):
    """Each is a graph that can be checked and drawn."""
    graph = build(plan, None).graph
    assert isinstance(graph, Graph)
    graph.check()
    assert graph.to_mermaid()


@pytest.mark.no_cover
@pytest.mark.parametrize("bug", planted_graphs.BUGS, ids=lambda bug: bug.plant.__name__)
def test_a_planted_bug_is_found(bug):
    """Within few graphs; without the bug that graph is fine."""
    found = planted_graphs.find(bug)
    assert found is not None, "not found"
    BUILT_IN["graphs"].run(found[0])


@pytest.mark.no_cover
def test_a_planted_bug_shrinks():
    """To a graph that a person can follow."""
    smallest: list[FlowPlan] = []

    @settings(
        max_examples=2000,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(flow_plans())
    def search(plan: FlowPlan) -> None:
        try:
            play(plan, 0)
        except (Exception, BaseExceptionGroup):
            smallest.append(plan)
            raise

    bug = next(bug for bug in planted_graphs.BUGS if bug.plant.__name__ == "commit_failures")
    with pytest.MonkeyPatch.context() as patch:
        bug.plant(patch)
        with pytest.raises(Exception):  # noqa: B017, PT011 - whatever it is
            search()
    plan = smallest[-1]
    assert len(plan.workers) <= 2
    assert sum(len(script.outputs) for one in plan.workers for script in one.scripts) <= 2
    assert len(plan.initials) == 1


def test_the_docs_list_the_bugs():
    """What the docs say is found is what is planted."""
    page = planted_graphs.PAGE.read_text("utf-8")
    shown = re.search(r"(?s)<!-- planted graphs -->\n(.*?)<!-- /planted graphs -->", page)
    assert shown is not None
    rows = [line.split(" | ")[:2] for line in shown[1].splitlines()[2:]]
    assert rows == [[f"| {bug.promise}", bug.what] for bug in planted_graphs.BUGS]
    assert {bug.promise for bug in planted_graphs.BUGS} >= {"P1", "P2", "P8", "P10", "P12", "P13"}


async def test_a_finding_ends_the_run_and_is_raised(autojump_clock):
    """As it is, not in a group, and not hidden by what came of ending the run."""
    plan = FlowPlan()
    with pytest.MonkeyPatch.context() as patch, pytest.raises(FlowBroken, match=r"^P12: "):
        patch.setattr(FlowPlan, "budget", 0)
        patch.setattr("trioworkers.testing.flows._model.FlowModel._find", lambda *_: None)
        await play_flow(plan)
    model = await play_flow(plan)
    assert model.over
    await trio.testing.wait_all_tasks_blocked()
