"""One runner of a simulated network, from start to crash and start again."""

from abc import abstractmethod
from collections.abc import Collection, Iterator
from itertools import count
from typing import Generic, TypeVar

import trio

from ..bus import (
    BusJobCancelMessage,
    BusJobRequestMessage,
    BusJobResponseMessage,
    BusJobResponseUrgentMessage,
    BusMessage,
    WorkerBus,
)
from ..workers import WorkerRunner
from ._bus import Carrier, SimulatedBus
from ._decisions import Decisions
from ._everywhere import MakeWorkers
from ._inbox import InFlight
from ._links import Direction
from ._monitor import Monitor
from ._timeline import Timeline
from ._watching import abandon_requests


class MortalBus(WorkerBus):
    """A bus whose process can die.

    Attributes:
      is_heard: Whether what it sends is carried; not after a crash.
    """

    is_heard = True

    def fall_silent(self) -> None:
        """Carry nothing more, as if its process had died; tell its own requesters."""
        self.is_heard = False
        for subscription in list(self._router):
            abandon_requests(subscription.subscriber, "its runner has crashed")

    @abstractmethod
    def answer_lost(self, why: str) -> None:
        """Answer the open jobs of its own requesters as lost: nobody else will."""


B = TypeVar("B", bound=MortalBus)


class NodeBus(SimulatedBus, MortalBus):
    """The bus of one runner in a network; what others send comes by links.

    Args:
      runner_name: Whose it is.
      life: How often that runner was started before.
      carrier: The network.
      decisions, timeline, monitor: As in `SimulatedBus`.
      drops_copies: Whether what arrives twice is dropped the second time.
    """

    def __init__(
        self,
        runner_name: str,
        life: int,
        carrier: Carrier,
        decisions: Decisions,
        timeline: Timeline,
        monitor: Monitor,
        *,
        drops_copies: bool,
    ) -> None:
        super().__init__(
            decisions, timeline, name=f"{runner_name}.{life}", monitor=monitor, carrier=carrier
        )
        self.runner_name = runner_name
        self._drops_copies = drops_copies
        self._copies: set[object] = set()
        #: Who asked for each job that its workers do for other runners, and from where.
        self._serving: dict[tuple[str, str], tuple[str, str]] = {}

    def accepts(self, item: InFlight) -> bool:
        """Drop second copies; remember what other runners ask."""
        message = item.message
        if item.copy_of is not None and self._drops_copies:
            if item.copy_of in self._copies:
                self.note("had it", message)
                return False
            self._copies.add(item.copy_of)
        if isinstance(item.route, Direction) and isinstance(message, BusJobRequestMessage):
            key = message.job_id, message.target or ""
            self._serving[key] = item.route.source, message.source
        return True

    def _send(self, message: BusMessage) -> None:
        if isinstance(message, BusJobResponseMessage | BusJobResponseUrgentMessage):
            self._serving.pop((message.job_id, message.source), None)
        super()._send(message)

    def cancel_served(self, runner_name: str) -> None:
        """Cancel all jobs that a runner has asked for of which nothing is heard."""
        for (job_id, worker), (runner, requester) in list(self._serving.items()):
            if runner == runner_name:
                reason = f"nothing is heard of {runner_name!r}"
                self.on_message_received(
                    BusJobCancelMessage(job_id, reason, source=requester, target=worker)
                )

    def forget(self, direction: Direction) -> None:
        """Drop what is under way from a runner that is taken for gone."""
        for item in self.inbox.remove(direction):
            self.note("dropped", item.message)
            self.monitor.dropped(item.message)

    def bounce(self, message: BusMessage) -> None:
        """Answer what can't be carried any more."""
        reply = message.bounce()
        if reply is not None:
            self.on_message_received(reply)


class Node(Generic[B]):
    """A runner's name, and the runner, bus and workers that it has now.

    Attributes:
      name: The runner's.
      make_workers: Makes its workers, for each life new ones.
      lives: Counts its lives.
      runner: The runner of the present life, or of the last one.
      bus: Its bus.
      is_up: Whether it runs.
      left: Set when the present life has ended.
    """

    runner: WorkerRunner
    bus: B

    def __init__(self, name: str, make_workers: MakeWorkers) -> None:
        self.name = name
        self.make_workers = make_workers
        self.lives: Iterator[int] = count()
        self.is_up = False
        self.left = trio.Event()
        self._leave = trio.Event()
        self._scope = trio.CancelScope()
        self._last_names: tuple[str, ...] = ()

    @property
    def names(self) -> Collection[str]:
        """Who is there, as far as others can know: after a crash, who was there then."""
        return self.bus.names if self.is_up else self._last_names

    def begin(self, bus: B) -> None:
        """Begin a new life, on a new bus."""
        self.bus = bus
        self.runner = WorkerRunner(name=self.name, bus=bus)
        self.is_up = True
        self.left, self._leave, self._scope = trio.Event(), trio.Event(), trio.CancelScope()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run this life; it is started when its workers are ready."""
        runner, bus, left, leave = self.runner, self.bus, self.left, self._leave
        try:
            with self._scope:
                async with runner:
                    workers = tuple(self.make_workers())
                    await runner.add_workers(*workers)
                    await runner.registry.wait_ready(*(worker.name for worker in workers))
                    task_status.started()
                    await leave.wait()
        except Exception:
            # What a process says that has crashed, nobody hears.
            if bus.is_heard:
                raise
        finally:
            if bus is self.bus:
                self.is_up = False
                self._last_names = () if bus.is_heard else self._last_names
            left.set()

    def end(self) -> None:
        """Let it end gracefully; `left` tells when it has."""
        self._leave.set()

    def crash(self) -> tuple[str, ...]:
        """End it at once; return who was there."""
        self._last_names = self.bus.names
        self.is_up = False
        self.bus.fall_silent()
        self._scope.cancel()
        return self._last_names
