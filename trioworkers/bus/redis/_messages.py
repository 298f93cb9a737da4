"""What two buses tell each other besides the messages that they carry."""

import attrs

from .._lifecycle_messages import BusWorkerReadyMessage, BusWorkerRegistryMessage
from .._messages import BusSystemMessage, wire_tag


@wire_tag("bus.room")
@attrs.define
class BusRoomMessage(BusSystemMessage):
    """Lets the other bus send more messages that wait for room.

    Attributes:
      count: How many messages have found their place.
      name: The target that they had; None for broadcasts.
      system: Whether they were system messages.
    """

    count: int
    name: str | None = None
    system: bool = False


@wire_tag("bus.undeliverable")
@attrs.define
class BusUndeliverableMessage(BusSystemMessage):
    """Tells the other bus that nobody here has a name any more.

    Attributes:
      name: The name that a message was sent to.
      answer: What its source is to be told, encoded; None for nothing.
    """

    name: str
    answer: str | None = None


#: What buses tell each other, in nobody's name.
FROM_NOBODY = frozenset({BusRoomMessage, BusUndeliverableMessage})
#: What tells of workers, and of the runner that has them.
FROM_RUNNERS = frozenset({BusWorkerReadyMessage, BusWorkerRegistryMessage})
