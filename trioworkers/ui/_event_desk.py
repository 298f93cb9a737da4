"""Takes what users do, and answers each of it."""

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from contextvars import Context
from typing import Any

import attrs
import trio
from trio.lowlevel import enable_ki_protection

from ..bus import find_fault, shown
from ..errors import JobError, known_names
from ..jobs import to_dict
from ..workers import BaseWorker
from ._events import UIEventHandler
from ._messages import (
    CANCEL_EVENT,
    CANCEL_EVENT_ALIAS,
    SNAPSHOT_EVENT,
    TEXT_EVENT,
    BusUIEventMessage,
    BusUIResponseMessage,
)
from ._reasons import without_details
from ._sessions import current_session
from ._snapshots import Snapshots

logger = logging.getLogger("trioworkers.ui")

#: Events of one worker that may be handled at once; more are refused.
MAX_EVENTS = 100
#: Those of one session, so that there is always room for others.
MAX_SESSION_EVENTS = 25
#: Characters of a person's reason that are passed on.
MAX_REASON = 1000


@attrs.define(eq=False)
class EventDesk:
    """The events of one UI worker's clients.

    All is taken at delivery; what needs a handler goes on in a Trio task of the worker's.

    Attributes:
      worker: Whose it is; what handlers get as ``self``.
      handlers: By event name.
      on_text: Handles what a person has typed.
      cancel: Cancels a group, by job id, for a session, with a reason; returns whether it did.
      respond: Sends a response to the server of that name.
      handled: Called when a handler has ended.
      running: How many handlers run.
      running_of: How many of them for each session.
      snapshots: What pages look like.
    """

    worker: BaseWorker
    handlers: Mapping[str, UIEventHandler]
    on_text: UIEventHandler
    cancel: Callable[[str, str | None, str | None], bool]
    respond: Callable[[str, BusUIResponseMessage], None]
    handled: Callable[[], None]
    running: int = 0
    running_of: Counter[str] = attrs.field(factory=Counter)
    snapshots: Snapshots = attrs.field(factory=Snapshots)

    def receive(
        self, message: BusUIEventMessage, nursery: trio.Nursery | None, context: Context
    ) -> None:
        """Do what an event asks for, or begin to, or answer why not."""
        try:
            self._check(message)
            reserved = _RESERVED.get(message.event_name)
            if reserved is not None:
                self._answer(message, reserved(self, message))
            else:
                self._begin(self._handler_of(message), message, nursery, context)
        except JobError as error:
            logger.debug("%s refuses an event: %s", self._name, error)
            self._answer(message, error=error.reason)

    # What is done at delivery

    def _check(self, message: BusUIEventMessage) -> None:
        if not isinstance(message.event_name, str):
            raise JobError(f"the name of an event is a text, not {shown(message.event_name)}")
        if message.session is not None and not isinstance(message.session, str):
            raise JobError(f"a session is a text, not {shown(message.session)}")

    def _cancel(self, message: BusUIEventMessage) -> dict[str, Any]:
        payload = _object_of(message, '{"job_id", "reason"}')
        job_id = payload.get("job_id", payload.get("task_id"))
        reason = payload.get("reason")
        if not isinstance(job_id, str):
            raise JobError(f"a cancel needs the text `job_id` of a group, not {shown(job_id)}")
        if reason is not None and not isinstance(reason, str):
            raise JobError(f"the reason of a cancel is a text, not {shown(reason)}")
        cancelled = self.cancel(job_id, message.session, reason and reason[:MAX_REASON])
        return {"job_id": job_id, "cancelled": cancelled}

    def _keep_snapshot(self, message: BusUIEventMessage) -> None:
        self.snapshots.put(message.session, message.payload)

    # What a handler does

    def _handler_of(self, message: BusUIEventMessage) -> UIEventHandler:
        name = message.event_name
        if name == TEXT_EVENT:
            content = _object_of(message, '{"content", "options"}').get("content")
            if not isinstance(content, str):
                raise JobError(f"the `content` of a text is a text, not {shown(content)}")
            return self.on_text
        handler = self.handlers.get(name)
        if handler is None:
            raise JobError(
                f"{self._name} has no handler for event {shown(name)}; "
                f"its events: {known_names(self.handlers)}"
            )
        return handler

    def _begin(
        self,
        handler: UIEventHandler,
        message: BusUIEventMessage,
        nursery: trio.Nursery | None,
        context: Context,
    ) -> None:
        if self.running >= MAX_EVENTS:
            raise JobError(f"busy: {self._name} handles {self.running} events; try again")
        if message.session is not None and self.running_of[message.session] >= MAX_SESSION_EVENTS:
            raise JobError(f"busy: {MAX_SESSION_EVENTS} events of this session run; try again")
        if nursery is None:
            raise JobError(f"{self._name} takes no events now: it does not run, or ends")
        what = f"event {shown(message.event_name)} of {self._name}"
        start = nursery.start_soon
        try:
            context.copy().run(lambda: start(self._handle, handler, message, name=what))
        except RuntimeError:  # which is how Trio says that a nursery has been closed
            raise JobError(f"{self._name} is stopping") from None
        self._count(message.session, 1)

    @enable_ki_protection
    async def _handle(self, handler: UIEventHandler, message: BusUIEventMessage) -> None:
        current_session.set(message.session)
        data: object = None
        error: str | None = f"{self._name} has stopped meanwhile"
        try:
            data = self._plain(await handler(self.worker, message), message)
            error = None
        except Exception as failure:  # noqa: BLE001 - told to the client, and logged
            error = self._explain(failure, message)
        finally:
            self._count(message.session, -1)
            self._answer(message, data, error)
            self.handled()

    def _count(self, session: str | None, change: int) -> None:
        self.running += change
        if session is not None:
            self.running_of[session] += change
            if not self.running_of[session]:
                del self.running_of[session]

    def _plain(self, result: object, message: BusUIEventMessage) -> object:
        """Return what a handler has returned as JSON has it."""
        data = to_dict(result, "what a @ui_event returns") if attrs.has(type(result)) else result
        fault = find_fault(data)
        if fault is not None:
            raise TypeError(
                f"the handler of event {shown(message.event_name)} returned what JSON can't "
                f"hold: {fault}"
            )
        return data

    def _explain(self, error: Exception, message: BusUIEventMessage) -> str:
        """Return what a client may know of ``error``; log what it may not."""
        reasons = _reasons_of(error)
        if reasons is not None:
            return "; ".join(reasons)
        name = shown(message.event_name)
        logger.error("%s failed in event %s", self._name, name, exc_info=error)
        return f"event {name} failed: {type(error).__name__}"

    def _answer(
        self, message: BusUIEventMessage, data: object = None, error: str | None = None
    ) -> None:
        if message.request_id is not None:
            response = BusUIResponseMessage(
                message.request_id, data, error, source=self.worker.name, session=message.session
            )
            self.respond(message.source, response)

    @property
    def _name(self) -> str:
        return f"worker {self.worker.name!r}"


def _object_of(message: BusUIEventMessage, keys: str) -> dict[str, Any]:
    if not isinstance(message.payload, dict):
        raise JobError(
            f"the payload of {message.event_name} is an object with {keys}, "
            f"not {shown(message.payload)}"
        )
    return message.payload


def _reasons_of(error: BaseException) -> list[str] | None:
    """Return what the `JobError`s that ``error`` consists of say; None if it has other parts."""
    if isinstance(error, JobError):
        return [without_details(error.reason)]
    if not isinstance(error, ExceptionGroup):
        return None
    parts = [_reasons_of(part) for part in error.exceptions]
    return None if None in parts else [reason for part in parts for reason in part or ()]


#: What is done at delivery, by the name of the event.
_RESERVED: dict[str, Callable[[EventDesk, BusUIEventMessage], object]] = {
    CANCEL_EVENT: EventDesk._cancel,
    CANCEL_EVENT_ALIAS: EventDesk._cancel,
    SNAPSHOT_EVENT: EventDesk._keep_snapshot,
}
