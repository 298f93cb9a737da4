"""The strategies: what they make is valid, varied, and shrinks to the plainest."""

import json
import math

import attrs
import pytest
from hypothesis import HealthCheck, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample
from support import assert_quiet, hosting, run

from trioworkers import BusJobCancelMessage, BusJobRequestMessage, BusMessage, JobStatus
from trioworkers.bus import BusJobCreditMessage, BusWorkerRegistryMessage, tagged_messages
from trioworkers.jobs._payload import from_dict, to_dict
from trioworkers.testing._job_scripts import (
    Ask,
    AskGroup,
    JobScript,
    NeverAnswer,
    Raise,
    Step,
)
from trioworkers.testing._message_strategies import messages, payloads
from trioworkers.testing._plans import GroupPlan
from trioworkers.testing._strategies import (
    group_plans,
    job_scripts,
    topologies,
)
from trioworkers.testing._topologies import add_topology

NAMES = ("a", "b", "c")

few = settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))


def simplest(strategy, condition=lambda _: True, examples=2000):
    """Return what an example that meets ``condition`` shrinks to."""
    limits = settings(max_examples=examples, deadline=None, database=None, derandomize=True)
    return find(strategy, condition, settings=limits)


@few
@given(payloads())
def test_payloads_survive_json(payload):
    """To the last value."""
    assert json.loads(json.dumps(payload, allow_nan=False).encode()) == payload


@few
@given(messages())
def test_messages_are_those_of_the_wire(message):
    """With values that their fields admit."""
    assert type(message) in tagged_messages().values()
    assert message.source
    assert message.target != ""
    for name, least in [("seq", 0), ("attempt", 1), ("credit", 0), ("deadline", 0)]:
        value = getattr(message, name, None)
        assert value is None or value >= least
    if hasattr(message, "status"):
        assert isinstance(message.status, JobStatus)


@pytest.mark.parametrize("cls", list(tagged_messages().values()))
def test_messages_of_one_class_can_be_drawn(cls):
    """Asked for by their class."""
    assert type(simplest(messages(cls))) is cls


def test_messages_are_of_every_registered_class():
    """Unless some are asked for."""
    classes = set(tagged_messages().values())
    seen = set()

    @settings(max_examples=100 * len(classes), database=None, derandomize=True, deadline=None)
    @given(messages())
    def draw(message):
        seen.add(type(message))

    draw()
    assert seen == classes


def test_messages_take_all_values_of_a_field():
    """None, endless, and nested ones."""
    assert simplest(messages(BusJobCreditMessage), lambda m: m.credit is None)
    assert simplest(messages(BusJobCreditMessage), lambda m: m.credit is not None)
    assert simplest(messages(BusJobRequestMessage), lambda m: m.deadline == math.inf)
    assert simplest(messages(BusJobRequestMessage), lambda m: len(m.ancestors) == 2)
    assert simplest(messages(BusWorkerRegistryMessage), lambda m: m.workers)


def test_messages_shrink_to_the_plainest():
    """Optional fields are absent."""
    assert simplest(messages(BusJobCancelMessage)) == BusJobCancelMessage("0", source="a")


def test_messages_of_users_are_drawn():
    """A class of one's own, and its attrs and enum fields."""

    @attrs.frozen
    class Point:
        x: int
        names: dict[str, int] | None

    @attrs.define
    class Moved(BusMessage):
        where: Point
        how: JobStatus

    moved = simplest(messages(Moved), lambda m: m.how is JobStatus.LOST)
    assert moved.where == Point(0, None)


def nested_asks(script, callers=None):
    """Yield (who may ask, whom, depth) for each nested job of a script."""
    for steps, asking in [(script.steps, callers), *((s, (n,)) for n, s in script.of.items())]:
        for step in steps:
            if isinstance(step, Ask | AskGroup):
                asked = (step.worker_name,) if isinstance(step, Ask) else step.worker_names
                yield asking, asked, 1
                for whom, below, depth in nested_asks(step.script, asked):
                    yield whom, below, depth + 1


@few
@given(job_scripts(NAMES, max_depth=2))
def test_nested_jobs_go_down_the_names(script):
    """So none waits for itself."""
    for callers, asked, depth in nested_asks(script):
        assert depth <= 2
        if callers:
            assert max(map(NAMES.index, callers)) < min(map(NAMES.index, asked))


@few
@given(job_scripts(NAMES))
def test_job_scripts_survive_the_bus(script):
    """As plain data, and back."""
    assert from_dict(json.loads(json.dumps(to_dict(script, "it"))), JobScript) == script


