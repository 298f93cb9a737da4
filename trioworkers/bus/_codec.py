"""Messages as bytes, and back. See `MessageCodec`; docs/wire.md has the wire form."""

from collections.abc import Callable
from typing import Any

import attrs
import cattrs
import orjson
import trio

from ..errors import CodecError
from ._json_values import DEEPEST, find_depth_fault, find_fault, find_number_fault
from ._messages import BusLocalMessage, BusMessage, tagged_messages
from ._misfit import Misfit, cut, shown
from ._wire_classes import ClassForm
from ._wire_converter import wire_converter
from ._wire_types import WireTypes

#: The key of a message's tag. No parameter of a class can have this name.
_TAG = "$"


@attrs.frozen
class _Kind:
    """What is known of one message class: its tag, and the form of its fields."""

    tag: str
    fields: ClassForm


class MessageCodec:
    """Turns messages into bytes, and bytes from anywhere into messages.

    Every message class with a `wire_tag` can be sent, your own ones too: a
    message is one JSON object, with its tag under ``"$"`` and its fields under
    their names, without those that have their default.

    ``decode(encode(message)) == message``, with the types of all values, but
    for `Deadline` fields: the seconds that remain are sent, and time on the
    way doesn't count against them. Nothing is converted to fit:
    what would not come back as it is, is refused before anything is sent, and
    so are bytes that don't fit. None take time or memory out of proportion to
    ``max_bytes``, whoever wrote them.

    Args:
      max_bytes: The longest message, >= 1.
      max_depth: Nested objects and lists that a message may have, itself
        included; 1 to 250.
      now: Returns the time on the clock of `Deadline` fields, in seconds. It
        is called only for messages that have a finite one.
      converter: Turns values of your own types into a text or a number, and
        back, where a field is declared with one. The default is
        `wire_converter`, which knows dates, UUIDs, decimals and bytes.

    Raises:
      ValueError: ``max_bytes`` or ``max_depth`` is out of range.

    It is sync and holds no state but its caches; any number of buses may
    share one.
    """

    def __init__(
        self,
        *,
        max_bytes: int = 2**20,
        max_depth: int = 100,
        now: Callable[[], float] = trio.current_time,
        converter: cattrs.Converter | None = None,
    ) -> None:
        if max_bytes < 1:
            raise ValueError(f"max_bytes must be >= 1, not {max_bytes}")
        if not 1 <= max_depth <= DEEPEST:
            raise ValueError(f"max_depth must be 1 to {DEEPEST}, not {max_depth}")
        self.max_bytes = max_bytes
        self.max_depth = max_depth
        self._types = WireTypes(now, wire_converter() if converter is None else converter)
        self._tagged = tagged_messages()
        self._kinds: dict[type[BusMessage], _Kind] = {}

    def encode(self, message: BusMessage) -> bytes:
        """Return ``message`` as bytes.

        Raises:
          CodecError: It can't be sent: it is local, its class has no wire tag
            of its own, a field has a value that its type does not allow or
            that JSON can't hold, or it is too long or too deep.
          TypeError: It is no message.
          RuntimeError: It has a finite `Deadline`, and Trio isn't running.
        """
        cls = type(message)
        kind = self._kinds.get(cls)
        try:
            if kind is None:
                kind = self._kind_of(cls)
            wire = kind.fields.to_wire(message, {_TAG: kind.tag})
            try:
                data = orjson.dumps(wire)
            except TypeError as error:
                raise find_fault(wire) or Misfit(cut(str(error))) from None
            if len(data) > self.max_bytes:
                raise self._too_long(data)
            fault = find_depth_fault(data, wire, self.max_depth)
            if fault is not None:
                raise fault
        except Misfit as misfit:
            raise _told(f"encode {cls.__name__}", misfit) from None
        except RecursionError:
            raise _told(f"encode {cls.__name__}", _TOO_DEEP) from None
        return data

    def decode(self, data: bytes) -> BusMessage:
        """Return the message that ``data`` stands for.

        Raises:
          CodecError: It stands for none; nothing else is raised for bytes,
            whoever wrote them.
          TypeError: ``data`` is not bytes.
          RuntimeError: The message has a `Deadline`, and Trio isn't running.
        """
        if not isinstance(data, bytes):
            raise TypeError(f"data must be bytes, not {shown(data)}")
        tag = None
        try:
            wire = self._parse(data)
            tag = wire.pop(_TAG, None)
            if type(tag) is not str:
                raise Misfit(f"there is no text under {_TAG!r}, where the wire tag belongs")
            cls = self._tagged.get(tag)
            if cls is None:
                raise Misfit("unknown wire tag; import the module that defines its class")
            kind = self._kinds.get(cls)
            if kind is None:
                kind = self._kind_of(cls)
            message: BusMessage = kind.fields.from_wire(wire)
        except Misfit as misfit:
            raise _told(_decoding(tag), misfit) from None
        except RecursionError:
            raise _told(_decoding(tag), _TOO_DEEP) from None
        return message

    def _parse(self, data: bytes) -> dict[str, Any]:
        """Return the JSON object ``data``, within all limits; or raise `Misfit`."""
        if len(data) > self.max_bytes:
            raise self._too_long(data)
        try:
            wire: object = orjson.loads(data)
        except orjson.JSONDecodeError as error:
            # The error holds all of the bytes: only its text goes on.
            raise Misfit(f"not JSON: {cut(str(error))}") from None
        if type(wire) is not dict:
            raise Misfit(f"expected a JSON object, got {shown(wire)}")
        fault = find_depth_fault(data, wire, self.max_depth) or find_number_fault(data)
        if fault is not None:
            raise fault
        return wire

    def _too_long(self, data: bytes) -> Misfit:
        return Misfit(f"{len(data)} bytes long; the limit is {self.max_bytes} (max_bytes)")

    def _kind_of(self, cls: type[BusMessage]) -> _Kind:
        """Return what is known of a message class, from now on."""
        if not issubclass(cls, BusMessage):
            raise TypeError(f"only messages can be encoded, not {shown(cls)}")
        if issubclass(cls, BusLocalMessage):
            raise Misfit("a local message stays in its process")
        # A subclass inherits the attribute `wire_tag`, but would arrive as its base.
        tag = vars(cls).get("wire_tag")
        if tag is None:
            raise Misfit("the class has no wire tag of its own; put @wire_tag(...) above it")
        if self._tagged.get(tag) is not cls:
            raise Misfit(
                f"its wire tag {shown(tag)} names another class; put @wire_tag above "
                "@attrs.define, and don't keep instances when reloading a module"
            )
        kind = self._kinds[cls] = _Kind(tag, self._types.of_class(cls))
        return kind


_TOO_DEEP = Misfit("nested too deep, or inside itself")


def _decoding(tag: object) -> str:
    return f"decode {shown(tag)}" if type(tag) is str else "decode a message"


def _told(doing: str, misfit: Misfit) -> CodecError:
    return CodecError(doing, misfit.where(), misfit.problem)
