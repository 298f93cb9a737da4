"""`PanelServer`: an RTVI server with the page, and with what the page asks for."""

import ssl
from collections.abc import Iterable, Sequence
from typing import TypedDict, Unpack

import trio

from ...graph import Graph
from ...workers import WorkerParams, WorkerRunner
from ..rtvi import RTVIServer
from ._pages import load_pages
from ._services import PanelServices


class PanelOptions(TypedDict, total=False):
    """Further options of a panel: those of `RTVIServer`, which says what each of them is."""

    ssl_context: ssl.SSLContext | None
    allowed_hosts: Iterable[str]
    allowed_origins: Iterable[str]
    max_clients: int
    max_message_bytes: int
    messages_per_second: float
    stall_timeout: float


class PanelServer(RTVIServer):
    """An `RTVIServer` with the page of the panel. `open_panel` makes one, and says more."""

    def __init__(
        self,
        runner: WorkerRunner,
        *,
        ui_worker: str,
        host: str,
        port: int,
        token: str | None,
        graphs: Sequence[Graph],
        name: str | None,
        shared: bool,
        **options: Unpack[PanelOptions],
    ) -> None:
        if not isinstance(runner, WorkerRunner):
            raise TypeError(f"a panel is that of a WorkerRunner, not of {runner!r}")
        if isinstance(graphs, Graph):
            raise TypeError("graphs must be several Graphs, not one: [graph]")
        shown = tuple(graphs)
        for graph in shown:
            if not isinstance(graph, Graph):
                raise TypeError(f"graphs must be several Graphs, not {graph!r}")
        self._panel = PanelServices(runner, ui_worker, shown)
        self._is_closed = False
        self._has_begun = False
        self._has_ended = trio.Event()
        super().__init__(
            name,
            ui_worker=ui_worker,
            host=host,
            port=port,
            token=token,
            shared=shared,
            pages=load_pages(),
            services=self._panel.by_name(),
            on_client_left=self._panel.client_left,
            **options,
        )
        self._panel.fit_messages(self._settings.max_message_bytes)

    def open(self) -> None:
        """Be asked from now on what handlers of graphs want to know."""
        self._panel.open()

    async def run(self, params: WorkerParams) -> None:
        """Serve until `stop`, `end` or cancellation, unless it is closed; see `RTVIServer`."""
        if self._is_closed:
            self.abandon()
            return
        self._has_begun = True
        try:
            await super().run(params)
        finally:
            await self._panel.aclose()
            self._has_ended.set()

    async def start(self) -> None:
        """Serve, and look after files."""
        self.nursery.start_soon(self._panel.keep)
        await super().start()

    async def aclose(self) -> None:
        """Stop for good, also before it has run; wait until all has ended."""
        self._is_closed = True
        self._panel.close()
        await self.stop()
        if self._has_begun:
            await self._has_ended.wait()
        else:
            self.abandon()
            self.unbind()