@few
@given(job_scripts(NAMES))
def test_a_script_prints_as_the_python_that_makes_it(script):
    """So that a failure can be pasted into a test."""
    names = {cls.__name__: cls for cls in (*Step.__args__, JobScript)}
    assert eval(repr(script), names) == script


def test_circular_scripts_are_made_only_if_asked_for():
    """By default nobody asks who is above."""

    def goes_up(script):
        return any(c and max(c) >= min(asked) for c, asked, _ in nested_asks(script))

    assert simplest(job_scripts(NAMES, circular=True), goes_up)
    with pytest.raises(NoSuchExample):
        simplest(job_scripts(NAMES), goes_up, examples=200)


def test_every_step_is_made():
    """Of each kind, also nested ones."""
    for cls in Step.__args__:
        script = simplest(
            job_scripts(NAMES), lambda s, cls=cls: any(type(step) is cls for step in s.steps)
        )
        assert len(script.steps) == 1


def test_scripts_shrink_to_the_plainest():
    """No steps; one step; a nested job that does one thing."""
    assert simplest(job_scripts(NAMES)) == JobScript()
    assert simplest(job_scripts(), lambda s: Raise("ValueError") in s.steps) == JobScript(
        (Raise("ValueError"),)
    )
    nested = simplest(
        job_scripts(NAMES), lambda s: any(type(step) is NeverAnswer for step in s.all_steps()) and
        not any(type(step) is NeverAnswer for step in s.steps)
    )  # fmt: skip
    assert nested == JobScript((Ask("a", JobScript((NeverAnswer(),))),))


def test_scripts_without_names_do_not_nest():
    """Nor do those of depth 0."""
    for strategy in (job_scripts(), job_scripts(NAMES, max_depth=0)):
        with pytest.raises(NoSuchExample):
            simplest(strategy, lambda script: any(nested_asks(script)), examples=200)


@few
@given(group_plans(NAMES))
def test_plans_are_bounded_and_go_down(plan):
    """Members are distinct; none of their jobs asks someone above."""
    assert plan.is_bounded
    assert 1 <= len(set(plan.members)) == len(plan.members)
    for callers, asked, _ in nested_asks(plan.script, plan.members):
        assert max(map(NAMES.index, callers)) < min(map(NAMES.index, asked))


def test_plans_shrink_to_the_plainest():
    """One member that completes at once, a body that does nothing."""
    assert simplest(group_plans(NAMES)) == GroupPlan(("a",))
    assert simplest(group_plans(NAMES), lambda plan: plan.raises) == GroupPlan(("a",), raises=True)


def test_plans_give_one_script_or_one_for_each():
    """Both are made."""
    assert simplest(group_plans(NAMES), lambda p: p.script.steps and len(p.members) > 1)
    differing = simplest(
        group_plans(NAMES),
        lambda p: {"a", "b"} <= set(p.script.of) and p.script.of["a"] != p.script.of["b"],
    )
    assert set(differing.members) == {"a", "b"}


def test_plans_need_someone_to_ask():
    """At the call."""
    with pytest.raises(ValueError, match="at least one worker name"):
        group_plans(())


@few
@given(st.data(), st.integers(1, 6))
def test_topologies_name_parents_first(data, most):
    """Of 1 to ``most`` workers."""
    topology = data.draw(topologies(most))
    names = list(topology)
    assert 1 <= len(names) <= most
    for i, parent in enumerate(topology.values()):
        assert parent is None or parent in names[:i]


def test_topologies_shrink_to_a_single_root():
    """And to as few children as there must be."""
    assert simplest(topologies()) == {"w0": None}
    assert simplest(topologies(), lambda t: len(set(t.values())) == 3) == {
        "w0": None,
        "w1": "w0",
        "w2": "w1",
    }


@few
@given(st.random_module(), topologies())
def test_a_topology_can_be_hosted(schedule, topology):
    """Each worker is ready and has its parent."""

    async def main():
        async with hosting(quiet=False) as runner:  # parents watch their children
            workers = await add_topology(runner, topology)
            assert {name: worker.parent for name, worker in workers.items()} == topology
            for name in topology:
                response = await runner.call(name, name="play", payload=JobScript())
                assert response == {"sent": 0}
            await assert_quiet(runner)

    run(main)


def test_a_topology_out_of_order_is_refused():
    """Before anything is added."""

    async def main():
        async with hosting() as runner:
            with pytest.raises(ValueError, match="parent 'b' must come before its child 'a'"):
                await add_topology(runner, {"a": "b", "b": None})
            assert runner.workers == ()

    run(main)
