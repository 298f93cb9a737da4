"""What failed for good in a run, and what a run raises for it."""

from typing import TYPE_CHECKING

import attrs

from ..errors import GraphError, path_text
from ._provenance import ProvenanceChain

if TYPE_CHECKING:
    from ._task import Task

#: Failures that a run keeps in full; of further ones it knows how many there were.
MAX_FAILURES = 1000

#: Tasks that are noted on an exception which several have raised.
MAX_NOTES = 3


@attrs.frozen(eq=False)
class TaskFailure:
    """A task that has failed for good, or was aborted.

    Attributes:
      worker: The name of the worker that consumed it.
      provenance: The task's; of a join, the group's.
      task: The task. None for a join, and for a worker's ``completed``.
      error: What was raised last.
      attempts: How often the handler was called.
    """

    worker: str
    provenance: ProvenanceChain = attrs.field(repr=path_text)
    task: "Task | None" = attrs.field(repr=False)
    error: BaseException
    attempts: int

    def __str__(self) -> str:
        what = "" if self.task is None else f" with {type(self.task).__name__}"
        where = path_text(self.provenance)
        tries = f" after {self.attempts} attempts" if self.attempts > 1 else ""
        kind = type(self.error).__name__
        text = str(self.error)
        return (
            f"{self.worker}{what}{' at ' + where if where else ''}{tries}: "
            f"{kind}{': ' + text if text else ''}"
        )


@attrs.define(eq=False)
class Failures:
    """The failures of one run, the first `MAX_FAILURES` of them in full.

    Attributes:
      graph: The graph's name.
      first: Those that are kept, the oldest first.
      count: How many there were.
    """

    graph: str
    first: list[TaskFailure] = attrs.field(factory=list)
    count: int = 0

    def add(self, failure: TaskFailure) -> None:
        """Note one more."""
        self.count += 1
        if len(self.first) < MAX_FAILURES:
            self.first.append(failure)

    def error(self) -> GraphError:
        """Return what to raise for them; there is one at least."""
        causes: dict[int, BaseException] = {}  # one that many have raised is there once
        for failure in self.first:
            cause = failure.error
            causes[id(cause)] = cause
            note = f"in {failure}".partition("\n")[0]
            notes = getattr(cause, "__notes__", ())
            if note not in notes and sum(one.startswith("in ") for one in notes) < MAX_NOTES:
                cause.add_note(note)
        error = GraphError(self.graph, tuple(self.first), self.count)
        error.__cause__ = BaseExceptionGroup(
            f"{self.count} failed in {self.graph!r}", [*causes.values()]
        )
        return error
