"""What a handler sends while its job is active: events and its answer."""

from trio.lowlevel import checkpoint, checkpoint_if_cancelled, enable_ki_protection

from ..bus import (
    CREDIT_WINDOW,
    BusJobStreamDataMessage,
    BusJobStreamEndMessage,
    JobStatus,
)
from ._answers import Answer
from ._intake import Intake
from ._payload import to_dict
from ._streams import EventMessage


@enable_ki_protection
async def send_event(responder: Intake, cls: type[EventMessage], job_id: str, data: object) -> None:
    """Send an update or a part of a stream; wait for credit if there is none.

    Always a checkpoint.

    Raises:
      InactiveJobError: The job isn't active here, or is not any more.
      TypeError: The data is not a dict, an attrs instance or None.
      CodecError: The bus can't carry the data. The job may go on and send others.
    """
    job = responder.sending(job_id)
    sent = to_dict(data, "what a job sends")
    if job.seq < job.credit:
        await checkpoint()
    while job.seq >= job.credit:
        await job.wait_credit()
        responder.sending(job_id)
    # While it waited, another Trio task may have answered.
    if job.answer is not None or job_id not in responder.active:
        responder.sending(job_id)
    seq = job.seq
    responder.bus.post(cls(job_id, sent, seq=seq, source=responder.name, target=job.request.source))
    # Not before: what can't be sent uses no number, or the requester would wait for it.
    job.seq = seq + 1
    # Soon at first, so that a network can carry the first ones while others are made.
    job.rest_at = seq + 1 + min(seq + 1, CREDIT_WINDOW)


@enable_ki_protection
async def send_chunk(responder: Intake, job_id: str, data: object) -> None:
    """Send a chunk, as `send_event` does, with less to do for each.

    Always a cancellation point, and a schedule point at least once per
    `CREDIT_WINDOW` chunks.
    """
    job = responder.active.get(job_id)
    if (
        job is None
        or job.answer is not None
        or job.seq >= job.credit
        or job.seq >= job.rest_at
        or type(data) is not dict
    ):
        await send_event(responder, BusJobStreamDataMessage, job_id, data)
        return
    await checkpoint_if_cancelled()
    seq = job.seq
    responder.bus.post(
        BusJobStreamDataMessage.numbered(job_id, data, seq, responder.name, job.request.source)
    )
    job.seq = seq + 1


@enable_ki_protection
async def send_response(
    responder: Intake, job_id: str, response: object, status: JobStatus, *, urgent: bool
) -> None:
    """Fix the outcome of a job; it goes out when the handler returns. Always a checkpoint.

    Raises:
      InactiveJobError: The job isn't active here, or is answered.
      TypeError: The response is not a dict, an attrs instance or None.
      ValueError: The status is not a `JobStatus`.
    """
    responder.sending(job_id)
    answer = Answer(JobStatus(status), to_dict(response, "a job's response"), urgent=urgent)
    await checkpoint()
    responder.sending(job_id).answer = answer


@enable_ki_protection
async def send_stream_end(responder: Intake, job_id: str, data: object) -> None:
    """End a stream, and fix the outcome as COMPLETED with ``data``. Always a checkpoint."""
    await send_event(responder, BusJobStreamEndMessage, job_id, data)
    job = responder.sending(job_id)
    job.answer = Answer(JobStatus.COMPLETED, to_dict(data, "what a job sends"))
    job.wake()
