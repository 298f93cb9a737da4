"""What flows through the graph. No task holds text: files may be larger than memory."""

import attrs

from trioworkers.graph import Task


class Places(Task):
    """Where to look: the initial task."""

    paths: list[str]


class FoundFile(Task):
    """A file to count. ``named``: whether the user did name it; so it may be a symlink."""

    path: str
    named: bool = False


class Piece(Task):
    """A part of a file, known by its content, so that a cache knows it wherever it is.

    Where it is, is private state: ``file``, a `FoundFile`, and ``offset``, in bytes.
    """

    digest: str
    size: int


class PieceWords(Task):
    """How often each word is in a piece."""

    counts: dict[str, int]


class FileWords(Task):
    """How often each word is in a file."""

    path: str
    pieces: int
    counts: dict[str, int]


class SkippedFile(Task):
    """A file that was not counted."""

    path: str
    reason: str


class TotalWords(Task):
    """How often each word is in all files; how many words each file has; what was left out."""

    counts: dict[str, int]
    files: dict[str, int] = attrs.field(factory=dict)
    pieces: int = 0
    skipped: list[SkippedFile] = attrs.field(factory=list)
