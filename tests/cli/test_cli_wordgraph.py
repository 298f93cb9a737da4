"""The words of files, counted by a task graph: the graph, and the command."""

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
import sysconfig
from collections import Counter
from pathlib import Path

import pytest
import trio
from click.testing import CliRunner

import trioworkers
from trioworkers.cli._main import cli, run
from trioworkers.cli.wordgraph import WordGraph, WordGraphOptions, _workers

#: Count all of the standard library; else not its own tests, which are half of it.
WHOLE = "TRIOWORKERS_WHOLE_STDLIB" in os.environ
#: What is in its directory, but not of it.
OTHERS = {"site-packages", "dist-packages", "__pycache__"}

ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": str(Path(trioworkers.__file__).parents[1]),
    "TERM": "xterm",
    "COLUMNS": "120",
}
COMMAND = [sys.executable, "-W", "error", "-m", "trioworkers.cli", "demo", "wordgraph"]


def invoke(*arguments):
    return CliRunner().invoke(cli, ["demo", "wordgraph", *map(str, arguments)])


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A directory with texts, and a cache that is not in it."""
    monkeypatch.chdir(tmp_path)
    tree = tmp_path / "tree"
    (tree / "deep").mkdir(parents=True)
    (tree / "a.txt").write_text("One two two\n")
    (tree / "deep" / "b.txt").write_text("two three THREE three\n")
    (tree / "empty.txt").write_text("")
    return tree


def count_plainly(paths):
    """Return how often each word is in files, and how many files there are."""
    counts, files = Counter(), 0
    for path in paths:
        data = path.read_bytes()
        if b"\0" not in data:
            files += 1
            text = data.decode("utf-8", "replace")
            counts.update(word.casefold() for word in re.findall(r"\w+", text))
    return counts, files


def find_library():
    """Return directories and files of the standard library."""
    library = Path(sysconfig.get_paths()["stdlib"])
    skipped = OTHERS if WHOLE else {*OTHERS, "test"}
    found = [path for path in library.iterdir() if path.name not in skipped]
    return [path for path in found if path.is_dir() or path.suffix == ".py"]


def count_library(roots):
    """Return how often each word is in all Python files of the library, and their number."""
    files = [path for root in roots if root.is_dir() for path in root.rglob("*.py")]
    files += [root for root in roots if not root.is_dir()]
    return count_plainly(path for path in files if not OTHERS & {*path.parts})


async def count(tree, cache=None, **options):
    """Return the graph after a run."""
    words = WordGraph(WordGraphOptions(None if cache is None else str(cache), **options))
    assert await words.run([str(tree)]) == ()
    return words


async def test_the_standard_library_is_counted_as_plain_python_does(tmp_path):
    """And the second time by the cache alone."""
    roots = find_library()
    counts, files = count_library(roots)
    assert files > 500
    runs = []
    for _ in range(2):
        words = WordGraph(WordGraphOptions(str(tmp_path), include=("*.py",), jobs=2))
        assert await words.run([str(root) for root in roots]) == ()
        assert words.total.counts == counts
        assert len(words.total.files) == files
        runs.append(words)
    first, second = runs
    assert second.total == first.total
    # Only pieces that are equal to others, such as those of empty files, were known at first.
    assert first.cached < first.total.pieces / 10
    assert second.cached == second.total.pieces == first.total.pieces


async def test_a_changed_file_is_counted_anew(tree, tmp_path):
    """What has only moved, or was touched, is not."""
    assert (await count(tree, tmp_path / "cache")).cached == 0
    (tree / "a.txt").write_text("four\n")
    (tree / "deep" / "b.txt").rename(tree / "c.txt")
    os.utime(tree / "empty.txt", (0, 0))
    words = await count(tree, tmp_path / "cache")
    assert words.cached == 2
    assert words.total.counts == {"four": 1, "two": 1, "three": 3}
    assert {Path(path).name: n for path, n in words.total.files.items()} == {
        "a.txt": 1, "c.txt": 4, "empty.txt": 0,
    }  # fmt: skip


async def test_a_file_in_many_pieces_is_joined(tree):
    """As is the whole."""
    (tree / "large.txt").write_text("some words, more words. " * 1000)
    words = await count(tree, piece_bytes=1000)
    assert words.total.pieces > 20
    assert words.total.counts == {
        "some": 1000, "words": 2000, "more": 1000, "one": 1, "two": 3, "three": 3,
    }  # fmt: skip


async def test_a_file_that_changes_while_it_is_read_is_skipped(tree, monkeypatch, tmp_path):
    """As a whole, whichever piece has failed; and nothing is kept for it."""
    (tree / "large.txt").write_text("some words, more words. " * 1000)
    find = _workers.find_pieces

    def find_then_change(file, **options):
        yield from find(file, **options)
        if file.path.endswith("large.txt"):
            with open(file.path, "r+") as stream:
                stream.write("none")

    monkeypatch.setattr(_workers, "find_pieces", find_then_change)
    words = await count(tree, tmp_path / "cache", piece_bytes=1000)
    [skipped] = words.total.skipped
    assert (skipped.path, skipped.reason) == (f"{tree}/large.txt", "changed while it was read")
    assert words.total.counts == {"one": 1, "two": 3, "three": 3}


async def test_nothing_is_left_when_it_is_cancelled(tree):
    """All threads have ended; the next run is as if there had been none."""
    with trio.move_on_after(0):
        await count(tree)
    assert (await count(tree)).total.counts == {"one": 1, "two": 3, "three": 3}


def test_help_has_examples():
    """As all commands have."""
    result = invoke("--help")
    assert result.exit_code == 0
    assert "  Examples:\n    trioworkers demo wordgraph" in result.output


def test_it_shows_frequent_words_and_a_summary(tree):
    """The second time it says that nothing was counted."""
    result = invoke("--top", 2, tree)
    assert result.exit_code == 0
    first, progress = result.stderr.splitlines()
    assert first == f"counting the words in {tree}"
    assert progress.startswith("wordgraph, 0 s: FileWalker 1 done; FileSplitter 3 done; ")
    *words, summary, pieces = result.stdout.splitlines()
    assert words == ["3  three", "3  two"]
    assert re.fullmatch(r"7 words, 3 of them different, in 3 files; \d+\.\d\d s", summary)
    assert pieces == "3 pieces: 0 known to the cache in ./cache"
    again = invoke("--top", 2, "--quiet", tree)
    assert again.stderr == ""
    assert again.stdout.splitlines()[-1] == "3 pieces: 3 known to the cache in ./cache"
    assert again.stdout.splitlines()[:2] == words


def test_a_terminal_shows_live_progress(tree):
    """A table, that stays, and the result after it; without the line for logs."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, "--top", "1", str(tree)], env=ENVIRONMENT, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        written = b""
        try:
            # The end, as terminals tell it, is an error: nobody is left on the other side.
            with contextlib.suppress(OSError):
                while block := os.read(ours, 1 << 16):
                    written += block
            assert process.wait(timeout=20) == 0
        finally:
            process.kill()
            os.close(ours)
    shown = re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", written.decode())
    assert re.search(r"FileSplitter +· +· +3 ", shown)
    assert shown.rindex("GrandTotal") < shown.index("7 words, 3 of them different")
    assert "counting the words" not in shown


