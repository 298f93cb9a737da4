"""The file of a cache: where it is, who may touch it, and opening it as a database.

Only what is ours is changed: a file is ours if its application id says so. All
here is sync, for a thread.
"""

import contextlib
import errno
import os
import sqlite3
import stat
import time
from pathlib import Path

import attrs

from ..errors import CacheError

if os.name == "posix":
    import fcntl

#: Names of our files in a directory. The number is that of the tables' layout.
DATABASE = "trioworkers-cache-1.sqlite3"
LOCK = "trioworkers-cache-1.lock"
DAMAGED = "trioworkers-cache-1.damaged"

#: ``twrc`` as a number; see https://www.sqlite.org/fileformat.html, offset 68.
APPLICATION_ID = 0x74777263

#: Seconds that a transaction waits for that of another process.
BUSY_SECONDS = 5.0
#: Milliseconds of that without a look at whether it is still wanted.
BUSY_STEP = 250

# The bodies are apart: an UPDATE writes a row anew, with all its pages.
_SCHEMA = (
    "CREATE TABLE entry (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, worker TEXT NOT NULL, "
    "input_type TEXT NOT NULL, output_types TEXT NOT NULL, size INTEGER NOT NULL, "
    "made INTEGER NOT NULL, used INTEGER NOT NULL, crc INTEGER NOT NULL)",
    "CREATE INDEX entry_used ON entry (used)",
    "CREATE TABLE body (id INTEGER PRIMARY KEY, value BLOB NOT NULL)",
    "CREATE TABLE total (id INTEGER PRIMARY KEY CHECK (id = 1), size INTEGER NOT NULL, "
    "entries INTEGER NOT NULL)",
)

_DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


def error_code(error: sqlite3.Error) -> int:
    """Return SQLite's primary result code of an error; 0 if Python itself raised it."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def is_damage(error: sqlite3.Error) -> bool:
    """Return whether an error says that the file is damaged."""
    return error_code(error) in _DAMAGE


def make_directory(directory: Path) -> None:
    """Make a directory for us alone, mode 0700, if it isn't there.

    One that is there is left as it is, with whatever else it holds.

    Raises:
      CacheError: It can't be made, is no directory, or others may write into
        it: they could put their results in place of ours.
    """
    try:
        if not directory.is_dir():
            directory.parent.mkdir(parents=True, exist_ok=True)
            # mkdir would take the umask off, and chmod after it would come late.
            with contextlib.suppress(FileExistsError):
                directory.mkdir(mode=0o700)
        if not directory.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        status = directory.stat()
    except OSError as error:
        raise CacheError(
            str(directory), f"can't be made: {error.strerror}", "give another cache_dir"
        ) from error
    if os.name != "posix":  # pragma: no cover
        return
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise CacheError(
            str(directory),
            "can be written to by other users, who could put results of theirs in place of yours",
            f"run: chmod go-w '{directory}', or give another cache_dir",
        )
    if os.geteuid() not in (0, status.st_uid) and status.st_uid != 0:
        raise CacheError(str(directory), "belongs to another user", "give a cache_dir of your own")


def _make_file(path: Path) -> None:
    """Make an empty file for us alone, if there is none; SQLite's other files get its mode."""
    try:
        # Never open one that is there: closing it would drop the locks of this process on it.
        status = path.lstat()
    except FileNotFoundError:
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        return
    if not stat.S_ISREG(status.st_mode):
        raise CacheError(str(path), "is no plain file", "move it away, or give another cache_dir")


