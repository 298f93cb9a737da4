"""Initial tasks: who gets each, and what is wrong with those that nobody can get."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs

from ._task import Task
from ._wiring import INITIAL
from ._worker import TaskWorker

#: What a run begins with: a task and who is to work on it, or a task that one entry takes.
InitialTask = tuple[TaskWorker, Task] | Task


@attrs.define(eq=False)
class InitialTasks:
    """What may be the initial tasks of one run.

    Attributes:
      graph: The graph's name.
      entries: Who may get them.
    """

    graph: str
    entries: Sequence[TaskWorker]
    _fitting: set[tuple[TaskWorker, type[Task]]] = attrs.field(init=False, factory=set)
    _takers: dict[type[Task], TaskWorker] = attrs.field(init=False, factory=dict)

    def pair(self, item: Any) -> tuple[TaskWorker, Task]:
        """Return who is to work on an item, and the task, which is fit to begin with.

        Raises:
          TypeError: It is neither a task, nor a pair of a worker and a task.
          ValueError: Nobody can get the task, or it was published before.
        """
        if isinstance(item, Task):
            worker, task = self._taker(item), item
        else:
            try:
                worker, task = item
            except (TypeError, ValueError):
                hint = ": give a list of pairs" if isinstance(item, TaskWorker) else ""
                raise TypeError(
                    f"initial tasks are tasks, or pairs of worker and task, not {item!r}{hint}"
                ) from None
        self.check(worker, task)
        return worker, task

    def check(self, worker: Any, task: Any) -> None:
        """Refuse a task that a worker can't begin with. Raises as `pair` does."""
        if not isinstance(task, Task):
            raise TypeError(f"an initial task must be a Task, not {task!r}")
        if not isinstance(worker, TaskWorker):
            is_class = isinstance(worker, type) and issubclass(worker, TaskWorker)
            hint = ", the object and not its class" if is_class else ""
            raise TypeError(
                f"who gets an initial task must be a worker of the graph{hint}, not {worker!r}"
            )
        if (worker, type(task)) not in self._fitting:
            self._check_fit(worker, task)
        if task._published:
            raise ValueError(
                f"this {type(task).__name__} was published before, or is an initial task "
                "already: give task.copy_public()"
            )

    def check_all(self, items: Iterable[Any]) -> None:
        """Refuse items that can't all begin. Raises as `pair` does."""
        seen: set[int] = set()
        for item in items:
            _, task = self.pair(item)
            if id(task) in seen:
                raise ValueError(
                    f"this {type(task).__name__} is among the initial tasks twice: give "
                    "task.copy_public() the second time"
                )
            seen.add(id(task))

    def _check_fit(self, worker: TaskWorker, task: Task) -> None:
        if worker not in self.entries:
            names = ", ".join(one.name for one in self.entries)
            raise ValueError(
                f"{worker.name!r} is no entry of graph {self.graph!r}, which "
                f"has {names}: call set_entry() with it"
            )
        valid, error = worker.validate_task(type(task), worker)
        if not valid:
            raise ValueError(
                f"{worker.name} can't get a {type(task).__name__} from {INITIAL}: {error}"
            )
        self._fitting.add((worker, type(task)))

    def _taker(self, task: Task) -> TaskWorker:
        """Return the one entry that takes a task."""
        known = self._takers.get(type(task))
        if known is not None:
            return known
        takers = [
            worker for worker in self.entries if isinstance(task, tuple(worker.get_task_classes()))
        ]
        if len(takers) == 1:
            self._takers[type(task)] = takers[0]
            return takers[0]
        names = ", ".join(worker.name for worker in takers or self.entries)
        which = "several entries take" if takers else "no entry takes"
        raise ValueError(
            f"{which} a {type(task).__name__} ({names}): give pairs of worker and task"
        )


def check_iterable(tasks: Any) -> None:
    """Refuse what initial tasks can't be taken from.

    Raises:
      TypeError: It is no iterable, or is one of something else.
    """
    if isinstance(tasks, Task):
        raise TypeError(f"run() takes a list of initial tasks, not one alone: [{tasks!r}]")
    is_iterable = any(hasattr(tasks, name) for name in ("__iter__", "__aiter__", "__getitem__"))
    if isinstance(tasks, type | str | bytes | Mapping) or not is_iterable:
        raise TypeError(
            "run() takes an iterable, sync or async, of tasks or pairs of worker and task, not "
            f"{tasks!r}"
        )
