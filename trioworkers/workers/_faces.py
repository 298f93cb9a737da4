"""The parts of `BaseWorker`'s face that need no state: hooks, and sending for a job."""

from abc import ABC, abstractmethod
from collections.abc import Coroutine
from typing import Any

from ..bus import (
    BusJobCancelMessage,
    BusJobRequestMessage,
    BusJobResponseMessage,
    BusJobResponseUrgentMessage,
    BusJobStreamDataMessage,
    BusJobStreamEndMessage,
    BusJobStreamStartMessage,
    BusJobUpdateMessage,
    BusJobUpdateRequestMessage,
    BusJobUpdateUrgentMessage,
    BusMessage,
    JobStatus,
)
from ..jobs import (
    Intake,
    JobGroupResponse,
    send_chunk,
    send_event,
    send_response,
    send_stream_end,
)
from ._types import WorkerErrorData, WorkerReadyData


class HookFace:
    """The hooks of a worker: override those that you need.

    They run one at a time and in order, in the lanes of the worker;
    `on_job_request` and `on_job_cancelled` run in the Trio task of their job.
    A hook that nobody overrides and that has no event handler costs nothing.
    """

    async def on_activated(self, args: dict[str, Any] | None) -> None:
        """The worker was activated, with ``args``."""

    async def on_deactivated(self) -> None:
        """The worker was deactivated."""

    async def on_worker_ready(self, data: WorkerReadyData) -> None:
        """Another worker is ready: a local root worker, a watched one, or a child."""

    async def on_worker_failed(self, data: WorkerErrorData) -> None:
        """A child has reported an error, or crashed."""

    async def on_bus_message(self, message: BusMessage) -> None:
        """Any message has come; what it does by itself has been done."""

    async def on_job_request(self, message: BusJobRequestMessage) -> object:
        """Handle a job that no `@job` handler is for; see `job` for the rules."""

    async def on_job_response(
        self, message: BusJobResponseMessage | BusJobResponseUrgentMessage
    ) -> None:
        """A worker has answered."""

    async def on_job_update(self, message: BusJobUpdateMessage | BusJobUpdateUrgentMessage) -> None:
        """A worker has sent progress."""

    async def on_job_update_requested(self, message: BusJobUpdateRequestMessage) -> None:
        """A requester wants progress: answer with `send_job_update`."""

    async def on_job_completed(self, result: JobGroupResponse) -> None:
        """All members of a group have ended, and none made it fail."""

    async def on_job_error(
        self, message: BusJobResponseMessage | BusJobResponseUrgentMessage
    ) -> None:
        """A group is cancelled since the member that sent ``message`` failed."""

    async def on_job_stream_start(self, message: BusJobStreamStartMessage) -> None:
        """A worker begins to stream."""

    async def on_job_stream_data(self, message: BusJobStreamDataMessage) -> None:
        """A worker has sent a chunk."""

    async def on_job_stream_end(self, message: BusJobStreamEndMessage) -> None:
        """A worker has ended its stream."""

    async def on_job_cancelled(self, message: BusJobCancelMessage) -> None:
        """A job of this worker was cancelled, and its handler has stopped."""


class RespondingFace(ABC):
    """What a handler sends while its job is active.

    All of these raise `InactiveJobError` for a job that isn't active here or
    has its outcome fixed, and `TypeError` for data that is not a dict, an
    attrs instance or None. Events wait while the requester is slow: at most
    `CREDIT_WINDOW` of them are under way.
    """

    @abstractmethod
    def _responder(self) -> Intake:
        """Return the responder's half; raise if there is none (yet, or any more)."""

    async def send_job_response(
        self,
        job_id: str,
        response: object = None,
        *,
        status: JobStatus = JobStatus.COMPLETED,
        urgent: bool = False,
    ) -> None:
        """Fix the outcome of a job. It goes out when the handler returns.

        Returning a value does the same and is simpler.

        Args:
          job_id: The job.
          response: Its result.
          status: How it ends.
          urgent: Whether the outcome overtakes events that are under way.
        """
        await send_response(self._responder(), job_id, response, status, urgent=urgent)

    async def send_job_update(
        self, job_id: str, update: object = None, *, urgent: bool = False
    ) -> None:
        """Send progress.

        Args:
          job_id: The job.
          update: What to tell.
          urgent: Whether it overtakes events that are under way.
        """
        cls = BusJobUpdateUrgentMessage if urgent else BusJobUpdateMessage
        await send_event(self._responder(), cls, job_id, update)

    async def send_job_stream_start(self, job_id: str, data: object = None) -> None:
        """Begin a stream; ``data`` describes it."""
        await send_event(self._responder(), BusJobStreamStartMessage, job_id, data)

    def send_job_stream_data(self, job_id: str, data: object = None) -> Coroutine[Any, Any, None]:
        """Send a chunk, when awaited.

        Always a cancellation point, and a schedule point at least once per
        `CREDIT_WINDOW` chunks.
        """
        # Not `async def`: that would be one more coroutine for each chunk.
        return send_chunk(self._responder(), job_id, data)

    async def send_job_stream_end(self, job_id: str, data: object = None) -> None:
        """End the stream, and fix the outcome as completed with ``data``."""
        await send_stream_end(self._responder(), job_id, data)
