"""What is sent to clients, as bytes: each message once for each dialect and kind of frame."""

import itertools
from collections.abc import Callable
from typing import Any

import attrs
import orjson
from websockets.frames import Frame, Opcode

from ...bus import JobStatus
from .._messages import (
    BusUICommandMessage,
    BusUIJobCompletedMessage,
    BusUIJobGroupCompletedMessage,
    BusUIJobGroupStartedMessage,
    BusUIJobUpdateMessage,
    BusUIMessage,
    BusUITextMessage,
)
from ._frames import wrap
from ._protocol import LABEL, Dialect, MessageId

#: Fields whose content comes from workers, and is replaced if it can't be JSON.
_PAYLOADS = ("data", "response", "payload", "d")
#: What clients know no word for.
_STATUSES = {JobStatus.TIMED_OUT: "cancelled", JobStatus.LOST: "error"}


_numbers = itertools.count(1)


@attrs.frozen
class _Words:
    type: str
    job_id: str
    workers: str
    worker_name: str
    update: str
    completed: str


_WORDS = {
    Dialect.OLDER: _Words(
        "ui-task", "task_id", "agents", "agent_name", "task_update", "task_completed"
    ),
    Dialect.NEWER: _Words(
        "ui-job-group", "job_id", "workers", "worker_name", "job_update", "job_completed"
    ),
}


def _started(message: BusUIJobGroupStartedMessage, words: _Words) -> dict[str, Any]:
    return {
        "kind": "group_started",
        words.job_id: message.job_id,
        words.workers: list(message.workers),
        "label": message.label,
        "cancellable": message.cancellable,
        "at": message.at,
    }


def _update(message: BusUIJobUpdateMessage, words: _Words) -> dict[str, Any]:
    return {
        "kind": words.update,
        words.job_id: message.job_id,
        words.worker_name: message.worker_name,
        "data": message.data,
        "at": message.at,
    }


def _completed(message: BusUIJobCompletedMessage, words: _Words) -> dict[str, Any]:
    envelope = {
        "kind": words.completed,
        words.job_id: message.job_id,
        words.worker_name: message.worker_name,
        "status": _STATUSES.get(message.status, str(message.status)),
        "response": message.response,
        "at": message.at,
    }
    if message.status is not JobStatus.COMPLETED:
        envelope["error"] = message.error
    return envelope


def _group_completed(message: BusUIJobGroupCompletedMessage, words: _Words) -> dict[str, Any]:
    return {"kind": "group_completed", words.job_id: message.job_id, "at": message.at}


_ENVELOPES: dict[type[BusUIMessage], Callable[[Any, _Words], dict[str, Any]]] = {
    BusUIJobGroupStartedMessage: _started,
    BusUIJobUpdateMessage: _update,
    BusUIJobCompletedMessage: _completed,
    BusUIJobGroupCompletedMessage: _group_completed,
}


def body_of(message: BusUIMessage, dialect: Dialect) -> tuple[str, dict[str, Any]] | None:
    """Return type and data of what clients are told; None if it is nothing for them."""
    if isinstance(message, BusUICommandMessage):
        return "ui-command", {"command": message.command_name, "payload": message.payload}
    if isinstance(message, BusUITextMessage):
        data = {"text": message.text, "spoken": False, "aggregated_by": "sentence"}
        return "bot-output", data
    envelope = _ENVELOPES.get(type(message))
    if envelope is None:
        return None
    words = _WORDS[dialect]
    return words.type, envelope(message, words)


def encode(kind: str, data: Any, message_id: MessageId = None) -> bytes:
    """Return a message as JSON; it gets an id of ours if it answers none of the client's.

    What can't be JSON, such as huge integers or objects, is replaced by what says so.
    """
    if message_id is None:
        message_id = f"server-{next(_numbers)}"
    message = {"id": message_id, "label": LABEL, "type": kind, "data": data}
    try:
        return orjson.dumps(message)
    except (TypeError, RecursionError) as error:
        problem = str(error)
    return orjson.dumps(_replaced(message, f"this can't be shown: {problem}"))


def frame(text: bytes, *, binary: bool) -> bytes:
    """Return the WebSocket frame with a message: a server's, so it is alike for all clients.

    Args:
      text: The message, as JSON.
      binary: Whether in protobuf.
    """
    made = Frame(Opcode.BINARY, wrap(text)) if binary else Frame(Opcode.TEXT, text)
    return made.serialize(mask=False)


def _replaced(message: dict[str, Any], problem: str) -> dict[str, Any]:
    """Return ``message`` with what can't be encoded replaced, as little as possible."""

    def mend(key: str, value: Any) -> Any:
        if isinstance(value, str):
            return value.encode(errors="replace").decode()
        if _is_json(value):
            return value
        if key not in _PAYLOADS and isinstance(value, list):  # names of workers
            return [mend("", item) for item in value]
        return {"error": problem}

    data = message["data"]
    if isinstance(data, dict) and all(isinstance(key, str) for key in data):
        data = {mend("", key): mend(key, value) for key, value in data.items()}
    else:
        data = mend("data", data)
    return {key: mend("", value) for key, value in message.items() if key != "data"} | {
        "data": data
    }


def _is_json(value: Any) -> bool:
    try:
        orjson.dumps(value)
    except (TypeError, RecursionError):
        return False
    return True


@attrs.define(eq=False)
class Parcel:
    """A message for many clients, and what it is as bytes."""

    message: BusUIMessage
    _text: dict[Dialect, bytes | None] = attrs.field(init=False, factory=dict)
    _framed: dict[tuple[Dialect, bool], bytes | None] = attrs.field(init=False, factory=dict)

    def framed(self, dialect: Dialect, *, binary: bool) -> bytes | None:
        """Return what a client is sent, which is the same object for all that are alike.

        Args:
          dialect: What the client speaks.
          binary: Whether in protobuf.

        Returns:
          A WebSocket frame; None if it is nothing for clients.
        """
        key = dialect, binary
        if key not in self._framed:
            text = self._text_in(dialect)
            self._framed[key] = frame(text, binary=binary) if text is not None else None
        return self._framed[key]

    def _text_in(self, dialect: Dialect) -> bytes | None:
        if dialect not in self._text:
            body = body_of(self.message, dialect)
            self._text[dialect] = encode(*body) if body is not None else None
        return self._text[dialect]