def test_without_cache_nothing_is_written(tree):
    """Nor is what is there used."""
    for _ in range(2):
        result = invoke("--no-cache", tree)
        assert result.stdout.splitlines()[-1] == "3 pieces counted"
    assert not Path("cache").exists()


def test_the_cache_is_not_counted(tree):
    """Though it is in a directory that is."""
    cache = tree / "cache"
    for _ in range(2):
        document = json.loads(invoke("--json", "--cache-dir", cache, tree).stdout)
        assert len(document["files"]) == 3
        assert document["skipped"] == {}
    assert document["cached"] == 3


def test_json_is_one_document(tree):
    """With nothing else on standard output, or on standard error."""
    (tree / "no").write_bytes(b"\0")
    result = invoke("--json", "--top", 1, tree)
    assert result.exit_code == 0
    assert result.stderr == ""
    document = json.loads(result.stdout)
    assert document.pop("elapsed") > 0
    assert document == {
        "words": 7,
        "different": 3,
        "top": [{"word": "three", "count": 3}],
        "files": {f"{tree}/a.txt": 3, f"{tree}/deep/b.txt": 4, f"{tree}/empty.txt": 0},
        "skipped": {f"{tree}/no": "binary"},
        "pieces": 3,
        "cached": 0,
        "cache_dir": "./cache",
        "failures": [],
    }


