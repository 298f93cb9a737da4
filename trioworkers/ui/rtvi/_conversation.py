"""What one client says, and what is to be done about it: no sockets, no waiting."""

from collections.abc import Callable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import attrs
from websockets.frames import CloseCode

from .._messages import SNAPSHOT_EVENT, TEXT_EVENT
from ._errors import BadMessage, Denied
from ._frames import unwrap
from ._protocol import (
    MEDIA_TYPES,
    Dialect,
    Incoming,
    Malformed,
    MessageId,
    dialect_of,
    kind_of,
    object_in,
    parse,
    shown,
    text_in,
)


@attrs.frozen
class Say:
    """Tell the client something."""

    kind: str
    data: Any
    id: MessageId = None


@attrs.frozen
class Welcome:
    """Tell the client that it is welcome, and what there is to know; it was not yet."""

    id: MessageId


@attrs.frozen
class Ask:
    """Tell the UI worker of an event.

    Attributes:
      event_name: Which one.
      payload: What the client has sent along.
      id: Of the client's message; the answer has it, too.
      t: What the client calls its request; None if it hears of failures alone.
    """

    event_name: str
    payload: Any
    id: MessageId
    t: str | None = None


@attrs.frozen
class Cancel:
    """Cancel a job group."""

    job_id: str
    reason: str | None
    id: MessageId


@attrs.frozen
class Close:
    """Close the connection, when all is sent."""

    code: int
    reason: str


Action = Say | Welcome | Ask | Cancel | Close


def error_about(message_id: MessageId, problem: str) -> Say:
    """Return what a client is told of a failure."""
    if message_id is None:
        return Say("error", {"error": problem, "message": problem, "fatal": False})
    return Say("error-response", {"error": problem}, message_id)


