"""What ``trioworkers demo wordgraph`` shows in the end."""

from collections.abc import Sequence
from heapq import nsmallest
from typing import Self

import attrs
from rich.console import Console
from rich.text import Text

from trioworkers.graph import TaskFailure

from .research import printable
from .wordgraph import SkippedFile, TotalWords, WordGraph

#: Skipped files, and failures, that are named; of further ones, how many.
NAMED = 20


@attrs.frozen
class WordReport:
    """How a count has ended.

    Attributes:
      total: What was counted.
      top: The most frequent words; of those that are as frequent, in their order.
      cached: How many pieces a cache has answered.
      cache_dir: Where that is; None if there was none.
      skipped: Files that were not counted, by path.
      failures: What went wrong otherwise.
      elapsed: Seconds.
    """

    total: TotalWords
    top: tuple[tuple[str, int], ...]
    cached: int
    cache_dir: str | None
    skipped: tuple[SkippedFile, ...]
    failures: tuple[str, ...]
    elapsed: float

    @classmethod
    def of(
        cls,
        words: WordGraph,
        failures: Sequence[TaskFailure],
        *,
        top: int,
        elapsed: float,
        cache_dir: str | None,
    ) -> Self:
        """Return the report of a graph that has run."""
        total = words.total
        return cls(
            total,
            tuple(nsmallest(top, total.counts.items(), key=lambda pair: (-pair[1], pair[0]))),
            words.cached,
            cache_dir,
            tuple(sorted(total.skipped, key=lambda file: file.path)),
            tuple(map(str, failures)),
            elapsed,
        )

    @property
    def words(self) -> int:
        """How many words there are."""
        return sum(self.total.counts.values())

    def to_dict(self) -> dict[str, object]:
        """Return this as JSON values."""
        return {
            "words": self.words,
            "different": len(self.total.counts),
            "top": [{"word": word, "count": count} for word, count in self.top],
            "files": self.total.files,
            "skipped": {file.path: file.reason for file in self.skipped},
            "pieces": self.total.pieces,
            "cached": self.cached,
            "cache_dir": self.cache_dir,
            "failures": list(self.failures),
            "elapsed": round(self.elapsed, 3),
        }


def print_words(report: WordReport, console: Console) -> None:
    """Print the most frequent words, what was skipped, and a summary."""
    width = max((len(f"{count:,}") for _, count in report.top), default=0)
    for word, count in report.top:
        line = Text(f"{count:>{width},}", style="cyan")
        console.print(line + Text(f"  {printable(word)}", style="bold"), soft_wrap=True)
    lines = [f"skipped {printable(file.path)}: {file.reason}" for file in report.skipped]
    _print_some(lines, "yellow", console)
    _print_some([f"failed: {printable(failure)}" for failure in report.failures], "red", console)
    files = len(report.total.files)
    skipped = f", {len(report.skipped):,} skipped" if report.skipped else ""
    console.print(
        f"{report.words:,} words, {len(report.total.counts):,} of them different, in "
        f"{_plural(files, 'file')}{skipped}; {report.elapsed:.2f} s",
        soft_wrap=True,
    )
    pieces = _plural(report.total.pieces, "piece")
    if report.cache_dir is None:
        console.print(f"{pieces} counted", soft_wrap=True)
    else:
        where = printable(report.cache_dir)
        console.print(
            Text(f"{pieces}: {report.cached:,} known to the cache in {where}"), soft_wrap=True
        )


def _plural(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def _print_some(lines: Sequence[str], style: str, console: Console) -> None:
    for line in lines[:NAMED]:
        console.print(Text(line, style=style), soft_wrap=True)
    if len(lines) > NAMED:
        console.print(
            Text(f"and {len(lines) - NAMED:,} more: see --json", style=style), soft_wrap=True
        )
