"""`BaseUIWorker`: job groups that users see and cancel."""

import logging
import math
from contextvars import Context, copy_context
from typing import Any, ClassVar

from trio.lowlevel import disable_ki_protection

from ..bus import BusJobRequestMessage, BusMessage, Hook, find_fault
from ..errors import CodecError, JobError, LaneFull, UnknownWorkerError
from ..jobs import Intake, JobGroupContext, check_name, current_job, job, make_request
from ..workers import BaseWorker
from ._event_desk import EventDesk
from ._events import UIEventHandler, collect_event_handlers
from ._feeds import Feeds
from ._messages import (
    ATTACH_JOB,
    BusUICommandMessage,
    BusUIEventMessage,
    BusUIResponseMessage,
    BusUITextMessage,
)
from ._sessions import SessionChoice, Whose, chosen_session, current_session, may_see
from ._user_groups import UserGroupObserver

logger = logging.getLogger("trioworkers.ui")


class BaseUIWorker(BaseWorker):
    """A worker in front of users: they see its job groups, cancel them, and ask for things.

    Servers of browsers attach to it (see `trioworkers.ui.rtvi.RTVIServer`); it needs none of
    them to run. Subclass it: give it `@ui_event` handlers, override `on_user_text`, and start
    groups by `user_job_group` or `start_user_job_group`.

    Of each such group every attached server is told, in order: that it has started, what its
    members send, exactly one end of each member, and then the end of the group, on whatever
    path it ends. A server that comes late is told of the groups in flight first.

    A group that is started while the event of a client is handled is seen by that client's
    session alone, unless ``session`` says otherwise; others are seen by everybody.
    """

    _ui_event_handlers: ClassVar[dict[str, UIEventHandler]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Collect the event handlers of a subclass; two for one name are refused."""
        super().__init_subclass__(**kwargs)
        cls._ui_event_handlers = collect_event_handlers(cls)

    def __init__(
        self, name: str | None = None, *, active: bool = True, max_jobs: int | None = None
    ) -> None:
        super().__init__(name, active=active, max_jobs=max_jobs)
        self._feeds = Feeds(self.send_bus_message, self._has_no_events)
        self._event_context: Context = copy_context()
        self._desk = EventDesk(
            self,
            self._ui_event_handlers,
            disable_ki_protection(type(self).on_user_text),
            self._cancel_for_user,
            self._respond,
            self._feeds.look,
        )

    # For users

    def user_job_group(
        self,
        *worker_names: str,
        name: str | None = None,
        payload: object = None,
        timeout: float | None = None,
        cancel_on_error: bool = True,
        label: str | None = None,
        cancellable: bool = True,
        cancel_grace: float = math.inf,
        session: SessionChoice = Whose.CURRENT,
    ) -> JobGroupContext:
        """Ask several workers at once, in an ``async with`` block, before the eyes of users.

        Like `job_group`, of which it has the arguments.

        Args:
          worker_names: Whom to ask.
          name: Which handler is meant.
          payload: What the jobs are about.
          timeout: Seconds, >= 0, or None to wait for ever.
          cancel_on_error: Whether the first member that doesn't complete cancels the others.
          label: What users read as its title.
          cancellable: Whether users may cancel it.
          cancel_grace: As in `job`.
          session: Who sees it: a session, None for everybody, or by default the session of
            the client whose event is handled.
        """
        requester = self._requester()
        observer = self._observer(label, session)
        request = make_request(
            worker_names,
            name=name,
            payload=payload,
            timeout=timeout,
            cancel_on_error=cancel_on_error,
            label=label,
            cancellable=cancellable,
            cancel_grace=cancel_grace,
            observer=observer,
        )
        return JobGroupContext(requester, request)

    async def start_user_job_group(
        self,
        *worker_names: str,
        name: str | None = None,
        payload: object = None,
        timeout: float | None = None,
        cancel_on_error: bool = True,
        label: str | None = None,
        cancellable: bool = True,
        cancel_grace: float = math.inf,
        session: SessionChoice = Whose.CURRENT,
    ) -> str:
        """Start a group before the eyes of users, and go on at once.

        It lives in this worker's nursery, which also waits until its members are ready. Users
        are told if it fails: that is no error of this worker.

        Takes the arguments of `user_job_group`. Waits only until the worker itself runs, and
        while `MAX_DETACHED` groups are open. Always a checkpoint.

        Returns:
          The job id.
        """
        requester = self._requester()
        request = make_request(
            worker_names,
            name=name,
            payload=payload,
            timeout=timeout,
            cancel_on_error=cancel_on_error,
            label=label,
            cancellable=cancellable,
            cancel_grace=cancel_grace,
            observer=self._observer(label, session),
        )
        nursery = await self.wait_running()
        group = await requester.start_background(nursery, request)
        return group.job_id

    async def send_command(
        self, command_name: str, payload: object = None, *, session: SessionChoice = Whose.CURRENT
    ) -> None:
        """Tell pages to do something. Waits while a server is slow; always a checkpoint.

        Args:
          command_name: What.
          payload: What it needs to know: anything that JSON can hold.
          session: Whose pages; see `user_job_group`.

        Raises:
          TypeError, ValueError: An argument is wrong.
        """
        check_name(command_name, "the name of a command")
        _check_json(command_name, "the name of a command")
        _check_json(payload, "the payload of a command")
        await self._feeds.tell_all(
            BusUICommandMessage(
                command_name, payload, source=self.name, session=chosen_session(session)
            )
        )

    async def send_text(self, text: str, *, session: SessionChoice = Whose.CURRENT) -> None:
        """Say something to people. Waits while a server is slow; always a checkpoint.

        Args:
          text: What.
          session: To whom; see `user_job_group`.

        Raises:
          TypeError, ValueError: An argument is wrong.
        """
        if not isinstance(text, str):
            raise TypeError(f"text must be a str, not {text!r}")
        _check_json(text, "a text")
        await self._feeds.tell_all(
            BusUITextMessage(text, source=self.name, session=chosen_session(session))
        )

    async def on_user_text(self, message: BusUIEventMessage) -> object:
        """Hook: a person has typed ``message.payload["content"]``, a str.

        Runs as a `ui_event` handler does, and may answer with `send_text`.
        """
        raise JobError(f"worker {self.name!r} takes no text")

    def snapshot(self, session: SessionChoice = Whose.CURRENT) -> Any:
        """Return what a page has last described itself as, or None.

        It is what the client has sent: a JSON value that nobody has checked.

        Args:
          session: Whose page; None is that of which was heard last, and the default the
            session of the client whose event is handled.
        """
        return self._desk.snapshots.get(chosen_session(session))

    @property
    def current_session(self) -> str | None:
        """The session of the client whose event is handled; None outside of such handlers."""
        return current_session.get()

    @property
    def attached_servers(self) -> tuple[str, ...]:
        """The names of the servers that are told of its groups now."""
        return self._feeds.servers

    # For servers

    @job(name=ATTACH_JOB, takes_place=False)
    async def _serve_attached(self, message: BusJobRequestMessage) -> None:
        """Tell a server of groups and commands, for as long as it keeps the job open."""
        attached = current_job.get()
        assert attached is not None
        await self._feeds.serve(
            message.source,
            is_unwanted=lambda: attached.is_stopping,
            stop_groups=self._stop_user_groups,
        )

    def on_delivery(self, message: BusMessage) -> Hook | None:
        """Do the book-keeping for a message, also for what users do."""
        if type(message) is BusUIEventMessage:
            running = self._life.is_running and not self._feeds.ending
            nursery = self._responder().nursery if running else None
            self._desk.receive(message, nursery, self._event_context)
        return super().on_delivery(message)

    def begin_ending(self) -> None:
        """Refuse new jobs and events; let servers go once no group is open."""
        super().begin_ending()
        self._feeds.begin_ending()

    # Behind the scenes

    def _make_responder(self, **parts: Any) -> Intake:
        self._event_context = parts["context"]
        # The handler of an event may have added this worker.
        self._event_context.run(current_session.set, None)
        current_session.set(None)
        return super()._make_responder(**parts)

    def _observer(self, label: str | None, session: SessionChoice) -> UserGroupObserver:
        if isinstance(label, str):
            _check_json(label, "a label")
        return UserGroupObserver(self._feeds, self.name, chosen_session(session), self.bus.clock)

    def _has_no_events(self) -> bool:
        return not self._desk.running

    def _cancel_for_user(self, job_id: str, session: str | None, reason: str | None) -> bool:
        """Cancel a group for a person; return False if it is over, or cancelled already.

        Raises:
          JobError: There is none, or it isn't for that person to cancel.
        """
        card = self._feeds.board.cards.get(job_id)
        if card is None or not may_see(session, card.started.session):
            raise JobError("no such group is in flight that this session may cancel")
        if not card.started.cancellable:
            raise JobError(f"group {job_id} can't be cancelled")
        group = self._engine.requester.groups.get(job_id)
        if group is None or group.is_done:
            return False
        group.fail(f"cancelled: {reason}" if reason else "cancelled")
        return True

    def _stop_user_groups(self) -> None:
        groups = self._engine.requester.groups
        for job_id in self._feeds.board.cards:
            if job_id in groups:
                groups[job_id].fail(f"worker {self.name!r} has stopped")

    def _respond(self, server: str, message: BusUIResponseMessage) -> None:
        if self._feeds.put(server, message):
            return
        message.target = server
        try:
            self.bus.post(message)
        except (UnknownWorkerError, LaneFull, CodecError) as error:
            logger.error("worker %r can't answer %r: %s", self.name, server, error)


def _check_json(value: object, what: str) -> None:
    fault = find_fault(value)
    if fault is not None:
        raise ValueError(f"{what} is not what JSON can hold: {fault}")
