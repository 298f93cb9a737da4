"""Messages into bytes and back, by hand."""

from typing import Any

import attrs
import orjson

from .._codec_payload import PAYLOAD
from .._timing import Stopwatch


@attrs.frozen
class _Request:
    source: str
    target: str | None
    job_id: str
    job_name: str | None
    payload: dict[str, Any] | None


_CLASSES = {"request": _Request}
_FIELDS = tuple(field.name for field in attrs.fields(_Request))


def _encode(message: _Request) -> bytes:
    fields = {name: getattr(message, name) for name in _FIELDS}
    return orjson.dumps({"type": "request", **fields})


def _decode(data: bytes) -> _Request:
    fields = orjson.loads(data)
    return _CLASSES[fields.pop("type")](**fields)


async def codec(count: int) -> float:
    """Encode and decode a job request ``count`` times; return seconds per message.

    The bytes are trusted: no field is checked.
    """
    message = _Request("planner", "worker-7", "0123456789abcdef-42", "look up", PAYLOAD)
    assert _decode(_encode(message)) == message
    with Stopwatch() as watch:
        for _ in range(count):
            _decode(_encode(message))
    return watch.seconds / count
