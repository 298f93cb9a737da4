"""Messages into bytes and back."""

from trioworkers import BusJobRequestMessage
from trioworkers.bus import MessageCodec

from .._codec_payload import PAYLOAD
from .._timing import Stopwatch


async def codec(count: int) -> float:
    """Encode and decode a job request ``count`` times; return seconds per message."""
    codec = MessageCodec()
    message = BusJobRequestMessage(
        "0123456789abcdef-42", "look up", PAYLOAD, source="planner", target="worker-7"
    )
    assert codec.decode(codec.encode(message)) == message
    with Stopwatch() as watch:
        for _ in range(count):
            codec.decode(codec.encode(message))
    return watch.seconds / count
