"""The workers of the graph. What reads or counts is plain ``def``, and so runs in threads."""

import contextlib
import os
from collections.abc import AsyncIterator
from fnmatch import fnmatch
from itertools import islice

import trio

from trioworkers.graph import (
    CachedTaskWorker,
    InitialTaskWorker,
    Joined,
    JoinedTaskWorker,
    JoinPolicy,
    Merged,
    MergedTaskWorker,
    Task,
    TaskFailure,
    TaskWorker,
)

from ..research._walk import SKIPPED_DIRECTORIES, Candidate, SkippedFileError, walk_files
from ._pieces import PIECE_BYTES, Extent, find_pieces, read_piece
from ._tasks import FileWords, FoundFile, Piece, PieceWords, Places, SkippedFile, TotalWords
from ._words import WORD_RULES, add_up, count_words

#: Files that are listed with one hop to a thread.
_BATCH = 64
#: A virtual environment is known by its file; the standard library has a package ``venv``.
_SKIPPED = SKIPPED_DIRECTORIES - {"venv"}


class FileWalker(TaskWorker):
    """Finds files: a source, so it lists no more than is to be worked on soon.

    Attributes:
      include: Patterns of the names of files, as in a shell; empty for all.
      passed_over: Directories that are not looked into.
    """

    output_types: list[type[Task]] = [FoundFile]
    include: list[str] = []
    passed_over: list[str] = []

    async def consume_work(self, task: Places) -> AsyncIterator[FoundFile]:
        """Yield the files, once each."""
        walk = walk_files(
            task.paths,
            checkpoint=trio.from_thread.check_cancelled,
            skipped_directories=_SKIPPED,
            skipped=await trio.to_thread.run_sync(_identities, self.passed_over),
        )
        while batch := await trio.to_thread.run_sync(list, islice(walk, _BATCH)):
            for file in batch:
                name = os.path.basename(file.path)
                if file.named or not self.include or any(fnmatch(name, p) for p in self.include):
                    yield FoundFile(path=file.path, named=file.named)


def _identities(paths: list[str]) -> list[tuple[int, int]]:
    found = []
    for path in paths:
        with contextlib.suppress(OSError):  # what isn't there can't be walked either
            status = os.stat(path)
            found.append((status.st_dev, status.st_ino))
    return found


class FileSplitter(TaskWorker):
    """Finds the pieces of a file. Of a file that turns out to be no text it publishes none."""

    output_types: list[type[Task]] = [Piece, SkippedFile]
    piece_bytes: int = PIECE_BYTES

    def consume_work(self, task: FoundFile) -> None:
        """Publish the pieces, or why there are none."""
        extents = find_pieces(
            Candidate(task.path, task.named),
            piece_bytes=self.piece_bytes,
            checkpoint=trio.from_thread.check_cancelled,
        )
        try:
            found = list(extents)
        except SkippedFileError as error:
            self.publish_work(SkippedFile(path=task.path, reason=str(error)), input_task=task)
            return
        for extent in found:
            piece = Piece(digest=extent.digest, size=extent.size)
            piece.add_private_state("offset", extent.offset)
            self.publish_work(piece, input_task=task)


def _count(task: Piece) -> PieceWords:
    """Count the words of a piece, reading it again: tasks don't hold text."""
    file = task.find_input_task(FoundFile)
    assert file is not None
    extent = Extent(task.get_private_state("offset"), task.size, task.digest)
    blocks = read_piece(
        Candidate(file.path, file.named), extent, checkpoint=trio.from_thread.check_cancelled
    )
    return PieceWords(counts=add_up(map(count_words, blocks)))


class PieceCounter(TaskWorker):
    """Counts the words of a piece."""

    output_types: list[type[Task]] = [PieceWords]

    def consume_work(self, task: Piece) -> None:
        """Publish them; fail if the file has changed meanwhile."""
        self.publish_work(_count(task), input_task=task)


class CachedPieceCounter(CachedTaskWorker):
    """Counts the words of a piece, unless a cache knows them."""

    output_types: list[type[Task]] = [PieceWords]

    def consume_work(self, task: Piece) -> None:
        """See `PieceCounter`."""
        self.publish_work(_count(task), input_task=task)

    def extra_cache_key(self, task: Piece) -> str:
        """Return what a word is."""
        return WORD_RULES


class FileTotal(JoinedTaskWorker):
    """Joins the pieces of a file; one that lacks a piece is skipped as a whole."""

    join_type: type[TaskWorker] = FileWalker
    join_policy: JoinPolicy = "settled"
    output_types: list[type[Task]] = [FileWords, SkippedFile]

    def consume_work_joined(self, tasks: Joined[PieceWords]) -> None:
        """Publish the file's words, or why it was skipped."""
        if tasks.missing:
            failure = tasks.missing[0]
            reason = str(failure.error) or type(failure.error).__name__
            self.publish_work(SkippedFile(path=_path_of(failure), reason=reason))
            return
        file = tasks[0].find_input_task(FoundFile)
        assert file is not None
        # Of a single piece the same dict: nobody changes what was published.
        counts = tasks[0].counts if len(tasks) == 1 else add_up(task.counts for task in tasks)
        self.publish_work(FileWords(path=file.path, pieces=len(tasks), counts=counts))


def _path_of(failure: TaskFailure) -> str:
    task = failure.task
    assert task is not None
    file = task if isinstance(task, FoundFile) else task.find_input_task(FoundFile)
    assert file is not None
    return file.path


class GrandTotal(MergedTaskWorker):
    """Joins all files, those that were skipped, too."""

    join_type: type[TaskWorker] = InitialTaskWorker
    merged_types: list[type[Task]] = [FileWords, SkippedFile]
    output_types: list[type[Task]] = [TotalWords]
    join_policy: JoinPolicy = "settled"

    def consume_work_merged(self, tasks: Merged[str, list[Task]]) -> None:
        """Publish the total."""
        files = [task for task in tasks.get("FileWords", ()) if isinstance(task, FileWords)]
        skipped = [task for task in tasks.get("SkippedFile", ()) if isinstance(task, SkippedFile)]
        self.publish_work(
            TotalWords(
                counts=add_up(file.counts for file in files),
                files={file.path: sum(file.counts.values()) for file in files},
                pieces=sum(file.pieces for file in files),
                skipped=[task.copy_public() for task in skipped],
            )
        )
