"""A bus whose deliveries are decided one by one."""

import math
from typing import TYPE_CHECKING, Protocol

import trio
from trio.lowlevel import ParkingLot, enable_ki_protection

from ..bus import (
    BusJobRequestMessage,
    BusJobResponseMessage,
    BusJobResponseUrgentMessage,
    BusLocalMessage,
    BusMessage,
    BusSubscriber,
    JobFailure,
    JobStatus,
    Lanes,
    WorkerBus,
)
from ..errors import LaneFull, StoppedError, UnknownWorkerError
from ._decisions import Decisions
from ._inbox import Channel, Inbox, InFlight
from ._monitor import Monitor
from ._timeline import Timeline, TimelineEvent

if TYPE_CHECKING:
    from collections.abc import Sequence


class Carrier(Protocol):
    """Takes messages from one `SimulatedBus` to others."""

    def hosts(self, source: "SimulatedBus", name: str) -> bool:
        """Whether any other bus has a subscriber of that name."""

    def destinations(self, source: "SimulatedBus", message: BusMessage) -> "Sequence[SimulatedBus]":
        """Return the buses that ``message`` goes to; ``source`` may be one."""

    def carry(
        self, source: "SimulatedBus", destination: "SimulatedBus", message: BusMessage
    ) -> None:
        """Put ``message`` under way to another bus."""

    async def wait_connected(self, source: "SimulatedBus", destination: "SimulatedBus") -> None:
        """Wait until something can be published; a checkpoint only if it waits."""

    def next_number(self) -> int:
        """Return how many messages were sent before."""


