"""`InvokeTaskWorker`: one handler, called as a graph calls it, and what comes of it."""

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from ..graph import (
    CachedTaskWorker,
    Graph,
    InitialTaskWorker,
    JoinedTaskWorker,
    Task,
    TaskWorker,
    UserRequest,
)
from ._memory_cache import MemoryCache

_GIVEN, _MISSING = "given tasks", "missing tasks"


class _Start(Task):
    """What begins the work of a join."""


class _Gap(Task):
    """Stands for something that is missing from a join.

    Attributes:
      number: Which.
    """

    number: int


class _Given(TaskWorker):
    """Publishes what a join is to get, and what it is to lack."""

    tasks: Any = ()
    gaps: int = 0

    async def consume_work(self, task: _Start) -> None:
        for given in self.tasks:
            self.publish_work(given)
        for number in range(self.gaps):
            self.publish_work(_Gap(number=number))


class _Failing(TaskWorker):
    """Fails, so that a join lacks something."""

    errors: Any = ()

    async def consume_work(self, task: _Gap) -> None:
        raise self.errors[task.number]


@attrs.frozen
class InvokedStatus:
    """What a handler has told with `TaskWorker.notify_status`.

    Attributes:
      task: The task that it was about.
      message: The message, or None.
      object: What else it had to say.
    """

    task: Task
    message: str | None
    object: Any


