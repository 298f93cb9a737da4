"""The cache in a file: what it keeps and forgets, alone and with others."""

import contextlib
import os
import sqlite3
import subprocess
import sys
import threading

import pytest
import trio
from result_caches import HOME, LABEL, Clock, entries, key, store_in
from trio.testing import assert_checkpoints

from trioworkers.graph._cache import CacheLabel
from trioworkers.graph._sqlite_cache import open_sqlite_cache
from trioworkers.graph._sqlite_file import DATABASE
from trioworkers.graph._sqlite_store import SqliteStore, entry_size


@pytest.fixture
def directory(tmp_path):
    """A place where no cache is yet."""
    return tmp_path / "inner" / "cache"


# Keeping and finding


async def test_what_was_put_is_found(directory):
    """Now, and when it is opened again."""
    async with open_sqlite_cache(directory) as cache:
        assert await cache.get(key(1)) is None
        assert await cache.put(key(1), b"one", LABEL)
        assert await cache.put(key(2), b"", LABEL)
        assert await cache.get(key(1)) == b"one"
        assert await cache.put(key(1), b"uno", LABEL)
    async with open_sqlite_cache(directory) as cache:
        assert await cache.get(key(1)) == b"uno"
        assert await cache.get(key(2)) == b""
        assert await cache.get(key(3)) is None
        counts = cache.statistics()
    assert (counts.hits, counts.misses, counts.stored) == (2, 1, 0)
    with store_in(directory) as store:
        assert store.total().entries == 2
        assert store.total().size == entry_size(b"uno") + entry_size(b"")
        assert store.find(key(1)[:8])[0].label == LABEL


async def test_a_value_of_no_use_is_dropped_and_no_other(directory):
    """Between get and drop somebody else may have put a better one."""
    async with open_sqlite_cache(directory) as cache:
        await cache.put(key(1), b"old", LABEL)
        await cache.drop(key(1), b"older")
        assert await cache.get(key(1)) == b"old"
        await cache.drop(key(1), b"old")
        await cache.drop(key(2), b"old")
        assert await cache.get(key(1)) is None
    with store_in(directory) as store:
        assert (store.total().entries, store.total().size) == (0, 0)


async def test_all_of_it_is_checkpoints(directory):
    """As all async functions are."""
    async with open_sqlite_cache(directory, size_limit=10_000) as cache:
        with assert_checkpoints():
            await cache.put(key(1), b"one", LABEL)
        with assert_checkpoints():
            await cache.put(key(1), b"one" * 10_000, LABEL)
        with assert_checkpoints():
            await cache.get(key(1))
        with assert_checkpoints():
            await cache.drop(key(1), b"one")


async def test_many_at_once_share_few_goes_to_the_thread(directory, monkeypatch):
    """What is asked for while the thread is busy is done together."""
    goes = 0
    run_sync = trio.to_thread.run_sync

    async def counting(*args, **options):
        nonlocal goes
        goes += 1
        return await run_sync(*args, **options)

    async def put_and_get(cache, number):
        assert await cache.put(key(number), str(number).encode(), LABEL)
        assert await cache.get(key(number)) == str(number).encode()

    async with open_sqlite_cache(directory) as cache:
        monkeypatch.setattr(trio.to_thread, "run_sync", counting)
        async with trio.open_nursery() as nursery:
            for number in range(500):
                nursery.start_soon(put_and_get, cache, number)
        assert goes <= 20
        assert cache.statistics().hits == 500


async def test_cancelled_callers_leave_the_others_alone(directory):
    """Also when it is the one who goes to the thread for all."""
    answers = []

    async def get(cache, number, scope):
        with scope:
            answers.append(await cache.get(key(number)))

    async with open_sqlite_cache(directory) as cache:
        await cache.put(key(0), b"zero", LABEL)
        for cancelled in ((0,), (1,), (0, 1), (2, 3), (0, 2, 4), (1, 3), (4,), (0, 1, 2, 3, 4)):
            answers.clear()
            scopes = [trio.CancelScope() for _ in range(5)]
            async with trio.open_nursery() as nursery:
                for scope in scopes:
                    nursery.start_soon(get, cache, 0, scope)
                for number in cancelled:
                    scopes[number].cancel()
            assert len(answers) >= 5 - len(cancelled)
            assert set(answers) <= {b"zero"}
            answers.clear()
            async with trio.open_nursery() as nursery:
                scopes = [trio.CancelScope() for _ in range(5)]
                for scope in scopes:
                    nursery.start_soon(get, cache, 0, scope)
                await trio.lowlevel.checkpoint()
                for number in cancelled:
                    scopes[number].cancel()
            assert len(answers) >= 5 - len(cancelled)
        with trio.fail_after(5):
            assert await cache.get(key(0)) == b"zero"


