"""Runs a scenario in virtual time, on a bus whose deliveries are decided."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, overload

import attrs
import trio

from ..errors import SimulationError
from ..workers import WorkerRunner
from ._bus import SimulatedBus
from ._decisions import Decisions, RandomChoices, Recorder
from ._determinism import seeded_run
from ._everywhere import MakeWorkers, Scenario
from ._faults import Fault, check_faults
from ._hosts import RunnerNetwork
from ._invariants import Invariant, ReferenceModel
from ._leftovers import (
    busy_statistics,
    live_tasks,
    open_work,
    tasks_left,
    unfinished,
    wait_idle,
)
from ._links import Link
from ._monitor import Monitor
from ._network import SimulatedNetwork
from ._node import MortalBus
from ._outside import Outside
from ._stuck import Watchdog
from ._timeline import Timeline
from .streams import StreamLink, StreamNetwork
from .streams._faults import StreamFault, check_stream_faults

#: Virtual seconds that a scenario may take.
LIMIT = 3600.0

#: An async function that uses several runners, new ones each time.
NetworkScenario = Callable[[SimulatedNetwork], Awaitable[object]]
#: The same, if they meet through a server of streams.
StreamScenario = Callable[[StreamNetwork], Awaitable[object]]


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


@overload
def simulate(
    scenario: Scenario,
    *,
    seed: int = 0,
    decisions: Decisions | None = None,
    invariants: Iterable[Invariant] = (),
    model: Callable[[], ReferenceModel] | None = None,
    limit: float = LIMIT,
    twice: bool = False,
) -> Simulation: ...


@overload
def simulate(
    scenario: NetworkScenario,
    *,
    runners: Mapping[str, MakeWorkers],
    link: Link = ...,
    faults: Iterable[Fault] = (),
    seed: int = 0,
    decisions: Decisions | None = None,
    invariants: Iterable[Invariant] = (),
    model: Callable[[], ReferenceModel] | None = None,
    limit: float = LIMIT,
    twice: bool = False,
) -> Simulation: ...


@overload
def simulate(
    scenario: StreamScenario,
    *,
    runners: Mapping[str, MakeWorkers],
    link: StreamLink,
    faults: Iterable[StreamFault] = (),
    seed: int = 0,
    decisions: Decisions | None = None,
    invariants: Iterable[Invariant] = (),
    model: Callable[[], ReferenceModel] | None = None,
    limit: float = LIMIT,
    twice: bool = False,
) -> Simulation: ...


def simulate(
    scenario: Callable[[Any], Awaitable[object]],
    *,
    runners: Mapping[str, MakeWorkers] | None = None,
    link: Link | StreamLink | None = None,
    faults: Iterable[Fault | StreamFault] = (),
    seed: int = 0,
    decisions: Decisions | None = None,
    invariants: Iterable[Invariant] = (),
    model: Callable[[], ReferenceModel] | None = None,
    limit: float = LIMIT,
    twice: bool = False,
) -> Simulation:
    """Run ``scenario`` once, in virtual time; the same arguments give the same run.

    Meanwhile a `Monitor` watches that no promise is broken. When the scenario
    has ended, so must everything: no job or job group is open, then no message
    is under way, all statistics are back to zero, and no Trio task is left.

    Args:
      scenario: An async function that gets a `WorkerRunner` on a `SimulatedBus`;
        or a `SimulatedNetwork`, if ``runners`` are given, or a `StreamNetwork`, if
        ``link`` is a `StreamLink`, too. It adds workers, and asks them.
      runners: By each runner's name, what makes its workers, also after a crash.
        Each runner has a bus of its own.
      link: What the links between runners promise; or a `StreamLink`, and each has a
        `RedisBus`, all on a model of one server.
      faults: What goes wrong between runners, and with them; or with the server.
      seed: Seeds Trio's scheduler, and the decisions if there are none.
      decisions: Who decides on deliveries; `RandomChoices` by default.
      invariants: Called with what the scenario gets, after each delivery and at
        the end, and raise `AssertionError` if what is always true is not.
      model: Makes a model that follows the run message by message.
      limit: Virtual seconds that it may take.
      twice: Whether to run it again and compare, to see that nothing that isn't
        seeded has a say. Needs ``decisions=None``.

    Raises:
      ValueError: ``twice`` and ``decisions`` were both given, or faults without
        ``runners`` or of runners that there aren't; nothing was run.
      SimulationError: It did not end, broke a promise, left something over, or
        was not the same the second time. Its text has the timeline.
      ExceptionGroup: What the scenario or a worker raised.
    """
    if twice and decisions is not None:
        raise ValueError("twice=True needs decisions=None: the same seed decides both runs")
    setting = make_setting(scenario, runners, link, invariants, model, limit)
    setting = setting.with_faults(tuple(faults))
    recorder = Recorder(RandomChoices(seed) if decisions is None else decisions)
    timeline = run(setting, seed, recorder)
    if twice:
        _compare(timeline, run(setting, seed, Recorder(RandomChoices(seed))))
    return Simulation(seed, tuple(recorder.script), timeline)


def _compare(first: Timeline, second: Timeline) -> None:
    index = first.first_difference(second)
    if index is None:
        return
    lines = [str(t.events[index]) if index < len(t) else "(ended)" for t in (first, second)]
    raise SimulationError(
        "the same seed gave another run: something that isn't seeded has a say, such as the "
        "wall clock (use `trio.current_time()`), `random` (use a seeded `random.Random`), or "
        f"the order of a set (sort it). Event {index} was\n{lines[0]}\nand then\n{lines[1]}",
        first,
    )


@attrs.frozen
class Setting:
    """What is simulated, all but the seed and the decisions."""

    scenario: Callable[[Any], Awaitable[object]]
    runners: Mapping[str, MakeWorkers] | None
    link: Link | StreamLink
    invariants: tuple[Invariant, ...]
    model: Callable[[], ReferenceModel] | None
    limit: float
    faults: tuple[Any, ...] = ()

    def with_faults(self, faults: tuple[Fault | StreamFault, ...]) -> "Setting":
        """Return the same with other faults.

        Raises:
          ValueError: There is one runner, or not the runner that a fault is about.
        """
        if faults and self.runners is None:
            raise ValueError("faults= are about several runners: give runners=, too")
        check: Callable[[Any, Any], None] = (
            check_stream_faults if isinstance(self.link, StreamLink) else check_faults
        )
        check(faults, self.runners or {})
        return attrs.evolve(self, faults=faults)


def make_setting(
    scenario: Callable[[Any], Awaitable[object]],
    runners: Mapping[str, MakeWorkers] | None,
    link: Link | StreamLink | None,
    invariants: Iterable[Invariant],
    model: Callable[[], ReferenceModel] | None,
    limit: float,
) -> Setting:
    """Check the arguments of `simulate`, before anything runs.

    Raises:
      TypeError: Something is not callable.
      ValueError: One is out of range, or they don't go together.
    """
    invariants = tuple(invariants)
    for what in (scenario, *invariants, *([] if model is None else [model])):
        if not callable(what):
            raise TypeError(f"expected a function, not {what!r}")
    if not limit > 0:
        raise ValueError(f"limit must be > 0 virtual seconds, not {limit!r}")
    if runners is None and link is not None:
        raise ValueError("link= is about several runners: give runners=, too")
    if runners is not None and not runners:
        raise ValueError("runners= needs at least one runner")
    return Setting(scenario, runners, link or Link(), invariants, model, limit)


def run(setting: Setting, seed: int, decisions: Decisions) -> Timeline:
    """Run it once; return what happened. Raises what `simulate` raises."""
    timeline = Timeline()
    watchdog, outside = Watchdog(), Outside()
    monitor = Monitor(timeline)
    try:
        with outside.no_threads():
            reason = seeded_run(
                _main,
                setting,
                decisions,
                monitor,
                watchdog,
                outside,
                seed=seed,
                instruments=[watchdog],
            )
    except (Exception, BaseExceptionGroup) as error:
        reason = "; ".join(outside.used or monitor.broken) or watchdog.reason
        if reason:
            raise SimulationError(reason, timeline) from error
        error.add_note(f"Seed {seed}. What happened until then:\n{timeline}")
        raise
    reason = "; ".join(outside.used or monitor.broken) or reason or watchdog.reason
    if reason:
        raise SimulationError(reason, timeline)
    return timeline


async def _main(
    setting: Setting,
    decisions: Decisions,
    monitor: Monitor,
    watchdog: Watchdog,
    outside: Outside,
) -> str:
    """Run the scenario; return what is wrong after it, or nothing."""
    trio.socket.set_custom_socket_factory(outside)
    before = live_tasks()
    model = None if setting.model is None else setting.model()
    reason = None
    async with _open_stage(setting, decisions, monitor) as stage:
        with trio.move_on_after(setting.limit) as scope:

            def free() -> None:
                monitor.stop()
                scope.cancel()
                for bus in stage.buses:
                    bus.answer_lost("the simulation was stuck")

            watchdog.free = free
            monitor.on_broken = scope.cancel
            monitor.check(stage.subject, setting.invariants, model)
            await setting.scenario(stage.subject)
            if setting.runners is None:
                reason = open_work(*stage.runners)
            await stage.settle()
            reason = reason or busy_statistics(*stage.runners)
        if scope.cancelled_caught and trio.current_time() >= scope.deadline:
            reason = f"the scenario did not end within {setting.limit} virtual seconds"
        up = stage.runners
    monitor.at_end()
    reason = reason or next(filter(None, (unfinished(r, ()) for r in up)), None)
    return reason or await tasks_left(before) or ""


@attrs.define
class _Stage:
    """Where a scenario plays: one runner, or a network of several."""

    subject: WorkerRunner | RunnerNetwork[Any]

    @property
    def runners(self) -> tuple[WorkerRunner, ...]:
        """The runners that are up."""
        if isinstance(self.subject, WorkerRunner):
            return (self.subject,)
        return self.subject.runners

    @property
    def buses(self) -> tuple[SimulatedBus | MortalBus, ...]:
        """All buses."""
        if isinstance(self.subject, RunnerNetwork):
            return self.subject.buses
        return tuple(bus for bus in (self.subject.bus,) if isinstance(bus, SimulatedBus))

    async def settle(self) -> None:
        """Wait until nothing happens any more."""
        if isinstance(self.subject, RunnerNetwork):
            await self.subject.settle()
        await wait_idle(*self.runners)


@asynccontextmanager
async def _open_stage(
    setting: Setting, decisions: Decisions, monitor: Monitor
) -> AsyncIterator[_Stage]:
    if setting.runners is None:
        bus = SimulatedBus(decisions, monitor.timeline, monitor=monitor)
        async with WorkerRunner(name="runner", bus=bus) as runner:
            yield _Stage(runner)
    else:
        is_streams = isinstance(setting.link, StreamLink)
        network_of: Callable[..., RunnerNetwork[Any]] = (
            StreamNetwork if is_streams else SimulatedNetwork
        )
        network = network_of(
            setting.runners,
            decisions,
            monitor.timeline,
            monitor,
            link=setting.link,
            faults=setting.faults,
        )
        async with network:
            yield _Stage(network)
