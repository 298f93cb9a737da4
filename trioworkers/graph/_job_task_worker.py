"""`JobTaskWorker`: a task worker whose work is done by workers on a bus."""

from collections import deque
from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from typing import Any

import attrs

from ..errors import NotAttachedError
from ..jobs import JobEvent, current_job
from ..workers import Requesting
from ._attempt import current_attempt
from ._states import outlet_of
from ._task import Task
from ._worker import TaskWorker

#: Updates that are kept of one task until its job has ended; the last ones.
MAX_UPDATES = 1000


def _check_target(worker: "JobTaskWorker", _: Any, target: tuple[str, ...] | str) -> None:
    names = worker.targets
    if not names or not all(names):
        raise ValueError(f"{type(worker).__name__}.target must name a worker, not {target!r}")
    if len(set(names)) < len(names):
        raise ValueError(f"{type(worker).__name__}.target has a name twice: {target!r}")


def _check_timeout(worker: "JobTaskWorker", _: Any, timeout: float | None) -> None:
    if timeout is not None and not timeout >= 0:
        raise ValueError(f"{type(worker).__name__}.timeout must be >= 0 or None, not {timeout}")


class JobTaskWorker(TaskWorker):
    """Lets workers on a bus do its work: each task becomes a job, or a job group.

    ::

        counting = JobTaskWorker(
            requester=runner, target="counter", job_name="count",
            input_types=[Page], output_types=[Count], num_retries=2,
        )

    or a subclass, with `payload_of` and `outputs_of` overridden. What comes of the job:

    - its response becomes outputs by `outputs_of`; of a group, each member's, in the
      order of ``target``. With ``streams`` it is each chunk, and not the response;
    - its updates are told by `notify_status`, when the work has succeeded, the last
      1,000 of them: the ``message`` in them, if there is one, and all of it as object;
    - a job that does not complete, also since its worker has crashed or was lost, or time
      is up, has failed with a `JobError`, and so this task. With ``num_retries`` it is
      asked for again. Of a group, the first member that fails cancels the others;
    - when the task is aborted, the job is cancelled; both have ended when the job's
      handlers have returned.

    In a graph that a `GraphWorker` serves, jobs are children of the job that it works on.

    Attributes:
      target: The name of a worker or pool. Several, as a tuple, make a job group.
      job_name: Which `@job` handler is meant; None: `on_job_request`.
      timeout: Seconds, >= 0, for each try, waiting for readiness included; None for no
        limit. With none, a name that nobody has is waited for without end.
      input_types: What it takes.
      streams: Whether outputs are made of chunks, in place of responses.
      requester: Who asks: a `BaseWorker` that runs, or a `WorkerRunner`. None is the
        `GraphWorker` that serves the graph.

    Raises:
      ValueError: ``target`` or ``timeout`` is out of range.
      TypeError: When the graph starts: there are several ``output_types``, and
        `outputs_of` is not overridden.
      NotAttachedError: When the graph starts: there is nobody who asks.
    """

    target: str | tuple[str, ...] = attrs.field(validator=_check_target)
    job_name: str | None = None
    timeout: float | None = attrs.field(default=None, validator=_check_timeout)
    input_types: list[type[Task]] = attrs.field(factory=list)
    streams: bool = False
    requester: Requesting | None = attrs.field(default=None, repr=False)
    _server: Requesting | None = attrs.field(default=None, init=False, repr=False)

    # -- To override -----------------------------------------------------------

    def payload_of(self, task: Any) -> object:
        """Return the payload for a task, a dict or an attrs instance: `Task.to_dict`."""
        return task.to_dict()

    def outputs_of(self, task: Any, data: dict[str, Any]) -> Iterable[Task]:
        """Return the outputs that a response, or a chunk, stands for.

        By default that is the one output type, of which ``data`` has the fields. Data of
        a `GraphWorker` says its type itself. With no output types it is nothing.

        Raises:
          ValueError: The data is of another form; the task has failed.
        """
        if not self.output_types:
            return ()
        if {"type", "fields", "worker", "provenance"} == data.keys():
            types = {cls.__name__: cls for cls in self.output_types}
            cls = types.get(data["type"])
            if cls is None:
                raise ValueError(
                    f"{self.name} got a {data['type']!r:.100} of {data['worker']!r:.100}, and "
                    f"publishes {', '.join(types)} only"
                )
            return (cls.from_dict(data["fields"]),)
        return (self._output_type().from_dict(data),)

    # -- For the graph ---------------------------------------------------------

    @property
    def targets(self) -> tuple[str, ...]:
        """The names in ``target``."""
        return (self.target,) if isinstance(self.target, str) else self.target

    def get_task_classes(self) -> list[type[Task]]:
        """See `TaskWorker.get_task_classes`."""
        if not self.input_types:
            raise TypeError(f"{self.name} takes nothing: say what, as in input_types=[Query]")
        return list(self.input_types)

    def _opened(self) -> AbstractAsyncContextManager[None] | None:
        is_overridden = type(self).outputs_of is not JobTaskWorker.outputs_of
        if self.output_types and not (is_overridden or self.streams):
            self._output_type()
        self._asking()
        return None

    def _serve(self, requester: Requesting | None) -> bool:
        if self.requester is not None:
            return False
        self._server = requester
        return True

    def _output_type(self) -> type[Task]:
        if len(self.output_types) > 1:
            names = ", ".join(cls.__name__ for cls in self.output_types)
            raise TypeError(
                f"{self.name} publishes {names}, and a response doesn't say which: override "
                "outputs_of()"
            )
        return self.output_types[0]

    def _asking(self) -> Requesting:
        requester = self.requester or self._server
        if requester is None:
            raise NotAttachedError(
                f"{self.name} has nobody who asks {self.target!r}",
                "give it a requester=, a WorkerRunner or a worker, or let a GraphWorker serve it",
            )
        return requester

    async def consume_work(self, task: Task) -> None:
        """Ask for the job, and publish what comes of it."""
        attempt = current_attempt.get()
        outlet = None if attempt is None else outlet_of(attempt.node)
        token = current_job.set(outlet.job) if outlet is not None else None
        try:
            await self._ask(task, self.payload_of(task))
        finally:
            if token is not None:
                current_job.reset(token)

    async def _ask(self, task: Task, payload: object) -> None:
        requester, names = self._asking(), self.targets
        updates: deque[dict[str, Any] | None] = deque(maxlen=MAX_UPDATES)
        # A group also of one: it names the worker of each event, and of each response.
        group = requester.job_group(
            *names, name=self.job_name, payload=payload, timeout=self.timeout
        )
        async with group:
            async for event in group:
                if event.type == JobEvent.UPDATE:
                    updates.append(event.data)
                elif event.type == JobEvent.STREAM_DATA and self.streams:
                    self._publish(task, event.data)
        if not self.streams:
            for name in names:
                self._publish(task, group.responses[name])
        for update in updates:
            message = update.get("message") if isinstance(update, dict) else None
            self.notify_status(task, message if isinstance(message, str) else None, update)

    def _publish(self, task: Task, data: dict[str, Any] | None) -> None:
        for output in self.outputs_of(task, {} if data is None else data):
            self.publish_work(output, input_task=task)
