"""A `RedisBus` on a model of a server, that tells a monitor what it does."""

from typing import TYPE_CHECKING

import trio

from ...bus import BusMessage, BusSubscriber, Lanes, MessageCodec
from ...bus.redis._bus import RedisBus
from ...bus.redis._peers import Peer
from .._bus import event_about
from .._monitor import Monitor
from .._node import MortalBus
from .._timeline import Timeline, TimelineEvent
from .._watching import abandon_requests
from ._link import StreamLink
from ._server import StreamClient

if TYPE_CHECKING:
    from collections.abc import Callable


class StreamBus(RedisBus, MortalBus):
    """The bus of one life of a runner.

    Args:
      runner_name: Whose it is.
      life: How often that runner was started before.
      client: Its server, as it sees it.
      link: What it is like.
      codec: Turns messages into bytes.
      timeline: Where all is noted.
      monitor: Who watches.
      on_parted: Called with the bus, and another one that it takes for gone from now on.
    """

    def __init__(
        self,
        runner_name: str,
        life: int,
        client: StreamClient,
        link: StreamLink,
        codec: MessageCodec,
        timeline: Timeline,
        monitor: Monitor,
        on_parted: "Callable[[StreamBus, Peer], object]",
    ) -> None:
        self.life_name = f"{runner_name}.{life}"
        super().__init__(
            client,
            lease=link.lease,
            send_timeout=link.send_timeout,
            window=link.window,
            codec=codec,
            incarnation=self.life_name,
            lane_capacity=link.lane_capacity,
            clock=trio.current_time,
        )
        # Less than what is allowed, so that lanes are full now and then.
        self._writer._limit = link.max_unread
        self._reader.acknowledge_after = min(self._reader.acknowledge_after, link.max_unread // 2)
        self.runner_name = runner_name
        self.client = client
        self._timeline = timeline
        self._monitor = monitor
        self._on_parted = on_parted

    @property
    def incarnation(self) -> str:
        """What it is called in the streams now."""
        return self._membership.incarnation

    @property
    def is_member(self) -> bool:
        """Whether it has a lease, as far as it knows."""
        return self._lease.is_held

    @property
    def is_well(self) -> bool:
        """Whether it is connected, and has a lease."""
        return self._link.is_up and self._lease.is_fresh

    @property
    def is_quiet(self) -> bool:
        """Whether it is well, and nothing waits to be sent."""
        return self.is_well and not self._writer._has_work and not self.statistics().unpublished

    @property
    def job_count(self) -> int:
        """How many job ids it has made."""
        return int(self.new_job_id().rpartition("-")[2])

    def left_over(self) -> dict[str, int]:
        """Return what it has that it shouldn't when nothing happens, by kind."""
        now = self.statistics()
        windows = self._windows._windows.values()
        return {
            "unpublished messages": now.unpublished,
            "full lanes of others": now.full_peers,
            "lanes of its own in use": len(now.lanes),
            "senders that wait for room": sum(len(window.room) for window in windows),
            "credits not given back": sum(
                window.under_way >= max(2, self._windows.size // 2) for window in windows
            ),
        }

    def fall_silent(self) -> None:
        """See `MortalBus.fall_silent`."""
        self.client.die()
        super().fall_silent()

    def answer_lost(self, why: str) -> None:
        """See `MortalBus.answer_lost`."""
        for subscription in list(self._router):
            abandon_requests(subscription.subscriber, why)

    # What it tells

    def subscribe_nowait(
        self, subscriber: BusSubscriber, *, lanes: Lanes | None = None, observe: bool = False
    ) -> None:
        """See `WorkerBus.subscribe_nowait`; the monitor watches from now on."""
        self._monitor.watch(subscriber)
        super().subscribe_nowait(subscriber, lanes=lanes, observe=observe)

    async def publish(self, message: BusMessage) -> None:
        """See `RedisBus.publish`."""
        self._note("sent", message)
        self._monitor.sent(message)
        await super().publish(message)

    def post(self, message: BusMessage) -> None:
        """See `RedisBus.post`."""
        self._note("sent", message)
        self._monitor.sent(message)
        super().post(message)

    def on_message_received(self, message: BusMessage) -> None:
        """See `WorkerBus.on_message_received`."""
        self._note("delivered", message)
        self._monitor.arriving(message)
        super().on_message_received(message)
        self._monitor.delivered(message)

    def accept(self, message: BusMessage) -> None:
        """See `WorkerBus.accept`."""
        self._note("delivered", message)
        self._monitor.arriving(message)
        super().accept(message)
        self._monitor.delivered(message)

    def _bounce(self, message: BusMessage, why: str | None = None) -> None:
        self._dropped(message)
        super()._bounce(message, why)

    def _dropped(self, message: BusMessage) -> None:
        self._note("dropped", message)
        self._monitor.dropped(message)

    def _parted(self, peer: Peer, why: str) -> None:
        for runner in sorted(peer.runners):
            self._monitor.departed(runner)
        where = f"{peer.incarnation} -> {self.incarnation}"
        self._timeline.events.append(TimelineEvent(trio.current_time(), "lost", where, why))
        super()._parted(peer, why)
        self._on_parted(self, peer)

    def _note(self, what: str, message: BusMessage) -> None:
        self._timeline.events.append(event_about(what, message))