def test_what_is_no_text_is_named(tree):
    """And neither is it a crash, nor an error of the command."""
    (tree / "binary").write_bytes(b"text\0")
    (tree / "circle").symlink_to(tree)
    (tree / "dangling").symlink_to(tree / "nothing")
    os.mkfifo(tree / "fifo")
    locked = tree / "locked"
    locked.mkdir()
    locked.chmod(0)
    try:
        readable = os.access(locked, os.R_OK)  # root may read all
        result = invoke("--no-cache", tree, tree / "nowhere", tree / "fifo", os.devnull)
    finally:
        locked.chmod(0o700)
    assert result.exit_code == 0
    skipped = [line for line in result.stdout.splitlines() if line.startswith("skipped ")]
    assert skipped == sorted(
        [
            f"skipped {os.devnull}: not a regular file",
            f"skipped {tree}/binary: binary",
            f"skipped {tree}/fifo: not a regular file",
            f"skipped {tree}/nowhere: unreadable",
        ]
        + ([] if readable else [f"skipped {locked}: unreadable"])
    )
    assert f"in 3 files, {len(skipped)} skipped; " in result.stdout


def test_not_all_that_is_skipped_is_listed(tree):
    """How many more there are is."""
    for number in range(30):
        (tree / f"{number:02}").write_bytes(b"\0")
    lines = invoke("--no-cache", tree).stdout.splitlines()
    assert sum(line.startswith("skipped ") for line in lines) == 20
    assert "and 10 more: see --json" in lines


def test_names_and_words_are_no_escape_sequences(tree):
    """Nor markup, nor text that can't be encoded."""
    name = os.fsencode(tree) + b"/\xff[red]\x1b[31m.bin"
    with open(name, "wb") as file:
        file.write(b"\0")
    result = invoke("--no-cache", tree)
    assert result.exit_code == 0
    assert f"skipped {tree}/?[red]?[31m.bin: binary" in result.stdout
    assert json.loads(invoke("--no-cache", "--json", tree).stdout)["skipped"]


def test_an_empty_directory_has_no_words(tmp_path):
    """Which is no error."""
    (tmp_path / "empty").mkdir()
    result = invoke("--no-cache", tmp_path / "empty")
    assert result.exit_code == 0
    assert result.stdout.startswith("0 words, 0 of them different, in 0 files; ")


def test_patterns_choose_files_in_directories(tree):
    """Files that were named are counted, whatever they are called."""
    (tree / "c.md").write_text("four")
    (tree / "d.rst").write_text("five")
    result = invoke("--no-cache", "--include", "*.md", "--include", "a.*", tree, tree / "d.rst")
    assert "5 words, 4 of them different, in 3 files; " in result.stdout


def test_a_cache_that_can_not_be_is_told(tree):
    """In a line, before anything is counted."""
    result = invoke("--cache-dir", tree / "a.txt" / "cache", tree)
    assert result.exit_code == 1
    assert "Error: " in result.stderr
    assert str(tree / "a.txt") in result.stderr
    assert "Traceback" not in result.stderr


def test_what_fails_is_told(tree, monkeypatch):
    """The rest is counted; the status is that of a failure."""

    def fail(data):
        if b"three" in data:
            raise ZeroDivisionError("a bug")
        return {"one": 1}

    monkeypatch.setattr(_workers, "count_words", fail)
    result = invoke("--no-cache", tree)
    assert result.exit_code == 1
    assert f"skipped {tree}/deep/b.txt: a bug" in result.stdout
    assert re.search(
        r"failed: PieceCounter with Piece at .*: ZeroDivisionError: a bug", result.stdout
    )


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "Missing argument 'PATH...'"),
        (["x", "--top", "-1"], "-1 is not in the range x>=0"),
        (["x", "--jobs", "0"], "0 is not in the range x>=1"),
        (["x", "--cache-dir", __file__], "is a file"),
    ],
)
def test_wrong_use_is_refused(arguments, reason, capsys):
    """With a reason and status 2, before anything runs."""
    assert run(["demo", "wordgraph", *arguments]) == 2
    assert reason in capsys.readouterr().err


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["int", "term"]
)
def test_a_signal_cancels_cleanly(tmp_path, number, status):
    """One line, no traceback, the shell's status."""
    library = sysconfig.get_paths()["stdlib"]
    with subprocess.Popen(
        [*COMMAND, "--cache-dir", str(tmp_path / "cache"), library],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            first = process.stderr.readline()
            process.send_signal(number)
            output, errors = process.communicate(timeout=20)
        finally:
            process.kill()
    assert first == f"counting the words in {library}\n"
    assert process.returncode == status
    assert errors.splitlines()[-1] == (
        f"cancelled; what was counted until then is kept in {tmp_path}/cache"
    )
    assert "Traceback" not in errors
    assert output == ""
