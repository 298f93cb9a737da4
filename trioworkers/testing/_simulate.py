"""Runs a scenario in virtual time, on a bus whose deliveries are decided."""

import attrs
import trio
import trio.testing

from ..errors import TrioWorkersError
from ..workers import RunnerStatistics, WorkerRunner
from ._bus import SimulatedBus
from ._decisions import Decisions, RandomChoices, Recorder
from ._determinism import seeded_run
from ._everywhere import Scenario
from ._timeline import Timeline

#: Virtual seconds that a scenario may take.
LIMIT = 3600.0
#: Rounds of Trio's loop without a step of any Trio task, after which a run is stuck.
IDLE_ROUNDS = 1000


@attrs.define
class SimulationError(TrioWorkersError):
    """A simulated run broke a promise, or did not end.

    Attributes:
      reason: What is wrong, for a person to read.
      timeline: What happened until then.
    """

    reason: str
    timeline: Timeline

    def __str__(self) -> str:
        return f"{self.reason}\n{self.timeline}"


@attrs.frozen
class Simulation:
    """A simulated run that has ended.

    Attributes:
      seed: Of Trio's scheduler.
      script: The decisions; `Script` replays them.
      timeline: What happened.
    """

    seed: int
    script: tuple[int, ...]
    timeline: Timeline


def simulate(
    scenario: Scenario,
    *,
    seed: int = 0,
    decisions: Decisions | None = None,
    limit: float = LIMIT,
    twice: bool = False,
) -> Simulation:
    """Run ``scenario`` once, in virtual time; the same arguments give the same run.

    When it has ended, everything must have: no job or job group open, nothing
    that waits in a lane or for a worker.

    Args:
      scenario: An async function that gets a `WorkerRunner` on a `SimulatedBus`.
        It adds workers, and asks them.
      seed: Seeds Trio's scheduler, and the decisions if there are none.
      decisions: Who decides on deliveries; `RandomChoices` by default.
      limit: Virtual seconds that it may take.
      twice: Whether to run it again and compare, to see that nothing that isn't
        seeded has a say. Needs ``decisions=None``.

    Raises:
      ValueError: Both ``twice`` and ``decisions`` were given; nothing was run.
      SimulationError: It did not end, left something over, or was not the same
        the second time. Its text has the timeline.
      ExceptionGroup: What the scenario or a worker raised.
    """
    if twice and decisions is not None:
        raise ValueError("twice=True needs decisions=None: the same seed decides both runs")
    recorder = Recorder(RandomChoices(seed) if decisions is None else decisions)
    timeline = _run(scenario, seed, recorder, limit)
    if twice:
        again = _run(scenario, seed, Recorder(RandomChoices(seed)), limit)
        _compare(timeline, again)
    return Simulation(seed, tuple(recorder.script), timeline)


def _compare(first: Timeline, second: Timeline) -> None:
    index = first.first_difference(second)
    if index is None:
        return
    lines = [str(t.events[index]) if index < len(t) else "(ended)" for t in (first, second)]
    raise SimulationError(
        "the same seed gave another run: something that isn't seeded has a say, such as the "
        "wall clock, a thread, a socket, `random` or the order of a set. Event "
        f"{index} was\n{lines[0]}\nand then\n{lines[1]}",
        first,
    )


def _run(scenario: Scenario, seed: int, decisions: Decisions, limit: float) -> Timeline:
    timeline = Timeline()
    watcher = _StuckWatcher()

    async def main() -> None:
        bus = watcher.bus = SimulatedBus(decisions, timeline)
        watcher.token = trio.lowlevel.current_trio_token()
        async with WorkerRunner(name="runner", bus=bus) as runner:
            with trio.move_on_after(limit) as scope:
                await scenario(runner)
            if scope.cancelled_caught:
                watcher.reason = f"the scenario did not end within {limit} virtual seconds"
            elif not watcher.reason:
                watcher.reason = _left_over(runner.statistics())

    try:
        seeded_run(main, seed=seed, instruments=[watcher])
    except BaseException as error:
        error.add_note(f"Seed {seed}. What happened until then:\n{timeline}")
        raise
    if watcher.reason:
        raise SimulationError(watcher.reason, timeline)
    return timeline


def _left_over(statistics: RunnerStatistics) -> str:
    """Return what a scenario has left open, or nothing."""
    faults = [
        f"worker {name!r} has {what}"
        for name, worker in statistics.workers.items()
        for what, number in (
            ("active jobs", worker.active_jobs),
            ("job groups open", worker.job_groups - worker.detached_groups),
            ("requests that wait for a worker", len(worker.waiting_for)),
        )
        if number
    ]
    if statistics.job_groups:
        faults.append("the runner has job groups open")
    return "; ".join(faults)


@attrs.define(eq=False)
class _StuckWatcher(trio.abc.Instrument):
    """Notices a run in which nothing will ever happen again, and ends it.

    A block that is left waits for its handlers, deaf to cancellation. So the
    jobs that nobody will answer any more are answered here, as lost.
    """

    bus: SimulatedBus | None = None
    token: trio.lowlevel.TrioToken | None = None
    reason: str = ""
    _idle: int = 0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        """Note that something happens."""
        self._idle = 0

    def before_io_wait(self, timeout: float) -> None:
        """Count rounds in which no Trio task ran, though the clock jumps at once."""
        self._idle += 1
        if self._idle == IDLE_ROUNDS and self.token is not None:
            self.token.run_sync_soon(self._free)

    def _free(self) -> None:
        self.reason = self.reason or "the run is stuck: every Trio task waits for another one"
        if self.bus is not None:
            self.bus.answer_lost()
