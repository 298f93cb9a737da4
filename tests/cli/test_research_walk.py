"""Which files are found, and which are refused."""

import os

import pytest

from trioworkers.cli.research._walk import Candidate, SkippedFileError, read_text, walk_files


def paths(*roots, checkpoint=lambda: None):
    return [each.path for each in walk_files([str(root) for root in roots], checkpoint=checkpoint)]


def write(path, text="text"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def reason_of(path, *, named=False, max_bytes=100_000):
    with pytest.raises(SkippedFileError) as caught:
        read_text(Candidate(str(path), named=named), max_bytes=max_bytes)
    return str(caught.value)


def test_files_come_in_the_order_of_names(tmp_path):
    """So that two runs show the same."""
    for name in ("b/c.txt", "a.txt", "b/a.txt", "c.txt"):
        write(tmp_path / name)
    relative = [os.path.relpath(path, tmp_path) for path in paths(tmp_path)]
    assert relative == ["a.txt", "c.txt", "b/a.txt", "b/c.txt"]


@pytest.mark.parametrize("name", [".git", "__pycache__", ".venv", "node_modules"])
def test_machinery_is_passed_over_unless_named(tmp_path, name):
    """Nobody asks for what a version control system keeps."""
    inside = write(tmp_path / name / "x.txt")
    assert paths(tmp_path) == []
    assert paths(tmp_path / name) == [str(inside)]


def test_virtual_environments_are_known_by_their_file(tmp_path):
    """Whatever they are called."""
    marker = write(tmp_path / "env311" / "pyvenv.cfg")
    write(tmp_path / "env311" / "lib" / "x.py")
    assert paths(tmp_path) == []
    assert str(marker) in paths(tmp_path / "env311")


def test_no_symlink_is_followed_below_a_root(tmp_path):
    """Neither out of the tree nor in a circle."""
    secret = write(tmp_path / "outside" / "secret.txt")
    root = tmp_path / "root"
    inside = write(root / "real.txt")
    (root / "file").symlink_to(secret)
    (root / "directory").symlink_to(secret.parent)
    (root / "circle").symlink_to(root)
    (root / "dangling").symlink_to(root / "nothing")
    assert paths(root) == [str(inside)]
    assert reason_of(root / "file") == "unreadable"


def test_a_root_may_be_a_symlink(tmp_path):
    """It was asked for by name."""
    real = write(tmp_path / "real" / "x.txt")
    (tmp_path / "directory").symlink_to(real.parent)
    (tmp_path / "file").symlink_to(real)
    assert paths(tmp_path / "directory") == [str(tmp_path / "directory" / "x.txt")]
    [file] = walk_files([str(tmp_path / "file")], checkpoint=lambda: None)
    assert read_text(file, max_bytes=100) == "text"


def test_each_file_is_found_once(tmp_path):
    """However the roots overlap."""
    one, two = write(tmp_path / "a" / "one.txt"), write(tmp_path / "two.txt")
    found = paths(tmp_path, tmp_path / "a", one, one, tmp_path)
    assert found == [str(one), str(two)]


def test_a_fifo_is_neither_found_nor_opened_for_long(tmp_path):
    """To open one for reading would wait for a writer."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    assert paths(tmp_path) == []
    assert reason_of(fifo) == "not a regular file"


def test_what_is_no_text_is_refused(tmp_path):
    """With the reason that is counted."""
    early, late = tmp_path / "early", tmp_path / "late"
    early.write_bytes(b"text\0")
    late.write_bytes(b"text" * 5000 + b"\0")
    exact, large = write(tmp_path / "exact", "x" * 100), write(tmp_path / "large", "x" * 101)
    assert reason_of(early) == reason_of(late) == "binary"
    assert reason_of(large, max_bytes=100) == "too large"
    assert reason_of(tmp_path / "missing") == "unreadable"
    assert reason_of(tmp_path) == "not a regular file"
    assert read_text(Candidate(str(exact), named=False), max_bytes=100) == "x" * 100


def test_undecodable_bytes_are_replaced(tmp_path):
    """And a byte order mark is no text."""
    path = tmp_path / "latin"
    path.write_bytes(b"\xef\xbb\xbfna\xefve")
    assert read_text(Candidate(str(path), named=False), max_bytes=100) == "na\ufffdve"


@pytest.mark.skipif(not os.path.exists("/proc/kmsg"), reason="needs Linux's /proc")
def test_files_of_the_kernel_are_not_waited_for():
    """They claim to be empty; some of them block a reader for ever."""
    assert read_text(Candidate("/proc/self/status", named=True), max_bytes=100) == ""


def test_a_directory_that_vanishes_is_found_as_itself(tmp_path):
    """So that reading it fails, and it is counted."""
    write(tmp_path / "a.txt")
    (tmp_path / "b").mkdir()

    def vanish() -> None:
        if (tmp_path / "b").exists() and looked:
            (tmp_path / "b").rmdir()
        looked.append(None)

    looked = []
    assert paths(tmp_path, checkpoint=vanish) == [str(tmp_path / "a.txt"), str(tmp_path / "b")]
    assert reason_of(tmp_path / "b") == "unreadable"


def test_a_missing_root_is_found_as_itself(tmp_path):
    """Like any other that can't be read."""
    assert paths(tmp_path / "nowhere") == [str(tmp_path / "nowhere")]


def test_the_checkpoint_is_called_for_each_directory(tmp_path):
    """Even for those without any file, so that a walk can be cancelled."""
    (tmp_path / "a" / "b" / "c").mkdir(parents=True)
    calls = []
    assert paths(tmp_path, checkpoint=lambda: calls.append(None)) == []
    assert len(calls) == 4
