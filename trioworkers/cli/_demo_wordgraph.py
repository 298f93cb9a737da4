"""``trioworkers demo wordgraph``: the words of files, counted by a task graph."""

import contextlib
import json
import os
import sys
from collections.abc import Sequence

import attrs
import click
import trio

from trioworkers.errors import CacheError
from trioworkers.graph import TaskFailure

from ._signals import run_until_signal
from ._sim_display import open_console
from ._word_report import WordReport, print_words
from .research import printable
from .wordgraph import WordGraph, WordGraphOptions


@attrs.define(eq=False)
class _Run:
    """One run of the graph, and how it ended.

    Attributes:
      words: The graph.
      failures: What has failed in it.
      elapsed: Seconds.
      trouble: Why it did not begin; None if it did.
    """

    words: WordGraph
    failures: tuple[TaskFailure, ...] = ()
    elapsed: float = 0.0
    trouble: CacheError | None = None

    async def run(self, paths: Sequence[str], progress: bool) -> None:
        """Count. Without a terminal say so, as there is no progress to be seen soon."""
        if progress and not sys.stderr.isatty():
            where = printable(", ".join(paths))
            # That nobody reads this is no reason to stop.
            with contextlib.suppress(BrokenPipeError):
                click.echo(f"counting the words in {where}", err=True)
        started = trio.current_time()
        try:
            self.failures = await self.words.run(paths, progress=progress)
        except CacheError as error:
            self.trouble = error
        finally:
            self.elapsed = trio.current_time() - started


@click.command(
    epilog="""\b
Examples:
  trioworkers demo wordgraph docs README.md
  trioworkers demo wordgraph --include '*.py' --top 5 --cache-dir /tmp/words src
  trioworkers demo wordgraph --json docs | python -m json.tool

\b
Exit status: 0 if all went well, also if files were skipped, 1 if something
failed, 2 for a wrong option, 130 after Ctrl-C.
"""
)
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@click.option(
    "--include",
    metavar="PATTERN",
    multiple=True,
    help="Of what is in directories, count only files with such names; may be repeated.",
)
@click.option(
    "--top",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    metavar="N",
    help="Show so many of the most frequent words.",
)
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=lambda: max(2, os.cpu_count() or 1),
    show_default="one for each processor",
    metavar="N",
    help="Read and count in so many threads.",
)
@click.option(
    "--cache-dir",
    type=click.Path(file_okay=False),
    default="./cache",
    show_default=True,
    help="Keep counts there.",
)
@click.option("--no-cache", is_flag=True, help="Keep no counts, and use none.")
@click.option("--quiet", "-q", is_flag=True, help="Show no progress.")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON document.")
@click.pass_context
def wordgraph(
    context: click.Context,
    paths: tuple[str, ...],
    include: tuple[str, ...],
    top: int,
    jobs: int,
    cache_dir: str,
    no_cache: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Count the words of the text files in each PATH with a task graph.

    Files are cut into pieces, whose words are counted in threads, and joined, first
    those of each file, then all. Directories are walked; files that are no text, or
    can't be read, are named. The counts of each piece are kept in a cache under its
    content: a second run counts only what has changed.
    """
    options = WordGraphOptions(None if no_cache else cache_dir, include, jobs)
    run = _Run(WordGraph(options))
    quiet = quiet or as_json
    caught = trio.run(run_until_signal, run.run, paths, not quiet)
    if caught is not None:
        kept = "" if no_cache else f"; what was counted until then is kept in {cache_dir}"
        click.echo(f"cancelled{kept}", err=True)
        context.exit(128 + caught)
    if run.trouble is not None:
        raise click.ClickException(str(run.trouble))
    report = WordReport.of(
        run.words, run.failures, top=top, elapsed=run.elapsed, cache_dir=options.cache_dir
    )
    console = open_console()
    if as_json:
        console.out(json.dumps(report.to_dict(), indent=2), highlight=False)
    else:
        print_words(report, console)
    context.exit(1 if report.failures else 0)
