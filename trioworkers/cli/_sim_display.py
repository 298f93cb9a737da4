"""What ``trioworkers sim`` shows: progress while it explores, and tables at the end."""

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Any, Protocol, Self

import click
from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from trioworkers.testing.scenarios import Findings, Tally, Violation

#: Seconds between two lines of progress where there is no terminal.
LINE_SECONDS = 10.0
#: Columns where there is no terminal.
WIDTH = 120
#: Violations whose replay is listed at the end.
LISTED = 20


class SimProgress(Protocol):
    """Shows progress between enter and exit."""

    def __enter__(self) -> Self:
        """Begin."""

    def __exit__(self, *_exc: object) -> None:
        """Leave the screen as it should stay."""

    def show(self, found: "Findings", elapsed: float) -> None:
        """Show what was found until now; called often."""


def open_console() -> Console:
    """Return a console on standard output; a wide one where that is no terminal."""
    is_terminal = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
    width = None if is_terminal or "COLUMNS" in os.environ else WIDTH
    return Console(force_terminal=is_terminal, highlight=False, width=width)


def open_progress(console: Console, *, seconds: float | None) -> SimProgress:
    """Return what fits ``console``; ``seconds`` is how long it will take, if known."""
    return _LiveBar(console, seconds) if console.is_terminal else _Lines()


def _in_short(tally: "Tally") -> str:
    return f"{tally.schedules:,} schedules, {tally.violations:,} violations"


class _Lines:
    """Writes a line to standard error, at the first news and then now and then."""

    def __init__(self) -> None:
        self._due = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        return None

    def show(self, found: "Findings", elapsed: float) -> None:
        """See `SimProgress`."""
        if found.tallies and elapsed >= self._due:
            self._due = elapsed + LINE_SECONDS
            # That nobody reads about progress is no reason to stop.
            with contextlib.suppress(BrokenPipeError):
                click.echo(f"{elapsed:.0f} s: {_in_short(found.total)}", err=True)


class _LiveBar:
    """Draws a bar, erased in the end."""

    def __init__(self, console: Console, seconds: float | None) -> None:
        self._progress = Progress(
            SpinnerColumn(),
            TimeElapsedColumn(),
            BarColumn(bar_width=30),
            TextColumn("{task.description}", markup=False),
            console=console,
            transient=True,
        )
        self._task = self._progress.add_task("starting", total=seconds)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._progress.stop()

    def show(self, found: "Findings", elapsed: float) -> None:
        """See `SimProgress`."""
        if found.tallies:
            self._progress.update(self._task, completed=elapsed, description=_in_short(found.total))


def print_violation(console: Console, violation: "Violation") -> None:
    """Print what is wrong, what happened before, and the line that replays it.

    What happened is printed as it is: it is no markup, and its lines are not wrapped.
    """
    console.print(Text(f"violation in {violation.place}", style="bold red"))
    console.out(violation.reason, highlight=False)
    console.out("\n".join(violation.timeline), highlight=False)
    console.print(Text(f"replay: {_replay_line(violation)}\n", style="bold"))


def _replay_line(violation: "Violation") -> str:
    return f"trioworkers sim --replay {violation.place}"


def print_summary(console: Console, found: "Findings", elapsed: float) -> None:
    """Print a table of the scenarios, one of the situations that were met, and a line."""
    console.print(_scenario_table(found))
    console.print(_race_table(found))
    for violation in found.violations[:LISTED]:
        console.print(Text(f"replay: {_replay_line(violation)}", style="bold"))
    if len(found.violations) > LISTED:
        console.print(Text(f"and {len(found.violations) - LISTED} more"))
    total = found.total
    speed = total.schedules / elapsed if elapsed else 0.0
    style = "bold red" if total.violations else "bold green"
    console.print(
        Text(f"{_in_short(total)}; {elapsed:.1f} s, {speed:.0f} schedules per second", style=style)
    )


def _scenario_table(found: "Findings") -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("scenario", no_wrap=True)
    for heading in ("schedules", "events", "violations"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("faults injected")
    rows = [*sorted(found.tallies.items()), ("all", found.total)]
    for number, (name, tally) in enumerate(rows, 1):
        faults = ", ".join(f"{kind} {tally.faults[kind]:,}" for kind in sorted(tally.faults))
        table.add_row(
            name,
            f"{tally.schedules:,}",
            f"{tally.events:,}",
            Text(f"{tally.violations:,}", style="bold red" if tally.violations else ""),
            faults,
            end_section=number == len(rows) - 1,
        )
    return table


def _race_table(found: "Findings") -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("races met")
    table.add_column("times", justify="right", no_wrap=True)
    table.add_column("in scenarios", justify="right", no_wrap=True)
    for race, times in found.total.races.most_common():
        places = sum(race in tally.races for tally in found.tallies.values())
        table.add_row(Text(race), f"{times:,}", f"{places} of {len(found.tallies)}")
    return table


def as_document(found: "Findings", elapsed: float) -> dict[str, Any]:
    """Return all of it as JSON values."""
    return {
        "seconds": elapsed,
        "total": _tally_document(found.total),
        "scenarios": {name: _tally_document(tally) for name, tally in found.tallies.items()},
        "violations": [
            {
                "replay": violation.place,
                "reason": violation.reason,
                "timeline": list(violation.timeline),
            }
            for violation in found.violations
        ],
    }


def _tally_document(tally: "Tally") -> dict[str, Any]:
    return {
        "schedules": tally.schedules,
        "events": tally.events,
        "violations": tally.violations,
        "faults": dict(tally.faults),
        "races": dict(tally.races),
    }