def connect(directory: Path, *, create: bool = True) -> sqlite3.Connection:
    """Return a connection to the database in ``directory``, made if need be.

    Args:
      directory: Must be there, see `make_directory`.
      create: False: raise `FileNotFoundError` if there is no database.

    Raises:
      CacheError: The file is something else's, or the file system can't have it.
      sqlite3.DatabaseError: `is_damage`: it is a database, ours by name, and damaged.
    """
    path = directory / DATABASE
    try:
        if create:
            _make_file(path)
        else:
            path.lstat()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise CacheError(
            str(path), f"can't be made: {error.strerror}", "give another cache_dir"
        ) from error
    try:
        connection = sqlite3.connect(
            path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
    except sqlite3.Error as error:
        raise _cant_open(path, error) from error
    try:
        _set_up(connection, path)
    except sqlite3.Error as error:
        connection.close()
        if error_code(error) == sqlite3.SQLITE_NOTADB:
            raise CacheError(
                str(path), "is no database", "move it away, or give another cache_dir"
            ) from error
        if is_damage(error):
            raise
        raise _cant_open(path, error) from error
    except BaseException:
        connection.close()
        raise
    return connection


def _cant_open(path: Path, error: sqlite3.Error) -> CacheError:
    return CacheError(
        str(path),
        f"can't be opened: {error}",
        "see that you may write there and that the disk has room, or give another cache_dir",
    )


def _set_up(connection: sqlite3.Connection, path: Path) -> None:
    run = connection.execute
    run("PRAGMA trusted_schema=OFF")
    run("PRAGMA cell_size_check=ON")
    run("PRAGMA mmap_size=0")  # a file cut short under a map is a SIGBUS
    if _is_empty(connection):
        run("PRAGMA auto_vacuum=INCREMENTAL")
        run("BEGIN EXCLUSIVE")
        try:
            if _is_empty(connection):  # nobody was faster
                run(f"PRAGMA application_id={APPLICATION_ID}")
                for statement in _SCHEMA:
                    run(statement)
                run("INSERT INTO total VALUES (1, 0, 0)")
            run("COMMIT")
        except BaseException:
            if connection.in_transaction:
                run("ROLLBACK")
            raise
    (found,) = run("PRAGMA application_id").fetchone()
    rows = run("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    if found != APPLICATION_ID or {sql for (sql,) in rows} != set(_SCHEMA):
        raise CacheError(
            str(path),
            "is a database of something else",
            "move it away, or give another cache_dir",
        )
    mode = _write_ahead(connection)
    if mode != "wal":
        raise CacheError(
            str(path),
            f"is on a file system that can't share memory between processes (SQLite's "
            f"journal_mode stays {mode!r} where it should be 'wal')",
            "give a cache_dir on a local disk",
        )
    run(f"PRAGMA busy_timeout={BUSY_STEP}")
    run("PRAGMA synchronous=NORMAL")
    run("PRAGMA journal_size_limit=67108864")
    if os.name == "posix" and path.stat().st_mode & 0o077:
        os.chmod(path, 0o600)


def _is_empty(connection: sqlite3.Connection) -> bool:
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    (found,) = connection.execute("PRAGMA application_id").fetchone()
    return not tables and not found


def _write_ahead(connection: sqlite3.Connection) -> str:
    """Switch to a write-ahead log, and return the journal mode that it has now.

    While others do the same SQLite may say at once that it is locked.
    """
    end = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
        except sqlite3.OperationalError as error:
            busy = error_code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
            if not busy or time.monotonic() > end:
                raise
            time.sleep(0.005)
        else:
            return str(mode)


@attrs.define(eq=False)
class UserLock:
    """Says to other processes that this one uses the database of a directory.

    A damaged file is set aside only by a process that is alone with it: SQLite
    would remove the log of a new file together with the old one.
    """

    directory: Path
    _file: int | None = None

    def take(self) -> None:
        """Be one of the users; waits while somebody sets a damaged file aside."""
        if os.name != "posix":  # pragma: no cover
            return
        flags = os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
        with contextlib.suppress(OSError):  # then nothing is ever set aside
            self._file = os.open(self.directory / LOCK, flags, 0o600)
            fcntl.flock(self._file, fcntl.LOCK_SH)

    def set_aside(self) -> bool:
        """Move a damaged database away if nobody else uses it, and return whether that was so.

        Its connections in this process must be closed.
        """
        if self._file is None:
            return False
        path, damaged = self.directory / DATABASE, self.directory / DAMAGED
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with contextlib.suppress(FileNotFoundError):
                os.replace(path, damaged)
            for suffix in ("-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
        except OSError:
            return False
        finally:
            with contextlib.suppress(OSError):
                fcntl.flock(self._file, fcntl.LOCK_SH)
        return True

    def release(self) -> None:
        """Be no user any more."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
