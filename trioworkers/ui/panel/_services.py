"""What the page asks of the panel's server, by name."""

from collections.abc import Sequence
from typing import Any

from trio.lowlevel import enable_ki_protection

from ...graph import Graph, GraphWorker
from ...workers import WorkerReadyData, WorkerRunner
from ..rtvi import Service, ServiceRequest, Session
from ._graphs import Graphs
from ._input import Input, clip
from ._questions import Questions
from ._traces import MAX_PROVENANCE, trace
from ._uploads import CHUNK_BYTES, Uploads
from ._workers import describe_workers

#: Bytes of a message with a piece of a file in it that are something else.
_AROUND_CHUNK = 512

#: What the page shows.
TABS = ("groups", "workers", "graphs")


class PanelServices:
    """What the page asks for, of a runner and of graphs.

    Args:
      runner: Whose workers and graphs are shown.
      ui_worker: Who has the job groups that are shown.
      graphs: Graphs to show besides those of the runner's `GraphWorker`s.
    """

    def __init__(self, runner: WorkerRunner, ui_worker: str, graphs: Sequence[Graph]) -> None:
        self._runner = runner
        self._ui_worker = ui_worker
        self._graphs = Graphs(runner, graphs)
        self._questions = Questions(runner.bus.clock)
        self._uploads = Uploads(self._questions)

    def fit_messages(self, max_bytes: int) -> None:
        """Let clients send pieces of files that fit into messages of so many bytes."""
        room = (max_bytes - _AROUND_CHUNK) // 4 * 3
        self._uploads.chunk_bytes = min(CHUNK_BYTES, room)

    def by_name(self) -> dict[str, Service]:
        """Return what answers each request."""
        return {
            "panel.hello": self.hello,
            "panel.workers": self.workers,
            "panel.graphs": self.graphs,
            "panel.trace": self.trace,
            "panel.answer": self.answer,
            "panel.upload.begin": self.upload_begin,
            "panel.upload.chunk": self.upload_chunk,
            "panel.upload.end": self.upload_end,
            "panel.upload.cancel": self.upload_cancel,
        }

    # Their life

    @enable_ki_protection
    def open(self) -> None:
        """Be asked from now on what handlers of graphs want to know."""
        self._runner.registry.watch_roots(self._root_ready)
        self._adopt()

    async def keep(self) -> None:
        """Remove files that nobody goes on with. Runs for ever."""
        await self._uploads.keep()

    def client_left(self, _: Session, client: str) -> None:
        """Give up what a client has begun."""
        self._uploads.client_gone(client)

    @enable_ki_protection
    def close(self) -> None:
        """Be asked no more; those who wait for an answer are told."""
        self._runner.registry.unwatch_roots(self._root_ready)
        self._questions.close()

    async def aclose(self) -> None:
        """Close, and remove all files. When no service runs any more."""
        self.close()
        await self._uploads.aclose()

    def _root_ready(self, data: WorkerReadyData) -> None:
        if isinstance(self._runner.get_worker(data.worker_name), GraphWorker):
            self._adopt()

    def _adopt(self) -> dict[Graph, str | None]:
        """Be whom all graphs ask that ask nobody else, and let go of those that have gone."""
        found = self._graphs.find()
        for graph in found:
            self._questions.adopt(graph)
        self._questions.release(set(self._questions.graphs) - found.keys())
        return found

    # What the page asks

    async def hello(self, _: ServiceRequest) -> dict[str, Any]:
        """Return what the page is about."""
        return {
            "title": clip(self._runner.name),
            "tabs": list(TABS),
            "ui_worker": clip(self._ui_worker),
            "ui_worker_ready": self._ui_worker in self._runner.registry,
            "now": int(self._runner.bus.clock() * 1000),
        }

    async def workers(self, _: ServiceRequest) -> dict[str, Any]:
        """See `describe_workers`."""
        return describe_workers(self._runner)

    async def graphs(self, _: ServiceRequest) -> dict[str, Any]:
        """See `Graphs.describe` and `Questions.describe`."""
        shown = self._graphs.describe(self._adopt())
        return {**shown, **self._questions.describe(self._graphs.id_of)}

    async def trace(self, request: ServiceRequest) -> dict[str, Any]:
        """See `trace`."""
        asked = Input.of("panel.trace", request.data)
        graph = self._graphs.get(asked.text("graph", 40))
        return trace(graph, asked.text("provenance", MAX_PROVENANCE))

    async def answer(self, request: ServiceRequest) -> dict[str, Any]:
        """See `Questions.answer`."""
        return self._questions.answer(Input.of("panel.answer", request.data))

    async def upload_begin(self, request: ServiceRequest) -> dict[str, Any]:
        """See `Uploads.begin`."""
        asked = Input.of("panel.upload.begin", request.data)
        return await self._uploads.begin(asked, request.session.id, request.client)

    async def upload_chunk(self, request: ServiceRequest) -> dict[str, Any]:
        """See `Uploads.chunk`."""
        asked = Input.of("panel.upload.chunk", request.data)
        return await self._uploads.chunk(asked, request.client)

    async def upload_end(self, request: ServiceRequest) -> dict[str, Any]:
        """See `Uploads.end`."""
        return await self._uploads.end(Input.of("panel.upload.end", request.data), request.client)

    async def upload_cancel(self, request: ServiceRequest) -> dict[str, Any]:
        """See `Uploads.cancel`."""
        return self._uploads.cancel(Input.of("panel.upload.cancel", request.data), request.client)
