"""Scenarios on one runner: single jobs, job groups, nested ones, sequential ones."""

from collections.abc import Sequence

import trio

from ...bus import JobStatus
from ...errors import JobError
from ...jobs import JobContext
from ...workers import BaseWorker, WorkerRunner
from .._job_scripts import job_name
from .._plans import GroupPlan, PlannedError, play
from .._scripted import ScriptedWorker
from ._draw import Draw

#: Who can ask.
Asker = BaseWorker | WorkerRunner

#: The time limit of plans whose jobs could wait for one another for ever.
LIMIT = 5.0
#: Seconds in which all messages have been delivered, and all their hooks have run.
DRAIN = 60.0


async def add_scripted(runner: WorkerRunner, draw: Draw, *names: str) -> dict[str, ScriptedWorker]:
    """Add scripted workers; return them by name. Often they are not ready yet."""
    workers = {name: ScriptedWorker(name) for name in names}
    await runner.add_workers(*workers.values())
    if draw.chance(0.5):
        await runner.registry.wait_ready(*names)
    return workers


async def single_jobs(runner: WorkerRunner, draw: Draw) -> None:
    """Single jobs, one after another, and every way to treat one."""
    workers = await add_scripted(runner, draw, "w0", "w1", "w2")
    requesters: list[Asker] = [runner, *workers.values()]
    async with trio.open_nursery() as nursery:
        for _ in range(1 + draw.number(4)):
            plans = [draw.plan(tuple(workers), members=1) for _ in range(1 + draw.number(3))]
            nursery.start_soon(_ask_in_turn, draw.one_of(requesters), plans, workers)


async def _ask_in_turn(
    requester: Asker,
    plans: Sequence[GroupPlan],
    workers: dict[str, ScriptedWorker],
) -> None:
    if isinstance(requester, BaseWorker):
        await requester.wait_running()
    for plan in plans:
        context = requester.job(
            plan.members[0],
            name=job_name(in_turn=plan.in_turn),
            payload=plan.script,
            timeout=plan.timeout,
        )
        with trio.CancelScope() as scope:
            if plan.cancel_after is not None:
                scope.deadline = trio.current_time() + plan.cancel_after
            await _ask(plan, context, workers[plan.members[0]])


async def _ask(plan: GroupPlan, context: JobContext, worker: ScriptedWorker) -> None:
    """Ask for a single job as ``plan`` says, and look at what came of it."""
    failed = True
    try:
        async with context:
            await _body(plan, context)
        failed = False
    except (JobError, PlannedError):
        pass
    finally:
        (outcome,) = context.outcomes.values()
        assert not worker.working_for(context.job_id), "P2: the handler still runs"
        assert worker.begun[context.job_id] <= 1, "P1: the handler was called again"
        assert failed or outcome.status is JobStatus.COMPLETED, f"P6: {outcome} did not raise"


async def _body(plan: GroupPlan, context: JobContext) -> None:
    seen = 0
    if plan.reads != 0:
        async for _ in context:
            seen += 1
            if seen == plan.reads:
                break
            await trio.sleep(plan.pause)
    await trio.sleep(plan.stays)
    if plan.raises:
        raise PlannedError


async def play_plans(
    plans: Sequence[GroupPlan],
    requesters: Sequence[Asker],
    workers: Sequence[ScriptedWorker],
) -> None:
    """Play all plans at the same time, each with the requester of its number."""

    async def play_one(plan: GroupPlan, requester: Asker) -> None:
        if isinstance(requester, BaseWorker):
            await requester.wait_running()
        await play(plan, requester, workers)

    async with trio.open_nursery() as nursery:
        for plan, requester in zip(plans, requesters, strict=True):
            nursery.start_soon(play_one, plan, requester)


async def _groups(
    runner: WorkerRunner,
    draw: Draw,
    *,
    most: int,
    depth: int = 0,
    circular: bool = False,
    timeout: float | None = None,
) -> None:
    workers = await add_scripted(runner, draw, *(f"w{number}" for number in range(4)))
    everyone: list[Asker] = [runner, *workers.values()]
    plans = [
        draw.plan(tuple(workers), depth=depth, circular=circular, timeout=timeout)
        for _ in range(1 + draw.number(most))
    ]
    requesters = [draw.one_of(everyone) for _ in plans]
    await play_plans(plans, requesters, tuple(workers.values()))


async def groups(runner: WorkerRunner, draw: Draw) -> None:
    """Groups with every policy; members send, fail, sleep, or never answer."""
    await _groups(runner, draw, most=4)


async def nested_groups(runner: WorkerRunner, draw: Draw) -> None:
    """Handlers ask for jobs and groups of their own."""
    await _groups(runner, draw, most=3, depth=2)


async def circles(runner: WorkerRunner, draw: Draw) -> None:
    """Sequential handlers ask anyone, also those that wait for them."""
    await _groups(runner, draw, most=4, depth=2, circular=True, timeout=LIMIT)
