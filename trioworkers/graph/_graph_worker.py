"""`GraphWorker`: serves a graph as jobs."""

from collections import deque
from collections.abc import Iterable
from typing import Any

from trio.lowlevel import enable_ki_protection

from ..bus import BusJobRequestMessage
from ..errors import JobError, JoinError
from ..jobs import current_job, job
from ..workers import BaseWorker, WorkerParams
from ._failures import Failures, TaskFailure
from ._graph import Graph
from ._graph_request import Entries, GraphRequest, GraphTask, chunk_of, update_of
from ._outlet import Outlet
from ._phases import ENDED
from ._provenance import Node
from ._run import GraphRun
from ._states import Extra
from ._task import Task
from ._worker import TaskWorker


class GraphWorker(BaseWorker):
    """Serves a graph as jobs. The graph is open while the worker runs.

    ::

        await runner.add_workers(GraphWorker("words", graph))
        async with runner.job(
            "words", name="run", payload=GraphRequest.of(Text(text="..."))
        ) as job:
            async for event in job:
                if event.type == JobEvent.STREAM_DATA:
                    print(event.data["type"], event.data["fields"])

    There are two jobs. ``run`` takes a `GraphRequest`. ``run_task`` takes the fields of
    one task, for graphs where one entry takes one type. What comes of the tasks of a job
    goes to its requester:

    - a `TaskWorker.notify_status` is an update with ``worker``, ``type``,
      ``provenance``, ``message`` and ``object``;
    - an output of a sink is a chunk with ``type``, ``fields``, ``worker`` and
      ``provenance``. Sinks with a callback call that, and send nothing;
    - the response says how many ``tasks`` there were, and ``outputs``;
    - if tasks have failed for good, then, when all others are done, the job is FAILED
      if they have raised `JobError`, and ERROR else; it says which, and where.

    When a job is cancelled, what came of its initial tasks is aborted, nothing else, and
    the job ends when their handlers have stopped. A requester that is slow to read slows
    the sources and the initial tasks of its own job, at most `Graph.window` of which are
    in flight, and nobody else.

    Args:
      name: Unique on the bus; made up if None.
      graph: It must not be run elsewhere meanwhile.
      task_types: Initial tasks that may be asked for besides those that the entries are
        annotated with: subclasses of them.
      active: Whether it is activated when it starts.
      max_jobs: How many jobs may be worked on at once, >= 1, or None for any number.

    Raises:
      TypeError: ``graph`` is no graph.
      ExceptionGroup: From `run`, so that the worker crashes: a `GraphFaultsError`, what
        ``init`` or ``completed`` of a task worker has raised, or what else ended the
        graph.
    """

    def __init__(
        self,
        name: str | None,
        graph: Graph,
        *,
        task_types: Iterable[type[Task]] = (),
        active: bool = True,
        max_jobs: int | None = None,
    ) -> None:
        if not isinstance(graph, Graph):
            raise TypeError(f"GraphWorker takes a Graph, not {graph!r}")
        super().__init__(name, active=active, max_jobs=max_jobs)
        self.graph = graph
        self._task_types = tuple(task_types)
        self._entries = Entries({})
        self._opened: GraphRun | None = None

    @enable_ki_protection
    async def run(self, params: WorkerParams) -> None:
        """Open the graph, and run until the worker stops; see `BaseWorker.run`."""
        served = [one for one in self.graph.workers if one._serve(self)]
        try:
            async with self.graph.open() as opened:
                self._opened = opened.run
                self._entries = self._find_entries()
                await super().run(params)
        finally:
            self._opened = None
            for one in served:
                one._serve(None)

    @job(name="run")
    async def run_tasks(self, message: BusJobRequestMessage, payload: GraphRequest) -> None:
        """Do the work on initial tasks, and on all that comes of them."""
        if not payload.tasks:
            raise JobError("bad payload: tasks: there is none")
        tasks = [
            self._entries.load(item, f"tasks[{index}]") for index, item in enumerate(payload.tasks)
        ]
        await self._work(message.job_id, tasks, payload.metadata)

    @job(name="run_task")
    async def run_task(self, message: BusJobRequestMessage) -> None:
        """Do the work on one initial task, whose fields the payload is."""
        item = GraphTask(fields=message.payload or {})
        await self._work(message.job_id, [self._entries.load(item, "")], {})

    def _find_entries(self) -> Entries:
        entries = {}
        for worker in self.graph.get_entry_workers():
            classes = worker.get_task_classes()
            more = [cls for cls in self._task_types if issubclass(cls, tuple(classes))]
            entries[worker] = tuple(dict.fromkeys([*classes, *more]))
        return Entries(entries)

    @enable_ki_protection
    async def _work(
        self, job_id: str, tasks: list[tuple[TaskWorker, Task]], metadata: dict[str, Any]
    ) -> None:
        """Begin with tasks while there is room, and send what comes of them."""
        run = self._opened
        assert run is not None
        outlet = Outlet(self.graph.window, Failures(self.graph.name), current_job.get())
        pending, sent = deque(tasks), 0
        run.outlets.add(outlet)
        try:
            await self.send_job_stream_start(job_id, {"graph": self.graph.name})
            while pending or outlet.roots:
                while pending and not outlet.source.is_full:
                    worker, task = pending.popleft()
                    run.submit(worker, task, Extra(metadata, outlet=outlet))
                if outlet.ready:
                    sent += await self._send(run, job_id, outlet.ready.popleft())
                elif outlet.roots:
                    await outlet.wait()
        finally:
            await run.stop(outlet)
            run.outlets.discard(outlet)
            outlet.close()
        self._check(outlet)
        await self.send_job_stream_end(job_id, {"tasks": len(tasks), "outputs": sent})

    async def _send(self, run: GraphRun, job_id: str, node: Node) -> int:
        """Send an output or a status, unless it was aborted; return how many outputs that is."""
        if node.phase == ENDED:
            return 0
        is_output = isinstance(node.task, Task)
        try:
            data = chunk_of(node.task) if is_output else update_of(node)
        except (TypeError, ValueError) as error:
            run.refuse(node, error)
            return 0
        if is_output:
            await self.send_job_stream_data(job_id, data)
        else:
            await self.send_job_update(job_id, data)
        run.taken(node)
        return int(is_output)

    def _check(self, outlet: Outlet) -> None:
        """Raise if what comes of the tasks is not all that there should be.

        Raises:
          JobError: Tasks have said so, or an initial task was aborted by somebody.
          GraphError: Tasks have failed otherwise.
        """
        if outlet.failures.count:
            error = outlet.failures.error()
            error.remedy = ""
            if _said_so(outlet.failures.first):
                raise JobError(str(error)) from error.__cause__
            raise error
        if outlet.aborted:
            names = ", ".join(f"{name}:{number}" for name, number in outlet.aborted[:10])
            raise JobError(f"graph {self.graph.name!r} was told to abort {names}")


def _said_so(failures: list[TaskFailure]) -> bool:
    """Whether the first causes are `JobError` alone; joins that lack something are none."""
    causes = [one.error for one in failures if not isinstance(one.error, JoinError)]
    return bool(causes) and all(isinstance(cause, JobError) for cause in causes)