class InvokeTaskWorker:
    """Calls the handler of one worker on tasks of your choice, and shows what it publishes.

    ::

        invoke = InvokeTaskWorker(Split, least=3)
        words = await invoke(Line(text="to be or not"))
        invoke.assert_published_task_types([Word])

    It runs a real graph of that worker alone. So a plain ``def`` runs in a thread, `init` is
    called before and `completed` after, what has failed is tried again as often as the worker
    says, and of a handler that raises for good nothing is published: its error leaves the call.

    Each call is a run of its own. A `CachedTaskWorker` has a `MemoryCache`, unless it was
    given a cache. Publishing with ``consumer=`` is refused: there is nobody else.

    Args:
      worker: A class of task workers, or a worker that is in no graph.
      fields: Of the class.

    Attributes:
      worker: The worker.
      published: What the last call has published, in that order.
      statuses: What it has told.
      asked: What its handler has asked a person.
      answer: What it was, or is to be, answered: data and MIME type; or just data, which is
        then of the first type that is accepted. It may be a function of the `UserRequest`.

    Raises:
      TypeError: ``worker`` is neither, or there are fields for a worker that is made already.
      ValueError: It is in a graph.
    """

    #: Says that there is no answer.
    NO_ANSWER: Any = type("NoAnswer", (), {"__repr__": lambda _: "NO_ANSWER"})()

    def __init__(self, worker: type[TaskWorker] | TaskWorker, /, **fields: Any) -> None:
        if isinstance(worker, type) and issubclass(worker, TaskWorker):
            worker = worker(**fields)
        elif not isinstance(worker, TaskWorker):
            raise TypeError(f"InvokeTaskWorker takes a task worker, or its class, not {worker!r}")
        elif fields:
            raise TypeError(f"{worker.name} is made already, so it takes no {', '.join(fields)}")
        if worker._graph is not None:
            raise ValueError(f"{worker.name} is in a graph already: make another one for the test")
        if isinstance(worker, CachedTaskWorker) and worker.cache is None:
            worker.cache = MemoryCache()
        self.worker = worker
        self.published: list[Task] = []
        self.statuses: list[InvokedStatus] = []
        self.asked: list[str] = []
        self.answer: Any = self.NO_ANSWER

    async def __call__(self, task: Task, *, metadata: dict[str, Any] | None = None) -> list[Task]:
        """Do as `invoke` does."""
        return await self.invoke(task, metadata=metadata)

    async def invoke(self, task: Task, *, metadata: dict[str, Any] | None = None) -> list[Task]:
        """Let the handler work on one task.

        Args:
          task: It becomes an initial task. To have it come from others, see
            `Task.inject_input`. One that was published before, such as by another call, is
            copied; the copy knows what the task came from.
          metadata: For `TaskWorker.get_metadata`.

        Returns:
          What it has published.

        Raises:
          TypeError: The worker doesn't take such a task, or is a join.
          Exception: What the handler has raised in its last try.
        """
        worker = self.worker
        if isinstance(worker, JoinedTaskWorker):
            raise TypeError(f"{worker.name} is a join: call invoke_joined() with a list of tasks")
        self._check(task, "invoke")
        graph = Graph(name=f"test of {worker.name}")
        return await self._run(graph, worker, _fresh(task), metadata)

    async def invoke_joined(
        self,
        tasks: Sequence[Task],
        missing: Sequence[Exception] = (),
        *,
        metadata: dict[str, Any] | None = None,
    ) -> list[Task]:
        """Let a join, or a merge, work on one group.

        It joins on the initial task for the time being, whatever its ``join_type``.

        Args:
          tasks: What has arrived, in any order; the handler gets it in this one. A merge
            sorts it by type. Those that were published before are copied, see `invoke`.
          missing: Errors of further tasks that have failed, so that the join lacks them.
          metadata: As for `invoke`.

        Returns:
          What it has published.

        Raises:
          TypeError: The worker doesn't take such tasks, or is no join.
          ValueError: There is nothing that has arrived, and nothing missing.
          JoinError: Its policy forbids to call the handler.
          Exception: What the handler has raised in its last try.
        """
        join = self.worker
        if not isinstance(join, JoinedTaskWorker):
            raise TypeError(f"{join.name} is no join: call invoke() with a task")
        if isinstance(tasks, Task | Mapping):
            raise TypeError(f"invoke_joined takes a list of tasks, not {tasks!r}")
        for task in tasks:
            self._check(task, "invoke_joined")
        if not tasks and not missing:
            raise ValueError("a join of nothing is never called: give tasks, or what is missing")
        taken = join.get_task_classes()
        types = list(dict.fromkeys([*taken, *map(type, tasks)]))
        given = _Given(
            name=_GIVEN,
            output_types=[*types, _Gap],
            tasks=[_fresh(task) for task in tasks],
            gaps=len(missing),
        )
        failing = _Failing(name=_MISSING, output_types=taken[:1], errors=list(missing))
        graph = Graph(name=f"test of {join.name}")
        graph.add_workers(given, failing)
        return await self._run(graph, given, _Start(), metadata, joins=(given, failing, types))

    async def _run(
        self,
        graph: Graph,
        entry: TaskWorker,
        task: Task,
        metadata: dict[str, Any] | None,
        joins: tuple[TaskWorker, TaskWorker, list[type[Task]]] | None = None,
    ) -> list[Task]:
        worker = self.worker
        self.published, self.statuses, self.asked = [], [], []
        graph.add_worker(worker)
        join_type = getattr(worker, "join_type", None)
        try:
            if joins is not None:
                given, failing, types = joins
                graph.set_dependency(given, worker, types=types)
                graph.set_dependency(given, failing).next(worker)
                worker.join_type = InitialTaskWorker  # type: ignore[attr-defined]
            graph.set_entry(entry)
            graph.set_exit(worker)
            graph.set_user_request_callback(self._asked)
            async with graph.open(on_failure="collect") as opened:
                await graph.add_work(entry, task, metadata, self._told)
        finally:
            worker._graph = None
            if joins is not None:
                worker.join_type = join_type  # type: ignore[attr-defined]
        for failure in opened.failures:
            if failure.worker != _MISSING:
                raise failure.error
        self.published = graph.get_output_tasks()
        return list(self.published)

    def _check(self, task: object, what: str) -> None:
        worker = self.worker
        if not isinstance(task, Task):
            raise TypeError(f"{what} takes tasks, not {task!r}")
        valid, error = worker.validate_task(type(task), worker)
        if not valid:
            if isinstance(error, TypeError):
                raise error
            names = " or ".join(cls.__name__ for cls in worker.get_task_classes())
            raise TypeError(f"{worker.name} takes {names}, not {type(task).__name__}")

    def _told(self, *status: Any) -> None:
        self.statuses.append(InvokedStatus(*status[3:]))

    def _asked(self, _metadata: dict[str, Any], request: UserRequest) -> None:
        self.asked.append(request.instruction)
        answer = self.answer(request) if callable(self.answer) else self.answer
        if answer is self.NO_ANSWER:
            raise AssertionError(
                f"{request.worker} asks {request.instruction!r}: set .answer of the "
                "InvokeTaskWorker before"
            )
        if not isinstance(answer, tuple):
            answer = answer, request.accepted_mime_types[0]
        request.answer(*answer)

    def assert_published_task_count(self, expected: int) -> None:
        """Check how much the last call has published.

        Raises:
          AssertionError: It was another number.
        """
        if len(self.published) != expected:
            names = ", ".join(task.name for task in self.published) or "nothing"
            raise AssertionError(
                f"{self.worker.name} has published {len(self.published)} tasks, not {expected}: "
                f"{names}"
            )

    def assert_published_task_types(self, expected: Sequence[type[Task]]) -> None:
        """Check the types of what the last call has published, in that order.

        Raises:
          AssertionError: They are others.
        """
        types = [type(task) for task in self.published]
        if types != list(expected):
            got, wanted = (
                "[" + ", ".join(cls.__name__ for cls in some) + "]" for some in (types, expected)
            )
            raise AssertionError(f"{self.worker.name} has published {got}, not {wanted}")


def _fresh(task: Task) -> Task:
    """Return a task that can be published: itself, or a copy that knows where it came from."""
    if not task._published:
        return task
    copy = task.copy_public()
    for one in reversed((*reversed(task._injected), *task._inputs)):
        copy.inject_input(one)
    for key, value in (task._private_state or {}).items():
        copy.add_private_state(key, value)
    return copy
