"""``async with graph.open()``: the life of a run, from ``init`` to ``completed``."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self

import trio
from trio.lowlevel import enable_ki_protection

from ._calls import call_user
from ._display import open_display
from ._face import RunFace
from ._failures import TaskFailure
from ._run import GraphRun

if TYPE_CHECKING:
    from ._graph import Graph
    from ._worker import TaskWorker

#: Seconds that each ``completed`` has when the graph was cancelled or has failed.
COMPLETED_SECONDS = 10.0

OnFailure = Literal["raise", "collect"]


class OpenGraph:
    """A run of a graph as a scope; see `Graph.open`."""

    def __init__(
        self,
        graph: "Graph",
        on_failure: OnFailure,
        begin: Callable[[], GraphRun],
        *,
        progress: bool = False,
    ) -> None:
        self._graph = graph
        self._on_failure = on_failure
        self._begin = begin
        self._manager = trio.open_nursery()
        self._resources = AsyncExitStack()
        self._begun: list[TaskWorker] = []
        self._run: GraphRun | None = None
        self._display = open_display(graph.name) if progress else None

    @property
    def run(self) -> GraphRun:
        """The run.

        Raises:
          RuntimeError: It was not entered yet.
        """
        if self._run is None:
            raise RuntimeError(
                "what Graph.open() returns has not begun: enter it, with `async with`, first"
            )
        return self._run

    @property
    def failures(self) -> tuple[TaskFailure, ...]:
        """What has failed for good until now; the first 1,000.

        Raises:
          RuntimeError: It was not entered yet.
        """
        return tuple(self.run.failures.first)

    @enable_ki_protection
    async def __aenter__(self) -> Self:
        if self._run is not None:
            raise RuntimeError("what Graph.open() returns can be entered once: call it again")
        # Raises, before anything is begun, what is wrong with the graph.
        run = self._run = self._begin()
        try:
            for worker in run.stations:
                needed = worker._opened()
                if needed is not None:
                    await self._resources.enter_async_context(needed)
        except BaseException as error:
            self._graph._running = None  # it has not begun
            await self._resources.__aexit__(type(error), error, error.__traceback__)
            raise
        run.start(await self._manager.__aenter__())
        if self._display is not None:
            self._resources.callback(self._display.close)
            self._display.start(run.statistics)
            run.nursery.start_soon(self._display.keep)
        face = RunFace(run, self._graph.get_user_request_callback, self._display)
        for worker in run.stations:
            worker._run = face
        try:
            for worker in run.stations:
                self._begun.append(worker)
                try:
                    await call_user(worker.init)
                except BaseException:
                    self._begun.pop()
                    raise
            await trio.lowlevel.checkpoint()
        except BaseException as error:
            await self._leave(error)
            raise
        return self

    @enable_ki_protection
    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        return await self._leave(exc)

    async def _leave(self, exc: BaseException | None) -> bool:
        """End the run: drain it, or cancel it if there is an error.

        Returns:
          Whether ``exc`` is done with, as what it was raised for is raised instead.
        """
        run = self.run
        error = exc
        if error is None:
            try:
                await run.wait_idle()
            except BaseException as stopped:  # noqa: BLE001 - raised below
                error = stopped
        run.close()
        run.nursery.cancel_scope.cancel()
        stop = await self._close_nursery(error)
        if run.fatal is not None:
            stop = run.fatal
        stop = await self._complete(stop)
        for worker in run.stations:
            worker._run = None
        self._graph._ended(run)
        stop = await self._close_resources(stop)
        failures = run.failures
        if stop is None:
            if failures.count and self._on_failure == "raise":
                raise failures.error()
            return False
        if failures.count and isinstance(stop, Exception):
            stop.add_note(str(failures.error()))
        if stop is exc:
            return False
        raise stop

    async def _close_nursery(self, error: BaseException | None) -> BaseException | None:
        """Wait until all handlers have returned; return what goes on to the outside."""
        try:
            if error is None:
                await self._manager.__aexit__(None, None, None)
            else:
                await self._manager.__aexit__(type(error), error, error.__traceback__)
        except BaseException as raised:  # noqa: BLE001 - raised by the caller
            # The nursery makes groups; the body's own error leaves as it came.
            if error is None or _is_cancelled(error):
                return raised
            return error
        return None

    async def _close_resources(self, stop: BaseException | None) -> BaseException | None:
        """Close what workers have had open; return what goes on to the outside."""
        try:
            if stop is None:
                await self._resources.aclose()
            else:
                await self._resources.__aexit__(type(stop), stop, stop.__traceback__)
        except BaseException as raised:  # noqa: BLE001 - raised by the caller
            return stop or raised
        return stop

    async def _complete(self, stop: BaseException | None) -> BaseException | None:
        """Call ``completed`` of all workers; return what goes on to the outside."""
        run = self.run
        for worker in reversed(self._begun):
            try:
                if stop is None:
                    await call_user(worker.completed)
                    continue
                with trio.move_on_after(COMPLETED_SECONDS, shield=True) as scope:
                    await call_user(worker.completed)
                if scope.cancelled_caught:
                    raise trio.TooSlowError(
                        f"completed() had {COMPLETED_SECONDS:g} s, as the graph was stopped"
                    )
            except Exception as error:  # noqa: BLE001 - told at the end
                run.failures.add(TaskFailure(f"{worker.name}.completed", (), None, error, 1))
            except BaseException as error:  # noqa: BLE001 - the others come first
                stop = error
        return stop


def _is_cancelled(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return error.split(trio.Cancelled)[0] is not None
    return isinstance(error, trio.Cancelled)
