"""`@simulated`: a scenario as a Hypothesis test, whose deliveries and faults shrink."""

from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any

import attrs
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from ._decisions import Recorder
from ._everywhere import MakeWorkers
from ._faults import Fault
from ._invariants import Invariant, ReferenceModel
from ._links import Link
from ._simulate import LIMIT, Setting, make_setting, run

#: All but the one that explains: it traces every line, and names lines of the
#: library where the timeline says more.
_PHASES = tuple(phase for phase in Phase if phase is not Phase.explain)


@attrs.define(eq=False)
class HypothesisChoices:
    """Draws each decision, so that Hypothesis can shrink it towards the plainest one.

    Args:
      data: What `hypothesis.strategies.data` gives.

    Attributes:
      stopped: What Hypothesis raised to end the example, which must reach it
        bare: a nursery would wrap it. The run goes on plainly and is thrown away.
    """

    data: st.DataObject
    stopped: BaseException | None = None

    def choose(self, options: Sequence[Hashable]) -> int:
        """Return a drawn index."""
        if self.stopped is not None:
            return 0
        try:
            choice: int = self.data.draw(st.integers(0, len(options) - 1), label="deliver")
        except BaseException as error:  # noqa: BLE001 - raised after the run
            self.stopped = error
            return 0
        return choice


def simulated(
    *,
    runners: Mapping[str, MakeWorkers] | None = None,
    link: Link | None = None,
    faults: st.SearchStrategy[tuple[Fault, ...]] | None = None,
    invariants: Iterable[Invariant] = (),
    model: Callable[[], ReferenceModel] | None = None,
    max_examples: int = 100,
    limit: float = LIMIT,
) -> Callable[[Callable[[Any], Awaitable[object]]], Callable[[], None]]:
    """Make a scenario a test over many schedules and faults; see `simulate`.

    A failure is shrunk to few faults, and few decisions that aren't the plainest.
    It is shown with its timeline and the line of Python that replays it.

    Args:
      runners: As in `simulate`.
      link: As in `simulate`.
      faults: What may go wrong; see `fault_plans`. Needs ``runners``.
      invariants: As in `simulate`.
      model: As in `simulate`.
      max_examples: How many runs to try, >= 1.
      limit: Virtual seconds that each may take.

    Example::

        @simulated()
        async def test_two_counters(runner):
            await runner.add_workers(Counter("a"), Counter("b"))
            async with runner.job_group("a", "b", name="count") as group:
                pass
            assert len(group.responses) == 2
    """
    if faults is not None and runners is None:
        raise ValueError("faults= are about several runners: give runners=, too")
    plans: st.SearchStrategy[tuple[Fault, ...]] = st.just(()) if faults is None else faults

    def decorate(scenario: Callable[[Any], Awaitable[object]]) -> Callable[[], None]:
        setting = make_setting(scenario, runners, link, invariants, model, limit)

        @settings(
            max_examples=max_examples,
            deadline=None,
            phases=_PHASES,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        )
        @given(faults=plans, seed=st.integers(0, 2**16), data=st.data())
        def test(faults: tuple[Fault, ...], seed: int, data: st.DataObject) -> None:
            choices = HypothesisChoices(data)
            recorder = Recorder(choices)
            try:
                run(setting.with_faults(faults), seed, recorder)
            except BaseException:
                if choices.stopped is not None:
                    raise choices.stopped from None
                note(f"replay: {_call(setting.with_faults(faults), seed, recorder)}")
                raise
            if choices.stopped is not None:
                raise choices.stopped

        for attribute in ("__name__", "__qualname__", "__module__", "__doc__"):
            setattr(test, attribute, getattr(scenario, attribute))
        return test

    return decorate


def _call(setting: Setting, seed: int, recorder: Recorder) -> str:
    """Return the line of Python that repeats a run."""
    name = getattr(setting.scenario, "__name__", "scenario")
    network = ""
    if setting.runners is not None:
        network = f"runners=runners, link={setting.link}, faults={setting.faults}, "
    return f"simulate({name}, {network}seed={seed}, decisions=Script({recorder.script}))"
