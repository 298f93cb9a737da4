"""`Graph`: workers, how they are connected, and their work."""

import random as random_module
from collections.abc import AsyncIterable, Callable, Iterable
from contextvars import copy_context
from itertools import count
from typing import Any, TypeVar, overload

import trio
from trio.lowlevel import enable_ki_protection

from ..errors import GraphWindowFull, StoppedError
from ._aborts import abort
from ._attempt import current_attempt
from ._building import GraphBuilder, check_bound
from ._failures import TaskFailure
from ._initial import InitialTask, InitialTasks, check_iterable
from ._open_graph import OnFailure, OpenGraph
from ._provenance import ProvenanceChain, check_prefix, upwards
from ._run import GraphRun, RunSettings
from ._states import Extra, StatusCallback
from ._stations import make_stations
from ._statistics import GraphStatistics
from ._task import Task
from ._trace import Trace
from ._user_input import UserRequestCallback
from ._wiring import Wiring
from ._worker import TaskWorker

T = TypeVar("T", bound=Task)


class Graph(GraphBuilder):
    """Workers, how they are connected, and the tasks that flow through them.

    Build it first, then run it::

        graph = Graph(name="words")
        split, count = Split(), Count()
        graph.add_workers(split, count).set_entry(split)
        graph.set_dependency(split, count).sink(Total)
        await graph.run([(split, Text(text="..."))])
        print(graph.get_output_tasks())

    It promises:

    - When `run` returns or raises, or `open` is left, by whatever way, all handlers
      have returned.
    - What a handler publishes is seen by others only if it succeeds, and then all
      at once; a retry never publishes twice.
    - A task that fails stops none but itself; what failed is told at the end.
    - Handlers that publish never wait. Only sources do: what initial tasks are taken
      from, and handlers that ``yield``, are asked for more only while fewer than
      ``window`` of their descendants are queued or running.

    A graph may be run again, one run at a time; numbers in provenance go on.

    Args:
      name: For errors, traces and drawings.
      strict: Whether a handler that changes the task that it was given has failed. This
        compares a copy of each, so it costs time.
      window: Descendants of a source that may be queued or worked on before it
        is pulled again, >= 1.
      max_held: Tasks that all joins together may hold, >= 1. One more ends the run
        with a `HeldTasksError`.
      max_running: Handlers that may run at once, >= 1.
      max_threads: Handlers that may run in threads at once, >= 1.
      random: Gives numbers in [0, 1), for the waits before retries.

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
        max_threads: int = 40,
        random: Callable[[], float] = random_module.random,
    ) -> None:
        super().__init__(
            name=name, strict=strict, window=window, max_held=max_held, max_running=max_running
        )
        check_bound("max_threads", max_threads)
        if not callable(random):
            raise TypeError(f"random must be a function that gives numbers, not {random!r}")
        self._settings = RunSettings(
            window=window,
            max_held=max_held,
            max_running=max_running,
            max_threads=max_threads,
            random=random,
        )
        self._numbers: dict[TaskWorker, count[int]] = {}
        self._initial_numbers = count(1)
        self._initial = InitialTasks(name, ())
        self._running: GraphRun | None = None
        self._ask_user: UserRequestCallback | None = None
        self._traces: tuple[Trace, ...] = ()
        self._outputs: list[Task] = []
        self._statistics = GraphStatistics()

    # Running

    async def run(
        self,
        initial_tasks: Iterable[InitialTask] | AsyncIterable[InitialTask],
        *,
        on_failure: OnFailure = "raise",
        progress: bool = False,
    ) -> tuple[TaskFailure, ...]:
        """Work on initial tasks, and on all that comes of them, until nothing is left.

        Args:
          initial_tasks: Pairs of a worker and a task; or tasks, which go to the one
            entry that takes them. Any iterable, also an async one; one that makes
            its items as it goes is a source. An empty list returns at once.
          on_failure: Whether tasks that fail for good are raised or returned.
          progress: Whether to show on standard error how each worker stands: a live
            table on a terminal, else a line every ten seconds and at the end.

        Returns:
          What has failed for good, the first 1,000; empty unless ``on_failure="collect"``.

        Raises:
          GraphFaultsError: The graph is not fit to run; it lists all that is wrong.
          GraphError: Tasks have failed, all others are done.
          RuntimeError: It is running already.
          TypeError, ValueError: An initial task is not one, nobody can get it, or it was
            published before. Of a list or tuple all are looked at before anything starts.
          MissingExtraError: ``progress`` needs packages that are not installed.
          Exception: Whatever the iterable or a worker's ``init`` raises.

        Always a checkpoint. When cancelled, it cancels all handlers and waits for them.
        """
        _check_on_failure(on_failure)
        check_iterable(initial_tasks)
        known = initial_tasks if isinstance(initial_tasks, list | tuple) else None
        if known is not None and not known:
            self._find_routes()
            await trio.lowlevel.checkpoint()
            return ()
        opened = OpenGraph(self, on_failure, lambda: self._begin(known or ()), progress=progress)
        async with opened:
            await opened.run.pull(initial_tasks, self._submit_item)
        return opened.failures

    def open(self, *, on_failure: OnFailure = "raise", progress: bool = False) -> OpenGraph:
        """Run the graph as a scope, for work that comes one by one. See `add_work`.

        Leaving the block waits until nothing is left; leaving it by an exception, or
        when cancelled, cancels all handlers and waits for them. The block's own
        exception leaves it as it is.

        Args:
          on_failure: Whether leaving raises a `GraphError` if tasks have failed for
            good; or the block's ``failures`` is to be looked at.
          progress: As in `run`.

        Raises:
          MissingExtraError: ``progress`` needs packages that are not installed.
          GraphFaultsError: On entering: the graph is not fit to run.
          RuntimeError: On entering: it is running already.
        """
        _check_on_failure(on_failure)
        return OpenGraph(self, on_failure, self._begin, progress=progress)

    @enable_ki_protection
    async def add_work(
        self,
        worker: TaskWorker,
        task: Task,
        metadata: dict[str, Any] | None = None,
        status_callback: StatusCallback | None = None,
    ) -> ProvenanceChain:
        """Begin with an initial task; wait first while the window is full.

        Args:
          worker: One of the entries, which takes the task.
          task: A new one.
          metadata: For `TaskWorker.get_metadata` and callbacks, of all that comes of it.
          status_callback: Called with metadata, provenance, worker, task, message and
            object at each `TaskWorker.notify_status`; may be async.

        Returns:
          Its provenance, for `abort_work` and `wait_completed`.

        Raises:
          GraphWindowFull: A `trio.WouldBlock`: the window is full, and a handler of this
            graph called it.
          TypeError: An argument has the wrong type.
          ValueError: The task was published before, or the worker can't get it.
          StoppedError: The graph is not open.

        Always a checkpoint.
        """
        run = self._open_run("add_work")
        if metadata is not None and not isinstance(metadata, dict):
            raise TypeError(f"add_work: metadata must be a dict or None, not {metadata!r}")
        if status_callback is not None and not callable(status_callback):
            raise TypeError(
                f"add_work: status_callback must be callable or None, not {status_callback!r}"
            )
        self._initial.check(worker, task)
        attempt = current_attempt.get()
        if attempt is not None and attempt.run is run and attempt.is_open:
            if run.intake.is_full:
                raise GraphWindowFull(self.name, self.window)
            await trio.lowlevel.checkpoint()
        else:
            await run.intake.wait_room()
        try:
            if run.is_closing:
                raise _not_open(self.name, "add_work")
            self._initial.check(worker, task)
            extra = None
            if metadata is not None or status_callback is not None:
                extra = Extra(metadata, status_callback)
            return (run.submit(worker, task, extra),)
        finally:
            run.intake.pass_on()

    def abort_work(self, provenance: ProvenanceChain) -> bool:
        """Stop work on what has a provenance, and on all that came of it, and nothing else.

        Handlers that run are cancelled, what waits is dropped. Joins that have waited
        for it lack it, see `JoinedTaskWorker`; those in it are stopped with it. So is what
        joins outside of it still hold of it, although `wait_completed` doesn't wait for that.

        Returns:
          Whether there was such work.

        Raises:
          StoppedError: The graph is not open.
          ValueError: ``provenance`` is no tuple of pairs.
        """
        check_prefix(provenance)
        run = self._open_run("abort_work")
        # What is left of a run that is being left is stopped already.
        return not run.is_closing and abort(run, provenance)

    async def wait_completed(self, provenance: ProvenanceChain) -> None:
        """Wait until nothing of what has a provenance is queued or running, sinks included.

        What a join holds is not waited for: it waits itself for the others of its group.
        Wait for the provenance that the group has in common, and the join was called.

        Always a checkpoint.

        Raises:
          StoppedError: The graph is not open, or has been left meanwhile.
          ValueError: The caller is a handler that works on it, and would wait for itself;
            or ``provenance`` is no tuple of pairs.
        """
        check_prefix(provenance)
        run, chain = self._open_run("wait_completed"), provenance
        attempt = current_attempt.get()
        if attempt is not None and attempt.run is run and attempt.is_open:
            above = set(upwards(attempt.parent))
            if not above.isdisjoint(run.tree.find_all(chain)):
                raise ValueError(
                    f"{attempt.station.name} works on {chain!r} itself, and would wait for ever"
                )
        await run.wait_completed(chain)

    def set_user_request_callback(self, callback: UserRequestCallback | None) -> None:
        """Say who is told when a handler asks a person; see `TaskWorker.request_user_input`.

        ``callback`` is called with the metadata of the initial task and the
        `UserRequest`, and may be async. It may answer, or keep the request for somebody
        who does later: ``request.answer(data, mime_type)``. The request is waited for
        until then, or until its time is up or its task was aborted; a callback that is
        still running then is cancelled. What it raises, the handler gets.

        With None, which is the default, the question is put on the terminal. While the graph
        runs, it counts for what is asked from now on.
        """
        self._ask_user = callback

    def get_user_request_callback(self) -> UserRequestCallback | None:
        """Return what `set_user_request_callback` was given last; None if nothing."""
        return self._ask_user

    # Looking

    def trace(self, provenance: ProvenanceChain) -> Trace:
        """Keep from now on what happens to a task and to all that comes of it.

        ``print(graph.trace(provenance))`` then shows which tasks, for which worker, when,
        and what became of them. A trace keeps no tasks, and the first 1,000 lines;
        a run keeps 100 traces.

        Args:
          provenance: As `add_work` returns it. Also a prefix for which a worker has called
            `TaskWorker.trace`, or a join has ``enable_trace``; see `traces`.

        Returns:
          The trace that there is, also after the run, or a new one.

        Raises:
          ValueError: Nothing with that provenance is in flight, nor was it traced; or it
            is no tuple of pairs.
        """
        check_prefix(provenance)
        prefix, run = provenance, self._running
        for trace in self.traces():
            if trace.prefix == prefix:
                return trace
        node = None if run is None else run.tree.find(prefix)
        if run is None or node is None:
            raise ValueError(
                f"nothing of {prefix!r} is in flight in graph {self.name!r}, and it was not traced"
            )
        return run.trace(node)

    def traces(self) -> tuple[Trace, ...]:
        """Return all traces of this run, or of the last one, the oldest first."""
        return self._traces if self._running is None else self._running.traces()

    @overload
    def get_output_tasks(self) -> list[Task]: ...
    @overload
    def get_output_tasks(self, task_class: type[T]) -> list[T]: ...
    def get_output_tasks(self, task_class: type[Task] = Task) -> list[Any]:
        """Return what sinks have collected in the last run, or in this one until now.

        Args:
          task_class: Only tasks of this class, or of a subclass.
        """
        return [task for task in self._outputs if isinstance(task, task_class)]

    @property
    def is_running(self) -> bool:
        """Whether it runs now."""
        return self._running is not None

    def statistics(self) -> GraphStatistics:
        """Return how it stands, or stood at the end of the last run."""
        return self._statistics if self._running is None else self._running.statistics()

    # Within

    def _change(self, what: str) -> Wiring:
        if self._running is not None:
            raise RuntimeError(f"graph {self.name!r} is running: call {what}() before or after")
        return super()._change(what)

    def _begin(self, initial_tasks: Iterable[InitialTask] = ()) -> GraphRun:
        """Return a new run, if nothing is wrong with the graph, nor with some initial tasks."""
        if self._running is not None:
            raise RuntimeError(
                f"graph {self.name!r} is running already: one run at a time, or build another"
            )
        stations = make_stations(
            self._find_routes(), self._wiring.limits, self._numbers, is_strict=self.strict
        )
        self._initial = InitialTasks(self.name, tuple(self._wiring.entries))
        self._initial.check_all(initial_tasks)
        self._outputs = []
        self._running = GraphRun(
            self.name,
            stations,
            self._settings,
            copy_context(),
            self._initial_numbers,
            self._outputs,
        )
        return self._running

    def _ended(self, run: GraphRun) -> None:
        """Note that a run has ended."""
        self._statistics = run.statistics()
        self._traces = run.traces()
        self._running = None

    def _open_run(self, what: str) -> GraphRun:
        if self._running is None:
            raise _not_open(self.name, what)
        return self._running

    def _submit_item(self, item: InitialTask) -> None:
        worker, task = self._initial.pair(item)
        self._open_run("run").submit(worker, task)


def _not_open(name: str, what: str) -> StoppedError:
    return StoppedError(
        f"{what}() was called, but graph {name!r} is not open",
        "call it inside `async with graph.open()`",
    )


def _check_on_failure(on_failure: object) -> None:
    if on_failure not in ("raise", "collect"):
        raise ValueError(f"on_failure must be 'raise' or 'collect', not {on_failure!r}")
