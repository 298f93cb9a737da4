"""What is asked of a `GraphWorker`, and what it sends, as they go over a bus."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import attrs

from ..errors import JobError
from ..jobs import to_dict as payload_to_dict
from ._provenance import Node, ProvenanceChain
from ._task import Task
from ._worker import TaskWorker


@attrs.frozen(kw_only=True)
class GraphTask:
    """One initial task.

    Attributes:
      fields: What `Task.to_dict` returns.
      type: The name of its class; None if the worker takes one class only.
      worker: The name of the entry that shall have it; None if one only takes it.
    """

    fields: dict[str, Any] = attrs.field(factory=dict)
    type: str | None = None
    worker: str | None = None


@attrs.frozen(kw_only=True)
class GraphRequest:
    """The payload of a `GraphWorker`'s job ``run``.

    Attributes:
      tasks: One or more.
      metadata: For `TaskWorker.get_metadata`, of all that comes of them.
    """

    tasks: list[GraphTask]
    metadata: dict[str, Any] = attrs.field(factory=dict)

    @classmethod
    def of(
        cls, *tasks: Task | tuple[TaskWorker | str, Task], metadata: Mapping[str, Any] | None = None
    ) -> Self:
        """Return the request for tasks, or for pairs of a worker or its name and a task.

        Raises:
          TypeError: One is neither, or has no form that goes over a bus.
        """
        items = []
        for item in tasks:
            worker, task = item if isinstance(item, tuple) else (None, item)
            if not isinstance(task, Task):
                raise TypeError(f"a request is made of tasks, not {task!r}")
            name = None if worker is None else str(getattr(worker, "name", worker))
            items.append(GraphTask(fields=task.to_dict(), type=type(task).__name__, worker=name))
        return cls(tasks=items, metadata=dict(metadata or {}))


@attrs.frozen
class Entries:
    """Makes initial tasks of what was asked, strictly.

    Attributes:
      workers: The entries, and the classes of tasks that each takes.
    """

    workers: Mapping[TaskWorker, Sequence[type[Task]]]

    def load(self, item: GraphTask, where: str) -> tuple[TaskWorker, Task]:
        """Return who is to work, and on what.

        Raises:
          JobError: Nobody takes it, or several do, or a field is wrong; it says where.
        """
        found = [
            (worker, cls)
            for worker, classes in self.workers.items()
            for cls in classes
            if item.worker in (None, worker.name) and item.type in (None, cls.__name__)
        ]
        if len(found) != 1:
            raise JobError(f"bad payload: {where}: {self._which(item, found)}")
        worker, cls = found[0]
        return worker, load(cls, item.fields, f"{where}.fields" if where else "payload")

    def _which(self, item: GraphTask, found: list[tuple[TaskWorker, type[Task]]]) -> str:
        asked = item.type or "a task without a type"
        if item.worker is not None:
            asked += f" for {item.worker!r}"
        every = [(worker, cls) for worker, classes in self.workers.items() for cls in classes]
        names = ", ".join(f"{cls.__name__} for {worker.name!r}" for worker, cls in found or every)
        if found:
            return f"{asked} fits several entries ({names}): say which worker and type"
        return f"{asked} fits no entry; there are: {names}"


def load(cls: type[Task], fields: object, where: str) -> Task:
    """Return a task of a class.

    Raises:
      JobError: A field is wrong.
    """
    try:
        return cls.from_dict(fields)  # type: ignore[arg-type]
    except ValueError as error:
        raise JobError(f"bad payload: {where}: {error}") from None


def chunk_of(task: Task) -> dict[str, Any]:
    """Return what is sent for an output.

    Raises:
      TypeError: It has no form that goes over a bus.
    """
    chain = task.provenance()
    return {
        "type": type(task).__name__,
        "fields": task.to_dict(),
        "worker": chain[-1][0],
        "provenance": _plain(chain),
    }


def update_of(node: Node) -> dict[str, Any]:
    """Return what is sent for a status.

    Raises:
      TypeError: The object has no form that goes over a bus.
    """
    station, task, message, thing = node.task
    if isinstance(thing, Task):
        thing = thing.to_dict()
    elif attrs.has(type(thing)):
        thing = payload_to_dict(thing, "the object of a status")
    return {
        "worker": station.name,
        "type": type(task).__name__,
        "provenance": _plain(task.provenance()),
        "message": message,
        "object": thing,
    }


def _plain(chain: ProvenanceChain) -> list[list[str | int]]:
    return [list(pair) for pair in chain]