async def test_a_leader_that_is_cancelled_at_once_leaves_its_batch_to_the_next(directory):
    """It was to go to the thread for others, too, and has not begun."""
    scope, answers = trio.CancelScope(), []

    async def first(cache):
        await cache.get(key(0))
        scope.cancel()

    async def second(cache):
        with scope:
            answers.append(await cache.get(key(0)))

    async def third(cache):
        answers.append(await cache.get(key(0)))

    async with open_sqlite_cache(directory) as cache:
        await cache.put(key(0), b"zero", LABEL)
        with trio.fail_after(5):
            async with trio.open_nursery() as nursery:
                for one in (first, second, third):
                    nursery.start_soon(one, cache)
                    await trio.testing.wait_all_tasks_blocked()
    assert scope.cancelled_caught
    assert answers == [b"zero"]


async def test_a_leader_that_is_cancelled_when_it_is_chosen_is_passed_over(directory):
    """The end of the work in the thread, and the cancel, come in the same moment."""
    token, cancels = trio.lowlevel.current_trio_token(), []

    def clock():
        for cancel in cancels:
            token.run_sync_soon(cancel)
        cancels.clear()
        return 0.0

    async def get(cache, scope, answers):
        with scope:
            answers.append(await cache.get(key(0)))

    async with open_sqlite_cache(directory, clock=clock) as cache:
        await cache.put(key(0), b"zero", LABEL)
        for _ in range(50):
            scopes, answers = [trio.CancelScope() for _ in range(3)], []
            with trio.fail_after(5):
                async with trio.open_nursery() as nursery:
                    cancels.append(scopes[1].cancel)
                    nursery.start_soon(get, cache, scopes[0], answers)
                    await trio.lowlevel.checkpoint()
                    nursery.start_soon(get, cache, scopes[1], answers)
                    nursery.start_soon(get, cache, scopes[2], answers)
            assert len(answers) >= 2


async def test_one_directory_is_opened_once_in_a_run(directory):
    """Workers share it, and the smallest of their limits counts."""
    async with open_sqlite_cache(directory, size_limit=10**6) as one:
        async with open_sqlite_cache(str(directory) + "/.", size_limit=2_000) as other:
            assert other is one
            assert not await one.put(key(1), b"x" * 5_000, LABEL)
            for number in range(20):
                assert await one.put(key(number), b"x" * 500, LABEL)
            assert one.statistics().evicted == 18
        assert await one.put(key(1), b"x" * 5_000, LABEL)
    async with open_sqlite_cache(directory) as again:
        assert again is not one
        assert await again.get(key(1)) == b"x" * 5_000
    assert await one.get(key(1)) is None  # closed


async def test_nothing_is_left_open(directory):
    """No file, and no thread but those that Trio keeps for a while."""
    async with open_sqlite_cache(directory) as cache:
        await cache.put(key(1), b"x", LABEL)
    assert not [name for name in _open_files() if str(directory) in name]
    assert all(thread.name.startswith(("Main", "Trio")) for thread in threading.enumerate())
    assert sorted(path.name for path in directory.iterdir() if path.suffix == ".sqlite3-wal") == []


def _open_files():
    """Return the names of the files that this process has open, where that can be seen."""
    names = []
    with contextlib.suppress(FileNotFoundError):
        for file in os.scandir("/proc/self/fd"):
            with contextlib.suppress(OSError):
                names.append(os.readlink(file.path))
    return names


@pytest.mark.parametrize("limit", [0, -1])
async def test_a_limit_is_positive(directory, limit):
    """Nothing could be kept."""
    with pytest.raises(ValueError, match=f"size_limit must be > 0, not {limit}"):
        async with open_sqlite_cache(directory, size_limit=limit):
            pass
    assert not directory.exists()


# Making room


async def test_the_least_recently_used_make_room(directory):
    """A get is a use."""
    clock = Clock()
    value = b"x" * 744  # counts as 1,000 bytes
    async with open_sqlite_cache(directory, size_limit=10_000, clock=clock) as cache:
        for number in range(10):
            clock.now += 1
            assert await cache.put(key(number), value, LABEL)
        for number in (0, 3):
            clock.now += 1
            assert await cache.get(key(number)) == value
        clock.now += 1
        assert await cache.put(key("large"), b"x" * 2_744, LABEL)
        assert cache.statistics().evicted == 3
        found = [number for number in range(10) if await cache.get(key(number)) is not None]
    assert found == [0, 3, 5, 6, 7, 8, 9]


