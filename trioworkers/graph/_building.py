"""`GraphBuilder`: the half of `Graph` that builds it."""

from collections.abc import Sequence
from typing import Self

from . import _drawing
from ._check import check
from ._ports import SinkCallback
from ._routes import Routes
from ._task import Task
from ._wiring import Wiring
from ._worker import TaskWorker


def check_bound(what: str, value: object) -> None:
    """Refuse what is not a whole number >= 1."""
    if type(value) is not int:
        raise TypeError(f"{what} must be a whole number, not {value!r}")
    if value < 1:
        raise ValueError(f"{what} must be >= 1, not {value}")


class GraphBuilder:
    """Builds a graph: workers, what goes from one to another, entries and sinks.

    Mistakes in arguments are raised at once; whether all fits together is
    found out by `check`, which a run calls first.

    Args:
      name: For errors, traces and drawings.
      strict: See `Graph`.
      window: Descendants of a source that may be queued or worked on before it
        is pulled again, >= 1.
      max_held: Tasks that all joins together may hold, >= 1.
      max_running: Handlers that may run at once, >= 1.

    Raises:
      TypeError: An argument has the wrong type.
      ValueError: A number is less than 1.
    """

    def __init__(
        self,
        *,
        name: str = "graph",
        strict: bool = False,
        window: int = 1000,
        max_held: int = 1_000_000,
        max_running: int = 1000,
    ) -> None:
        if not isinstance(name, str):
            raise TypeError(f"a graph's name must be a str, not {name!r}")
        if type(strict) is not bool:
            raise TypeError(f"strict must be True or False, not {strict!r}")
        for what, value in (
            ("window", window),
            ("max_held", max_held),
            ("max_running", max_running),
        ):
            check_bound(what, value)
        self.name = name
        self.strict = strict
        self.window = window
        self.max_held = max_held
        self.max_running = max_running
        self._wiring = Wiring(name)

    def _change(self, what: str) -> Wiring:
        """Return the wiring, to be changed. The running half refuses while it runs."""
        return self._wiring

    @property
    def workers(self) -> tuple[TaskWorker, ...]:
        """All workers, in the order in which they were added."""
        return tuple(self._wiring.workers)

    def add_worker(self, worker: TaskWorker) -> Self:
        """Add a worker; return the graph.

        Of two workers whose names are those of their class, the second is
        renamed: ``Splitter-2``.

        Raises:
          TypeError: It is no worker.
          ValueError: It is in a graph already, or has another one's name.
        """
        self._change("add_worker").add(worker)
        worker._graph = self
        return self

    def add_workers(self, *workers: TaskWorker) -> Self:
        """Add workers, in order; return the graph. Raises as `add_worker` does."""
        for worker in workers:
            self.add_worker(worker)
        return self

    def set_dependency(
        self,
        upstream: TaskWorker,
        downstream: TaskWorker,
        *,
        types: Sequence[type[Task]] | None = None,
    ) -> TaskWorker:
        """Let what one worker publishes go to another. Cycles are allowed.

        What goes is what the one publishes and the other is annotated with. If
        several types fit only by a common base class, say which are meant.

        Args:
          upstream: Who publishes.
          downstream: Who takes it.
          types: Only these; None for all that fit.

        Returns:
          ``downstream``, for ``.next(...)`` to go on with.

        Raises:
          TypeError: An argument has the wrong type.
          ValueError: A worker is not in this graph.
        """
        self._change("set_dependency").connect(upstream, downstream, types)
        return downstream

    def set_entry(self, *workers: TaskWorker) -> Self:
        """Let workers get initial tasks, besides those that do already; return the graph."""
        wiring = self._change("set_entry")
        for worker in workers:
            wiring.require(worker, "set_entry")
        wiring.entries += [worker for worker in workers if worker not in wiring.entries]
        return self

    def get_entry_workers(self) -> list[TaskWorker]:
        """Return the workers that get initial tasks."""
        return list(self._wiring.entries)

    def set_exit(self, worker: TaskWorker) -> None:
        """Say which worker publishes what the graph as a whole does, as part of another one."""
        wiring = self._change("set_exit")
        wiring.require(worker, "set_exit")
        wiring.exit = worker

    def get_exit_worker(self) -> TaskWorker | None:
        """Return what `set_exit` was given; None if nothing."""
        return self._wiring.exit

    def set_sink(
        self, worker: TaskWorker, output_type: type[Task], notify: SinkCallback | None = None
    ) -> None:
        """Collect what a worker publishes of one type.

        There may be many sinks. A type that some worker takes goes to both.

        Args:
          worker: Who publishes.
          output_type: One of its `TaskWorker.output_types`.
          notify: Called with the metadata of the initial task and the task,
            which then isn't kept. None: `Graph.get_output_tasks` has them.

        Raises:
          TypeError: An argument has the wrong type.
          ValueError: The worker is not in this graph, doesn't publish that, or
            has a sink for it already.
        """
        self._change("set_sink").add_sink(worker, output_type, notify)

    def set_max_parallel_tasks(
        self, worker_class: type[TaskWorker], max_parallel_tasks: int
    ) -> None:
        """Let at most so many tasks be worked on at once by all instances of a class.

        Those of subclasses count, too. For a class it is the last call that counts.

        Raises:
          TypeError: An argument has the wrong type.
          ValueError: The number is less than 1.
        """
        self._change("set_max_parallel_tasks").limit(worker_class, max_parallel_tasks)

    def check(self) -> None:
        """Find all that is wrong with the graph; a run does this first.

        Raises:
          GraphFaultsError: Something is; it lists everything.
        """
        self._find_routes()

    def _find_routes(self) -> Routes:
        """Check the graph, and return where its tasks go."""
        return check(self._wiring)

    def drawing(self) -> _drawing.GraphDrawing:
        """Return a drawing of the graph as data: boxes and arrows."""
        return _drawing.draw(self._wiring)

    def to_mermaid(self) -> str:
        """Return a drawing of the graph as a Mermaid flowchart."""
        return _drawing.to_mermaid(self._wiring)

    def to_dot(self) -> str:
        """Return a drawing of the graph in the language of Graphviz."""
        return _drawing.to_dot(self._wiring)
