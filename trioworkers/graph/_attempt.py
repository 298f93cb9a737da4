"""One call of a handler, and what it has to say if it succeeds."""

from collections.abc import Hashable, Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING

from ._provenance import Group, Node, ProvenanceChain, upwards
from ._task import Task

if TYPE_CHECKING:
    from ._run import GraphRun
    from ._sources import Source
    from ._states import Transaction
    from ._stations import Fork, Station

#: The attempt that the present Trio task, or thread, belongs to.
current_attempt: ContextVar["Attempt | None"] = ContextVar("graph attempt", default=None)

#: A task, who consumes it, the node it becomes a child of, and what it was made from if
#: that is not the task that is worked on.
Output = tuple[Task, "Station | Fork", Node, Task | None]
#: A task, a message and an object for a status callback.
Status = tuple[Task, str | None, object]
#: The node, the key of the watch, and where it is told; None to watch no more.
WatchChange = tuple[Node, Hashable, "Station | None"]


class PutAside(Exception):
    """Raised by a wrapped handler: the task is to wait until `GraphRun.bring_back`.

    Whoever raises it keeps the attempt, for `Attempt.go_on_from`.
    """


class Attempt:
    """One call of a handler. Outputs, statuses, states and watches wait for its success.

    Attributes:
      run: The run that it belongs to.
      station: Whose handler.
      node: The task, or the group, that it works on.
      source: Whose window the outputs count for.
      is_open: Whether the handler may still publish.
      inputs: Of a join: what it has joined, once it was called.
      lineage: What it comes from, once that was asked for; None before.
      outputs: What it has published, in that order.
      statuses: What it has told.
      states: The states that it has looked at, or None.
      watches: The watches that it has changed, or None.
    """

    __slots__ = (
        "inputs",
        "is_open",
        "lineage",
        "node",
        "outputs",
        "run",
        "source",
        "states",
        "station",
        "statuses",
        "watches",
    )

    # Written by hand: it runs once a task.
    def __init__(self, run: "GraphRun", station: "Station", node: Node, source: "Source") -> None:
        self.run = run
        self.station = station
        self.node = node
        self.source = source
        self.is_open = True
        self.inputs: tuple[Task, ...] | None = None
        self.lineage: Lineage | None = None
        self.outputs: list[Output] = []
        self.statuses: list[Status] | None = None
        self.states: Transaction | None = None
        self.watches: list[WatchChange] | None = None

    def publish(self, task: Task, input_task: Task | None, consumer: object) -> None:
        """Take one output.

        Raises:
          ValueError: As `TaskWorker.publish_work` says.
        """
        node = self.node
        target = self.station.target(task, consumer)
        if task._published:
            raise ValueError(
                f"{self.station.name} published this {type(task).__name__} before, or somebody "
                "else did: a task is published once. Publish task.copy_public()"
            )
        if input_task is None or input_task is node.task:
            output: Output = (task, target, self.parent, None)
        else:
            output = self._made_from(task, target, input_task)
        task._published = True
        self.outputs.append(output)

    @property
    def parent(self) -> Node:
        """The node that outputs become children of."""
        node = self.node
        if type(node.task) is Group:
            assert node.parent is not None
            return node.parent
        return node

    def _made_from(self, task: Task, target: "Station | Fork", input_task: Task) -> Output:
        """Return the output that is made from ``input_task``, which must be upstream."""
        if self.lineage is None:
            self.lineage = Lineage(self.parent, self.inputs)
        known, parent = self.lineage.find(input_task)
        if not known:
            raise ValueError(
                f"{self.station.name} published a {type(task).__name__} with an input_task "
                f"({type(input_task).__name__}) that it is not working on, nor comes from: "
                "leave input_task away, or give the task that consume_work got"
            )
        if parent is None:
            return (task, target, self.parent, None)
        return (task, target, parent, input_task)

    def take(self) -> tuple[list[Output], ProvenanceChain | None, tuple[Task, ...]]:
        """Return the outputs so far, and the base and the inputs of those of a join."""
        outputs, self.outputs = self.outputs, []
        if self.inputs is None:
            return outputs, None, ()
        return outputs, self.node.chain(), self.inputs

    def go_on_from(self, other: "Attempt") -> None:
        """Take over what an earlier attempt had said when it was put aside."""
        self.outputs, self.statuses = other.outputs, other.statuses
        self.states, self.watches = other.states, other.watches

    def drop(self) -> None:
        """Forget everything, as the handler has failed."""
        self.is_open = False
        for task, *_ in self.outputs:
            task._published = False
        self.outputs.clear()


class Lineage:
    """What an attempt comes from, walked up as far as was asked for, and once.

    Args:
      parent: The node that outputs become children of.
      inputs: Of a join: what it has joined.
    """

    __slots__ = ("_found", "_rest")

    def __init__(self, parent: Node, inputs: tuple[Task, ...] | None) -> None:
        # What was walked over is kept by what comes from it, so that its id stays its own.
        self._found: dict[int, Node | None] = dict.fromkeys(map(id, inputs or ()))
        self._rest = _walk_up(parent, inputs)

    def find(self, task: Task) -> tuple[bool, Node | None]:
        """Look for a task.

        Returns:
          Whether it is there, and the node that what is made from it becomes a child
          of; None for the usual one.
        """
        found, wanted = self._found, id(task)
        if wanted not in found:
            for key, node in self._rest:
                found.setdefault(key, node)
                if key == wanted:
                    break
            else:
                return False, None
        return True, found[wanted]


def _walk_up(parent: Node, inputs: tuple[Task, ...] | None) -> Iterator[tuple[int, Node | None]]:
    """Give the ids of the ancestors of an attempt, and then of all other tasks upstream."""
    for node in upwards(parent):
        # A group is made from the task that it joins at, and is what counts.
        yield id(node.task), None if inputs is not None and node is parent else node
    pending = list(inputs or (parent.task,))
    seen = set()
    while pending:
        task = pending.pop()
        if id(task) not in seen:
            seen.add(id(task))
            yield id(task), None
            pending += task._inputs
