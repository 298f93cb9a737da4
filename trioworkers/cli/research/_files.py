"""The researcher that reads the user's files."""

import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence

import trio

from trioworkers import JobError

from ._query import Finding, ResearchQuery
from ._ranking import Needle, best_match
from ._researcher import PLAIN, Manner, Researcher, Search, Step
from ._text import printable
from ._walk import Candidate, SkippedFileError, read_text, walk_files

MAX_FILE_BYTES = 1 << 20

_PROSE = (".md", ".markdown", ".rst", ".txt", ".adoc", ".org")
_TITLE = re.compile(r"(#+|=+|\*+)\s")
_DEFINITION = re.compile(r"\s*(\w+ ){0,3}(def|class|function|fn|func|struct|interface)\s")


class FilesResearcher(Researcher):
    """Searches the text files in `ResearchQuery.paths`; one finding for each file.

    Skipped, and counted by reason: files that are binary, unreadable, or larger
    than ``max_file_bytes``. Passed over: whatever isn't a regular file, symlinks,
    and directories such as ``.git``.

    The job is FAILED, before anything is searched, if a path does not exist or
    can't be read.

    Args:
      name: The worker's name.
      max_file_bytes: At least 1.
      limiter, manner: As for `Researcher`.
    """

    def __init__(
        self,
        name: str = "files",
        *,
        max_file_bytes: int = MAX_FILE_BYTES,
        limiter: trio.CapacityLimiter | None = None,
        manner: Manner = PLAIN,
    ) -> None:
        if max_file_bytes < 1:
            raise ValueError(f"max_file_bytes must be at least 1, not {max_file_bytes}")
        super().__init__(name, limiter=limiter, manner=manner)
        self._max_file_bytes = max_file_bytes

    def open_search(self, query: ResearchQuery, checkpoint: Callable[[], None]) -> Search:
        """Count the files; see `Researcher.open_search`."""
        _check_paths(query.paths)
        # Two walks: to walk is cheap beside reading, and to keep the list of all
        # files is not.
        total = sum(1 for _ in walk_files(query.paths, checkpoint=checkpoint))
        needle = Needle.from_text(query.text)
        files = walk_files(query.paths, checkpoint=checkpoint)
        return Search(total, self._steps(needle, files))

    def _steps(self, needle: Needle, files: Iterator[Candidate]) -> Iterator[Step]:
        for candidate in files:
            try:
                text = read_text(candidate, max_bytes=self._max_file_bytes)
            except SkippedFileError as error:
                yield Step(skipped=str(error))
            else:
                yield Step(_search_text(needle, candidate.path, text))


def _search_text(needle: Needle, path: str, text: str) -> tuple[Finding, ...]:
    heading = _TITLE if path.endswith(_PROSE) else _DEFINITION

    def is_heading(_index: int, line: str) -> bool:
        return heading.match(line) is not None

    match = best_match(needle, text, title=os.path.basename(path), is_heading=is_heading)
    if match is None:
        return ()
    where = f"{printable(path.removeprefix(os.path.join('.', '')))}:{match.line + 1}"
    return (Finding(where, match.excerpt, match.score, match.matches),)


def _check_paths(paths: Sequence[str]) -> None:
    problems = [problem for path in paths if (problem := _problem_with(path))]
    if problems:
        raise JobError(f"can't search {'; '.join(problems)}")


def _problem_with(path: str) -> str:
    """Return what is wrong with ``path``, or nothing."""
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            os.scandir(path).close()
        elif stat.S_ISREG(mode):
            os.close(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)))
        else:
            return f"{path!r}: neither a regular file nor a directory"
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        return f"{path!r}: {getattr(error, 'strerror', None) or error}"
    return ""
