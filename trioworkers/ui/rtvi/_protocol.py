"""RTVI messages of clients: what they are, and what is wrong with them."""

from enum import Enum
from typing import Any

import attrs
import orjson

from ._errors import BadMessage

LABEL = "rtvi-ai"

#: How deep what a client sends may be nested.
MAX_DEPTH = 100
#: Characters of the longest id, and of names of types, events, and requests.
MAX_ID, MAX_NAME = 200, 200
#: What clients send for voice and the like: answered with an error, and of no consequence.
MEDIA_TYPES = frozenset(
    {"append-to-context", "dtmf", "llm-function-call-result", "raw-audio", "raw-audio-batch"}
)


class Dialect(Enum):
    """How a client calls things. See section 8 of the design.

    The value is what the server says its version is.
    """

    OLDER = "1.3.0"
    NEWER = "2.0.0"


MessageId = str | int | None


@attrs.frozen
class Incoming:
    """A message of a client that is well-formed as such.

    Attributes:
      type: What it is.
      id: The client's; None if it gave none.
      data: Nobody has checked it.
    """

    type: str
    id: MessageId
    data: Any


@attrs.define
class Malformed(BadMessage):
    """Something that is no RTVI message.

    Attributes:
      problem: What is wrong.
      id: Of the message, as far as that could be made out.
    """

    problem: str
    id: MessageId = None

    def __str__(self) -> str:
        return self.problem


def parse(text: str | bytes) -> Incoming:
    """Return the message in a JSON text.

    Of keys that are there twice the last one counts.

    Raises:
      Malformed: It is none.
    """
    try:
        message = orjson.loads(text)
    except (orjson.JSONDecodeError, UnicodeEncodeError) as error:
        raise Malformed(f"not JSON: {error}") from None
    if not isinstance(message, dict):
        raise Malformed(f"an RTVI message is a JSON object, not {kind_of(message)}")
    message_id = message.get("id")
    if message_id is not None and (
        isinstance(message_id, bool) or not isinstance(message_id, str | int)
    ):
        raise Malformed(f'"id" must be a string or an integer, not {kind_of(message_id)}')
    if isinstance(message_id, str) and len(message_id) > MAX_ID:
        raise Malformed(f'"id" may have {MAX_ID} characters, not {len(message_id)}')
    if message.get("label") != LABEL:
        raise Malformed(f'"label" must be "{LABEL}"', message_id)
    try:
        message_type = text_in(message, "type", "the message")
    except BadMessage as error:
        raise Malformed(str(error), message_id) from None
    data = message.get("data")
    if _is_too_deep(text, data):
        raise Malformed(f"nested deeper than {MAX_DEPTH} levels", message_id)
    return Incoming(message_type, message_id, data)


def dialect_of(data: Any) -> Dialect:
    """Return the dialect of a client that has sent ``client-ready`` with ``data``.

    Raises:
      BadMessage: There is no version in it.
    """
    version = text_in(object_in(data, "client-ready"), "version", "client-ready")
    major, _, rest = version.partition(".")
    minor = rest.partition(".")[0]
    if not all(part.isascii() and part.isdigit() and len(part) < 9 for part in (major, minor)):
        raise BadMessage(f'client-ready: "version" must be like "2.0.0", not {shown(version)}')
    return Dialect.OLDER if (int(major), int(minor)) < (1, 4) else Dialect.NEWER


def object_in(data: Any, what: str) -> dict[str, Any]:
    """Return ``data``, which has to be an object.

    Raises:
      BadMessage: It is none.
    """
    if not isinstance(data, dict):
        raise BadMessage(f'{what}: "data" must be an object, not {kind_of(data)}')
    return data


def text_in(data: dict[str, Any], key: str, what: str) -> str:
    """Return the name at ``key``: a short text that is not empty.

    Raises:
      BadMessage: There is none.
    """
    value = data.get(key)
    if not isinstance(value, str) or not value:
        problem = "is missing" if key not in data else f"is {kind_of(value)}"
        raise BadMessage(f'{what}: "{key}" must be a text that is not empty; it {problem}')
    if len(value) > MAX_NAME:
        raise BadMessage(f'{what}: "{key}" may have {MAX_NAME} characters, not {len(value)}')
    return value


def kind_of(value: Any) -> str:
    """Return what ``value`` is called in JSON."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a text" if value else "an empty text"
    return "an array" if isinstance(value, list) else "an object"


def shown(text: str) -> str:
    """Return ``text`` quoted and cut, for an error."""
    return repr(text if len(text) <= 60 else text[:57] + "...")


def _is_too_deep(text: str | bytes, data: Any) -> bool:
    if isinstance(text, str):
        brackets = text.count("[") + text.count("{")
    else:
        brackets = text.count(b"[") + text.count(b"{")
    if brackets <= MAX_DEPTH:
        return False
    level = [data]
    for _ in range(MAX_DEPTH):
        level = [
            item
            for value in level
            if isinstance(value, dict | list)
            for item in (value.values() if isinstance(value, dict) else value)
        ]
        if not level:
            return False
    return True
