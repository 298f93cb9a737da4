"""Who is on the bus, in front of a person or a program."""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from trioworkers import WorkerReadyData

from ._onlooker import RunnerView, View
from .research._text import printable

if TYPE_CHECKING:
    from trioworkers.bus.redis import RedisPeer


class Watch(Protocol):
    """Shows views, each in place of the one before, between enter and exit."""

    def __enter__(self) -> Self:
        """Begin."""

    def __exit__(self, *_exc: object) -> None:
        """Leave the screen as it should stay."""

    def show(self, view: View) -> None:
        """Show what is known now."""


def open_watch(console: Console, *, as_json: bool) -> Watch:
    """Return what fits ``console``."""
    if as_json or not console.is_terminal:
        return _Changes(console, as_json=as_json)
    return _Screen(console)


class _Screen:
    """Draws all of it again at each change; it stays in the end."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, auto_refresh=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._live.stop()

    def show(self, view: View) -> None:
        """See `Watch`."""
        self._live.update(Text("\n").join(lines_of(view)), refresh=True)


class _Changes:
    """Writes a line for each runner and worker that has come or gone, from none on."""

    def __init__(self, console: Console, *, as_json: bool) -> None:
        self._console = console
        self._as_json = as_json
        self._runners: dict[str, RunnerView] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        return None

    def show(self, view: View) -> None:
        """See `Watch`."""
        before, self._runners = self._runners, {runner.name: runner for runner in view.runners}
        for name, runner in before.items():
            now = self._runners.get(name)
            for worker in _only_in(runner, now):
                self._write("left", runner, worker)
            if now is None:
                self._write("left", runner, None)
        for name, runner in self._runners.items():
            then = before.get(name)
            if then is None:
                self._write("arrived", runner, None)
            for worker in _only_in(runner, then):
                self._write("arrived", runner, worker)

    def _write(self, event: str, runner: RunnerView, worker: WorkerReadyData | None) -> None:
        if self._as_json:
            document: dict[str, Any] = {"event": event, "runner": runner.name}
            document |= _process_document(runner.peer) if worker is None else {}
            document |= {} if worker is None else {"worker": _worker_document(worker)}
            line = json.dumps(document)
        else:
            what = _runner_line(runner) if worker is None else _worker_line(worker, "worker ")
            on = Text("" if worker is None else f" on runner {printable(runner.name)}")
            line = (Text(f"{event} ") + what + on).plain
        self._console.out(line, highlight=False)


def _only_in(runner: RunnerView, other: RunnerView | None) -> list[WorkerReadyData]:
    known = {(each.worker_name, each.started_at) for each in (other.workers if other else ())}
    return [each for each in runner.workers if (each.worker_name, each.started_at) not in known]


def lines_of(view: View) -> list[Text]:
    """Return the runners, and below each its workers: children below their parents."""
    lines: list[Text] = []
    for runner in view.runners:
        nothing = Text("" if runner.workers else ", no workers", style="dim")
        lines += [_runner_line(runner) + nothing, *_tree(runner.workers)]
    lines += [_silent_line(peer) for peer in view.silent]
    return lines or [Text("nobody is there")]


def _tree(workers: tuple[WorkerReadyData, ...]) -> Iterator[Text]:
    here = {worker.worker_name for worker in workers}
    below: dict[str | None, list[WorkerReadyData]] = {}
    for worker in workers:
        below.setdefault(worker.parent if worker.parent in here else None, []).append(worker)

    def walk(parent: str | None, indent: str) -> Iterator[Text]:
        for worker in below.get(parent, ()):
            yield _worker_line(worker, indent)
            yield from walk(worker.worker_name, indent + "  ")

    return walk(None, "  ")


def _runner_line(runner: RunnerView) -> Text:
    line = Text("runner ")
    line.append(printable(runner.name), style="bold")
    if runner.peer is not None:
        line.append(f": {_process(runner.peer)}")
    return line


def _silent_line(peer: "RedisPeer") -> Text:
    line = f"{printable(peer.incarnation)}: {_process(peer)}, has not told what it has"
    return Text(line, style="yellow")


def _process(peer: "RedisPeer") -> str:
    pid = "an unknown process" if peer.pid is None else f"pid {peer.pid}"
    lease = "" if peer.lease is None else f", lease {peer.lease:g} s"
    return f"{pid} on {printable(peer.host) or 'an unknown machine'}{lease}"


def _worker_line(worker: WorkerReadyData, before: str) -> Text:
    line = Text(before)
    line.append(printable(worker.worker_name), style="cyan")
    if not worker.active:
        line.append(" inactive", style="dim")
    if worker.started_at is not None:
        line.append(f" since {_time(worker.started_at)}", style="dim")
    return line


def _time(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(seconds).astimezone().isoformat(" ", "seconds")
    except (ValueError, OverflowError, OSError):  # anyone may have sent it
        return str(seconds)


def as_document(view: View) -> dict[str, Any]:
    """Return all of it as JSON values."""
    return {
        "runners": [
            {
                "name": runner.name,
                **_process_document(runner.peer),
                "workers": [_worker_document(worker) for worker in runner.workers],
            }
            for runner in view.runners
        ],
        "silent": [
            {"incarnation": peer.incarnation, **_process_document(peer)} for peer in view.silent
        ],
    }


def _process_document(peer: "RedisPeer | None") -> dict[str, Any]:
    if peer is None:
        return {"host": None, "pid": None, "lease": None}
    return {"host": peer.host or None, "pid": peer.pid, "lease": peer.lease}


def _worker_document(worker: WorkerReadyData) -> dict[str, Any]:
    return {
        "name": worker.worker_name,
        "parent": worker.parent,
        "active": worker.active,
        "started_at": worker.started_at,
    }