class SimulatedBus(WorkerBus):
    """A `WorkerBus` in one process, on which messages are under way for a while.

    What is sent waits in a channel per sender, target and lane. As long as
    anything waits, `Decisions` say which channel's oldest message is delivered
    next; then all Trio tasks that it woke take a step. So it keeps what every bus
    promises (order per channel) and nothing else. Delivery itself is the code of
    `WorkerBus`.

    Args:
      decisions: Who chooses.
      timeline: Where deliveries are noted.
      name: Begins its job ids.
      lane_capacity: As in `WorkerBus`; of each channel, too.
      monitor: Who watches; one of its own if None.
      carrier: What connects it to other buses, if anything does.
    """

    def __init__(
        self,
        decisions: Decisions,
        timeline: Timeline,
        *,
        name: str = "sim",
        lane_capacity: int = 1024,
        monitor: Monitor | None = None,
        carrier: Carrier | None = None,
    ) -> None:
        super().__init__(incarnation=name, lane_capacity=lane_capacity, clock=trio.current_time)
        self.name = name
        self.monitor = monitor or Monitor(timeline)
        self._decisions = decisions
        self._timeline = timeline
        self._carrier = carrier
        #: What is under way to it.
        self.inbox = Inbox()
        self._room = ParkingLot()
        self._wake = trio.Event()
        self._sent = 0
        #: Seconds that each delivery takes.
        self.slowness = 0.0
        #: Whether nothing is delivered now.
        self.paused = False
        #: The requester of each job that is not answered, by job id and worker.
        self.unanswered: dict[tuple[str, str], str] = {}

    @property
    def in_flight(self) -> int:
        """How many messages are under way to it."""
        return len(self.inbox)

    @property
    def next_due(self) -> float:
        """When the next message that is on its way will be here; infinity if none is."""
        return self.inbox.next_due(trio.current_time())

    @property
    def has_ready(self) -> bool:
        """Whether anything can be delivered now."""
        return not self.paused and bool(self.inbox.ready(trio.current_time()))

    async def start(self) -> None:
        """Begin to deliver."""
        self.nursery.start_soon(self._run_deliveries)

    async def stop(self) -> None:
        """Tell those that wait."""
        self._room.unpark_all()

    def subscribe_nowait(
        self, subscriber: BusSubscriber, *, lanes: Lanes | None = None, observe: bool = False
    ) -> None:
        """See `WorkerBus.subscribe_nowait`; the monitor watches from now on."""
        self.monitor.watch(subscriber)
        super().subscribe_nowait(subscriber, lanes=lanes, observe=observe)

    # Sending

    async def publish(self, message: BusMessage) -> None:
        """Put ``message`` under way; wait while its channel holds as much as a lane would."""
        self._check_target(message)
        for destination in self._destinations(message):
            channel = self.channel(destination, message)
            while message.waits_for_room and destination.is_full(channel):
                self._refuse_own_hook(destination, message)
                await destination.wait_room()
                if not self.is_running:
                    raise StoppedError("the bus has ended", "send while it runs")
            if self._carrier is not None and destination is not self:
                await self._carrier.wait_connected(self, destination)
        self._send(message)

    @enable_ki_protection
    def post(self, message: BusMessage) -> None:
        """See `WorkerBus.post`."""
        self._check_target(message)
        self._send(message)

    async def _publish_in_order(self, message: BusMessage) -> None:
        # Nothing waits in an outbox, and one full channel must not block the others.
        await self.publish(message)

    def _refuse_own_hook(self, destination: "SimulatedBus", message: BusMessage) -> None:
        if destination is self:
            subscription = self._router.targets.get(message.target or "")
            if subscription is not None and subscription.lanes.hosts_current_task():
                raise LaneFull((subscription.subscriber.name,))

    def _check_target(self, message: BusMessage) -> None:
        """Refuse what nobody could get, as it is sent; later on it bounces."""
        target = message.target
        if target is None or target in self.names or message.may_miss:
            return
        if self._carrier is None or not self._carrier.hosts(self, target):
            raise UnknownWorkerError(target, self.names)

    def _destinations(self, message: BusMessage) -> "Sequence[SimulatedBus]":
        if self._carrier is None or isinstance(message, BusLocalMessage):
            return (self,)
        return self._carrier.destinations(self, message)

    def channel(self, destination: "SimulatedBus", message: BusMessage) -> Channel:
        """Return the channel that ``message`` takes, if nothing happens to it."""
        if destination is self:
            return (message.source, message.target, message.is_system)
        return (message.source, message.target, message.is_system, self.name)

    def _send(self, message: BusMessage) -> None:
        self.note("sent", message)
        self.monitor.sent(message)
        if isinstance(message, BusJobRequestMessage) and message.target is not None:
            self.unanswered[message.job_id, message.target] = message.source
        for destination in self._destinations(message):
            if destination is self or self._carrier is None:
                self.arrive_here(message)
            else:
                self._carrier.carry(self, destination, message)

    def _next_number(self) -> int:
        if self._carrier is not None:
            return self._carrier.next_number()
        self._sent += 1
        return self._sent

    # What is under way to it

    @enable_ki_protection
    def arrive(self, channel: Channel, item: InFlight) -> None:
        """Put a message under way to this bus."""
        self.inbox.add(channel, item)
        self._wake.set()

    def arrive_here(self, message: BusMessage) -> None:
        """Put a message of its own under way to this bus."""
        self.arrive(self.channel(self, message), InFlight(self._next_number(), message))

    def wake(self) -> None:
        """Look again whether anything can be delivered."""
        self._wake.set()

    def is_full(self, channel: Channel) -> bool:
        """Whether senders that can wait should wait before they use ``channel``."""
        return self.inbox.queued(channel) >= self.lane_capacity

    async def wait_room(self) -> None:
        """Wait for the next delivery. Always a checkpoint."""
        await self._room.park()

    # Delivering

    @enable_ki_protection
    async def _run_deliveries(self) -> None:
        while True:
            await self._wait_wake()
            while self._deliver_one():
                if self.slowness:
                    await trio.sleep(self.slowness)
                else:
                    await trio.lowlevel.checkpoint()

    async def _wait_wake(self) -> None:
        due = self.next_due
        if due == math.inf:
            await self._wake.wait()
        else:
            with trio.CancelScope(deadline=due):
                await self._wake.wait()
        self._wake = trio.Event()

    def _deliver_one(self) -> bool:
        """Deliver what is decided; return False if nothing can be delivered now."""
        channels = self.inbox.ready(trio.current_time()) if not self.paused else []
        if not channels:
            return False
        index = self._decisions.choose(channels) if len(channels) > 1 else 0
        channel = channels[index]
        item = self.inbox.take(channel)
        self._room.unpark_all()
        if index:
            self._timeline.exercised["a message overtook an older one"] += 1
        if self.accepts(item):
            self._hand_on(channel, item.message)
        return True

    def accepts(self, item: InFlight) -> bool:
        """Whether what has arrived is to be delivered."""
        return True

    def _hand_on(self, channel: Channel, message: BusMessage) -> None:
        self.note("delivered", message)
        if isinstance(message, BusJobResponseMessage | BusJobResponseUrgentMessage):
            self.unanswered.pop((message.job_id, message.source), None)
        self.monitor.arriving(message)
        late = message.target is None and message.waits_for_room
        try:
            if not late:
                self.on_message_received(message)
                self.monitor.delivered(message)
        except LaneFull:
            late = True
        except UnknownWorkerError:
            self.drop(message)
        if late:
            # It waits for room in a Trio task of its own, and its channel behind it.
            self.inbox.blocked.add(channel)
            self.nursery.start_soon(self._deliver_late, channel, message)

    @enable_ki_protection
    async def _deliver_late(self, channel: Channel, message: BusMessage) -> None:
        try:
            await self.deliver(message)
            self.monitor.delivered(message)
        except UnknownWorkerError:
            self.drop(message)
        self.inbox.blocked.discard(channel)
        self._wake.set()

    def drop(self, message: BusMessage) -> None:
        """Give up ``message``, and tell its source if that wants to know."""
        self.note("dropped", message)
        self.monitor.dropped(message)
        reply = message.bounce()
        if reply is not None:
            self._send(reply)

    def answer_lost(self, why: str) -> None:
        """Answer the open jobs of its own requesters as lost: nobody else will."""
        failure = JobFailure("WorkerLost", why)
        for (job_id, worker), requester in self.unanswered.items():
            reply = BusJobResponseMessage(
                job_id, JobStatus.LOST, error=failure, source=worker, target=requester
            )
            self.arrive_here(reply)

    def note(self, what: str, message: BusMessage) -> None:
        """Note in the timeline what has happened to ``message``."""
        self._timeline.events.append(event_about(what, message))


def event_about(what: str, message: BusMessage) -> TimelineEvent:
    """Return that something has happened to ``message``, now."""
    where = f"{message.source} -> {message.target or '*'}"
    detail = type(message).__name__.removeprefix("Bus").removesuffix("Message")
    job_id = getattr(message, "job_id", None)
    if job_id is not None:
        detail = f"{detail} {job_id}"
    status = getattr(message, "status", None)
    if status is not None:
        detail = f"{detail} {status}"
    return TimelineEvent(trio.current_time(), what, where, detail)
