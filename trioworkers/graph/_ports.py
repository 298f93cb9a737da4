"""What tasks and workers need of the graph that they are in: small protocols.

`Graph` implements `GraphPort`; what runs a graph implements `RunPort`. A worker
has the first from `Graph.add_worker` on, the second while the graph runs.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from ._provenance import ProvenanceChain
    from ._task import Task
    from ._worker import TaskWorker

#: Is called with the prefix that is complete; may be async.
WatchCallback = Callable[["ProvenanceChain"], object]

#: Is called with the metadata of the initial task, and the task that came out; may be async.
SinkCallback = Callable[[dict[str, Any], Any], object]


class GraphPort(Protocol):
    """What a worker's face asks of the graph that it was added to."""

    name: str

    def set_dependency(self, upstream: "TaskWorker", downstream: "TaskWorker") -> "TaskWorker":
        """Let the outputs of one worker go to another; return the latter."""

    def set_sink(
        self, worker: "TaskWorker", output_type: "type[Task]", notify: SinkCallback | None = None
    ) -> None:
        """Collect the outputs of one type of a worker, or call ``notify`` with each."""


class RunPort(Protocol):
    """What a worker's face asks of the running graph. Nothing here waits but user input."""

    def publish(
        self,
        worker: "TaskWorker",
        task: "Task",
        input_task: "Task | None",
        consumer: "TaskWorker | None",
    ) -> None:
        """Take ``task`` into the outputs of the attempt that is running.

        Nothing about the arguments was checked.
        """

    def notify_status(
        self, worker: "TaskWorker", task: "Task", message: str | None, value: object
    ) -> None:
        """Tell the status callback of the task's initial task; at the commit."""

    def get_metadata(self, worker: "TaskWorker", task: "Task") -> dict[str, Any]:
        """Return what was given to ``add_work`` with the task's initial task."""

    def get_state(self, worker: "TaskWorker", task: "Task") -> dict[str, Any]:
        """Return the state that all workers share, of the task's initial task."""

    def get_worker_state(self, worker: "TaskWorker", prefix: "ProvenanceChain") -> dict[str, Any]:
        """Return the worker's own state of a prefix."""

    def watch(
        self, worker: "TaskWorker", prefix: "ProvenanceChain", callback: WatchCallback | None
    ) -> bool:
        """Call ``callback``, or `TaskWorker.notify`, when a prefix is complete."""

    def unwatch(
        self, worker: "TaskWorker", prefix: "ProvenanceChain", callback: WatchCallback | None
    ) -> bool:
        """Don't, after all."""

    def trace(self, worker: "TaskWorker", prefix: "ProvenanceChain") -> None:
        """Keep what happens below a prefix, to be looked at."""

    def request_user_input(
        self,
        worker: "TaskWorker",
        task: "Task",
        instruction: str,
        accepted_mime_types: Sequence[str],
        timeout: float | None,
    ) -> Any:
        """Ask a person; return the answer and its MIME type, in a Trio task awaitable."""

    def print(self, worker: "TaskWorker", text: str) -> None:
        """Show a line of text, without disturbing a live display."""
