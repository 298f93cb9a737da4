"""The file of a cache: where it may be, whose it is, and what becomes of a damaged one."""

import contextlib
import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import trio
from result_caches import HOME, LABEL, Clock, damage, entries, key

from trioworkers.errors import CacheError, TrioWorkersError
from trioworkers.graph._sqlite_cache import open_sqlite_cache
from trioworkers.graph._sqlite_file import DAMAGED, DATABASE
from trioworkers.graph._sqlite_store import SqliteStore


@pytest.fixture
def directory(tmp_path):
    """A place where no cache is yet."""
    return tmp_path / "inner" / "cache"


# Where it is


async def test_only_its_owner_may_look_into_it(directory):
    """The directory has mode 0700, the files in it 0600, whatever the umask."""
    umask = os.umask(0)
    try:
        async with open_sqlite_cache(directory) as cache:
            await cache.put(key(1), b"x", LABEL)
            assert stat.S_IMODE(directory.stat().st_mode) == 0o700
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()}
    finally:
        os.umask(umask)
    assert set(modes.values()) == {0o600}
    assert len(modes) == 4


async def test_a_directory_that_is_there_is_left_as_it_is(tmp_path):
    """With what else it holds; but our file in it is for its owner alone."""
    tmp_path.chmod(0o755)
    (tmp_path / "notes.txt").write_text("mine")
    async with open_sqlite_cache(tmp_path) as cache:
        await cache.put(key(1), b"x", LABEL)
    (tmp_path / DATABASE).chmod(0o666)
    async with open_sqlite_cache(tmp_path) as cache:
        assert await cache.get(key(1)) == b"x"
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755
    assert stat.S_IMODE((tmp_path / DATABASE).stat().st_mode) == 0o600
    assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o1777])
async def test_a_directory_that_others_may_write_into_is_refused(directory, mode):
    """They could put results of theirs in place of ours; the error says what to run."""
    directory.mkdir(parents=True)
    directory.chmod(mode)
    with pytest.raises(CacheError, match=r"can be written to by other users.*run: chmod go-w"):
        async with open_sqlite_cache(directory):
            pass
    assert list(directory.iterdir()) == []


async def test_a_place_where_nothing_can_be_is_told(tmp_path):
    """A file in the way, and a file system that takes no files."""
    (tmp_path / "file").write_text("")
    places = [tmp_path / "file", tmp_path / "file" / "below"]
    if sys.platform == "linux":
        places.append(Path("/proc/trioworkers/cache"))
    for place in places:
        with pytest.raises(CacheError, match=f"the cache {place} can't be made: .*another cache_d"):
            async with open_sqlite_cache(place):
                pass
    assert issubclass(CacheError, TrioWorkersError)


async def test_a_file_system_without_shared_memory_is_told(directory, monkeypatch):
    """SQLite's answer there is another journal mode; one of its own VFS layers has none either."""
    connect = sqlite3.connect

    def without_shared_memory(path, **options):
        return connect(f"file:{path}?vfs=unix-dotfile", uri=True, **options)

    monkeypatch.setattr(sqlite3, "connect", without_shared_memory)
    with pytest.raises(CacheError, match=r"journal_mode stays 'delete'.*on a local disk"):
        async with open_sqlite_cache(directory):
            pass


async def test_another_programs_file_is_not_touched(directory):
    """Neither a database nor anything else, though it has our name."""
    directory.mkdir(parents=True)
    path = directory / DATABASE
    for content, problem in (
        (b"not a database at all" * 100, "is no database"),
        (_foreign_database(directory / "foreign"), "is a database of something else"),
    ):
        path.write_bytes(content)
        with pytest.raises(CacheError, match=f"{problem}; move it away, or give another"):
            async with open_sqlite_cache(directory):
                pass
        assert path.read_bytes() == content
    path.unlink()
    path.symlink_to(directory / "foreign")
    with pytest.raises(CacheError, match="is no plain file"):
        async with open_sqlite_cache(directory):
            pass


def _foreign_database(path):
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("CREATE TABLE letters (id INTEGER)")
    connection.close()
    return path.read_bytes()


async def test_views_and_triggers_in_the_file_are_refused(directory):
    """A schema is code too."""
    async with open_sqlite_cache(directory):
        pass
    damage(
        directory,
        "CREATE TRIGGER evil AFTER INSERT ON entry BEGIN DELETE FROM entry; END",
    )
    with pytest.raises(CacheError, match="is a database of something else"):
        async with open_sqlite_cache(directory):
            pass


# Damage


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE body SET value = x'00'",
        "UPDATE body SET value = 'one'",
        "UPDATE entry SET crc = 'one'",
        "DELETE FROM body",
    ],
)
async def test_a_damaged_row_is_a_miss_and_dropped(directory, caplog, statement):
    """With a warning; what is put in its place is found again."""
    async with open_sqlite_cache(directory) as cache:
        await cache.put(key(1), b"one", LABEL)
        damage(directory, statement)
        assert await cache.get(key(1)) is None
        assert entries(directory) == []
        assert await cache.put(key(1), b"one", LABEL)
        assert await cache.get(key(1)) == b"one"
        assert cache.statistics().dropped == 1
    assert f"a damaged result was dropped from the cache: {key(1)}" in caplog.text


