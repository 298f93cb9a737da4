"""What a simulated server of streams, and the buses on it, are like."""

import attrs


@attrs.frozen
class StreamLink:
    """Give it as ``link`` to `simulate`, and each runner has a `RedisBus` on one server.

    Attributes:
      latency: Seconds that each operation of the server takes, >= 0.
      lease: Seconds, as of `RedisBus`.
      send_timeout: Seconds, as of `RedisBus`.
      command_timeout: Seconds without a reply after which a client gives up a session.
      max_unread: Entries that wait for one runner before those wait that send.
      window: Messages to one target that wait for room, >= 2, as of `RedisBus`.
      lane_capacity: As of `RedisBus`.
    """

    latency: float = attrs.field(default=0.0, validator=attrs.validators.ge(0))
    lease: float = attrs.field(default=10.0, validator=attrs.validators.ge(0.1))
    send_timeout: float = attrs.field(default=5.0, validator=attrs.validators.ge(0))
    command_timeout: float = attrs.field(default=2.0, validator=attrs.validators.gt(0))
    max_unread: int = attrs.field(default=1024, validator=attrs.validators.ge(2))
    window: int = attrs.field(default=64, validator=attrs.validators.ge(2))
    lane_capacity: int = attrs.field(default=1024, validator=attrs.validators.ge(1))
