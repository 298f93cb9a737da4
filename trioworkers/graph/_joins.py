"""`JoinedTaskWorker` and `MergedTaskWorker`: work on what has come of one task together."""

import abc
from collections.abc import Sequence
from typing import Any

import attrs

from ._join_policy import JoinPolicy, Merged
from ._task import Task
from ._worker import TaskWorker


def _no_join_type(worker: TaskWorker) -> type[TaskWorker]:
    raise TypeError(
        f"{type(worker).__name__}.join_type isn't set: say whose tasks are to be complete, as in "
        "`join_type: type[TaskWorker] = InitialTaskWorker`"
    )


class JoinedTaskWorker(TaskWorker):
    """Waits for all that has come of one task, and works on that together.

    Tasks are grouped by the pair that a worker of ``join_type`` has last added
    to their provenance. When no task that goes back to that pair is left
    anywhere in the graph, the group is complete, and the handler gets it, sorted
    by provenance. Of several joins that wait for one pair, the one that comes
    first in the graph is called first, and the next when nothing of that is left. ::

        class Report(JoinedTaskWorker):
            join_type: type[TaskWorker] = InitialTaskWorker
            output_types: list[type[Task]] = [Total]

            async def consume_work_joined(self, tasks: list[Count]):
                self.publish_work(Total(words=sum(task.words for task in tasks)))

    The provenance of its outputs is that of the group, and its own pair. If they
    come back to it, it is called again with those.

    Attributes:
      join_type: Which worker's tasks are to be complete: `InitialTaskWorker` for
        the initial tasks. All workers of that class, or a subclass, count.
      join_policy: What to do when tasks that would have led here have failed or were
        aborted. ``"all"``: fail, naming them. ``"settled"``: take what there is; the
        handler's argument is a `Joined`, which says what is missing. `at_least` (n):
        take n or more.
      enable_trace: Keep what happens to each group, to be looked at.
    """

    join_type: type[TaskWorker] = attrs.field(default=attrs.Factory(_no_join_type, takes_self=True))
    join_policy: JoinPolicy = "all"
    enable_trace: bool = False

    _handler_name = "consume_work_joined"

    @abc.abstractmethod
    def consume_work_joined(self, tasks: Any) -> Any:
        """Do the work on one group. Annotate ``tasks``: ``list[Query]``, or ``Joined[Query]``.

        As `TaskWorker.consume_work`, but for the ``yield``. There is one task at
        least, unless the policy is ``"settled"`` or ``at_least(0)``.
        """

    def consume_work(self, task: Any) -> Any:
        """Is never called: a join works on groups.

        Raises:
          TypeError: Always.
        """
        raise TypeError(
            f"{self.name} is a join, which works on groups: call {self._handler_name}()"
        )


class MergedTaskWorker(JoinedTaskWorker):
    """A join of several types, which come sorted by their type.

    The handler gets a dict with a list for each type, by the type's name, in the
    order of ``merged_types``; no list if there is no task of that type. It is a
    `Merged`, which says what is missing. Otherwise as `JoinedTaskWorker`.

    Attributes:
      merged_types: What it takes.
    """

    merged_types: list[type[Task]] = attrs.field(factory=list)

    _handler_name = "consume_work_merged"

    @abc.abstractmethod
    def consume_work_merged(self, tasks: Any) -> Any:
        """Do the work on one group: a ``Merged[str, list[Task]]``, by the name of the type."""

    def consume_work_joined(self, tasks: Any) -> Any:
        """Is never called: see `consume_work_merged`. Raises `TypeError`."""
        return self.consume_work(tasks)

    def get_task_classes(self) -> list[type[Task]]:
        """Return ``merged_types``."""
        return list(self.merged_types)


def merge(worker: MergedTaskWorker, tasks: Sequence[Task]) -> Merged[str, list[Task]]:
    """Return the argument of a merge's handler."""
    lists: dict[type[Task], list[Task]] = {cls: [] for cls in worker.merged_types}
    for task in tasks:
        cls = type(task)
        if cls not in lists:  # of a subclass
            cls = next(base for base in lists if isinstance(task, base))
        lists[cls].append(task)
    return Merged({cls.__name__: found for cls, found in lists.items() if found})
