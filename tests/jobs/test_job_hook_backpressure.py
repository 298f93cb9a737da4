"""Hooks that don't keep up slow down the jobs that feed them, and never pile up."""

import trio
import trio.testing
from support import on_schedules

from trioworkers import (
    BaseWorker,
    BusJobRequestMessage,
    BusJobResponseMessage,
    BusJobResponseUrgentMessage,
    BusMessage,
    LaneFull,
    MemoryChannelBus,
    WorkerRunner,
    job,
)

CAPACITY = 4


class Echo(BaseWorker):
    """Answers at once."""

    @job(name="echo")
    async def echo(self, message: BusJobRequestMessage) -> dict[str, int]:
        return {}


class SlowToRead(Echo):
    """Takes a second over every bus message."""

    async def on_bus_message(self, message: BusMessage) -> None:
        await trio.sleep(1)


class SlowToHear(BaseWorker):
    """Takes a second over every response."""

    heard = 0

    async def on_job_response(
        self, message: BusJobResponseMessage | BusJobResponseUrgentMessage
    ) -> None:
        await trio.sleep(1)
        self.heard += 1


def queued(worker: BaseWorker) -> int:
    lanes = worker.statistics().lanes
    return lanes.data_queued + lanes.system_queued


@on_schedules(10)
async def test_a_requester_waits_while_its_own_hooks_are_behind() -> None:
    """Jobs in a loop can't fill the requester's lane beyond its capacity."""
    requester = SlowToHear("requester")
    async with WorkerRunner(bus=MemoryChannelBus(lane_capacity=CAPACITY)) as runner:
        await runner.add_workers(requester, Echo("echo"))
        for _ in range(50):
            await requester.call("echo", name="echo")
            assert queued(requester) <= CAPACITY
    assert requester.heard == 50


@on_schedules(10)
async def test_a_handler_waits_while_its_workers_hooks_are_behind() -> None:
    """Requests in a loop can't fill the responder's lane beyond its capacity."""
    responder = SlowToRead("responder")
    async with WorkerRunner(bus=MemoryChannelBus(lane_capacity=CAPACITY)) as runner:
        await runner.add_workers(responder)
        for _ in range(50):
            await runner.call("responder", name="echo")
            assert queued(responder) <= CAPACITY + 1


async def test_a_hook_that_fills_its_own_lane_is_told(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """A hook that asks more than its lane holds gets an error instead of waiting for itself."""

    class Greedy(SlowToHear):
        async def on_activated(self, args: object) -> None:
            for _ in range(50):
                await self.call("echo", name="echo")

    async with WorkerRunner(bus=MemoryChannelBus(lane_capacity=CAPACITY), strict=False) as runner:
        errors: list[str] = []
        runner.add_event_handler("on_error", lambda _, data: errors.append(data.error))
        await runner.add_workers(Echo("echo"), Greedy("greedy"))
        await trio.testing.wait_all_tasks_blocked()
        await trio.sleep(100)
    assert len(errors) == 1
    assert errors[0].startswith(f"{LaneFull.__name__}: no room for another message to 'greedy'")
