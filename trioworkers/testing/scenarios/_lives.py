"""Scenarios on one bus: workers that are activated, end, are cancelled, or crash."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

import trio

from ...bus import BusCancelWorkerMessage, BusEndWorkerMessage
from ...errors import JobError, StoppedError, UnknownWorkerError
from ...workers import BaseWorker, WorkerRunner
from .._job_scripts import JobScript
from .._leftovers import unfinished
from .._plans import GroupPlan, play
from .._scripted import ScriptedWorker
from .._topologies import add_topology
from ._draw import Draw
from ._jobs import DRAIN, LIMIT, Asker

#: Seconds after which those of a guest runner that are left are told to end.
STAY = 6.0
#: Seconds in which it gets around that a worker has left.
NEWS = 1.0


class _Eager(ScriptedWorker):
    """Asks for a job when it is activated, and takes its time when it is deactivated.

    Attributes:
      heard: For each hook that has begun, whether it was the one of activation.
    """

    def __init__(self, name: str, asked: str, script: JobScript, *, active: bool) -> None:
        super().__init__(name, active=active)
        self.asked = asked
        self.script = script
        self.heard: list[bool] = []

    async def on_activated(self, args: object) -> None:
        """Ask, and wait for the outcome, whatever it is."""
        self.heard.append(True)
        try:
            await self.call(self.asked, name="play", payload=self.script, timeout=LIMIT)
        except JobError:
            await trio.lowlevel.checkpoint()

    async def on_deactivated(self) -> None:
        """Sleep a while."""
        self.heard.append(False)
        await trio.sleep(0.5)


async def activation(runner: WorkerRunner, draw: Draw) -> None:
    """Workers are activated and deactivated while hooks and requesters ask them."""
    names = ("w0", "w1", "w2")
    workers = [
        _Eager(name, names[index - 1], draw.script(), active=draw.chance(0.5))
        for index, name in enumerate(names)
    ]
    await runner.add_workers(*workers)
    await runner.registry.wait_ready(*names)
    told = {worker: [True] if worker.active else [] for worker in workers}
    async with trio.open_nursery() as nursery:
        for worker in workers:
            orders = [(draw.seconds(), draw.chance(0.5)) for _ in range(draw.number(4))]
            told[worker] += [active for _, active in orders]
            # One teller for each, so that the orders have an order.
            nursery.start_soon(_tell, draw.one_of(workers), worker, orders)
        for _ in range(draw.number(3)):
            nursery.start_soon(play, draw.plan(names), draw.one_of(workers), workers)
    await trio.sleep(DRAIN)
    for worker in workers:
        orders_heard = told[worker]
        assert worker.heard == orders_heard, f"P5: told {orders_heard}, heard {worker.heard}"
        assert worker.active == bool(orders_heard and orders_heard[-1])


async def _tell(teller: BaseWorker, worker: BaseWorker, orders: list[tuple[float, bool]]) -> None:
    for seconds, active in orders:
        await trio.sleep(seconds)
        if active:
            await teller.activate_worker(worker.name)
        else:
            await teller.deactivate_worker(worker.name)


# Workers that leave, on a runner of their own that may lose them


async def departures(runner: WorkerRunner, draw: Draw) -> None:
    """Workers end, stop, are cancelled or crash in the middle of jobs."""
    hosts = [ScriptedWorker(f"w{number}") for number in range(2)]
    guests = [ScriptedWorker(f"g{number}") for number in range(3)]
    await runner.add_workers(*hosts)
    guest_runner = WorkerRunner(name="guests", bus=runner.bus, strict=False)
    async with trio.open_nursery() as nursery, guest_runner:
        await guest_runner.add_workers(*guests)
        names = [worker.name for worker in (*hosts, *guests)]
        for worker in guests:
            nursery.start_soon(leave, worker, draw.seconds(), draw.one_of(WAYS_TO_LEAVE))
        requesters: list[Asker] = [runner, guest_runner, *hosts, *guests]
        for _ in range(1 + draw.number(5)):
            plan = draw.plan(names, depth=1, timeout=LIMIT)
            nursery.start_soon(try_plan, plan, draw.one_of(requesters), (*hosts, *guests))
        if draw.chance(0.5):
            await trio.sleep(draw.seconds())
        else:
            await trio.sleep(STAY)
    await check_gone(runner, guest_runner, guests)


async def check_gone(
    runner: WorkerRunner, guest_runner: WorkerRunner, guests: Sequence[BaseWorker]
) -> None:
    """Check that a runner that has ended has left nothing, here and at another runner."""
    left = unfinished(guest_runner, tuple(guests))
    assert left is None, f"P10: {left}"
    await trio.sleep(NEWS)
    known = runner.registry.remote_workers
    assert not known, f"P9: {known} have left, and runner {runner.name!r} still knows them"


async def try_plan(
    plan: GroupPlan,
    requester: Asker,
    workers: tuple[ScriptedWorker, ...],
) -> None:
    """Play a plan whose requester may stop before or meanwhile."""
    try:
        if isinstance(requester, BaseWorker):
            await requester.wait_running()
        await play(plan, requester, workers)
    except StoppedError:
        await trio.lowlevel.checkpoint()


class PlannedCrash(Exception):
    """What a worker crashes of because its scenario says so."""


async def _crash() -> None:
    await trio.lowlevel.checkpoint()
    raise PlannedCrash


def _end(worker: BaseWorker) -> None:
    worker.bus.post(BusEndWorkerMessage("by plan", source=worker.name, target=worker.name))


def _cancel(worker: BaseWorker) -> None:
    worker.bus.post(BusCancelWorkerMessage("by plan", source=worker.name, target=worker.name))


def _break(worker: BaseWorker) -> None:
    _start(worker, _crash)


def _stop(worker: BaseWorker) -> None:
    _start(worker, worker.stop)


def _start(worker: BaseWorker, async_fn: Callable[[], Awaitable[object]]) -> None:
    # Trio refuses it with a plain RuntimeError while the worker is stopping.
    with suppress(RuntimeError):
        worker.nursery.start_soon(async_fn)


def _stay(_: BaseWorker) -> None:
    """It ends with its runner."""


WAYS_TO_LEAVE: tuple[Callable[[BaseWorker], None], ...] = (
    _end,
    _cancel,
    _break,
    _stop,
    _stay,
)


async def leave(worker: BaseWorker, after: float, way: Callable[[BaseWorker], None]) -> None:
    """Let a worker leave in some way, unless it has left by then."""
    try:
        await worker.wait_running()
        await trio.sleep(after)
        way(worker)
    except (StoppedError, UnknownWorkerError):
        await trio.lowlevel.checkpoint()


async def families(runner: WorkerRunner, draw: Draw) -> None:
    """Workers with children; some leave, and theirs with them, in the middle of jobs."""
    names = [f"w{number}" for number in range(2 + draw.number(4))]
    parents = {name: draw.one_of((None, *names[:index])) for index, name in enumerate(names)}
    guest_runner = WorkerRunner(name="guests", bus=runner.bus, strict=False)
    async with trio.open_nursery() as nursery, guest_runner:
        family = await add_topology(guest_runner, parents)
        workers = tuple(family.values())
        requesters: list[Asker] = [runner, guest_runner, *workers]
        for worker in draw.some_of(workers, 2):
            nursery.start_soon(leave, worker, draw.seconds(), draw.one_of(WAYS_TO_LEAVE))
        for _ in range(1 + draw.number(3)):
            plan = draw.plan(names, depth=1, timeout=LIMIT)
            nursery.start_soon(try_plan, plan, draw.one_of(requesters), workers)
        await trio.sleep(draw.one_of((0.0, 1.0, STAY)))
    await check_gone(runner, guest_runner, workers)


async def shutdown(runner: WorkerRunner, draw: Draw) -> None:
    """A runner is left, ended or cancelled in the middle of jobs, its own and others'."""
    hosts = [ScriptedWorker(f"w{number}") for number in range(2)]
    guests = [ScriptedWorker(f"g{number}") for number in range(2)]
    await runner.add_workers(*hosts)
    guest_runner = WorkerRunner(name="guests", bus=runner.bus, strict=False)
    names = [worker.name for worker in (*hosts, *guests)]
    requesters: list[Asker] = [runner, guest_runner, *hosts, *guests]
    way = draw.number(5)
    async with trio.open_nursery() as nursery:
        with trio.CancelScope() as scope:
            async with guest_runner:
                await guest_runner.add_workers(*guests)
                for _ in range(1 + draw.number(4)):
                    plan = draw.plan(names, depth=1, timeout=LIMIT)
                    nursery.start_soon(try_plan, plan, draw.one_of(requesters), (*hosts, *guests))
                await trio.sleep(draw.seconds())
                if way == 0:
                    scope.cancel()
                elif way == 1:
                    await guest_runner.end(reason="by plan")
                elif way == 2:
                    await guest_runner.cancel(reason="by plan")
                elif way == 3:
                    await guests[0].end(reason="by plan")
                    await trio.sleep(draw.seconds())
        await check_gone(runner, guest_runner, guests)