@attrs.define(eq=False)
class Conversation:
    """One client's side of the protocol.

    Args:
      is_token: Says whether something is the token.
      authenticated: Whether the client needn't prove anything.

    Attributes:
      dialect: What the client speaks; None before ``client-ready``.
      binary: Whether it sends protobuf frames; None before the first message, which decides.
      refused: Counts messages that were answered with an error.
    """

    is_token: Callable[[object], bool]
    authenticated: bool = True
    dialect: Dialect | None = None
    binary: bool | None = None
    refused: int = 0

    def receive(self, frame: str | bytes) -> list[Action]:
        """Return what to do about a complete message."""
        if self.binary is None:
            self.binary = isinstance(frame, bytes)
        message_id: MessageId = None
        try:
            message = parse(unwrap(frame) if isinstance(frame, bytes) else frame)
            message_id = message.id
            if not self.authenticated:
                return self._authenticate(message)
            return self._handle(message)
        except Malformed as error:
            actions: list[Action] = [error_about(error.id, str(error))]
        except (BadMessage, Denied) as error:
            actions = [error_about(message_id, str(error))]
        self.refused += 1
        if not self.authenticated:
            actions.append(Close(CloseCode.POLICY_VIOLATION, "authenticate first"))
        return actions

    def _authenticate(self, message: Incoming) -> list[Action]:
        if message.type != "authenticate":
            raise Denied(
                'this server wants a token: the first message must be of type "authenticate", '
                'with data {"token": ...}'
            )
        given = object_in(message.data, "authenticate").get("token")
        if not self.is_token(given):
            raise Denied("authenticate: that is not the token")
        self.authenticated = True
        return [Say("authenticated", {}, message.id)]

    def _handle(self, message: Incoming) -> list[Action]:
        handle = _HANDLERS.get(message.type)
        if handle is None:
            what = f"a message of type {shown(message.type)} is of no use here"
            if message.type in MEDIA_TYPES:
                raise Denied(f"{what}: this server has no media and no model")
            raise BadMessage(f"{what}; known are {', '.join(sorted(_HANDLERS))}")
        if self.dialect is None and message.type not in _BEFORE_READY:
            raise Denied(f"{message.type} came too early: send client-ready first")
        return handle(self, message)

    # By type

    def _client_ready(self, message: Incoming) -> list[Action]:
        dialect = dialect_of(message.data)
        if self.dialect is None:
            self.dialect = dialect
            return [Welcome(message.id)]
        if dialect is not self.dialect:
            raise Denied("client-ready: a connection can't change its version; connect anew")
        return [bot_ready(dialect, message.id)]

    def _already_authenticated(self, message: Incoming) -> list[Action]:
        return [Say("authenticated", {}, message.id)]

    def _disconnect_bot(self, _: Incoming) -> list[Action]:
        return [Close(CloseCode.NORMAL_CLOSURE, "the client wished so")]

    def _ui_event(self, message: Incoming) -> list[Action]:
        data = object_in(message.data, "ui-event")
        name = _event_name(data, "event", "ui-event")
        return [Ask(name, data.get("payload"), message.id)]

    def _ui_snapshot(self, message: Incoming) -> list[Action]:
        data = object_in(message.data, "ui-snapshot")
        if "tree" not in data:
            raise BadMessage('ui-snapshot: "tree" is missing')
        return [Ask(SNAPSHOT_EVENT, data["tree"], message.id)]

    def _cancel_task(self, message: Incoming) -> list[Action]:
        return self._cancel(message, "task_id")

    def _cancel_job_group(self, message: Incoming) -> list[Action]:
        return self._cancel(message, "job_id")

    def _cancel(self, message: Incoming, key: str) -> list[Action]:
        data = object_in(message.data, message.type)
        reason = data.get("reason")
        if reason is not None and not isinstance(reason, str):
            raise BadMessage(f'{message.type}: "reason" must be a text, not {kind_of(reason)}')
        job_id = text_in(data, key, message.type)
        return [Cancel(job_id, reason[:1000] if reason is not None else None, message.id)]

    def _client_message(self, message: Incoming) -> list[Action]:
        data = object_in(message.data, "client-message")
        name = _event_name(data, "t", "client-message")
        return [Ask(name, data.get("d"), message.id, name)]

    def _send_text(self, message: Incoming) -> list[Action]:
        data = object_in(message.data, "send-text")
        content, options = data.get("content"), data.get("options")
        if not isinstance(content, str):
            raise BadMessage(f'send-text: "content" must be a text, not {kind_of(content)}')
        if not isinstance(options, dict | None):
            raise BadMessage(f'send-text: "options" must be an object, not {kind_of(options)}')
        return [Ask(TEXT_EVENT, {"content": content, "options": options or {}}, message.id)]


def bot_ready(dialect: Dialect, message_id: MessageId) -> Say:
    """Return the answer to ``client-ready``."""
    about = {"library": "trioworkers", "library_version": _version()}
    return Say("bot-ready", {"version": dialect.value, "about": about}, message_id)


@cache
def _version() -> str:
    try:
        return version("trioworkers")
    except PackageNotFoundError:
        return "unknown"


def _event_name(data: dict[str, Any], key: str, what: str) -> str:
    name = text_in(data, key, what)
    if name.startswith("__"):
        raise BadMessage(
            f'{what}: "{key}" is {shown(name)}; names that begin with "__" are reserved. To '
            "cancel, send ui-cancel-job-group or ui-cancel-task; for the rest, ui-snapshot and "
            "send-text"
        )
    return name


#: What a client may send before ``client-ready``.
_BEFORE_READY = frozenset({"authenticate", "client-ready", "disconnect-bot"})

_HANDLERS: dict[str, Callable[[Conversation, Incoming], list[Action]]] = {
    "authenticate": Conversation._already_authenticated,
    "client-message": Conversation._client_message,
    "client-ready": Conversation._client_ready,
    "disconnect-bot": Conversation._disconnect_bot,
    "send-text": Conversation._send_text,
    "ui-cancel-job-group": Conversation._cancel_job_group,
    "ui-cancel-task": Conversation._cancel_task,
    "ui-event": Conversation._ui_event,
    "ui-snapshot": Conversation._ui_snapshot,
}
