"""The protobuf frames in which the stock clients wrap RTVI messages.

``Frame`` is a oneof of text (1), audio (2), transcription (3) and message (4); a ``message``
has one field, ``data`` (1): the JSON text. Source: ``frames.proto`` of pipecat.
"""

from ._errors import BadMessage

_KINDS = {1: "text", 2: "audio", 3: "transcription", 4: "message"}
_MESSAGE = 4
_DATA = 1

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
#: Bytes of the longest varint.
_LONGEST = 10


def wrap(data: bytes) -> bytes:
    """Return the frame for a message: JSON text in UTF-8."""
    message = b"\x0a" + _varint(len(data)) + data
    return b"\x22" + _varint(len(message)) + message


def unwrap(frame: bytes) -> bytes:
    """Return the JSON text in a frame. Fields that nobody knows are passed over.

    Raises:
      BadMessage: It is no frame, or a frame of another kind.
    """
    kind, message = None, b""
    for number, value in _fields(frame, "frame"):
        if number in _KINDS:  # of a oneof, the last one counts
            kind, message = number, value
    if kind is None:
        raise BadMessage("the protobuf frame is empty: send a Frame with a message")
    if kind != _MESSAGE:
        raise BadMessage(
            f"this server takes no {_KINDS[kind]} frames: it has no media. Send a Frame with "
            "a message, or RTVI messages as text"
        )
    data = None
    for number, value in _fields(message, "message"):
        if number == _DATA:
            data = value
    if data is None:
        raise BadMessage("the message in the protobuf frame has no data")
    return data


def _varint(number: int) -> bytes:
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    parts.append(number)
    return bytes(parts)


def _read_varint(data: bytes, start: int, what: str) -> tuple[int, int]:
    number = 0
    for index in range(start, start + _LONGEST):
        if index >= len(data):
            raise BadMessage(f"the protobuf {what} ends in the middle of a number")
        number |= (data[index] & 0x7F) << 7 * (index - start)
        if data[index] < 0x80:
            return number, index + 1
    raise BadMessage(f"the protobuf {what} has a number of more than {_LONGEST} bytes")


def _fields(data: bytes, what: str) -> list[tuple[int, bytes]]:
    """Return number and value of each field that has a length, in order."""
    fields = []
    at = 0
    while at < len(data):
        key, at = _read_varint(data, at, what)
        number, wire_type = key >> 3, key & 7
        if not number:
            raise BadMessage(f"the protobuf {what} has a field with number 0")
        if wire_type == _VARINT:
            _, at = _read_varint(data, at, what)
            continue
        if wire_type == _BYTES:
            length, at = _read_varint(data, at, what)
        elif wire_type in (_FIXED64, _FIXED32):
            length = 8 if wire_type == _FIXED64 else 4
        else:
            raise BadMessage(f"the protobuf {what} has a field of wire type {wire_type}")
        if length > len(data) - at:
            raise BadMessage(
                f"the protobuf {what} is cut off: field {number} says it has {length} bytes, "
                f"and {len(data) - at} follow"
            )
        if wire_type == _BYTES:
            fields.append((number, data[at : at + length]))
        elif number in _KINDS and what == "frame":
            raise BadMessage(f"the protobuf frame's field {number} is no message")
        at += length
    return fields
