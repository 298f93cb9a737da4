"""The events of a runner, and what becomes of errors where they are not strict."""

import logging
from collections.abc import Callable
from functools import partial

import trio

from ..bus import WorkerBus
from ..errors import CodecError, LaneFull
from ._events import EventHandler, EventHandlers, EventSource, call_handler
from ._types import WorkerErrorData
from ._worker import BaseWorker

logger = logging.getLogger("trioworkers.workers")


class Reports:
    """Runs a runner's event handlers; logs, counts and tells errors that nobody raises.

    Args:
      runner: Whose events they are; given to the handlers.
      bus: Where workers' errors are told.
      nursery: Gives where handlers run; None while they don't.
      strict: Whether errors end the runner instead.

    Attributes:
      handlers: The event handlers that were added.
      errors: Counts what was reported instead of raised.
    """

    __slots__ = ("_bus", "_nursery", "_runner", "_strict", "errors", "handlers")

    def __init__(
        self,
        runner: EventSource,
        bus: WorkerBus,
        nursery: Callable[[], trio.Nursery | None],
        *,
        strict: bool,
    ) -> None:
        self._runner = runner
        self._bus = bus
        self._nursery = nursery
        self._strict = strict
        self.handlers = EventHandlers(("on_ready", "on_error"))
        self.errors = 0

    def fire(self, event: str, *args: object) -> None:
        """Start the handlers of ``event``, each in a Trio task, if the runner runs."""
        nursery = self._nursery()
        if nursery is not None:
            for handler in self.handlers.of(event):
                nursery.start_soon(self._run, handler, *args)

    def on_error(self, worker: BaseWorker) -> Callable[[Exception], None] | None:
        """Return what ``worker`` tells of its hooks' errors; None if it shall raise them."""
        return None if self._strict else partial(self.report, worker)

    def report(self, worker: BaseWorker, error: Exception) -> None:
        """Log and count an error of ``worker``, and tell whom it concerns."""
        self.errors += 1
        logger.error("worker %r failed", worker.name, exc_info=error)
        text = f"{type(error).__name__}: {error}"
        try:
            self._bus.post(worker.error_message(text))
        except (CodecError, LaneFull) as trouble:
            logger.warning("not all were told of it: %s", trouble)
        if worker.parent is not None:  # a root worker's error comes back to this runner
            self.fire("on_error", WorkerErrorData(worker.name, text))

    async def _run(self, handler: EventHandler, *args: object) -> None:
        try:
            await call_handler(handler, self._runner, *args)
        except Exception as error:
            if self._strict:
                raise
            self.errors += 1
            logger.error("an event handler of %r failed", self._runner, exc_info=error)
