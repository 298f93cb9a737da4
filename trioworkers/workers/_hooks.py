"""Runs a worker's hooks and event handlers, and knows which there are."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from ..bus import (
    BusJobResponseMessage,
    BusJobResponseUrgentMessage,
    BusJobStreamDataMessage,
    BusJobStreamEndMessage,
    BusJobStreamStartMessage,
    BusJobUpdateMessage,
    BusJobUpdateRequestMessage,
    BusJobUpdateUrgentMessage,
    BusMessage,
    BusSubscriber,
    Hook,
    Lanes,
)
from ..errors import LaneFull
from ..jobs import EVENTS, EventMessage
from ._events import EventHandlers, call_handler

#: Every hook of a worker is an event of the same name.
HOOK_NAMES = (
    "on_activated",
    "on_deactivated",
    "on_worker_ready",
    "on_worker_failed",
    "on_job_request",
    "on_job_response",
    "on_job_update",
    "on_job_update_requested",
    "on_job_completed",
    "on_job_error",
    "on_job_stream_start",
    "on_job_stream_data",
    "on_job_stream_end",
    "on_job_cancelled",
    "on_bus_message",
)

#: Job messages whose hook gets the message itself, in the lane.
_HOOK_OF: dict[type[BusMessage], str] = {
    BusJobResponseMessage: "on_job_response",
    BusJobResponseUrgentMessage: "on_job_response",
    BusJobUpdateMessage: "on_job_update",
    BusJobUpdateUrgentMessage: "on_job_update",
    BusJobUpdateRequestMessage: "on_job_update_requested",
    BusJobStreamStartMessage: "on_job_stream_start",
    BusJobStreamDataMessage: "on_job_stream_data",
    BusJobStreamEndMessage: "on_job_stream_end",
}


class WorkerHooks:
    """The hooks of one worker: `trioworkers.jobs.Hooks` over its lanes.

    Args:
      worker: Whose methods the hooks are.
      overridden: The hooks that its class overrides.
      lanes: Where they run.
      event_done: Told when all hooks of a job's event have run.
    """

    __slots__ = ("_event_done", "_handlers", "_lanes", "_worker", "errors", "on_error", "used")

    def __init__(
        self,
        worker: BusSubscriber,
        overridden: frozenset[str],
        handlers: EventHandlers,
        lanes: Lanes,
        event_done: Callable[[EventMessage], None],
    ) -> None:
        self._worker = worker
        self._handlers = handlers
        self._lanes = lanes
        self._event_done = event_done
        #: Hooks that are overridden or have event handlers.
        self.used = overridden
        for name in HOOK_NAMES:
            if handlers.of(name):
                self.use(name)
        #: Who is told of errors; None lets them end the worker.
        self.on_error: Callable[[Exception], None] | None = None
        self.errors = 0

    def use(self, event: str) -> None:
        """Note that ``event`` has an event handler now."""
        self.used |= {event}

    @property
    def full(self) -> bool:
        """Whether a lane is full, so that no more jobs should begin."""
        lanes = self._lanes
        return lanes.full(system=False) or lanes.full(system=True)

    async def wait_room(self) -> None:
        """Wait until no lane is full. Always a checkpoint.

        Raises:
          LaneFull: The caller is one of the hooks.
        """
        if self.full and self._lanes.hosts_current_task():
            raise LaneFull((self._worker.name,))
        await self._lanes.wait_room(system=False, puts=False)
        await self._lanes.wait_room(system=True, puts=False)

    def wants(self, event: str) -> bool:
        """Whether anything would run for ``event``."""
        return event in self.used

    def wants_message(self, message_type: type[BusMessage]) -> bool:
        """Whether anything would run for a message of this class."""
        used = self.used
        return bool(used) and (_HOOK_OF.get(message_type) in used or "on_bus_message" in used)

    def hook_for(self, message: BusMessage) -> Hook | None:
        """Return what runs in the lane for ``message``, or None."""
        return self._run_message if self.wants_message(type(message)) else None

    def post(self, event: str, *args: object, system: bool = False) -> None:
        """Run ``event`` in a lane, the data lane by default, if it is wanted."""
        if event in self.used:
            self._lanes.put(partial(self._run_safely, event), args, system=system)

    def post_call(self, function: Callable[[Any], Awaitable[object]], argument: object) -> None:
        """Run any function of one argument in the data lane."""
        self._lanes.put(partial(self._call_safely, function), (argument,), system=False)

    def post_message(self, message: BusMessage) -> bool:
        """Run what ``message`` calls for in its lane; return whether anything will."""
        hook = self.hook_for(message)
        if hook is None:
            return False
        self._lanes.put(hook, message, system=message.is_system)
        return True

    async def run(self, event: str, *args: object) -> object:
        """Run a hook, then its event handlers; return the first value that isn't None.

        The first that raises ends it.
        """
        result = await getattr(self._worker, event)(*args)
        for handler in self._handlers.of(event):
            value = await call_handler(handler, self._worker, *args)
            result = value if result is None else result
        return result

    def report(self, error: Exception) -> None:
        """Tell of an error that nobody awaits. Raises it where errors are strict."""
        self.errors += 1
        if self.on_error is None:
            raise error
        self.on_error(error)

    async def _run_message(self, message: BusMessage) -> None:
        event = _HOOK_OF.get(type(message))
        try:
            if event in self.used and event is not None:
                await self._run_safely(event, (message,))
            if "on_bus_message" in self.used:
                await self._run_safely("on_bus_message", (message,))
        finally:
            if type(message) in EVENTS:
                self._event_done(message)  # type: ignore[arg-type]

    async def _run_safely(self, event: str, args: tuple[object, ...]) -> None:
        await self._call_safely(getattr(self._worker, event), args)
        for handler in self._handlers.of(event):
            await self._call_safely(partial(call_handler, handler, self._worker), args)

    async def _call_safely(
        self, function: Callable[..., Awaitable[object]], args: tuple[object, ...]
    ) -> None:
        try:
            await function(*args)
        except Exception as error:  # noqa: BLE001 - `report` decides
            self.report(error)
