"""Scenarios on several runners, between which everything goes wrong that can."""

from collections.abc import Iterable, Mapping
from functools import partial

import attrs
import trio

from ...bus import JobStatus
from ...errors import StoppedError
from .._everywhere import MakeWorkers
from .._fault_strategies import FAULT_SECONDS
from .._faults import Fault
from .._hosts import RunnerNetwork
from .._links import Delivery, Link
from .._network import SimulatedNetwork
from .._node import B
from .._plans import GroupPlan, play
from .._scripted import ScriptedWorker
from ._draw import Draw
from ._jobs import LIMIT

#: Seconds after which what was delayed has come, too.
CALM = 2 * max(FAULT_SECONDS)
#: Seconds in which runners that can reach each other again must have found each other.
REUNION = 60.0

#: After how many seconds what is asked for, by a runner or, if that is named, its worker.
TimedPlan = tuple[float, str, str | None, GroupPlan]


@attrs.frozen
class Network:
    """What one run on several runners is made of, drawn before it begins.

    Attributes:
      link: What the links promise.
      names: The workers of each runner.
      faults: What goes wrong.
      plans: What is asked for, after how many seconds, and by whom: a runner, or
        one of its workers.
      leavers: Workers that stop, with their runner, and after how many seconds.
    """

    link: Link
    names: dict[str, tuple[str, ...]]
    faults: tuple[Fault, ...]
    plans: tuple[TimedPlan, ...]
    leavers: tuple[tuple[float, str, str], ...]

    @property
    def runners(self) -> Mapping[str, MakeWorkers]:
        """What makes the workers of each runner."""
        return {runner: partial(_make_workers, workers) for runner, workers in self.names.items()}

    async def scenario(self, network: SimulatedNetwork) -> None:
        """Play all plans; then heal, and see that everyone can be asked again."""
        async with trio.open_nursery() as nursery:
            for at, runner, worker, plan in self.plans:
                nursery.start_soon(play_at, network, at, runner, worker, plan)
            for at, runner, worker in self.leavers:
                nursery.start_soon(leave_at, network, at, runner, worker)
        network.heal()
        await trio.sleep(CALM + self.link.lease)
        await reunite(network, self.names)


def _make_workers(names: Iterable[str]) -> list[ScriptedWorker]:
    return [ScriptedWorker(name) for name in names]


async def play_at(
    network: RunnerNetwork[B],
    at: float,
    runner: str,
    worker: str | None,
    plan: GroupPlan,
    away: tuple[type[Exception], ...] = (StoppedError,),
) -> None:
    """Play a plan after a while, if who asks is there; ``away`` says that it is no more."""
    await trio.sleep(at)
    host = network[runner]
    requester = host if worker is None else host.get_worker(worker)
    if requester is None or not network.is_up(runner):
        return
    try:
        # Handlers that are out of touch stop a little later: no P2 here.
        await play(plan, requester, ())
    except away:
        await trio.lowlevel.checkpoint()


async def leave_at(network: RunnerNetwork[B], at: float, runner: str, name: str) -> None:
    """Let a worker stop after a while, if it is there."""
    await trio.sleep(at)
    worker = network[runner].get_worker(name)
    if worker is not None and network.is_up(runner):
        await worker.stop()


async def reunite(network: RunnerNetwork[B], names: Iterable[str]) -> None:
    """See that each of the runners ``names`` that is up can ask all workers there are."""
    up = [name for name in names if network.is_up(name)]
    everyone = [worker.name for name in up for worker in network[name].workers]
    for name in up if everyone else ():
        group = network[name].job_group(
            *everyone, name="play", payload={}, timeout=REUNION, cancel_on_error=False
        )
        async with group:
            pass
        lost = {
            worker: outcome.status.value
            for worker, outcome in group.outcomes.items()
            if outcome.status is not JobStatus.COMPLETED
        }
        assert not lost, f"P14: all is healed, and runner {name!r} can't reach {lost}"
        stale = set(network[name].registry) - set(everyone)
        assert not stale, f"P9: runner {name!r} still knows {sorted(stale)}, who have left"


def draw_plans(draw: Draw, names: Mapping[str, Iterable[str]]) -> tuple[TimedPlan, ...]:
    """Return what is asked for among the workers of some runners."""
    runners, everyone = list(names), [name for of_one in names.values() for name in of_one]
    plans = []
    for _ in range(1 + draw.number(5)):
        runner = draw.one_of(runners)
        plan = draw.plan(everyone, depth=draw.number(2), timeout=LIMIT)
        worker = draw.one_of((None, *names[runner]))
        plans.append((draw.one_of((0.0, 0.0, 0.5, 2.0)), runner, worker, plan))
    return tuple(plans)


def draw_network(draw: Draw, delivery: Delivery) -> Network:
    """Return a network of two to four runners, what is asked in it, and what goes wrong."""
    runners = [f"r{number}" for number in range(2 + draw.number(3))]
    names = {
        runner: tuple(f"{runner}.w{number}" for number in range(1 + draw.number(2)))
        for runner in runners
    }
    plans = draw_plans(draw, names)
    leavers = []
    for _ in range(draw.number(3)):
        runner = draw.one_of(runners)
        leavers.append((draw.seconds(), runner, draw.one_of(names[runner])))
    latency, lease = draw.one_of((0.0, 0.0, 0.01, 0.5)), draw.one_of((1.0, 3.0, 10.0))
    faults = draw.faults(runners)
    link = Link(delivery, latency, lease)
    return Network(link, names, faults, plans, tuple(leavers))
