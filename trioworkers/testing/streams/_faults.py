"""What can go wrong with a server of streams, and between it and its clients: faults, as data.

A client is a runner's name. Faults of an operation hit a client's n-th one, counted
from 1 over all its sessions, from the start of the scenario. Faults of time begin ``at``
seconds after that start, and heal after ``seconds``.
"""

import math
from collections.abc import Collection, Iterable

import attrs

from .._faults import Crash, Pause, _check_nth, _check_seconds


@attrs.frozen
class OperationFault:
    """Something happens to the n-th operation of a client.

    Attributes:
      client: Whose.
      nth: Which operation, from 1.
    """

    client: str
    nth: int = attrs.field(validator=_check_nth)


@attrs.frozen
class CutBefore(OperationFault):
    """The connection is cut, and the operation has not taken effect."""


@attrs.frozen
class CutAfter(OperationFault):
    """The connection is cut after the operation has taken effect: its reply is lost."""


@attrs.frozen
class Stall(OperationFault):
    """The operation takes ``seconds`` longer until it takes effect; others overtake it."""

    seconds: float = attrs.field(default=1.0, validator=_check_seconds)


@attrs.frozen
class Repeat(OperationFault):
    """What the operation puts into streams is there twice."""


@attrs.frozen
class ServerFault:
    """Something happens for a while.

    Attributes:
      at: When.
      seconds: For how long.
    """

    at: float = attrs.field(validator=_check_seconds)
    seconds: float = attrs.field(validator=_check_seconds)


@attrs.frozen
class Unreachable(ServerFault):
    """A client's sessions are cut, and it can't connect."""

    client: str = attrs.field(kw_only=True)


@attrs.frozen
class Mute(ServerFault):
    """A client gets no replies, and runs into its own time limits.

    Attributes:
      client: Which.
      deaf: Whether what it asks for does not take effect, either.
    """

    client: str = attrs.field(kw_only=True)
    deaf: bool = attrs.field(default=False, kw_only=True)


@attrs.frozen
class OutOfMemory(ServerFault):
    """The server takes nothing new."""


@attrs.frozen
class Restart(ServerFault):
    """The server is down; then it is back.

    Attributes:
      loses: Seconds before ``at`` of which it has lost what was written; infinity
        is everything. Nothing, if 0.
    """

    loses: float = attrs.field(default=0.0, kw_only=True, validator=attrs.validators.ge(0.0))


@attrs.frozen
class Foreign:
    """Somebody else puts an entry into the streams of a client.

    Attributes:
      client: Whose.
      at: When.
      lane: Into which of its lanes.
      fields: Names and values in turn.
    """

    client: str
    at: float = attrs.field(validator=_check_seconds)
    lane: int = attrs.field(validator=attrs.validators.in_((0, 1)))
    fields: tuple[bytes, ...]


TimedStreamFault = Unreachable | Mute | OutOfMemory | Restart | Foreign | Pause | Crash
StreamFault = OperationFault | TimedStreamFault


def check_stream_faults(faults: Iterable[object], runners: Collection[str]) -> None:
    """Refuse faults of runners that there aren't.

    Raises:
      TypeError: One is no fault of a server or its clients.
      ValueError: A name is no runner's.
    """
    for fault in faults:
        if isinstance(fault, OperationFault | Unreachable | Mute | Foreign):
            name = fault.client
        elif isinstance(fault, Pause | Crash):
            name = fault.runner
        elif isinstance(fault, OutOfMemory | Restart):
            continue
        else:
            raise TypeError(f"expected a fault, such as CutAfter or Restart, not {fault!r}")
        if name not in runners:
            raise ValueError(f"{fault}: there is no runner {name!r}, only {sorted(runners)}")


#: As `Restart.loses`.
EVERYTHING = math.inf