def _scribble(directory, first=4096):
    """Overwrite all pages but the first, with what is in the log brought in before."""
    damage(directory, "UPDATE total SET size = size")
    connection = sqlite3.connect(directory / DATABASE)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    connection.close()
    with open(directory / DATABASE, "r+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(first)
        file.write(b"\xff" * (size - first))


async def test_a_damaged_file_is_set_aside_when_it_is_opened(directory, caplog):
    """And one begins anew, if nobody else uses it."""
    async with open_sqlite_cache(directory) as cache:
        await cache.put(key(1), b"one", LABEL)
    _scribble(directory, first=1024)
    async with open_sqlite_cache(directory) as cache:
        assert await cache.get(key(1)) is None
        assert await cache.put(key(1), b"one", LABEL)
        assert await cache.get(key(1)) == b"one"
    assert (directory / DAMAGED).exists()
    assert "was damaged; it was set aside, and a new one begun" in caplog.text
    assert len(caplog.records) == 1


async def test_a_file_damaged_while_it_is_open_is_set_aside(directory, caplog):
    """All goes on; what was in it is computed again."""
    async with open_sqlite_cache(directory) as cache:
        for number in range(100):
            await cache.put(key(number), b"x" * 10_000, LABEL)
        _scribble_in_child(directory)
        for number in range(100):
            await cache.get(key(number))
            await cache.put(key(number), b"y", LABEL)
        assert await cache.get(key(5)) == b"y"
    assert "it was set aside, and a new one begun" in caplog.text
    assert (directory / DAMAGED).exists()


def _scribble_in_child(directory):
    """Do it in another process: closing the file here would drop SQLite's locks on it."""
    script = f"""
import sys; sys.path[:0] = {sys.path!r}
from pathlib import Path
import importlib.util
spec = importlib.util.spec_from_file_location("tests_sqlite", {__file__!r})
module = importlib.util.module_from_spec(spec); spec.loader.exec_module(module)
module._scribble(Path({str(directory)!r}))
"""
    subprocess.run([sys.executable, "-c", script], check=True)


async def test_a_damaged_file_that_others_use_is_left(directory, caplog):
    """SQLite would mix up the logs of two files of one name; so this run goes without."""
    async with open_sqlite_cache(directory) as cache:
        for number in range(100):
            await cache.put(key(number), b"x" * 10_000, LABEL)
        other = SqliteStore(directory)
        _scribble_in_child(directory)
        for number in range(100):
            await cache.get(key(number))
            await cache.put(key(number), b"y", LABEL)
        assert await cache.get(key(5)) is None
        with contextlib.suppress(sqlite3.Error):
            other.close()
    assert "so this run goes on without a cache" in caplog.text
    assert not (directory / DAMAGED).exists()
    assert len(caplog.records) == 1


async def test_a_full_disk_is_a_warning(directory, caplog, monkeypatch):
    """SQLite's own limit of pages says the same as a disk without room."""
    connect = sqlite3.connect

    def small(path, **options):
        connection = connect(path, **options)
        connection.execute("PRAGMA max_page_count=30")
        return connection

    monkeypatch.setattr(sqlite3, "connect", small)
    async with open_sqlite_cache(directory) as cache:
        kept = [await cache.put(key(number), b"x" * 20_000, LABEL) for number in range(10)]
        assert True in kept
        assert False in kept
        for number in range(10):
            assert (await cache.get(key(number)) is not None) == kept[number]
        counts = cache.statistics()
        assert (counts.stored, counts.refused) == (kept.count(True), kept.count(False))
    assert len(caplog.records) == 1
    assert "can't write to the cache: database or disk is full; going on without" in caplog.text


FULL = """
import resource, sys, trio
from trioworkers.graph._cache import CacheLabel
from trioworkers.graph._sqlite_cache import open_sqlite_cache

async def main():
    async with open_sqlite_cache(sys.argv[1]) as cache:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
        label, value = CacheLabel("W", "T"), b"x" * 20_000
        kept = [await cache.put(f"{n:064x}", value, label) for n in range(30)]
        found = [await cache.get(f"{n:064x}") is not None for n in range(30)]
        assert found == kept, (found, kept)
        assert True in kept and False in kept
trio.run(main)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
def test_a_file_that_may_not_grow_is_a_warning(directory):
    """Here it is the kernel that refuses to write."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", FULL, str(directory)],
        env={**os.environ, "PYTHONPATH": HOME},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("can't write to the cache") == 1


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="there are no owners")
async def test_a_directory_of_another_user_is_refused(directory, monkeypatch):
    """But for the superuser's, and for the superuser."""
    directory.mkdir(parents=True)
    os.chmod(directory, 0o755)
    owner = directory.stat().st_uid
    if owner == 0:
        os.chown(directory, 4711, -1)
        owner = 4711
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(CacheError, match="belongs to another user; give a cache_dir of your own"):
        async with open_sqlite_cache(directory):
            pass
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    async with open_sqlite_cache(directory):
        pass


async def test_a_file_that_can_not_be_read_is_told(directory):
    """With what to look at."""
    directory.mkdir(parents=True)
    (directory / DATABASE).mkdir()
    with pytest.raises(CacheError, match="is no plain file; move it away"):
        async with open_sqlite_cache(directory):
            pass


async def test_uses_that_can_not_be_written_are_bounded(directory, monkeypatch):
    """While another process writes all the time."""
    monkeypatch.setattr("trioworkers.graph._sqlite_store.MOST_USES", 300)
    clock = Clock()
    async with open_sqlite_cache(directory, clock=clock) as cache:
        async with trio.open_nursery() as nursery:
            for number in range(400):
                nursery.start_soon(cache.put, key(number), b"x", LABEL)
        writer = sqlite3.connect(directory / DATABASE, isolation_level=None)
        writer.execute("BEGIN IMMEDIATE")
        clock.now += 1
        for number in range(400):
            assert await cache.get(key(number)) == b"x"
        writer.execute("ROLLBACK")
        writer.close()
        await cache.get(key(399))
    assert sum(entry.used == clock.now for entry in entries(directory)) == 300
