"""Scenarios on one runner: jobs that nobody waits for, and messages of the user's own."""

import itertools
from typing import Any

import trio

from ...bus import BusJobUpdateRequestMessage
from ...errors import InactiveJobError, JobError, JobGroupError, StoppedError, UnknownJobError
from ...workers import WorkerRunner
from .._job_scripts import JobScript, job_name
from .._plans import GroupPlan
from .._probes import ProbeAlarm, ProbeNote
from .._scripted import ScriptedWorker
from ._draw import Draw
from ._jobs import DRAIN, LIMIT


class _Sender(ScriptedWorker):
    """Asks for jobs that it does not wait for; its hooks hear how they end.

    Attributes:
      heard: The members whose outcome a hook has heard, by job id.
      closed: The jobs whose end as a whole a hook has heard.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.heard: dict[str, list[str]] = {}
        self.closed: list[str] = []

    async def on_job_response(self, message: Any) -> None:
        """Note who has answered."""
        self.heard.setdefault(message.job_id, []).append(message.source)
        await trio.lowlevel.checkpoint()

    async def on_job_completed(self, result: Any) -> None:
        """Note the end."""
        self.closed.append(result.job_id)
        await trio.lowlevel.checkpoint()

    async def on_job_error(self, message: Any) -> None:
        """Note the end."""
        self.closed.append(message.job_id)
        await trio.lowlevel.checkpoint()

    async def on_job_update(self, message: Any) -> None:
        """Be slow, so that credit is late."""
        await trio.sleep(0.01)

    async def on_job_update_requested(self, message: BusJobUpdateRequestMessage) -> None:
        """Answer, unless the job has ended meanwhile."""
        try:
            await self.send_job_update(message.job_id, {"number": -1, "urgent": True})
        except InactiveJobError:
            await trio.lowlevel.checkpoint()


async def background(runner: WorkerRunner, draw: Draw) -> None:
    """Jobs that are fired and forgotten, waited for later, cancelled, or left."""
    workers = [_Sender(f"w{number}") for number in range(3)]
    names = [worker.name for worker in workers]
    await runner.add_workers(*workers)
    asked: dict[str, tuple[_Sender, tuple[str, ...]]] = {}
    stopped = draw.one_of(workers) if draw.chance(0.2) else None
    async with trio.open_nursery() as nursery:
        for _ in range(1 + draw.number(5)):
            plan = draw.plan(names, members=3, timeout=LIMIT)
            sender = draw.one_of(workers)
            nursery.start_soon(_fire, sender, plan, draw.chance(0.3), draw.seconds(), asked)
        if stopped is not None:
            await trio.sleep(draw.seconds())
            await stopped.stop()
    await trio.sleep(DRAIN)
    for job_id, (sender, members) in asked.items():
        heard = sorted(sender.heard.get(job_id, ()))
        if sender is not stopped:
            assert heard == sorted(members), f"P1: job {job_id} of {members}: heard {heard}"
            assert sender.closed.count(job_id) <= 1, f"P1: job {job_id} has ended twice"


async def _fire(
    sender: _Sender,
    plan: GroupPlan,
    waits: bool,
    interferes_after: float,
    asked: dict[str, tuple[_Sender, tuple[str, ...]]],
) -> None:
    """Ask without waiting; a little later wait, cancel, or ask for an update."""
    name = job_name(in_turn=plan.in_turn)
    try:
        await sender.wait_running()
        if waits:
            await _start_and_wait(sender, plan, name)
            return
        job_id = await _request(sender, plan, name)
        asked[job_id] = sender, plan.members
        await trio.sleep(interferes_after)
        if plan.raises:
            await sender.cancel_job_group(job_id, reason="by plan")
        else:
            await sender.request_job_update(job_id, plan.members[0])
    except (JobError, StoppedError, UnknownJobError):
        await trio.lowlevel.checkpoint()


async def _request(sender: _Sender, plan: GroupPlan, name: str) -> str:
    if len(plan.members) == 1:
        (member,) = plan.members
        return await sender.request_job(
            member, name=name, payload=plan.script, timeout=plan.timeout
        )
    return await sender.request_job_group(
        *plan.members,
        name=name,
        payload=plan.script,
        timeout=plan.timeout,
        cancel_on_error=plan.cancel_on_error,
    )


async def _start_and_wait(sender: _Sender, plan: GroupPlan, name: str) -> None:
    group = await sender.create_job_group_and_request_job(
        list(plan.members),
        name=name,
        payload=plan.script,
        timeout=plan.timeout,
        cancel_on_error=plan.cancel_on_error,
    )
    await group.wait()
    assert set(group.outcomes) == set(plan.members)


# Messages of the user's own

#: What keeps order: the sender, the target or None for all, and whether in the system lane.
Channel = tuple[str, str | None, bool]


class _Listener(ScriptedWorker):
    """Notes the probes that its hook hears, and takes its time over some.

    Attributes:
      heard: The channel and the number of each, as heard.
    """

    def __init__(self, name: str, pauses: tuple[float, ...]) -> None:
        super().__init__(name)
        self.pauses = pauses
        self.heard: list[tuple[Channel, int]] = []

    async def on_bus_message(self, message: Any) -> None:
        """Note a probe."""
        if isinstance(message, ProbeNote | ProbeAlarm):
            channel = message.source, message.target, message.is_system
            self.heard.append((channel, message.number))
            await trio.sleep(self.pauses[message.number % len(self.pauses)])


async def messages(runner: WorkerRunner, draw: Draw) -> None:
    """Workers send each other, and all, numbered messages of both lanes, among jobs."""
    pauses = tuple(draw.one_of((0.0, 0.0, 0.1)) for _ in range(3))
    listeners = [_Listener(f"w{number}", pauses) for number in range(3)]
    names = [listener.name for listener in listeners]
    await runner.add_workers(*listeners)
    await runner.registry.wait_ready(*names)
    sent: list[tuple[Channel, int]] = []
    async with trio.open_nursery() as nursery:
        for sender in listeners:
            probes = [
                (draw.one_of((*names, None)), draw.chance(0.4), number)
                for number in range(draw.number(8))
            ]
            nursery.start_soon(_send, sender, probes, sent)
        script = JobScript(draw.steps((), 0))
        nursery.start_soon(_ask_all, runner, names, script)
    await trio.sleep(DRAIN)
    for listener in listeners:
        for channel in itertools.product(names, (listener.name, None), (False, True)):
            told = [number for of, number in sent if of == channel]
            heard = [number for of, number in listener.heard if of == channel]
            assert heard == told, f"P5: of {channel}, {listener.name!r} heard {heard}, not {told}"


async def _send(
    sender: _Listener,
    probes: list[tuple[str | None, bool, int]],
    sent: list[tuple[Channel, int]],
) -> None:
    for target, system, number in probes:
        sent.append(((sender.name, target, system), number))
        kind = ProbeAlarm if system else ProbeNote
        await sender.send_bus_message(kind(number, source=sender.name, target=target))


async def _ask_all(runner: WorkerRunner, names: list[str], script: JobScript) -> None:
    group = runner.job_group(
        *names, name="play", payload=script, timeout=LIMIT, cancel_on_error=False
    )
    try:
        async with group:
            async for _ in group:
                pass
    except JobGroupError:
        await trio.lowlevel.checkpoint()  # time was up