async def test_hits_alone_are_written_down_now_and_then(directory):
    """So that a process that only reads keeps what it needs from being evicted by others."""
    clock = Clock()
    async with open_sqlite_cache(directory, clock=clock) as cache:
        for number in range(300):
            await cache.put(key(number), b"x", LABEL)
        clock.now = 2_000_000.0
        await cache.get(key(7))
        assert _used(directory, 2_000_000.0) == 0
        for number in range(300):
            await cache.get(key(number))
        assert _used(directory, 2_000_000.0) >= 256
        clock.now = 3_000_000.0
        await cache.get(key(7))
    assert _used(directory, 3_000_000.0) == 1


def _used(directory, when):
    connection = sqlite3.connect(directory / DATABASE)
    (count,) = connection.execute(
        "SELECT count(*) FROM entry WHERE used = ?", (int(when * 1e6),)
    ).fetchone()
    connection.close()
    return count


async def test_the_file_does_not_outgrow_the_limit(directory):
    """Whatever sizes come and go."""
    limit = 1_000_000
    async with open_sqlite_cache(directory, size_limit=limit) as cache:
        for number in range(2_000):
            await cache.put(key(number), os.urandom(number * 37 % 20_000), LABEL)
        assert cache.statistics().evicted > 1_000
    with store_in(directory) as store:
        assert limit * 0.9 < store.total().size <= limit
        total = store.total()
        sizes = [entry.size for entry in store.entries()]
        assert (len(sizes), sum(sizes)) == (total.entries, total.size)
    assert (directory / DATABASE).stat().st_size < limit * 1.3


async def test_a_value_beyond_the_limit_is_refused_with_a_warning(directory, caplog):
    """It would throw everything else out; the warning comes once for each worker."""
    async with open_sqlite_cache(directory, size_limit=10_000) as cache:
        await cache.put(key(1), b"x", LABEL)
        for _ in range(3):
            assert not await cache.put(key(2), b"x" * 10_000, LABEL)
        assert await cache.get(key(1)) == b"x"
        assert cache.statistics().refused == 3
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "a result of worker 'Counter' is not cached: it has 10,000 bytes" in caplog.text


async def test_room_is_made_in_few_steps(directory):
    """However many entries there are: a running total, and an index of uses."""
    async with open_sqlite_cache(directory, size_limit=300 * 260) as cache:
        for number in range(400):
            await cache.put(key(number), b"x" * 4, LABEL)
    connection = sqlite3.connect(directory / DATABASE)
    plans = [
        "SELECT id, size FROM entry ORDER BY used, id LIMIT 100",
        "SELECT id, size, NULL FROM entry WHERE key = 'x'",
        "SELECT key FROM entry WHERE key >= 'a' AND key < 'ag' ORDER BY key LIMIT 2",
        "SELECT key FROM entry ORDER BY used DESC, id DESC LIMIT 10",
    ]
    for plan in plans:
        steps = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {plan}")]
        assert all("USING" in step and "TEMP" not in step for step in steps), steps
    connection.close()


# Several processes

WRITER = """
import sys, trio
from trioworkers.graph._cache import CacheLabel
from trioworkers.graph._sqlite_cache import open_sqlite_cache

async def main(directory, name, limit):
    refused = wrong = 0
    async def one(cache, number):
        nonlocal refused, wrong
        key = f"{number:064x}"
        value = await cache.get(key)
        if value is not None and value != str(number).encode() * 100:
            wrong += 1
        if not await cache.put(key, str(number).encode() * 100, CacheLabel(name, "T")):
            refused += 1
    async with open_sqlite_cache(directory, size_limit=limit) as cache:
        for start in range(0, 600, 20):
            async with trio.open_nursery() as nursery:
                for number in range(start, start + 20):
                    nursery.start_soon(one, cache, number)
    print(refused, wrong)

trio.run(main, sys.argv[1], sys.argv[2], int(sys.argv[3]))
"""


@pytest.mark.parametrize("limit", [25_000_000_000, 50_000])
def test_several_processes_write_at_once(directory, limit, caplog):
    """From the first moment, when there is no file yet; nothing is refused, wrong or miscounted."""
    writers = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", WRITER, str(directory), name, str(limit)],
            env={**os.environ, "PYTHONPATH": HOME},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in ("A", "B", "C")
    ]
    for writer in writers:
        output, errors = writer.communicate(timeout=60)
        assert (output, errors) == ("0 0\n", "")
    with store_in(directory) as store:
        found = store.entries()
        total = store.total()
    assert (total.entries, total.size) == (len(found), sum(entry.size for entry in found))
    assert total.size <= limit
    if limit > 50_000:
        assert len(found) == 600
    connection = sqlite3.connect(directory / DATABASE)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


