"""The payload of a job, from the command line; all that is wrong with it is told first."""

import sys
from pathlib import Path
from typing import Any

import click
import orjson

from trioworkers import BusJobRequestMessage, CodecError, MessageCodec

_KINDS: dict[type, str] = {list: "an array", str: "a string", type(None): "null"}


def read_payload(
    _context: click.Context, _parameter: click.Parameter, given: str | None
) -> dict[str, Any] | None:
    """Return the JSON object that is given: itself, as ``@file``, or as ``-`` for stdin.

    Raises:
      click.BadParameter: It can't be read, or is no JSON object.
    """
    if given is None:
        return None
    where, text = "the payload", given.encode(errors="surrogateescape")
    try:
        if given == "-":
            where, text = "standard input", sys.stdin.buffer.read()
        elif given.startswith("@"):
            where, text = given[1:], Path(given[1:]).read_bytes()
    except (OSError, ValueError) as error:
        raise click.BadParameter(f"can't read {given[1:]!r}: {error}") from None
    try:
        payload = orjson.loads(text)
    except ValueError as error:
        raise click.BadParameter(f"{where} is no JSON: {error}") from None
    if not isinstance(payload, dict):
        kind = _KINDS.get(type(payload), "a number or a truth value")
        raise click.BadParameter(f"{where} is {kind}, not a JSON object such as {{}}")
    return payload


def check_sendable(worker: str, job: str | None, payload: dict[str, Any] | None) -> None:
    """See whether a request can be sent as it is.

    Raises:
      click.UsageError: It can't: it is too long, say.
    """
    request = BusJobRequestMessage("cli-1", job, payload, source="cli", target=worker)
    try:
        MessageCodec().encode(request)
    except CodecError as error:
        raise click.UsageError(f"this can't be sent: {error}") from None
