"""What can go wrong between simulated runners, and with one of them: faults, as data.

Faults of a link hit its n-th message, counted from 1 in the direction from
``source`` to ``target``, from the start of the scenario. Faults of time begin
``at`` seconds after that start, and heal after ``seconds``.
"""

import math
from collections.abc import Collection, Iterable

import attrs


def _check_nth(_: object, field: "attrs.Attribute[int]", value: int) -> None:
    if type(value) is not int or value < 1:
        raise ValueError(f"{field.name} must be an integer >= 1, not {value!r}")


def _check_seconds(_: object, field: "attrs.Attribute[float]", value: float) -> None:
    if not 0 <= value < math.inf:
        raise ValueError(f"{field.name} must be >= 0 and finite seconds, not {value!r}")


def _check_restart(_: object, field: "attrs.Attribute[float]", value: float | None) -> None:
    if value is not None:
        _check_seconds(_, field, value)


@attrs.frozen
class LinkFault:
    """Something happens to the n-th message from one runner to another.

    Attributes:
      source: The runner that sends.
      target: The runner that it is sent to.
      nth: Which message, from 1.
    """

    source: str
    target: str
    nth: int = attrs.field(validator=_check_nth)


@attrs.frozen
class Delay(LinkFault):
    """It takes ``seconds``, and those behind it in its channel wait."""

    seconds: float = attrs.field(default=1.0, validator=_check_seconds)


@attrs.frozen
class Reorder(LinkFault):
    """It goes its own way: it may come before or after the others of its channel."""


@attrs.frozen
class Drop(LinkFault):
    """It is lost under way. What that means is said by `Link.delivery`."""


@attrs.frozen
class Duplicate(LinkFault):
    """It arrives twice, unless the link delivers at most once."""


@attrs.frozen
class Disconnect(LinkFault):
    """The connection goes while it is published: the sender can't know that it arrives.

    For ``seconds`` nothing else passes, either way, and senders that can wait
    do. Then it is sent again. If the link delivers at most once it isn't, and
    has not arrived.
    """

    seconds: float = attrs.field(default=1.0, validator=_check_seconds)


@attrs.frozen
class Cut:
    """Nothing passes from ``source`` to ``target``; the other way is another cut."""

    source: str
    target: str
    at: float = attrs.field(validator=_check_seconds)
    seconds: float = attrs.field(validator=_check_seconds)


@attrs.frozen
class SlowConsumer:
    """Each delivery to ``runner`` takes ``per_message`` seconds."""

    runner: str
    at: float = attrs.field(validator=_check_seconds)
    seconds: float = attrs.field(validator=_check_seconds)
    per_message: float = attrs.field(default=0.1, validator=_check_seconds)


@attrs.frozen
class Pause:
    """``runner`` hears and says nothing: a long garbage collection, a suspended machine.

    Its Trio tasks go on, unheard: in one process there is no stopping them.
    """

    runner: str
    at: float = attrs.field(validator=_check_seconds)
    seconds: float = attrs.field(validator=_check_seconds)


@attrs.frozen
class Crash:
    """``runner`` is gone without a goodbye; it comes back under its name, or not.

    Attributes:
      runner: Who.
      at: When.
      restart_after: Seconds until it is back, with new workers; None is never.
    """

    runner: str
    at: float = attrs.field(validator=_check_seconds)
    restart_after: float | None = attrs.field(default=None, validator=_check_restart)


TimedFault = Cut | SlowConsumer | Pause | Crash
Fault = LinkFault | TimedFault


def check_faults(faults: Iterable[Fault], runners: Collection[str]) -> None:
    """Refuse faults of runners that there aren't.

    Raises:
      TypeError: One is no fault.
      ValueError: A name is no runner's, or a link goes from a runner to itself.
    """
    for fault in faults:
        if isinstance(fault, LinkFault | Cut):
            names = [fault.source, fault.target]
            if fault.source == fault.target:
                raise ValueError(f"a link needs two runners: {fault}")
        elif isinstance(fault, SlowConsumer | Pause | Crash):
            names = [fault.runner]
        else:
            raise TypeError(f"expected a fault, such as Drop or Crash, not {fault!r}")
        for name in names:
            if name not in runners:
                raise ValueError(f"{fault}: there is no runner {name!r}, only {sorted(runners)}")
