"""The face for asking: jobs, job groups, and calls."""

import math
from abc import ABC, abstractmethod
from typing import Any

from ..jobs import JobContext, JobGroupContext, Requester, call, make_request


class Requesting(ABC):
    """What workers and runners share: they ask workers to do jobs.

    In all methods, ``payload`` is a dict or an attrs instance, ``name`` says
    which `@job` handler is meant (None: `on_job_request`), and ``timeout``
    counts seconds from entering until the outcome, waiting for readiness
    included. Names that nobody has yet are waited for.
    """

    @abstractmethod
    def _requester(self) -> Requester:
        """Return the requester's half; raise if there is none (yet, or any more)."""

    def job(
        self,
        worker_name: str,
        *,
        name: str | None = None,
        payload: object = None,
        timeout: float | None = None,
        cancel_grace: float = math.inf,
    ) -> JobContext:
        """Ask one worker, in an ``async with`` block.

        The request goes out on entering. Inside, ``async for`` gives updates
        and chunks. Leaving waits for the response. Whichever way the block is
        left, the handler has returned by then.

        Args:
          worker_name: Whom to ask.
          name: Which handler is meant.
          payload: What the job is about.
          timeout: Seconds, >= 0, or None to wait for ever.
          cancel_grace: Seconds that a cancelled handler may take to stop before
            the block is left without it; that is logged, and named in the error.

        Raises:
          JobError: From the block: the job did not complete.
          TypeError, ValueError: At the call: an argument is wrong.

        Example::

            async with self.job("counter", payload={"path": "a.txt"}) as job:
                async for event in job:
                    print(event.type, event.data)
            print(job.response)
        """
        request = make_request(
            (worker_name,),
            name=name,
            payload=payload,
            timeout=timeout,
            cancel_grace=cancel_grace,
            single=True,
        )
        return JobContext(self._requester(), request)

    def job_group(
        self,
        *worker_names: str,
        name: str | None = None,
        payload: object = None,
        timeout: float | None = None,
        cancel_on_error: bool = True,
        label: str | None = None,
        cancellable: bool = True,
        cancel_grace: float = math.inf,
    ) -> JobGroupContext:
        """Ask several workers at once, in an ``async with`` block.

        Like `job`, for all of ``worker_names``, which must be distinct.

        Args:
          worker_names: Whom to ask.
          name: Which handler is meant.
          payload: What the jobs are about.
          timeout: Seconds, >= 0, or None to wait for ever.
          cancel_on_error: Whether the first member that doesn't complete
            cancels the others and the block. If not, the block doesn't raise
            for members; look at ``outcomes``.
          label: What to call the group in front of a person.
          cancellable: Whether a person may cancel it.
          cancel_grace: As in `job`.

        Raises:
          JobGroupError: From the block: a member did not complete, or time
            was up. ``outcomes`` has what did complete.
          DuplicateWorkerError: At the call: a name is there twice.
          TypeError, ValueError: At the call: an argument is wrong.
        """
        request = make_request(
            worker_names,
            name=name,
            payload=payload,
            timeout=timeout,
            cancel_on_error=cancel_on_error,
            label=label,
            cancellable=cancellable,
            cancel_grace=cancel_grace,
        )
        return JobGroupContext(self._requester(), request)

    async def call(
        self,
        worker_name: str,
        *,
        name: str | None = None,
        payload: object = None,
        timeout: float | None = None,
    ) -> dict[str, Any]:
        """Ask one worker and return its response. Always a checkpoint.

        Raises:
          JobError: The job did not complete.
        """
        return await call(self.job(worker_name, name=name, payload=payload, timeout=timeout))
