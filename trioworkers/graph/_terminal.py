"""Asking on the controlling terminal, in a way that can be cancelled."""

import os
from contextlib import AbstractContextManager
from typing import Any

import trio
from trio.lowlevel import RunVar

from ..errors import NoAnswerError, NotAttachedError
from ._user_input import UserRequest

#: Characters of an instruction that are shown.
MAX_INSTRUCTION = 10_000
#: Bytes of an answer; terminals give lines of 4096 at most.
MAX_ANSWER = 65_536

_lock: RunVar[trio.Lock] = RunVar("trioworkers terminal")


async def ask_terminal(
    request: UserRequest, quiet: AbstractContextManager[Any], path: str = "/dev/tty"
) -> None:
    """Ask on the terminal, and answer the request with the line that is typed.

    Several wait for one another. What was typed before is thrown away. Nothing blocks,
    and when it is cancelled, nothing goes on.

    Args:
      request: It must accept some kind of text.
      quiet: Entered while it asks, so that nobody else writes there.
      path: The terminal.

    Raises:
      NotAttachedError: There is no terminal to ask on, or it belongs to another process.
      NoAnswerError: The terminal was closed, or the person has said that there is none.
      ValueError: The request doesn't accept text.
    """
    mime_type = _text_type(request)
    fd = _open(request, path)
    try:
        async with _get_lock():
            with quiet:
                _drop_input(fd)
                await _write(fd, _prompt(request))
                line = await _read_line(fd, request)
        request.answer(line, mime_type)
    finally:
        os.close(fd)


def _get_lock() -> trio.Lock:
    try:
        return _lock.get()
    except LookupError:
        lock = trio.Lock()
        _lock.set(lock)
        return lock


def _text_type(request: UserRequest) -> str:
    for accepted in ("text/plain", *request.accepted_mime_types):
        is_text = accepted.lower().startswith("text/") and "*" not in accepted
        if is_text and request.accepts(accepted):
            return accepted
    raise ValueError(
        f"{request.worker} accepts {', '.join(request.accepted_mime_types)}, and a terminal gives "
        "text: call graph.set_user_request_callback() with somebody who can answer"
    )


def _open(request: UserRequest, path: str) -> int:
    """Open the terminal anew, so that its being non-blocking concerns nobody else."""
    problem = None
    try:
        fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    except (OSError, AttributeError):  # the latter on Windows
        problem = "there is no terminal to ask on"
    else:
        try:
            in_background = os.tcgetpgrp(fd) != os.getpgrp()
        except OSError:
            in_background = False  # not the controlling one
        if not in_background:
            return fd
        os.close(fd)
        problem = "this process is in the background of its terminal"
    raise NotAttachedError(
        f"{request.worker}.request_user_input() was called, and {problem}",
        "call graph.set_user_request_callback() with somebody who answers",
    )


def _prompt(request: UserRequest) -> bytes:
    shown = request.instruction[:MAX_INSTRUCTION]
    # No escape sequences: the text may come from anywhere.
    plain = "".join(char if char.isprintable() or char in "\n\t" else "\ufffd" for char in shown)
    return f"\n{request.worker} asks:\n{plain}\n> ".encode(errors="replace")


def _drop_input(fd: int) -> None:
    """Throw away what was typed before the question."""
    import termios

    termios.tcflush(fd, termios.TCIFLUSH)


async def _write(fd: int, data: bytes) -> None:
    while data:
        await trio.lowlevel.wait_writable(fd)
        try:
            data = data[os.write(fd, data) :]
        except BlockingIOError:
            continue


async def _read_line(fd: int, request: UserRequest) -> str:
    data = b""
    while not data.endswith(b"\n") and len(data) < MAX_ANSWER:
        await trio.lowlevel.wait_readable(fd)
        try:
            more = os.read(fd, 4096)
        except BlockingIOError:
            continue
        except OSError:
            more = b""  # it was hung up
        if not more:
            if data:
                break
            raise NoAnswerError(request.worker, "as the terminal was closed")
        data += more
    return data.decode(errors="replace").rstrip("\r\n")
