"""The kinds of bus message, and the wire tags that name them outside a process."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Annotated, ClassVar, TypeVar

import attrs

M = TypeVar("M", bound="type[BusMessage]")

#: The type of a field that holds a moment on Trio's clock, in seconds; infinite
#: for none. Clocks differ between processes, so the seconds that remain are sent.
Deadline = Annotated[float, "on Trio's clock"]

_by_tag: dict[str, "type[BusMessage]"] = {}


def wire_tag(tag: str) -> Callable[[M], M]:
    """Name a message class on the wire; put it above ``@attrs.define``.

    Raises:
      ValueError: The tag is empty or taken by another class.
    """

    def register(cls: M) -> M:
        known = _by_tag.get(tag)
        if not tag or (known is not None and _path(known) != _path(cls)):
            raise ValueError(f"wire tag {tag!r} for {cls.__qualname__} is empty or taken: {known}")
        _by_tag[tag] = cls
        cls.wire_tag = tag
        return cls

    return register


def _path(cls: type) -> tuple[str, str]:
    return cls.__module__, cls.__qualname__


def tagged_messages() -> Mapping[str, "type[BusMessage]"]:
    """Return a read-only view of every message class that has a wire tag."""
    return MappingProxyType(_by_tag)


@attrs.define
class BusMessage:
    """What a `WorkerBus` carries.

    Extend `BusDataMessage` or `BusSystemMessage`, which choose the lane.

    Attributes:
      source: Name of the sender.
      target: Name of the recipient, or None for a broadcast to all that
        want this class.
    """

    source: str = attrs.field(kw_only=True)
    target: str | None = attrs.field(default=None, kw_only=True)

    #: The class's name on the wire; None means that it can't be encoded.
    wire_tag: ClassVar[str | None] = None
    #: Whether it goes into the system lane.
    is_system: ClassVar[bool] = False
    #: Whether a sender waits while the target's lane is full. Messages of the
    #: job protocol don't: their number is bounded by jobs and credit.
    waits_for_room: ClassVar[bool] = True
    #: Whether a target that has gone means "counted and dropped", not an error.
    may_miss: ClassVar[bool] = False

    def bounce(self, why: str | None = None) -> "BusMessage | None":
        """Return what its source is told if it can't be delivered later on; or None.

        Args:
          why: What to say; by default, that nobody has the target's name.
        """
        return None


@attrs.define
class BusDataMessage(BusMessage):
    """Normal priority: first in, first out in the subscriber's data lane."""


@attrs.define
class BusSystemMessage(BusMessage):
    """High priority: handled ahead of data messages, in a lane of its own."""

    is_system: ClassVar[bool] = True


class BusLocalMessage:
    """Mixin: the message stays on the local bus, whatever transport it has."""

    __slots__ = ()
