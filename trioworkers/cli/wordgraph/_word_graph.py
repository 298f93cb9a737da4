"""The graph as a whole."""

from collections.abc import Sequence

import attrs

from trioworkers.graph import Graph, GraphStatistics, TaskFailure, TaskWorker

from ..research._walk import SkippedFileError
from ._pieces import PIECE_BYTES
from ._tasks import Places, TotalWords
from ._workers import (
    CachedPieceCounter,
    FileSplitter,
    FileTotal,
    FileWalker,
    GrandTotal,
    PieceCounter,
)


@attrs.frozen
class WordGraphOptions:
    """How to count.

    Attributes:
      cache_dir: Where counts of pieces are kept; None for nowhere.
      include: Patterns of the names of files below directories; empty for all.
      jobs: Threads that read and count at once, >= 1.
      piece_bytes: How large pieces are at most, >= 1.
    """

    cache_dir: str | None = "./cache"
    include: tuple[str, ...] = ()
    jobs: int = 4
    piece_bytes: int = PIECE_BYTES


class WordGraph:
    """Counts the words of files. Runs once.

    The counts of all files are held until the end, no text is.

    Attributes:
      graph: The graph.
      total: What has come out; empty until it has run.
    """

    def __init__(self, options: WordGraphOptions) -> None:
        self.graph = graph = Graph(name="wordgraph", max_threads=options.jobs)
        self.total = TotalWords(counts={})
        self._walker = FileWalker(include=list(options.include))
        splitter = FileSplitter(piece_bytes=options.piece_bytes)
        self._counter: TaskWorker = PieceCounter()
        if options.cache_dir is not None:
            self._walker.passed_over = [options.cache_dir]
            self._counter = CachedPieceCounter(cache_dir=options.cache_dir)
        join, total = FileTotal(), GrandTotal()
        graph.add_workers(self._walker, splitter, self._counter, join, total)
        graph.set_entry(self._walker)
        graph.set_dependency(self._walker, splitter).next(self._counter).next(join).next(total)
        graph.set_dependency(splitter, total)
        total.sink(TotalWords)

    async def run(self, paths: Sequence[str], *, progress: bool = False) -> tuple[TaskFailure, ...]:
        """Count, and return what has failed, but for what `TotalWords.skipped` tells.

        Args:
          paths: Files, and directories to walk.
          progress: Show how it stands while it runs.

        Raises:
          CacheError: There can be no cache where it should be.
        """
        failures = await self.graph.run(
            [Places(paths=list(paths))], on_failure="collect", progress=progress
        )
        for total in self.graph.get_output_tasks(TotalWords):
            self.total = total  # there is one, or none if there were no files
        return tuple(one for one in failures if not isinstance(one.error, SkippedFileError))

    def statistics(self) -> GraphStatistics:
        """Return how it stands."""
        return self.graph.statistics()

    @property
    def cached(self) -> int:
        """How many pieces a cache has answered."""
        return self.statistics().workers[self._counter.name].cached
