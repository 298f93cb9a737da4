"""The face for asking without waiting: fire and forget, and commands on open groups."""

from abc import abstractmethod

import trio

from ..bus import BusMessage
from ..jobs import JobGroup, JobRequest, make_request
from ._requesting import Requesting


class BackgroundRequesting(Requesting):
    """Requests whose groups live in the worker's own nursery, and end with it."""

    @abstractmethod
    async def wait_running(self) -> trio.Nursery:
        """Wait until the worker runs; return its own nursery."""

    @abstractmethod
    async def send_bus_message(self, message: BusMessage) -> None:
        """Send any message."""

    async def request_job(
        self,
        worker_name: str,
        *,
        name: str | None = None,
        payload: object = None,
        timeout: float | None = None,
    ) -> str:
        """Ask one worker and don't wait for the outcome: the hooks get it.

        Waits until the worker is ready. The job ends with this worker at the
        latest. A failure that no hook handles leaves the worker as an error.

        Returns:
          The job id.
        """
        request = make_request(
            (worker_name,), name=name, payload=payload, timeout=timeout, single=True
        )
        group = await self._start(request, told=False)
        return group.job_id

    async def request_job_group(
        self,
        *worker_names: str,
        name: str | None = None,
        payload: object = None,
        timeout: float | None = None,
        cancel_on_error: bool = True,
        label: str | None = None,
        cancellable: bool = True,
    ) -> str:
        """Ask several workers and don't wait for the outcomes: the hooks get them.

        Like `request_job`, with the arguments of `job_group`.

        Returns:
          The job id that all members share.
        """
        request = make_request(
            worker_names,
            name=name,
            payload=payload,
            timeout=timeout,
            cancel_on_error=cancel_on_error,
            label=label,
            cancellable=cancellable,
        )
        group = await self._start(request, told=False)
        return group.job_id

    async def create_job_group_and_request_job(
        self,
        worker_names: list[str],
        *,
        name: str | None = None,
        payload: object = None,
        timeout: float | None = None,
        cancel_on_error: bool = True,
        label: str | None = None,
        cancellable: bool = True,
    ) -> JobGroup:
        """Ask several workers and return the group, to `JobGroup.wait` for.

        Raises:
          JobGroupError: The workers were not ready in time.
        """
        request = make_request(
            tuple(worker_names),
            name=name,
            payload=payload,
            timeout=timeout,
            cancel_on_error=cancel_on_error,
            label=label,
            cancellable=cancellable,
        )
        return await self._start(request, told=True)

    async def cancel_job_group(self, job_id: str, *, reason: str | None = None) -> None:
        """Cancel a job or job group that this worker has requested.

        Raises:
          UnknownJobError: It has none with that id (any more).
        """
        group = self._requester().find(job_id)
        await trio.lowlevel.checkpoint()
        group.fail(f"cancelled: {reason}" if reason else "cancelled")

    async def request_cancel_job_group(self, job_id: str, *, reason: str | None = None) -> bool:
        """Cancel a group on behalf of a person, if it is ``cancellable``.

        Returns:
          Whether it was cancelled; False if it isn't cancellable or has ended.
        """
        group = self._requester().groups.get(job_id)
        await trio.lowlevel.checkpoint()
        if group is None or not group.cancellable or group.is_done:
            return False
        group.fail(f"cancelled: {reason}" if reason else "cancelled")
        return True

    async def request_job_update(self, job_id: str, worker_name: str) -> None:
        """Ask a member of an open job for an update.

        Raises:
          UnknownJobError: This worker has no open job with that id.
          ValueError: The worker isn't a member.
        """
        message = self._requester().ask_for_update(job_id, worker_name)
        if message is None:
            await trio.lowlevel.checkpoint()
        else:
            await self.send_bus_message(message)

    async def _start(self, request: JobRequest, *, told: bool) -> JobGroup:
        requester = self._requester()
        nursery = await self.wait_running()
        return await requester.start_detached(nursery, request, told=told)
