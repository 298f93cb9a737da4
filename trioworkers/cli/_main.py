"""The command's groups, and how a run of it ends."""

import io
import signal
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

import click

from ._cache import cache
from ._call import call
from ._demo_async_tasks import async_tasks
from ._demo_research import research
from ._demo_wordgraph import wordgraph
from ._run import run_workers
from ._sim import sim
from ._workers import workers

INTERRUPTED = 128 + signal.SIGINT


def _installed_version() -> str:
    try:
        return version("trioworkers")
    except PackageNotFoundError:  # run from a source tree
        return "of a source tree that is not installed"


@click.group(
    epilog="""\b
Examples:
  trioworkers demo research "structured concurrency" docs src
  trioworkers demo research --help
  trioworkers run shop.workers:make_workers --bus redis://localhost
  trioworkers workers --bus redis://localhost
  trioworkers sim --seconds 60
  trioworkers cache list
"""
)
@click.version_option(_installed_version(), message="trioworkers %(version)s")
def cli() -> None:
    """Workers that do work for one another, on Trio."""


@cli.group(
    epilog="""\b
Examples:
  trioworkers demo research nursery
  trioworkers demo async-tasks --slow
  trioworkers demo wordgraph docs
"""
)
def demo() -> None:
    """See workers at work on something real."""


demo.add_command(async_tasks)
demo.add_command(research)
demo.add_command(wordgraph)
cli.add_command(run_workers)
cli.add_command(workers)
cli.add_command(call)
cli.add_command(sim)
cli.add_command(cache)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status.

    Args:
      arguments: Without the command's own name; None for those in ``sys.argv``.

    Click would answer Ctrl-C with status 1. The shell's own habit, 128 and the
    signal's number, tells a script that somebody stopped it.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        # What is found can hold letters that the terminal's encoding hasn't got.
        sys.stdout.reconfigure(errors="replace")
    try:
        return int(cli.main(arguments, prog_name="trioworkers", standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        click.echo("cancelled", err=True)
        return INTERRUPTED
