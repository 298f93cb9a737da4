"""What stands in for a message of the job protocol that can't be read, so that nobody hangs.

It happens between processes whose codecs have other limits.
"""

import orjson

from .._job_messages import (
    BusJobRequestMessage,
    BusJobResponseMessage,
    JobFailure,
    JobStatus,
)
from .._messages import BusMessage

_EVENTS = ("job.response", "job.update", "job.stream")


def stand_in_for(data: bytes, why: str) -> BusMessage | None:
    """Return a message that can take the place of one that can't be read; or None.

    For a request, one without a payload, to be given back to its source. For what a
    responder has sent, its outcome ERROR.
    """
    try:
        wire = orjson.loads(data)
        tag, job_id, source, target = (wire[key] for key in ("$", "job_id", "source", "target"))
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None
    if not all(type(value) is str for value in (tag, job_id, source, target)):
        return None
    if tag == "job.request":
        return BusJobRequestMessage(job_id, source=source, target=target)
    if tag.startswith(_EVENTS) and tag != "job.update.request":
        failure = JobFailure("CodecError", f"what the worker sent can't be read here: {why}")
        return BusJobResponseMessage(
            job_id, JobStatus.ERROR, error=failure, source=source, target=target
        )
    return None
