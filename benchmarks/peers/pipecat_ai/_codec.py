"""Messages into bytes and back."""

from pipecat.bus.messages import BusJobRequestMessage
from pipecat.bus.serializers.json import JSONMessageSerializer

from ..._codec_payload import PAYLOAD
from ..._timing import Stopwatch


async def codec(count: int) -> float:
    """Encode and decode a job request ``count`` times; return seconds per message."""
    serializer = JSONMessageSerializer()
    message = BusJobRequestMessage(
        source="planner",
        target="worker-7",
        job_id="0123456789abcdef-42",
        job_name="look up",
        payload=PAYLOAD,
    )
    assert serializer.deserialize(serializer.serialize(message)) == message
    with Stopwatch() as watch:
        for _ in range(count):
            serializer.deserialize(serializer.serialize(message))
    return watch.seconds / count
