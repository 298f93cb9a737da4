"""``trioworkers cache`` as a user meets it."""

import contextlib
import hashlib
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import trioworkers
from trioworkers.cli._main import cli, run
from trioworkers.graph._cache import CacheLabel
from trioworkers.graph._sqlite_file import DAMAGED, DATABASE, LOCK
from trioworkers.graph._sqlite_store import SqliteStore


def key(number):
    """Return the key of something."""
    return hashlib.sha256(str(number).encode()).hexdigest()


def fill(directory, now=1_000_000_000.0, count=6):
    """Make a cache with the results of two workers."""
    puts = [
        (
            key(number),
            json.dumps({"outputs": [f"ünï {number}"]}).encode(),
            CacheLabel(("Counter", "Splitter")[number % 2], "Page", ("Count", "[b]Note[/b]")),
        )
        for number in range(count)
    ]
    store = SqliteStore(directory, clock=lambda: now)
    store.write(puts, [], 10**9)
    store.close()


@pytest.fixture
def directory(tmp_path):
    """A cache with six entries, and a file of somebody else's."""
    fill(tmp_path / "cache")
    (tmp_path / "cache" / "notes.txt").write_text("mine")
    return tmp_path / "cache"


def invoke(*arguments, **options):
    """Run the command in this process."""
    return CliRunner().invoke(cli, ["cache", *map(str, arguments)], **options)


def entries(directory):
    """Return what is in the cache."""
    store = SqliteStore(directory, create=False)
    found = store.entries()
    store.close()
    return found


def test_list_shows_what_there_is(directory):
    """A line for each entry, and the total."""
    result = invoke("list", "--dir", directory)
    assert result.exit_code == 0
    assert [key(number)[:12] in result.stdout for number in range(6)] == [True] * 6
    assert "Counter" in result.stdout
    assert "Count, [b]Note[/b]" in result.stdout
    assert "d ago" in result.stdout
    assert result.stdout.splitlines()[-1] == f"6 entries, 1.7 kB in {directory}"


def test_list_is_limited_and_filtered(directory):
    """The limit says that there is more."""
    few = invoke("list", "--dir", directory, "--limit", 2).stdout
    assert sum(key(number)[:12] in few for number in range(6)) == 2
    assert "--limit shows more than 2" in few
    mine = invoke("list", "--dir", directory, "--worker", "Splitter").stdout
    assert sum(key(number)[:12] in mine for number in range(6)) == 3
    assert "--limit" not in mine
    assert "Counter" not in mine
    nobody = invoke("list", "--dir", directory, "--worker", "Nobody")
    assert nobody.exit_code == 1
    assert "there is nothing of a worker 'Nobody'" in nobody.stderr


def test_list_of_an_empty_cache(tmp_path):
    """Is the total alone."""
    fill(tmp_path / "cache", count=0)
    result = invoke("list", "--dir", tmp_path / "cache")
    assert (result.exit_code, result.stdout) == (0, f"0 entries, 0 B in {tmp_path / 'cache'}\n")


def test_show_takes_a_prefix(directory):
    """And prints a JSON document."""
    result = invoke("show", key(3)[:10].upper(), "--dir", directory)
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    assert document == {
        "key": key(3),
        "worker": "Splitter",
        "input_type": "Page",
        "size": entries(directory)[0].size,
        "made": "2001-09-09T01:46:40Z",
        "used": "2001-09-09T01:46:40Z",
        "value": {"outputs": ["ünï 3"]},
    }
    assert all(entry.used == 1_000_000_000.0 for entry in entries(directory))


def test_show_says_what_is_wrong_with_a_key(tmp_path):
    """Not there, not one, or no key at all."""
    fill(tmp_path / "cache", count=40)
    options = ("--dir", tmp_path / "cache")
    shared = max("0123456789abcdef", key=lambda d: sum(key(n)[0] == d for n in range(40)))
    several = invoke("show", shared, *options)
    assert several.exit_code == 1
    assert f"several keys begin with {shared}: {shared}" in several.stderr
    assert "give more digits" in several.stderr
    missing = invoke("show", "f" * 64, *options)
    assert (missing.exit_code, "there is no entry fff" in missing.stderr) == (1, True)
    for wrong in ("xyz", "", "a%", "0" * 65):
        result = invoke("show", *options, "--", wrong)
        assert result.exit_code == 2
        assert "is not a key: up to 64 hexadecimal digits" in result.stderr


@pytest.mark.parametrize("statement", ["UPDATE body SET value = x'00'", "DELETE FROM body"])
def test_show_of_a_damaged_entry(directory, statement):
    """Is told, and changes nothing."""
    connection = sqlite3.connect(directory / DATABASE)
    with connection:
        connection.execute(statement)
    connection.close()
    result = invoke("show", key(3), "--dir", directory)
    assert (result.exit_code, "is damaged" in result.stderr) == (1, True)
    assert len(entries(directory)) == 6