async def test_reading_goes_on_while_another_process_writes(directory):
    """And closing doesn't wait for it."""
    async with open_sqlite_cache(directory) as cache:
        await cache.put(key(1), b"one", LABEL)
        writer = sqlite3.connect(directory / DATABASE, isolation_level=None)
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("UPDATE entry SET worker = 'other'")
        with trio.fail_after(2):
            for _ in range(300):
                assert await cache.get(key(1)) == b"one"
        began = trio.current_time()
    assert trio.current_time() - began < 1
    writer.execute("ROLLBACK")
    writer.close()


# What people do with it


async def test_entries_are_listed_latest_use_first(directory):
    """With what they are about."""
    clock = Clock()
    async with open_sqlite_cache(directory, clock=clock) as cache:
        for name in "ABC":
            clock.now += 1
            await cache.put(key(name), b"x", CacheLabel(name, "Page", ("Count", "Note")))
        clock.now += 1
        await cache.get(key("A"))
    found = entries(directory)
    assert [entry.label.worker for entry in found] == ["A", "C", "B"]
    assert [entry.used for entry in found] == [1_000_004.0, 1_000_003.0, 1_000_002.0]
    assert found[0].made == 1_000_001.0
    assert found[0].label.output_types == ("Count", "Note")
    with store_in(directory) as store:
        assert [entry.key for entry in store.entries(worker="B")] == [key("B")]
        assert len(store.entries(limit=2)) == 2
        assert store.find("") == sorted(store.find("", 10), key=lambda entry: entry.key)[:2]


async def test_clear_gives_the_room_back(directory):
    """Of one worker, or of all; other files stay."""
    async with open_sqlite_cache(directory) as cache:
        for number in range(100):
            await cache.put(key(number), b"x" * 10_000, CacheLabel("AB"[number % 2], "Page"))
    (directory / "notes.txt").write_text("mine")
    with store_in(directory) as store:
        assert store.clear(worker="A").entries == 50
        assert store.total().entries == 50
        assert {entry.label.worker for entry in store.entries()} == {"B"}
        assert store.clear().entries == 50
        assert store.total().size == 0
        assert (directory / DATABASE).stat().st_size < 50_000
    assert (directory / "notes.txt").exists()


def test_nothing_is_made_by_looking(tmp_path):
    """Whoever lists a cache that isn't there hears so."""
    with pytest.raises(FileNotFoundError):
        SqliteStore(tmp_path / "none", create=False)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(FileNotFoundError):
        SqliteStore(tmp_path, create=False)
    assert not (tmp_path / DATABASE).exists()


async def test_waiting_for_another_process_can_be_cancelled(directory):
    """And what others want is done all the same, when that has ended."""
    kept = []

    async def put(cache, number):
        kept.append(await cache.put(key(number), b"x", LABEL))

    async with open_sqlite_cache(directory) as cache:
        writer = sqlite3.connect(directory / DATABASE, isolation_level=None)
        writer.execute("BEGIN IMMEDIATE")
        async with trio.open_nursery() as nursery:
            with trio.move_on_after(0.1) as scope:
                async with trio.open_nursery() as inner:
                    inner.start_soon(put, cache, 1)
                    await trio.testing.wait_all_tasks_blocked()
                    nursery.start_soon(put, cache, 2)
                    inner.start_soon(put, cache, 3)
            assert scope.cancelled_caught
            writer.execute("ROLLBACK")
        writer.close()
        assert kept == [True]
        assert await cache.get(key(2)) == b"x"


KILLED = """
import os, sys, trio
from trioworkers.graph._cache import CacheLabel
from trioworkers.graph._sqlite_cache import open_sqlite_cache

async def main():
    async with open_sqlite_cache(sys.argv[1], size_limit=300_000) as cache:
        for number in range(1_000_000):
            await cache.put(f"{number:064x}", os.urandom(number * 37 % 9_000), CacheLabel("W", "T"))
            if number == 50:
                print("going", flush=True)
trio.run(main)
"""


def test_a_killed_process_damages_nothing(directory):
    """What it had put last may be there or not; the total is right."""
    for _ in range(3):
        writer = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(directory)],
            env={**os.environ, "PYTHONPATH": HOME},
            stdout=subprocess.PIPE,
        )
        try:
            assert writer.stdout.readline() == b"going\n"
        finally:
            writer.kill()
            writer.communicate()
        with store_in(directory) as store:
            found, total = store.entries(), store.total()
            assert all(store.get(entry.key) is not None for entry in found)
        assert (total.entries, total.size) == (len(found), sum(entry.size for entry in found))
