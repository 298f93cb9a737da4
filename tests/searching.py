"""Searches for a bug: over plans and deliveries, and over all places to disturb a scenario at."""

import contextvars
import re
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import attrs
import trio
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from trioworkers import WorkerRunner
from trioworkers.testing import (
    GroupPlan,
    JobScript,
    NeverAnswer,
    Recorder,
    Scenario,
    Script,
    ScriptedWorker,
    group_plans,
    play,
    simulate,
)
from trioworkers.testing._simulated import HypothesisChoices

Plans = tuple[GroupPlan, ...]


@attrs.frozen
class Found:
    """A failure, as small as it could be made.

    Attributes:
      said: What was said about it, in one line.
      seconds: Processor time until it was found first.
      choices: The decisions that replay it, or the one place.
      plans: What was played.
      seed: Of Trio's scheduler.
    """

    said: str
    seconds: float
    choices: tuple[int, ...]
    plans: Plans = ()
    seed: int = 0

    @property
    def plan_size(self) -> int:
        """How many members, steps and other choices the plans consist of."""
        return sum(map(_size, self.plans))


def _size(plan: GroupPlan) -> int:
    plain = GroupPlan(plan.members, plan.script)
    others = sum(
        getattr(plan, field.name) != getattr(plain, field.name) for field in attrs.fields(GroupPlan)
    )
    return len(plan.members) + len(list(plan.script.all_steps())) + others


@attrs.frozen
class OverSchedules:
    """Random plans, each with deliveries that Hypothesis draws one by one, and shrinks.

    Attributes:
      plans: What is played.
      scenario_of: How.
    """

    plans: st.SearchStrategy[Plans]
    scenario_of: Callable[[Plans], Scenario]

    name = "schedules"

    def search(self, examples: int = 2_000) -> Found | None:
        """Try ``examples`` runs; return the smallest failure, or None."""
        began = time.process_time()
        found: list[Found] = []

        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            derandomize=True,
            report_multiple_bugs=False,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        )
        @given(self.plans, st.integers(0, 2**16), st.data())
        def one_run(plans: Plans, seed: int, data: st.DataObject) -> None:
            choices = HypothesisChoices(data)
            recorder = Recorder(choices)
            try:
                simulate(self.scenario_of(plans), seed=seed, decisions=recorder)
            except BaseException as error:
                if choices.stopped is None:
                    first = found[0].seconds if found else time.process_time() - began
                    script = tuple(recorder.script)
                    found.append(Found(_said(error), first, script, plans, seed))
                    raise
            if choices.stopped is not None:
                raise choices.stopped

        with suppress(Exception):
            one_run()
        # Hypothesis shows the smallest one last.
        return found[-1] if found else None

    def replay(self, found: Found) -> None:
        """Run it again; raises if it fails again."""
        decisions = Script(found.choices)
        simulate(self.scenario_of(found.plans), seed=found.seed, decisions=decisions)


@attrs.frozen
class Everywhere:
    """A fixed scenario, disturbed at one place after the other.

    Attributes:
      harness: What disturbs it.
      scenario: What is disturbed.
    """

    harness: Callable[..., int]
    scenario: Scenario

    @property
    def name(self) -> str:
        """What it goes through."""
        name = self.harness.__name__.removeprefix("cancel_at_").removeprefix("interrupt_at_")
        return name.replace("_", " ")

    def search(self, examples: int = 0) -> Found | None:
        """Try all places; return the first failure, or None."""
        began = time.process_time()
        try:
            self._run()
        except BaseException as error:
            said = _said(error)
            place = re.search(r"at (?:step|line) (\d+)", said)
            assert place is not None, said
            return Found(said, time.process_time() - began, (int(place[1]),))
        return None

    def replay(self, found: Found) -> None:
        """Disturb it at that place again; raises if it fails again."""
        self._run(only=found.choices[0])

    def _run(self, **options: Any) -> None:
        self.harness(self.scenario, workers=lambda: [ScriptedWorker("w0")], **options)


Search = OverSchedules | Everywhere


def _said(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    promises = [line for line in lines if re.match(r"P\d", line)]
    return (promises or lines or [repr(error)])[0]


# What is played: nothing here knows of any bug


class Asker(ScriptedWorker):
    """Has hooks that take a moment."""

    async def on_job_update(self, message: object) -> None:
        await trio.lowlevel.checkpoint()

    async def on_job_response(self, message: object) -> None:
        await trio.lowlevel.checkpoint()


trace_id = contextvars.ContextVar[int]("trace_id")


def groups(plans: Plans, *, stops: bool = False) -> Scenario:
    """Return a scenario that plays ``plans`` at the same time; the harness checks it."""

    async def scenario(runner: WorkerRunner) -> None:
        workers = [ScriptedWorker("w0"), ScriptedWorker("w1")]
        asker = Asker("asker")
        await runner.add_workers(asker, *workers)
        async with trio.open_nursery() as nursery:
            for number, plan in enumerate(plans):
                trace_id.set(number)
                nursery.start_soon(play, plan, asker, workers)
            if stops:
                await runner.registry.wait_ready("w0", "w1")
                nursery.start_soon(workers[0].stop)
                nursery.cancel_scope.deadline = trio.current_time() + 10

    return scenario


def in_turn(plan: GroupPlan) -> GroupPlan:
    """Return the plan that asks for the sequential job."""
    return attrs.evolve(plan, in_turn=True)


_plan = group_plans(("w0", "w1"), max_depth=0)
A_GROUP = OverSchedules(st.tuples(_plan), groups)
LEAVING = OverSchedules(st.tuples(_plan), partial(groups, stops=True))
A_QUEUE = OverSchedules(
    st.lists(group_plans(("w0",), max_depth=0).map(in_turn), min_size=1, max_size=4).map(tuple),
    groups,
)


async def leave_by_an_error(runner: WorkerRunner) -> None:
    """A block whose body raises while a handler works."""
    try:
        async with runner.job("w0", name="play", payload=JobScript((NeverAnswer(),))):
            await trio.sleep(1)
            raise ValueError("the body's own")
    except ValueError:
        pass


async def ask_one_that_comes_later(runner: WorkerRunner) -> None:
    """A request waits until its worker is there."""

    async def ask() -> None:
        await runner.call("late", name="play", payload=JobScript())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        await trio.sleep(1)
        await runner.add_workers(ScriptedWorker("late"))