def test_clear_asks_first(directory):
    """No answer is no."""
    for answer in ("n\n", ""):
        result = invoke("clear", "--dir", directory, input=answer)
        assert result.exit_code == 1
        assert f"Forget all results in {directory}?" in result.stdout
    assert len(entries(directory)) == 6
    assert invoke("clear", "--dir", directory, input="y\n").exit_code == 0
    assert entries(directory) == []


def test_clear_touches_only_its_own(directory):
    """One worker's entries, or all; never the directory's other files."""
    one = invoke("clear", "--yes", "--dir", directory, "--worker", "Counter")
    assert one.stdout == f"forgot 3 entries, 864 B of worker 'Counter' in {directory}\n"
    assert {entry.label.worker for entry in entries(directory)} == {"Splitter"}
    every = invoke("clear", "--yes", "--dir", directory)
    assert (every.exit_code, every.stdout) == (0, f"forgot 3 entries, 864 B in {directory}\n")
    assert entries(directory) == []
    assert sorted(path.name for path in directory.iterdir()) == ["notes.txt", LOCK, DATABASE]
    assert (directory / "notes.txt").read_text() == "mine"


def test_clear_while_workers_use_it(directory):
    """They go on with an empty one."""
    store = SqliteStore(directory)
    assert store.get(key(1)) is not None
    assert invoke("clear", "--yes", "--dir", directory).exit_code == 0
    assert store.get(key(1)) is None
    store.write([(key(1), b"new", CacheLabel("W", "T"))], [], 10**9)
    assert store.get(key(1)) == b"new"
    store.close()


def scribble(directory, first):
    """Damage the file."""
    with open(directory / DATABASE, "r+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(first)
        file.write(b"\xff" * (size - first))


@pytest.mark.parametrize("first", [1024, 4096, 8192])
def test_a_damaged_file_is_told_and_cleared(directory, first):
    """By clear, which leaves nothing of it; not by those who only look."""
    scribble(directory, first)
    for command in ("list", "show a"):
        result = invoke(*command.split(), "--dir", directory)
        assert result.exit_code == 1
        assert "Error: " in result.stderr
    assert not (directory / DAMAGED).exists()
    result = invoke("clear", "--yes", "--dir", directory)
    assert (result.exit_code, result.stdout) == (0, f"forgot a damaged cache in {directory}\n")
    assert entries(directory) == []
    assert sorted(path.name for path in directory.iterdir()) == ["notes.txt", LOCK, DATABASE]


def test_a_damaged_file_in_use_stays(directory):
    """SQLite would mix up the logs of two files of one name."""
    store = SqliteStore(directory)
    scribble(directory, 1024)
    result = invoke("clear", "--yes", "--dir", directory)
    assert result.exit_code == 1
    assert "when no worker uses it" in result.stderr
    with contextlib.suppress(sqlite3.Error):
        store.close()


@pytest.mark.parametrize("command", ["list", "show a", "clear --yes"])
def test_where_no_cache_is_that_is_said(tmp_path, command):
    """Without a traceback, and nothing is made."""
    for place in (tmp_path / "none", tmp_path):
        result = invoke(*command.split(), "--dir", place)
        assert result.exit_code == 1
        assert result.stderr.startswith(f"Error: there is no cache in {place}; name the cache_dir")
    assert list(tmp_path.iterdir()) == []


def test_another_programs_file_is_told(tmp_path):
    """And left alone, also by clear."""
    (tmp_path / DATABASE).write_bytes(b"something else" * 100)
    for command in ("list", "show a", "clear --yes"):
        result = invoke(*command.split(), "--dir", tmp_path)
        assert result.exit_code == 1
        assert "is no database; move it away" in result.stderr
    assert (tmp_path / DATABASE).read_bytes() == b"something else" * 100


@pytest.mark.parametrize("command", [(), ("list",), ("show",), ("clear",)])
def test_help_shows_examples(command):
    """Of the group, and of each command."""
    result = invoke(*command, "--help")
    assert result.exit_code == 0
    assert "Examples:\n    trioworkers cache " in result.stdout


def test_wrong_options_are_told():
    """With status 2."""
    for arguments in (["list", "--limit", "0"], ["show"], ["empty"]):
        assert run(["cache", *arguments]) == 2


def test_as_a_process(directory):
    """In the directory above, where ./cache is."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "trioworkers.cli", "cache", "list", "--limit", "1"],
        env={**os.environ, "PYTHONPATH": str(Path(trioworkers.__file__).parents[1])},
        cwd=directory.parent,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "6 entries, 1.7 kB in cache; --limit shows more than 1" in done.stdout
