"""What is under way to one simulated bus, and what of it may be delivered next."""

import math
from collections import deque
from collections.abc import Hashable
from typing import Protocol

import attrs

from ..bus import BusMessage

#: What keeps order: where it came from, sender, target, and whether in the system lane.
Channel = tuple[Hashable, ...]


class Route(Protocol):
    """How a message gets here."""

    @property
    def is_open(self) -> bool:
        """Whether anything arrives now."""


class Here:
    """The route inside one process: always open."""

    is_open = True


@attrs.define(eq=False)
class InFlight:
    """A message under way.

    Attributes:
      number: How many were sent before, anywhere in the run.
      message: What it is.
      route: How it comes.
      through: Whether it has passed its route, so that it comes even if that is shut.
      due: When it may arrive at the earliest, on Trio's clock.
      copy_of: What identifies it among its own copies, or None if it has none.
    """

    number: int
    message: BusMessage
    route: Route = attrs.field(factory=Here)
    due: float = -math.inf
    copy_of: Hashable = None
    through: bool = False

    def may_come(self) -> bool:
        """Whether its route lets it arrive, once it is due."""
        return self.through or self.route.is_open


@attrs.define(eq=False)
class Inbox:
    """First in, first out per channel; any channel may be next.

    Attributes:
      channels: What is under way, oldest first.
      blocked: Channels whose last message waits for room in a lane.
    """

    channels: dict[Channel, deque[InFlight]] = attrs.field(factory=dict)
    blocked: set[Channel] = attrs.field(factory=set)

    def __len__(self) -> int:
        return sum(map(len, self.channels.values()))

    def queued(self, channel: Channel) -> int:
        """Return how many are under way in one channel."""
        return len(self.channels.get(channel, ()))

    def add(self, channel: Channel, item: InFlight) -> None:
        """Put a message under way, behind those of its channel."""
        queue = self.channels.get(channel)
        if queue is None:
            queue = self.channels[channel] = deque()
        queue.append(item)

    def ready(self, now: float) -> list[Channel]:
        """Return the channels whose oldest message may arrive now, the oldest first."""
        heads = [
            (queue[0].number, channel)
            for channel, queue in self.channels.items()
            if queue[0].due <= now and queue[0].may_come() and channel not in self.blocked
        ]
        heads.sort(key=lambda head: head[0])
        return [channel for _, channel in heads]

    def next_due(self, now: float) -> float:
        """Return when the next message that isn't due yet will be; infinity if none waits."""
        return min(
            (
                queue[0].due
                for channel, queue in self.channels.items()
                if queue[0].due > now and queue[0].may_come() and channel not in self.blocked
            ),
            default=math.inf,
        )

    @property
    def last_due(self) -> float:
        """When all that is under way will be due; minus infinity if all is."""
        return max(
            (item.due for queue in self.channels.values() for item in queue), default=-math.inf
        )

    def remove(self, route: Route) -> list[InFlight]:
        """Remove and return all that comes by ``route``."""
        removed: list[InFlight] = []
        for channel, queue in list(self.channels.items()):
            if queue[0].route is route:  # all of a channel come the same way
                removed += queue
                del self.channels[channel]
        return removed

    def take(self, channel: Channel) -> InFlight:
        """Remove and return the oldest message of a channel."""
        queue = self.channels[channel]
        item = queue.popleft()
        if not queue:
            del self.channels[channel]
        return item
