"""`open_panel`: adds the panel to a Trio app."""

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Unpack

import attrs
import trio
from trio.lowlevel import enable_ki_protection

from ...graph import Graph
from ...workers import WorkerRunner
from ._server import PanelOptions, PanelServer

logger = logging.getLogger("trioworkers.ui.panel")

#: Seconds that leaving the block waits for the server.
CLOSE_SECONDS = 15.0


@attrs.frozen
class Panel:
    """A panel that is open.

    Attributes:
      url: Where a browser on this machine finds it.
      port: Where it listens.
      server: The worker that serves it.
    """

    url: str
    port: int
    server: PanelServer


@asynccontextmanager
@enable_ki_protection
async def open_panel(
    runner: WorkerRunner,
    *,
    ui_worker: str,
    host: str = "127.0.0.1",
    port: int = 0,
    token: str | None = None,
    graphs: Sequence[Graph] = (),
    name: str | None = None,
    shared: bool = False,
    **options: Unpack[PanelOptions],
) -> AsyncIterator[Panel]:
    """Serve the web panel of a runner for the life of a block.

    ::

        async with WorkerRunner(name="bakery") as runner:
            await runner.add_workers(Desk("desk"), Oven("oven"))
            async with open_panel(runner, ui_worker="desk", port=7860) as panel:
                print(panel.url)
                await trio.sleep_forever()

    People see the job groups that the UI worker has started for them, what the runner's workers
    do, and its graphs: those of `GraphWorker`s, and ``graphs``. They answer what the handlers of
    these graphs ask, where `Graph.set_user_request_callback` names nobody else. A file that they
    answer with is given to the handler as a `pathlib.Path`.

    It promises:

    - On entering, the port is open: a browser that comes at once waits until the runner runs.
      The panel's server is a worker of the runner, which so runs until the block is left.
    - When the block is left, by whatever way, the clients are told that the server has gone, and
      the port is closed; handlers that wait for an answer get a `NoAnswerError`; graphs ask
      whom they asked before; and all files that people have sent are removed, also those that
      handlers have got. That takes `CLOSE_SECONDS` at most. (A process that is killed leaves
      those files in a directory ``panel-...`` of the system's directory for temporary files.)
    - The block's own exception leaves it as it is.

    Args:
      runner: Whose workers and graphs are shown. It may run already, or later.
      ui_worker: The name of the `BaseUIWorker`, here or elsewhere on the bus. It may come later.
      host: Where to listen. Anything but this machine itself needs a ``token``.
      port: 0 for any that is free.
      token: What people have to know; None if all who can connect may.
      graphs: Graphs to show besides those of the runner's `GraphWorker`s.
      name: Of the server as a worker; made up if None.
      shared: Whether everybody sees and cancels the job groups of all.
      options: Further limits, see `PanelOptions`.

    Raises:
      TypeError, ValueError: An argument is wrong.
      OSError: It can't listen there: says why, and what to do.
      DuplicateWorkerError: The name is taken.
      StoppedError: The runner has ended.
    """
    server = PanelServer(
        runner,
        ui_worker=ui_worker,
        host=host,
        port=port,
        token=token,
        graphs=graphs,
        name=name,
        shared=shared,
        **options,
    )
    try:
        await server.bind()
        await runner.add_workers(server)
        server.open()
        yield Panel(server.url, server.port, server)
    finally:
        with trio.move_on_after(CLOSE_SECONDS, shield=True) as scope:
            await server.aclose()
        if scope.cancelled_caught:
            logger.error("%r takes over %g s to stop", server, CLOSE_SECONDS)
