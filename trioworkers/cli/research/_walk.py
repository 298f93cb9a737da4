"""Which files there are under a path, and what text is in them."""

import contextlib
import os
import stat
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import BinaryIO

import attrs

# Version control, caches and other people's code.
SKIPPED_DIRECTORIES = frozenset(
    {
        ".git", ".hg", ".svn", ".jj", "__pycache__", "node_modules", "site-packages",
        ".venv", "venv", ".tox", ".nox", ".eggs", ".cache", ".mypy_cache",
        ".pytest_cache", ".ruff_cache", ".hypothesis",
    }
)  # fmt: skip


_HEAD_BYTES = 8192


class SkippedFileError(Exception):
    """A file was not read; the message is why, in a word or two."""


@attrs.frozen
class Candidate:
    """A file to read.

    Attributes:
      path: As the user would write it.
      named: The user did write it; so it may be a symlink.
    """

    path: str
    named: bool


@attrs.frozen
class _Listing:
    identity: tuple[int, int]
    files: list[os.DirEntry[str]]
    directories: list[str]
    is_environment: bool


def walk_files(
    roots: Sequence[str],
    *,
    checkpoint: Callable[[], None],
    skipped_directories: Collection[str] = SKIPPED_DIRECTORIES,
    skipped: Collection[tuple[int, int]] = (),
) -> Iterator[Candidate]:
    """Yield every regular file in ``roots`` once: those that are files first.

    Symlinks are followed in ``roots`` only, not below: what they lead to is
    either here anyway or not asked for. Directories with a name in
    ``skipped_directories`` and virtual environments are passed over, unless they
    are a root; ``skipped`` has files and directories by device and inode that are
    passed over even then. A directory that can't be listed is yielded itself: to read it
    will fail, so that it is counted among the unreadable.

    ``checkpoint`` is called for each directory. The order is that of names.
    """
    seen = set(skipped)
    directories: list[str] = []
    for root in roots:
        if os.path.isdir(root):
            directories.append(root)
            continue
        try:
            status = os.stat(root)
        except OSError:
            pass
        else:
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
        yield Candidate(root, named=True)
    for root in directories:
        yield from _walk_directory(root, seen, checkpoint, skipped_directories)


def _walk_directory(
    root: str,
    seen: set[tuple[int, int]],
    checkpoint: Callable[[], None],
    skipped_directories: Collection[str],
) -> Iterator[Candidate]:
    pending = [root]
    while pending:
        path = pending.pop()
        checkpoint()
        try:
            listing = _list_directory(path, skipped_directories)
        except OSError:
            yield Candidate(path, named=False)
            continue
        if listing.identity in seen or (listing.is_environment and path is not root):
            continue
        seen.add(listing.identity)
        device = listing.identity[0]
        for entry in listing.files:
            if (device, entry.inode()) not in seen:
                yield Candidate(entry.path, named=False)
        pending.extend(reversed(listing.directories))


def _list_directory(path: str, skipped_directories: Collection[str]) -> _Listing:
    with os.scandir(path) as scan:
        entries = sorted(scan, key=lambda entry: entry.name)
    status = os.stat(path)
    return _Listing(
        identity=(status.st_dev, status.st_ino),
        files=[entry for entry in entries if entry.is_file(follow_symlinks=False)],
        directories=[
            entry.path
            for entry in entries
            if entry.is_dir(follow_symlinks=False) and entry.name not in skipped_directories
        ],
        is_environment=any(entry.name == "pyvenv.cfg" for entry in entries),
    )


@contextlib.contextmanager
def open_regular(candidate: Candidate) -> Iterator[tuple[BinaryIO, int]]:
    """Open a regular file, unbuffered, and close it; with the size that it says it has.

    Never waits for a writer, as opening a FIFO would. The kernel's own files, as in
    /proc, say that their size is 0 and can block for ever: read no more than was
    promised.

    Raises:
      SkippedFileError: It is unreadable, or not a regular file.
    """
    # The walk has looked already, but a name can be given to something else since:
    # what counts is what was opened. (Windows has neither flag, nor the danger.)
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    if not candidate.named:
        flags |= getattr(os, "O_NOFOLLOW", 0)
    try:
        descriptor = os.open(candidate.path, flags)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise SkippedFileError("not a regular file")
            with open(descriptor, "rb", buffering=0, closefd=False) as file:
                yield file, status.st_size
        finally:
            os.close(descriptor)
    except OSError as error:
        raise SkippedFileError("unreadable") from error


def read_text(candidate: Candidate, *, max_bytes: int) -> str:
    """Return the text of a regular file, undecodable bytes replaced.

    Never reads more than ``max_bytes``, even of a file that grows meanwhile.

    Raises:
      SkippedFileError: It is unreadable, binary (holds a NUL), not a regular file, or
        larger than ``max_bytes``.
    """
    with open_regular(candidate) as (file, size):
        if size > max_bytes:
            raise SkippedFileError("too large")
        # Most binary files show it at once, and need no more reading.
        data = read_exactly(file, min(size, _HEAD_BYTES))
        if b"\0" not in data:
            data += read_exactly(file, size - len(data))
    if b"\0" in data:
        raise SkippedFileError("binary")
    return data.decode("utf-8-sig", errors="replace")


def read_exactly(file: BinaryIO, size: int) -> bytes:
    """Return the next ``size`` bytes of a file, or fewer where it ends or has none yet."""
    data = b""
    while len(data) < size:
        more = file.read(size - len(data))
        if not more:
            break
        data = data + more if data else more
    return data
