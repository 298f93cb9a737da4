"""What a job sends, and how it ends, in front of a person or a program."""

import json
from typing import Any, Protocol

from rich.console import Console
from rich.text import Text

from trioworkers import JobEvent, JobOutcome, JobStatus

from ._bus_options import say
from .research._text import printable


class CallDisplay(Protocol):
    """Writes to standard output, as things come."""

    def show_event(self, event: JobEvent) -> None:
        """Write an update, or a part of the stream."""

    def show_response(self, response: dict[str, Any]) -> None:
        """Write what the worker has answered."""


def open_display(console: Console, *, quiet: bool) -> CallDisplay:
    """Return what fits ``console``; ``quiet`` is without events."""
    if quiet:
        return _ResponseAlone(console)
    return _Readable(console) if console.is_terminal else _JsonLines(console)


class _JsonLines:
    """An object in a line each: ``{"type": ..., "data": ...}``."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def show_event(self, event: JobEvent) -> None:
        """See `CallDisplay`."""
        self._write(event.type, event.data)

    def show_response(self, response: dict[str, Any]) -> None:
        """See `CallDisplay`."""
        self._write("response", response)

    def _write(self, kind: str, data: dict[str, Any] | None) -> None:
        self._console.out(json.dumps({"type": kind, "data": data}), highlight=False)
        self._console.file.flush()


class _Readable:
    """A line for each event, then the response with indentation."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def show_event(self, event: JobEvent) -> None:
        """See `CallDisplay`."""
        line = Text(event.type.replace("_", " "), style="dim")
        if event.data is not None:
            text = json.dumps(event.data, ensure_ascii=False)
            line.append(f"  {printable(text)}", style="not dim")
        self._console.print(line, soft_wrap=True)

    def show_response(self, response: dict[str, Any]) -> None:
        """See `CallDisplay`."""
        text = json.dumps(response, indent=2, ensure_ascii=False)
        self._console.print(Text(_safe(text), style="bold"), soft_wrap=True)


class _ResponseAlone:
    """The response, in a line."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def show_event(self, event: JobEvent) -> None:
        """See `CallDisplay`."""

    def show_response(self, response: dict[str, Any]) -> None:
        """See `CallDisplay`."""
        self._console.out(json.dumps(response), highlight=False)


def show_failure(worker: str, outcome: JobOutcome, reason: str) -> None:
    """Write to standard error why a job did not complete, and what a handler has raised."""
    error = outcome.error
    if error is not None and error.traceback and outcome.status is not JobStatus.FAILED:
        say(f"where {worker!r} ran:\n{_safe(error.traceback.rstrip())}")
    why = reason
    if error is not None and outcome.status is not JobStatus.TIMED_OUT:
        why = error.message if outcome.status is JobStatus.FAILED else str(error)
    say(f"{worker!r} {_WORDS[outcome.status]}: {_safe(why)}")


def _safe(text: str) -> str:
    """Return lines that others have written without what a terminal would act on."""
    return "\n".join(map(printable, text.split("\n")))


_WORDS = {
    JobStatus.COMPLETED: "completed",
    JobStatus.FAILED: "failed",
    JobStatus.ERROR: "raised",
    JobStatus.CANCELLED: "was cancelled",
    JobStatus.TIMED_OUT: "was too slow",
    JobStatus.LOST: "was lost",
}
