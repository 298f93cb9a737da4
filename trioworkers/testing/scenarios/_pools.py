"""A scenario on one bus: pools, whose members leave in the middle of jobs."""

import trio

from ...workers import WorkerPool, WorkerRunner
from .._scripted import ScriptedWorker
from ._draw import Draw
from ._jobs import LIMIT, Asker
from ._lives import WAYS_TO_LEAVE, check_gone, leave, try_plan

#: Seconds that the pools are there at least.
STAY = 6.0


async def pools(runner: WorkerRunner, draw: Draw) -> None:
    """Pools do jobs, also for one another, while their members leave or crash."""
    made: list[ScriptedWorker] = []

    def member() -> ScriptedWorker:
        made.append(ScriptedWorker())
        return made[-1]

    guests = [WorkerPool(name, member, size=1 + draw.number(3)) for name in ("p0", "p1")]
    host = ScriptedWorker("w0")
    await runner.add_workers(host)
    guest_runner = WorkerRunner(name="guests", bus=runner.bus, strict=False)
    requesters: list[Asker] = [runner, guest_runner, host, *guests]
    async with trio.open_nursery() as nursery, guest_runner:
        await guest_runner.add_workers(*guests)
        for _ in range(1 + draw.number(6)):
            plan = draw.plan(("p0", "p1", "w0"), depth=1, timeout=LIMIT)
            nursery.start_soon(try_plan, plan, draw.one_of(requesters), (host, *made))
        for _ in range(draw.number(3)):
            nursery.start_soon(leave, draw.one_of(made), draw.seconds(), draw.one_of(WAYS_TO_LEAVE))
        if draw.chance(0.3):
            nursery.start_soon(
                leave, draw.one_of(guests), draw.seconds(), draw.one_of(WAYS_TO_LEAVE)
            )
        await trio.sleep(draw.one_of((0.0, 1.0, STAY)))
    await check_gone(runner, guest_runner, [*guests, *made])
