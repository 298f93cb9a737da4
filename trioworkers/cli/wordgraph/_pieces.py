"""Files in pieces, none of which cuts a word."""

import hashlib
from collections.abc import Callable, Iterator
from typing import BinaryIO

import attrs

from ..research._walk import Candidate, SkippedFileError, open_regular, read_exactly
from ._words import WORD_BYTES

#: How much is read at once, and how large pieces are, at most, of files that are not huge.
PIECE_BYTES = 1 << 18
#: Pieces of huge files are larger, so that there are hardly more than these, whose counts
#: are all held until they are joined.
MAX_PIECES = 64


@attrs.frozen
class Extent:
    """Where a piece is, and what is in it."""

    offset: int
    size: int
    digest: str


def find_pieces(
    file: Candidate,
    *,
    piece_bytes: int = PIECE_BYTES,
    max_pieces: int = MAX_PIECES,
    checkpoint: Callable[[], None],
) -> Iterator[Extent]:
    """Yield the pieces of a text file, in order; of an empty one a single piece.

    Holds no more than ``piece_bytes``, and calls ``checkpoint`` for each so many. A file
    that grows at its end has the same pieces before that, but when its size doubles.

    Raises:
      SkippedFileError: It is unreadable, binary (holds a NUL), not a regular file, or
        has a word of more than ``piece_bytes``.
    """
    with open_regular(file) as (stream, size):
        most = piece_bytes
        while most * max_pieces < size:
            most *= 2
        offset, length, digest = 0, 0, hashlib.sha256()
        for block in _blocks(stream, size, piece_bytes, checkpoint):
            if length and length + len(block) > most:
                yield Extent(offset, length, digest.hexdigest())
                offset, length, digest = offset + length, 0, hashlib.sha256()
            length += len(block)
            digest.update(block)
        yield Extent(offset, length, digest.hexdigest())


def read_piece(
    file: Candidate,
    extent: Extent,
    *,
    piece_bytes: int = PIECE_BYTES,
    checkpoint: Callable[[], None],
) -> Iterator[bytes]:
    """Yield what is in a piece, not more than ``piece_bytes`` at once, and no cut word.

    Raises:
      SkippedFileError: The file is unreadable, or isn't what it was; perhaps at the end.
    """
    digest = hashlib.sha256()
    with open_regular(file) as (stream, _):
        stream.seek(extent.offset)
        for block in _blocks(stream, extent.size, piece_bytes, checkpoint):
            digest.update(block)
            yield block
    if digest.hexdigest() != extent.digest:
        raise SkippedFileError("changed while it was read")


def _blocks(
    stream: BinaryIO, size: int, block_bytes: int, checkpoint: Callable[[], None]
) -> Iterator[bytes]:
    """Yield the next ``size`` bytes in blocks that each end where a word can't go on."""
    rest, unread = b"", size
    while unread:
        checkpoint()
        wanted = min(unread, block_bytes - len(rest))
        read = read_exactly(stream, wanted)
        if b"\0" in read:
            raise SkippedFileError("binary")
        unread = unread - len(read) if len(read) == wanted else 0  # it has shrunk
        data = rest + read
        # Up to the last byte that is in no word, unless it is the end.
        cut = len(data.rstrip(WORD_BYTES)) if unread else len(data)
        if unread and not cut:
            raise SkippedFileError(f"a word of more than {block_bytes:,} bytes")
        yield data[:cut]
        rest = data[cut:]
