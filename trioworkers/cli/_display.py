"""What is to be seen: progress while the group runs, and the report at its end."""

import contextlib
from types import TracebackType
from typing import Protocol, Self

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
)
from rich.table import Column
from rich.text import Text

from trioworkers import JobStatus

from ._report import Report, WorkerReport


class Display(Protocol):
    """Shows progress between enter and exit."""

    def __enter__(self) -> Self:
        """Begin."""
        ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave the screen as it should stay."""
        ...

    def show(self, report: Report) -> None:
        """Show where things are; called often, so it must be cheap."""
        ...


class Silent:
    """Shows nothing, for output that a program reads."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        return None

    def show(self, report: Report) -> None:
        """See `Display`."""


class PlainLines(Silent):
    """Writes a line to standard error when a worker enters a new stage."""

    def __init__(self) -> None:
        self._stages: dict[str, str] = {}

    def show(self, report: Report) -> None:
        """See `Display`."""
        for name, worker in report.workers.items():
            if worker.stage != self._stages.setdefault(name, "waiting"):
                self._stages[name] = worker.stage
                # That nobody reads about progress is no reason to stop.
                with contextlib.suppress(BrokenPipeError):
                    click.echo(f"{name}: {worker.stage}{_figures(worker)}", err=True)


def _figures(worker: WorkerReport) -> str:
    return f" ({worker.done} of {worker.total}, {worker.found} found)" if worker.done else ""


class LiveProgress:
    """Draws a progress bar for each worker, with its best finding; erased in the end."""

    def __init__(self, console: Console) -> None:
        # What was found is no markup, whatever it looks like.
        self._progress = Progress(
            SpinnerColumn(finished_text="✓"),
            TextColumn("{task.description}", style="bold", markup=False),
            TextColumn("{task.fields[stage]}", style="dim", markup=False),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("{task.fields[found]} found", style="green", markup=False),
            TextColumn(
                "{task.fields[best]}",
                markup=False,
                table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis"),
            ),
            console=console,
            transient=True,
            expand=True,
        )
        self._bars: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._progress.stop()

    def show(self, report: Report) -> None:
        """See `Display`."""
        for name, worker in report.workers.items():
            if name not in self._bars:
                self._bars[name] = self._progress.add_task(
                    name, total=None, stage="", found=0, best=""
                )
            best = next((finding.where for finding in worker.top.ranked()), "")
            self._progress.update(
                self._bars[name],
                completed=worker.done,
                total=worker.total or None,
                stage=str(worker.status) if worker.error else worker.stage,
                found=worker.found,
                best=best,
            )


def print_report(report: Report, console: Console) -> None:
    """Print each worker's findings, best first, and a summary."""
    for worker in report.workers.values():
        console.print(_heading(worker), soft_wrap=True)
        ranked = worker.top.ranked()
        for finding in ranked:
            line = Text(f"{finding.score:7.2f}  ")
            line.append(finding.where, style="cyan")
            line.append("  ")
            excerpt = Text(finding.excerpt)
            excerpt.highlight_words([report.query], style="bold yellow", case_sensitive=False)
            console.print(line + excerpt, soft_wrap=True)
        if worker.found > len(ranked):
            more = f"         and {worker.found - len(ranked)} more: see --limit"
            console.print(Text(more, style="dim"), soft_wrap=True)
        console.print()
    console.print(_summary(report), soft_wrap=True)


def _heading(worker: WorkerReport) -> Text:
    skipped = ", ".join(f"{count} {reason}" for reason, count in sorted(worker.skipped.items()))
    completed = worker.status == JobStatus.COMPLETED
    heading = Text(worker.name, style="bold")
    heading.append(f": {worker.status}", style="green" if completed else "red")
    if worker.error:
        heading.append(f": {worker.error}", style="red")
    figures = f", {worker.found} found in {worker.done - sum(worker.skipped.values())} searched"
    heading.append(figures + (f" (skipped: {skipped})" if skipped else ""))
    return heading


def _summary(report: Report) -> Text:
    counts = ", ".join(f"{worker.found} in {name}" for name, worker in report.workers.items())
    summary = Text(f"found {counts}; {report.elapsed:.2f} s")
    if report.reason:
        summary.append(f"; stopped early: {report.reason}", style="red")
    return summary
