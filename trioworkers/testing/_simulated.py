"""`@simulated`: a scenario as a Hypothesis test, whose deliveries shrink."""

from collections.abc import Callable, Hashable, Sequence

import attrs
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from ._decisions import Recorder
from ._everywhere import Scenario
from ._simulate import LIMIT, simulate


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
    *, max_examples: int = 100, limit: float = LIMIT
) -> Callable[[Scenario], Callable[[], None]]:
    """Make a scenario a test over many schedules; see `simulate`.

    A failure is shrunk to few decisions that aren't the plainest, and shown with
    its timeline and the line of Python that replays it.

    Args:
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

    def decorate(scenario: Scenario) -> Callable[[], None]:
        @settings(
            max_examples=max_examples,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        )
        @given(seed=st.integers(0, 2**16), data=st.data())
        def test(seed: int, data: st.DataObject) -> None:
            choices = HypothesisChoices(data)
            recorder = Recorder(choices)
            try:
                simulate(scenario, seed=seed, decisions=recorder, limit=limit)
            except BaseException:
                if choices.stopped is not None:
                    raise choices.stopped from None
                name = getattr(scenario, "__name__", "scenario")
                note(f"replay: simulate({name}, seed={seed}, decisions=Script({recorder.script}))")
                raise
            if choices.stopped is not None:
                raise choices.stopped

        for attribute in ("__name__", "__qualname__", "__module__", "__doc__"):
            setattr(test, attribute, getattr(scenario, attribute))
        return test

    return decorate
