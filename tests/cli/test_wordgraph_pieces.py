"""What a word is, and how files are cut between words."""

import hashlib
import io
import os
import re
from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trioworkers.cli.research._walk import Candidate, SkippedFileError
from trioworkers.cli.wordgraph import _pieces, count_words
from trioworkers.cli.wordgraph._pieces import Extent, find_pieces, read_piece
from trioworkers.cli.wordgraph._words import WORD_BYTES, add_up


def nothing() -> None:
    pass


def cut(path, piece_bytes, **options):
    file = Candidate(str(path), True)
    return list(find_pieces(file, piece_bytes=piece_bytes, checkpoint=nothing, **options))


def read(path, extent, piece_bytes=100):
    file = Candidate(str(path), True)
    return list(read_piece(file, extent, piece_bytes=piece_bytes, checkpoint=nothing))


def test_words_are_counted_whatever_their_case():
    """Digits and underscores belong to words; a final sigma is a sigma."""
    text = "One one's ONE_2 été Été ΣΑΣ σας"
    counts = count_words(text.encode())
    assert counts == {"one": 2, "s": 1, "one_2": 1, "été": 2, "ΣΑΣ".casefold(): 2}


def test_undecodable_bytes_are_in_no_word():
    """They are what is between words."""
    assert count_words(b"na\xefve \xff\xfe") == {"na": 1, "ve": 1}


def test_bytes_of_words_are_those_that_a_pattern_finds():
    """All others are ASCII, and in no word wherever they stand."""
    others = [bytes([byte]) for byte in range(256) if byte not in WORD_BYTES]
    assert all(not re.search(r"\w", byte.decode("ascii")) for byte in others)
    assert len(others) == 128 - 63


texts = st.lists(
    st.sampled_from([b"a", b"B", "é".encode(), "Σ".encode(), b"\xc3", b"\xff", b" ", b"\n", b"'"])
    | st.binary(max_size=3),
    max_size=40,
).map(b"".join)


@given(text=texts, piece_bytes=st.integers(8, 64))
@example(text=b"", piece_bytes=8)
@example(text=b"12345678", piece_bytes=8)
@example(text="ΣΑΣ'ΣΑΣ".encode(), piece_bytes=8)
def test_pieces_add_up_to_the_file(tmp_path_factory, text, piece_bytes):
    """In bytes and in words; or the file is refused, and there is a reason."""
    path = tmp_path_factory.getbasetemp() / "text"
    path.write_bytes(text)
    try:
        extents = cut(path, piece_bytes)
    except SkippedFileError as error:
        refused = str(error)
    else:
        refused = ""
    if refused:
        longest = max(map(len, re.split(rb"[^\w\x80-\xff]", text)))
        assert b"\0" in text if refused == "binary" else longest >= piece_bytes
        return
    pieces = [text[extent.offset : extent.offset + extent.size] for extent in extents]
    assert b"".join(pieces) == text
    assert all(len(piece) <= piece_bytes for piece in pieces)
    assert [extent.digest for extent in extents] == [
        hashlib.sha256(piece).hexdigest() for piece in pieces
    ]
    assert add_up(map(count_words, pieces)) == count_words(text)
    assert [b"".join(read(path, extent, piece_bytes)) for extent in extents] == pieces
    assert add_up(map(count_words, read(path, extents[0], piece_bytes))) == count_words(pieces[0])


def test_huge_files_have_few_pieces(tmp_path):
    """As the counts of all are held at once; and those that grow have the same first ones."""
    path = tmp_path / "huge"
    path.write_bytes(b"some words " * 1000)
    pieces = cut(path, 50, max_pieces=10)
    assert 5 < len(pieces) <= 10
    assert sum(piece.size for piece in pieces) == 11_000
    assert max(map(len, read(path, pieces[0], 50))) <= 50
    with path.open("ab") as file:
        file.write(b"more")
    assert cut(path, 50, max_pieces=10)[:-1] == pieces[:-1]


@given(text=texts)
def test_few_pieces_add_up_too(tmp_path_factory, text):
    """However large they have to be."""
    path = tmp_path_factory.getbasetemp() / "text"
    path.write_bytes(text.replace(b"\0", b" "))
    extents = cut(path, 256, max_pieces=1)
    assert sum(extent.size for extent in extents) == len(text)


def test_a_word_longer_than_a_piece_is_no_text(tmp_path):
    """Its file is refused: to count it would take memory without bound."""
    path = tmp_path / "long"
    path.write_bytes(b"a " + b"b" * 100)
    with pytest.raises(SkippedFileError, match="a word of more than 50 bytes"):
        cut(path, 50)
    assert len(cut(path, 100)) == 2


def test_a_nul_in_the_last_piece_refuses_the_file(tmp_path):
    """However far it is."""
    path = tmp_path / "late"
    path.write_bytes(b"word " * 100 + b"\0")
    with pytest.raises(SkippedFileError, match="binary"):
        cut(path, 50)


def test_no_more_than_a_piece_is_read_at_once(tmp_path, monkeypatch):
    """Of a file of a gigabyte neither."""
    path = tmp_path / "large"
    path.write_bytes(b"some words " * 10_000)
    asked = []
    exactly = _pieces.read_exactly
    monkeypatch.setattr(
        _pieces, "read_exactly", lambda file, size: asked.append(size) or exactly(file, size)
    )
    assert sum(extent.size for extent in cut(path, 1000)) == 110_000
    assert max(asked) == 1000


def test_a_file_that_shrinks_ends_where_it_ends(tmp_path, monkeypatch):
    """It promised more when it was opened."""
    path = tmp_path / "shrinks"
    path.write_bytes(b"some words " * 100)
    sizes = iter([500, 3])
    monkeypatch.setattr(
        _pieces, "read_exactly", lambda file, size: io.BytesIO(file.read(size)).read(next(sizes))
    )
    extents = cut(path, 500)
    assert sum(extent.size for extent in extents) == 503


def test_a_piece_that_is_another_by_now_is_refused(tmp_path):
    """Its digest tells."""
    path = tmp_path / "changes"
    path.write_bytes(b"before")
    [extent] = cut(path, 100)
    path.write_bytes(b"after!")
    with pytest.raises(SkippedFileError, match="changed while it was read"):
        read(path, extent)
    os.remove(path)
    with pytest.raises(SkippedFileError, match="unreadable"):
        read(path, Extent(0, 1, ""))


def test_counts_add_up():
    """And nothing is no words."""
    assert add_up([]) == {}
    assert add_up([{"a": 1}, {"a": 2, "b": 1}]) == Counter(a=3, b=1)
