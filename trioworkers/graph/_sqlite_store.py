"""Entries in a database: finding, keeping, forgetting. All sync, for one thread at a time."""

import sqlite3
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs

from ._cache import CacheLabel
from ._sqlite_file import (
    BUSY_SECONDS,
    BUSY_STEP,
    DAMAGED,
    DATABASE,
    UserLock,
    connect,
    error_code,
    is_damage,
    make_directory,
)

#: Bytes that an entry takes beside its value, about.
OVERHEAD = 256
#: Bytes of a page; larger values take whole ones.
PAGE = 4096
#: Bytes of the largest value that is kept, whatever the limit.
LARGEST = 256 * 2**20
#: Uses that are not written down yet before they are written without a put.
USES = 256
#: Uses that are remembered at most while they can't be written.
MOST_USES = 10_000
#: Entries that are looked at in one go to make room.
_OLDEST = 100


def entry_size(value: bytes) -> int:
    """Return the bytes that count for an entry: about what it takes of the file."""
    size = len(value)
    return OVERHEAD + (size if size < PAGE else -(-size // PAGE) * PAGE)


@attrs.frozen
class CacheEntry:
    """An entry, as one who looks into a cache sees it.

    Attributes:
      key: 64 hexadecimal digits.
      label: What it is about.
      size: Bytes that count for it.
      made: When it was put, seconds since the epoch.
      used: When it was last asked for, or put; written down now and then.
    """

    key: str
    label: CacheLabel
    size: int
    made: float
    used: float


@attrs.frozen
class CacheTotal:
    """What a cache holds: entries, and the bytes that count for them."""

    entries: int
    size: int


@attrs.define(eq=False)
class Damaged(Exception):
    """An entry was there, and its value was not what was put."""

    key: str


_ENTRY = "SELECT key, worker, input_type, output_types, size, made, used FROM entry"


def _entry(row: tuple[str, str, str, str, int, int, int]) -> CacheEntry:
    key, worker, input_type, output_types, size, made, used = row
    label = CacheLabel(worker, input_type, tuple(filter(None, str(output_types).split("\n"))))
    return CacheEntry(key, label, size, made / 1e6, used / 1e6)


class SqliteStore:
    """The database of one directory.

    Whatever its methods raise is a `sqlite3.Error`, and has changed nothing.

    Args:
      directory: Where it is, or will be made.
      create: False: there must be one.
      mend: Whether a damaged one may be set aside, if nobody else uses it.
      clock: Returns seconds since the epoch.
      check: Called now and then while another process writes; what it raises ends
        the waiting.

    Raises:
      CacheError: It can't be there.
      FileNotFoundError: Nothing is there, and ``create`` is false.
      sqlite3.DatabaseError: It is damaged, and could not be set aside.
    """

    def __init__(
        self,
        directory: Path,
        *,
        create: bool = True,
        mend: bool = True,
        clock: Callable[[], float] = time.time,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self._clock = clock
        self._check = check
        self._directory = directory
        self._uses: dict[int, int] = {}
        #: Damaged files that were set aside.
        self.set_aside = 0
        if create:
            make_directory(directory)
        elif not (directory / DATABASE).exists():
            raise FileNotFoundError(str(directory))
        self._lock = UserLock(directory)
        self._lock.take()
        try:
            try:
                self._connection = connect(directory, create=create)
            except sqlite3.DatabaseError as error:
                if not mend or not is_damage(error) or not self._lock.set_aside():
                    raise
                self.set_aside += 1
                self._connection = connect(directory)
        except BaseException:
            self._lock.release()
            raise

    def start_anew(self) -> bool:
        """Set the damaged file aside and begin with an empty one, if nobody else uses it."""
        self._connection.close()
        self._uses.clear()
        if not self._lock.set_aside():
            return False
        self._connection = connect(self._directory)
        self.set_aside += 1
        return True

    def close(self) -> None:
        """Write down what was used, if that goes at once, and close the file."""
        try:
            self.write_uses()
        finally:
            self._connection.close()
            self._lock.release()

    @contextmanager
    def _writing(self, seconds: float = BUSY_SECONDS) -> Iterator[None]:
        """Run the block as one transaction, after waiting for others at most so long."""
        run = self._connection.execute
        end = time.monotonic() + seconds
        if not seconds:
            run("PRAGMA busy_timeout=0")
        while True:
            try:
                run("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if error_code(error) != sqlite3.SQLITE_BUSY or time.monotonic() >= end:
                    raise
                self._check()
            else:
                break
            finally:
                if not seconds:
                    run(f"PRAGMA busy_timeout={BUSY_STEP}")
        try:
            yield
            run("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                run("ROLLBACK")
            raise

    # What a cache does

    def get(self, key: str, *, is_use: bool = True) -> bytes | None:
        """Return the value under ``key``, or None.

        Args:
          key: Where it was put.
          is_use: Whether this counts as a use.

        Raises:
          Damaged: It is not what was put.
        """
        row = self._connection.execute(
            "SELECT entry.id, crc, value FROM entry LEFT JOIN body USING (id) "
            "WHERE key = ? AND (value IS NULL OR length(value) <= ?)",
            (key, LARGEST),
        ).fetchone()
        if row is None:
            return None
        number, crc, value = row
        if type(value) is not bytes or zlib.crc32(value) != crc:
            raise Damaged(key)
        if is_use:
            self._uses.pop(number, None)  # the latest come last
            self._uses[number] = self._now()
            if len(self._uses) > MOST_USES:
                del self._uses[next(iter(self._uses))]
        return value

    def _now(self) -> int:
        return int(self._clock() * 1e6)

    @property
    def uses(self) -> int:
        """How many entries were used since that was written down."""
        return len(self._uses)

    def write_uses(self) -> None:
        """Write down what was used since the last time, unless another process writes now."""
        if self._uses:
            with self._writing(0):
                self._note_uses()
            self._uses.clear()

    def _note_uses(self) -> None:
        self._connection.executemany(
            "UPDATE entry SET used = max(used, ?) WHERE id = ?",
            [(used, number) for number, used in self._uses.items()],
        )

    def write(
        self,
        puts: Iterable[tuple[str, bytes, CacheLabel]],
        drops: Iterable[tuple[str, bytes | None]],
        limit: int,
    ) -> int:
        """Drop and put entries in one transaction, and make room.

        Args:
          puts: Keys, values and labels.
          drops: Keys, and the value that is dropped and no other; None is any.
          limit: Bytes to keep at most; the least recently used ones go.

        Returns:
          How many entries made room for others.
        """
        with self._writing():
            self._note_uses()
            for key, value in drops:
                self._drop(key, value)
            for key, value, label in puts:
                self._drop(key, None)
                self._add(key, value, label)
            evicted = self._make_room(limit)
        self._uses.clear()
        return evicted

    def _add(self, key: str, value: bytes, label: CacheLabel) -> None:
        run, now, size = self._connection.execute, self._now(), entry_size(value)
        types = "\n".join(label.output_types)
        number = run(
            "INSERT INTO entry (key, worker, input_type, output_types, size, made, used, crc) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (key, label.worker, label.input_type, types, size, now, now, zlib.crc32(value)),
        ).lastrowid
        run("INSERT OR REPLACE INTO body VALUES (?, ?)", (number, value))
        run("UPDATE total SET size = size + ?, entries = entries + 1", (size,))

    def _drop(self, key: str, value: bytes | None) -> None:
        row = self._connection.execute(
            "SELECT id, size, value FROM entry LEFT JOIN body USING (id) WHERE key = ?"
            if value is not None
            else "SELECT id, size, NULL FROM entry WHERE key = ?",
            (key,),
        ).fetchone()
        if row is not None and (value is None or row[2] == value):
            self._remove([row[:2]])

    def _remove(self, rows: list[tuple[int, int]]) -> None:
        numbers = [(number,) for number, _ in rows]
        self._connection.executemany("DELETE FROM entry WHERE id = ?", numbers)
        self._connection.executemany("DELETE FROM body WHERE id = ?", numbers)
        self._connection.execute(
            "UPDATE total SET size = max(0, size - ?), entries = max(0, entries - ?)",
            (sum(size for _, size in rows), len(rows)),
        )

    def _make_room(self, limit: int) -> int:
        evicted = 0
        while (excess := self.total().size - limit) > 0:
            rows: list[tuple[int, int]] = []
            for row in self._connection.execute(
                "SELECT id, size FROM entry ORDER BY used, id LIMIT ?", (_OLDEST,)
            ):
                if excess <= 0:
                    break
                rows.append(row)
                excess -= row[1]
            if not rows:
                break
            self._remove(rows)
            evicted += len(rows)
        return evicted

    # What people do

    def total(self) -> CacheTotal:
        """Return what it holds."""
        row = self._connection.execute("SELECT entries, size FROM total").fetchone()
        return CacheTotal(*row) if row is not None else CacheTotal(0, 0)

    def entries(self, *, worker: str | None = None, limit: int = -1) -> list[CacheEntry]:
        """Return entries, the latest used first; of one worker only, if it is given."""
        rows = self._connection.execute(
            f"{_ENTRY} WHERE :worker IS NULL OR worker = :worker "
            "ORDER BY used DESC, id DESC LIMIT :limit",
            {"worker": worker, "limit": limit},
        )
        return [_entry(row) for row in rows]

    def find(self, prefix: str, limit: int = 2) -> list[CacheEntry]:
        """Return entries whose keys begin with ``prefix``, a text of hexadecimal digits."""
        rows = self._connection.execute(
            f"{_ENTRY} WHERE key >= ? AND key < ? ORDER BY key LIMIT ?",
            (prefix, prefix + "g", limit),
        )
        return [_entry(row) for row in rows]

    def clear(self, *, worker: str | None = None) -> CacheTotal:
        """Forget all entries, or all of one worker; give their room back to the disk.

        What was set aside because it was damaged goes, too.

        Returns:
          What was forgotten.
        """
        with self._writing():
            run = self._connection.execute
            row = run(
                "SELECT count(*), coalesce(sum(size), 0) FROM entry "
                "WHERE :worker IS NULL OR worker = :worker",
                {"worker": worker},
            ).fetchone()
            run("DELETE FROM entry WHERE :worker IS NULL OR worker = :worker", {"worker": worker})
            run("DELETE FROM body WHERE id NOT IN (SELECT id FROM entry)")
            run("DELETE FROM total")
            run("INSERT INTO total SELECT 1, coalesce(sum(size), 0), count(*) FROM entry")
        self._uses.clear()
        # As a script, which takes all steps: `execute` would free one page.
        self._connection.executescript("PRAGMA incremental_vacuum; PRAGMA wal_checkpoint(TRUNCATE)")
        (self._directory / DAMAGED).unlink(missing_ok=True)
        return CacheTotal(*row)
