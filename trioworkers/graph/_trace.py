"""What happens below a prefix, kept to be looked at: `Graph.trace`."""

from typing import Any

import attrs
import trio

from ._phases import RUNNING
from ._provenance import Node, ProvenanceChain, upwards
from ._states import extra_of
from ._task import Task

#: Tasks that a trace keeps; of further ones it knows how many there were.
MAX_TASKS = 1000
#: Traces that a run keeps.
MAX_TRACES = 100
#: Characters of what a task has failed with.
MAX_ERROR = 200


@attrs.define(eq=False)
class TracedTask:
    """What became of one task. Times are in seconds since the trace began.

    Attributes:
      provenance: Of the task; of a join, of its group.
      worker: The name of the worker that consumed it, or ``sink of`` and a name.
      type: The name of its class; of a join how many it joins.
      queued: When it was there.
      began: When its handler was called last; None if it never was.
      ended: When it had ended for good; None if it hasn't.
      outcome: What became of it, in words.
      tries: How often its handler was called.
    """

    provenance: ProvenanceChain
    worker: str
    type: str
    queued: float
    began: float | None = None
    ended: float | None = None
    outcome: str = "waits"
    tries: int = 0


@attrs.define(eq=False)
class Trace:
    """What has happened below a prefix since the trace began. ``str(trace)`` is a text.

    Attributes:
      prefix: The provenance that all have in common.
      tasks: In the order in which they were there; the first 1,000.
      count: How many there were.
      is_complete: Whether nothing is left of the prefix.
    """

    prefix: ProvenanceChain
    tasks: list[TracedTask] = attrs.field(factory=list)
    count: int = 0
    is_complete: bool = False
    _start: float = attrs.field(factory=trio.current_time)

    def now(self) -> float:
        """Return the seconds since it began."""
        return trio.current_time() - self._start

    def add(self, task: TracedTask) -> bool:
        """Keep one more; return whether there was room."""
        self.count += 1
        if len(self.tasks) >= MAX_TASKS:
            return False
        self.tasks.append(task)
        return True

    def __str__(self) -> str:
        state = "complete" if self.is_complete else "not complete"
        noun = "task" if self.count == 1 else "tasks"
        lines = [f"trace of {_words(self.prefix)}: {self.count:,} {noun}, {state}"]
        lines.append(f"{'at':>10} {'waited':>10} {'took':>10}  what")
        for task in self.tasks:
            waited = None if task.began is None else task.began - task.queued
            took = None if task.began is None or task.ended is None else task.ended - task.began
            tries = f" (try {task.tries})" if task.tries > 1 else ""
            depth = max(0, len(task.provenance) - len(self.prefix))
            lines.append(
                f"{_seconds(task.queued)} {_seconds(waited)} {_seconds(took)}  {'  ' * depth}"
                f"{_words(task.provenance[-1:])} {task.type} for {task.worker}: "
                f"{task.outcome}{tries}"
            )
        if self.count > len(self.tasks):
            lines.append(f"and {self.count - len(self.tasks):,} more")
        return "\n".join(lines)


def _words(chain: ProvenanceChain) -> str:
    return " ".join(f"{name}:{number}" for name, number in chain)


def _seconds(value: float | None) -> str:
    return f"{'-':>10}" if value is None else f"{value:10.3f}"


@attrs.define(eq=False)
class Tracer:
    """The traces of one run. Called by the run, at each step of each task.

    Attributes:
      traces: By prefix, the oldest first.
    """

    traces: dict[ProvenanceChain, Trace] = attrs.field(factory=dict)
    _open: dict[Node, Trace] = attrs.field(factory=dict)
    _entries: dict[Node, list[tuple[Trace, TracedTask]]] = attrs.field(factory=dict)

    def trace(self, node: Node) -> Trace:
        """Begin to trace what is below ``node``, if that isn't done already."""
        if node in self._open:
            return self._open[node]
        prefix = node.chain()
        while len(self.traces) >= MAX_TRACES:
            self._drop()
        trace = Trace(prefix)
        self.traces[prefix] = self._open[node] = extra_of(node).trace = trace
        pending = [node]
        for one in pending:
            self._begin(one, (trace,))
            if one.phase == RUNNING:
                self.started(one)
            pending += (one.children or {}).values()
        return trace

    def _drop(self) -> None:
        """Forget the oldest trace, of those that are complete if there are any."""
        complete = (prefix for prefix, trace in self.traces.items() if trace.is_complete)
        dropped = self.traces.pop(next(complete, next(iter(self.traces))))
        for node, trace in list(self._open.items()):
            if trace is dropped:
                del self._open[node]

    def completed(self, trace: Trace, node: Node) -> None:
        """Note that nothing is left below a traced node."""
        trace.is_complete = True
        self._open.pop(node, None)

    # What becomes of tasks

    def begun(self, node: Node) -> None:
        """Note that a task is there, or that a join is due."""
        if self._open:
            self._begin(node, self._traces_of(node))

    def _traces_of(self, node: Node | None) -> tuple[Trace, ...]:
        found = self._open
        return tuple(found[above] for above in upwards(node) if above in found)

    def _begin(self, node: Node, traces: tuple[Trace, ...]) -> None:
        if node.ended:
            return
        for trace in traces:
            task: Any = node.task
            kind = type(task).__name__ if isinstance(task, Task) else _kind(task)
            entry = TracedTask(node.chain(), node.worker.name, kind, trace.now())
            if trace.add(entry):
                self._entries.setdefault(node, []).append((trace, entry))

    def passed(self, parent: Node, task: Task, worker: str, what: str) -> None:
        """Note that a task went where it needs no handler: into a join, or out of a sink."""
        if self._open:
            for trace in self._traces_of(parent):
                now = trace.now()
                name = type(task).__name__
                trace.add(TracedTask(task.provenance(), worker, name, now, None, now, what))

    def started(self, node: Node) -> None:
        """Note that a handler is called."""
        for trace, entry in self._entries.get(node, ()):
            entry.began, entry.outcome = trace.now(), "runs"
            entry.tries += 1

    def said(self, node: Node, what: str) -> None:
        """Note what became of a task, before it has ended."""
        for _, entry in self._entries.get(node, ()):
            entry.outcome = what

    def failed(self, node: Node, error: BaseException, *, again: bool = False) -> None:
        """Note that a handler has failed."""
        text = " ".join(str(error).split())
        cut = text if len(text) <= MAX_ERROR else text[:MAX_ERROR] + "..."
        what = f"{type(error).__name__}{': ' + cut if cut else ''}"
        self.said(node, f"to be tried again after {what}" if again else f"failed: {what}")

    def ended(self, node: Node) -> None:
        """Note that a task has ended for good."""
        for trace, entry in self._entries.pop(node, ()):
            entry.ended = trace.now()
            if entry.outcome in ("runs", "waits"):
                entry.outcome = "done"


def _kind(task: Any) -> str:
    tasks = getattr(task, "tasks", None)
    return f"join of {len(tasks)}" if tasks else "status" if isinstance(task, tuple) else "watch"
