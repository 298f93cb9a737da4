"""``trioworkers demo research``: three researchers, one job group."""

import json
import math
import os
import sys
from collections.abc import Sequence

import attrs
import click
import trio
from rich.console import Console

from trioworkers import JobGroupError, WorkerRunner

from ._display import Display, LiveProgress, PlainLines, Silent, print_report
from ._report import Report
from ._signals import run_until_signal
from .research import (
    FilesResearcher,
    PackagesResearcher,
    Researcher,
    ResearchQuery,
    StdlibResearcher,
)


@attrs.frozen
class Options:
    """How to run the group.

    Attributes:
      timeout: Seconds, above 0; None for no limit.
      cancel_on_error: Stop all when one does not complete.
    """

    timeout: float | None
    cancel_on_error: bool


def make_researchers() -> list[Researcher]:
    """Return one researcher of each kind, to share as many threads as there are processors."""
    limiter = trio.CapacityLimiter(max(2, os.cpu_count() or 1))
    return [
        FilesResearcher(limiter=limiter),
        StdlibResearcher(limiter=limiter),
        PackagesResearcher(limiter=limiter),
    ]


async def run_research(
    researchers: Sequence[Researcher],
    query: ResearchQuery,
    options: Options,
    report: Report,
    display: Display,
) -> None:
    """Send ``query`` to ``researchers`` and keep ``report`` and ``display`` up to date.

    When a worker fails or time is up, ``report`` says so and holds what was found
    until then. When cancelled, all work has stopped before `trio.Cancelled` leaves.
    """
    started = trio.current_time()
    async with WorkerRunner() as runner:
        await runner.add_workers(*researchers)
        try:
            async with runner.job_group(
                *report.workers,
                name="research",
                payload=query,
                timeout=options.timeout,
                cancel_on_error=options.cancel_on_error,
                label=f"research {query.text}",
            ) as group:
                async for event in group:
                    report.add(event)
                    report.settle(group.outcomes)
                    display.show(report)
            report.settle(group.outcomes)
        except JobGroupError as error:
            report.reason = error.reason
            report.settle(error.outcomes)
    report.elapsed = trio.current_time() - started


def _open_display(console: Console, *, as_json: bool) -> Display:
    if as_json:
        return Silent()
    return LiveProgress(console) if console.is_terminal else PlainLines()


def _check_query(_context: click.Context, _parameter: click.Parameter, text: str) -> str:
    try:
        ResearchQuery(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    return text


def _check_timeout(
    _context: click.Context, _parameter: click.Parameter, seconds: float | None
) -> float | None:
    if seconds is not None and not (seconds > 0 and math.isfinite(seconds)):
        raise click.BadParameter(f"{seconds:g} is not a number of seconds above 0")
    return seconds


@click.command(
    epilog="""\b
Examples:
  trioworkers demo research "structured concurrency" docs src
  trioworkers demo research --timeout 5 --limit 3 nursery
  trioworkers demo research --json Path README.md | python -m json.tool

\b
Exit status: 0 if every worker completed, 1 if one did not, 2 for a wrong
option, 130 after Ctrl-C.
"""
)
@click.argument("query", callback=_check_query)
@click.argument("paths", metavar="[PATH]...", nargs=-1)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="Show at most this many results of each worker.",
)
@click.option(
    "--timeout",
    type=float,
    metavar="SECONDS",
    callback=_check_timeout,
    help="Stop after this time; what was found until then is shown.",
)
@click.option(
    "--cancel-on-error/--keep-going",
    default=False,
    show_default=True,
    help="When one worker fails, stop the others, or let them go on.",
)
@click.option("--json", "as_json", is_flag=True, help="Write one JSON document.")
@click.pass_context
def research(
    context: click.Context,
    query: str,
    paths: tuple[str, ...],
    limit: int,
    timeout: float | None,
    cancel_on_error: bool,
    as_json: bool,
) -> None:
    """Search for QUERY in files, the standard library and installed packages at once.

    Three workers search at the same time, for the text as it stands, in upper or
    lower case: "files" the text files in each PATH (the current directory, if
    there is none), "stdlib" the docstrings of the standard library, "packages" the
    metadata and descriptions of installed distributions.
    """
    is_terminal = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
    console = Console(force_terminal=is_terminal, highlight=False)
    researchers = make_researchers()
    report = Report.on(query, [each.name for each in researchers], limit=limit)
    asked = ResearchQuery(query, paths or (".",))
    options = Options(timeout, cancel_on_error)
    display = _open_display(console, as_json=as_json)
    with display:
        display.show(report)
        caught = trio.run(
            run_until_signal, run_research, researchers, asked, options, report, display
        )
    if caught is not None:
        click.echo("cancelled", err=True)
        context.exit(128 + caught)
    if as_json:
        # By the console, which ends the program quietly if the reader has left.
        console.out(json.dumps(report.to_dict(), indent=2), highlight=False)
    else:
        print_report(report, console)
    context.exit(0 if report.complete else 1)
