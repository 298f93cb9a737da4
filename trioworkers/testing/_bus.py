"""A bus whose deliveries are decided one by one."""

from collections import deque

import attrs
import trio
from trio.lowlevel import ParkingLot, enable_ki_protection

from ..bus import (
    BusJobRequestMessage,
    BusJobResponseMessage,
    BusJobResponseUrgentMessage,
    BusMessage,
    JobFailure,
    JobStatus,
    WorkerBus,
)
from ..errors import LaneFull, StoppedError, UnknownWorkerError
from ._decisions import Decisions
from ._timeline import Timeline, TimelineEvent

#: Sender, target, and whether in the system lane: what keeps order.
Channel = tuple[str, str | None, bool]


@attrs.define(eq=False)
class _InFlight:
    number: int
    message: BusMessage


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
    """

    def __init__(
        self,
        decisions: Decisions,
        timeline: Timeline,
        *,
        name: str = "sim",
        lane_capacity: int = 1024,
    ) -> None:
        super().__init__(incarnation=name, lane_capacity=lane_capacity, clock=trio.current_time)
        self._decisions = decisions
        self._timeline = timeline
        self._channels: dict[Channel, deque[_InFlight]] = {}
        self._blocked: set[Channel] = set()
        self._room = ParkingLot()
        self._sent = 0
        #: The requester of each job that is not answered, by job id and worker.
        self._unanswered: dict[tuple[str, str], str] = {}
        self._wake = trio.Event()

    @property
    def in_flight(self) -> int:
        """How many messages are under way."""
        return sum(map(len, self._channels.values()))

    async def start(self) -> None:
        """Begin to deliver."""
        self.nursery.start_soon(self._run_deliveries)

    async def stop(self) -> None:
        """Tell those that wait."""
        self._room.unpark_all()

    async def publish(self, message: BusMessage) -> None:
        """Put ``message`` under way; wait while its channel holds as much as a lane would."""
        self._check_target(message)
        channel = _channel_of(message)
        while message.waits_for_room and self._is_full(channel):
            subscription = self._router.targets.get(message.target or "")
            if subscription is not None and subscription.lanes.hosts_current_task():
                raise LaneFull((subscription.subscriber.name,))
            await self._room.park()
            if not self.is_running:
                raise StoppedError("the bus has ended", "send while it runs")
        self._enqueue(message)

    @enable_ki_protection
    def post(self, message: BusMessage) -> None:
        """See `WorkerBus.post`."""
        self._check_target(message)
        self._enqueue(message)

    async def _publish_in_order(self, message: BusMessage) -> None:
        # Nothing waits in an outbox, and one full channel must not block the others.
        await self.publish(message)

    def _check_target(self, message: BusMessage) -> None:
        """Refuse what nobody could get, as it is sent; later on it bounces."""
        target = message.target
        if target is not None and target not in self.names and not message.may_miss:
            raise UnknownWorkerError(target, self.names)

    def _is_full(self, channel: Channel) -> bool:
        return len(self._channels.get(channel, ())) >= self.lane_capacity

    def _enqueue(self, message: BusMessage) -> None:
        self._sent += 1
        in_flight = _InFlight(self._sent, message)
        self._channels.setdefault(_channel_of(message), deque()).append(in_flight)
        self._note("sent", message)
        if isinstance(message, BusJobRequestMessage):
            self._track(message)
        self._wake.set()

    # Delivering

    @enable_ki_protection
    async def _run_deliveries(self) -> None:
        while True:
            await self._wake.wait()
            self._wake = trio.Event()
            while self._deliver_one():
                await trio.lowlevel.checkpoint()

    def _deliver_one(self) -> bool:
        """Deliver what is decided; return False if nothing can be delivered now."""
        channels = sorted(
            (channel for channel in self._channels if channel not in self._blocked),
            key=lambda channel: self._channels[channel][0].number,
        )
        if not channels:
            return False
        index = self._decisions.choose(channels) if len(channels) > 1 else 0
        channel = channels[index]
        queue = self._channels[channel]
        message = queue.popleft().message
        if not queue:
            del self._channels[channel]
        self._room.unpark_all()
        if index:
            self._timeline.exercised["a message overtook an older one"] += 1
        self._note("delivered", message)
        if not isinstance(message, BusJobRequestMessage):
            self._track(message)
        self._hand_on(channel, message)
        return True

    def _hand_on(self, channel: Channel, message: BusMessage) -> None:
        late = message.target is None and message.waits_for_room
        try:
            if not late:
                self.on_message_received(message)
        except LaneFull:
            late = True
        except UnknownWorkerError:
            self._drop(message)
        if late:
            # It waits for room in a Trio task of its own, and its channel behind it.
            self._blocked.add(channel)
            self.nursery.start_soon(self._deliver_late, channel, message)

    @enable_ki_protection
    async def _deliver_late(self, channel: Channel, message: BusMessage) -> None:
        try:
            await self.deliver(message)
        except UnknownWorkerError:
            self._drop(message)
        self._blocked.discard(channel)
        self._wake.set()

    def _drop(self, message: BusMessage) -> None:
        self._note("dropped", message)
        reply = message.bounce()
        if reply is not None:
            self._enqueue(reply)

    def answer_lost(self) -> None:
        """Answer all open jobs as lost: nobody else will."""
        failure = JobFailure("WorkerLost", "the simulation was stuck")
        for (job_id, worker), requester in list(self._unanswered.items()):
            self._enqueue(
                BusJobResponseMessage(
                    job_id, JobStatus.LOST, error=failure, source=worker, target=requester
                )
            )

    def _track(self, message: BusMessage) -> None:
        if isinstance(message, BusJobRequestMessage) and message.target is not None:
            self._unanswered[message.job_id, message.target] = message.source
        elif isinstance(message, BusJobResponseMessage | BusJobResponseUrgentMessage):
            self._unanswered.pop((message.job_id, message.source), None)

    def _note(self, what: str, message: BusMessage) -> None:
        where = f"{message.source} -> {message.target or '*'}"
        detail = type(message).__name__.removeprefix("Bus").removesuffix("Message")
        job_id = getattr(message, "job_id", None)
        if job_id is not None:
            detail = f"{detail} {job_id}"
        status = getattr(message, "status", None)
        if status is not None:
            detail = f"{detail} {status}"
        self._timeline.events.append(TimelineEvent(trio.current_time(), what, where, detail))


def _channel_of(message: BusMessage) -> Channel:
    return message.source, message.target, message.is_system
