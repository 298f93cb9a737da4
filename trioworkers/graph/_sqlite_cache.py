"""A `ResultCache` in a file, shared by Trio tasks, workers and processes."""

import contextlib
import logging
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import attrs
import trio

from ..errors import CacheError
from ._cache import CacheLabel, CacheStatistics
from ._sqlite_file import error_code, is_damage
from ._sqlite_store import LARGEST, USES, Damaged, SqliteStore, entry_size

logger = logging.getLogger("trioworkers.graph")


@attrs.define(eq=False)
class _Request:
    """What one Trio task wants of the store.

    Attributes:
      put: What to keep; None if nothing.
      drop: What to forget; None if nothing. Without both it is a `get`, which
        comes to have one if what it found is damaged.
      answer: The value found.
      done: Whether the store has seen to it.
      kept: Of ``put``: whether it was.
      leads: Whether the Trio task that waits goes on as the leader.
    """

    key: str
    put: tuple[str, bytes, CacheLabel] | None = None
    drop: tuple[str, bytes | None] | None = None
    answer: bytes | None = None
    done: bool = False
    kept: bool = False
    leads: bool = False
    ready: trio.Event = attrs.field(factory=trio.Event)


class SqliteCache:
    """Keeps results in a database in a directory; see `open_sqlite_cache`.

    All work is done in a thread, never more than one at a time. What is asked for
    while it is busy is done together in the next go, in one transaction. The Trio
    task that finds the thread idle takes it there for all who wait: there is no
    Trio task in the background, and nothing is left when the callers are gone.
    """

    def __init__(self, store: SqliteStore, size_limit: int) -> None:
        self._store = store
        self._limits = [size_limit]
        self._waiting: list[_Request] = []
        self._busy = False
        self._usable = True
        self._limiter = trio.CapacityLimiter(1)
        self._warned: set[object] = set()
        self._hits = self._misses = self._stored = 0
        self._refused = self._evicted = self._dropped = 0

    def __repr__(self) -> str:
        return f"<SqliteCache of {self._limits[0]:,} bytes>"

    def statistics(self) -> CacheStatistics:
        """Return the counts until now, of all who share this cache."""
        return CacheStatistics(
            self._hits, self._misses, self._stored, self._refused, self._evicted, self._dropped
        )

    async def get(self, key: str) -> bytes | None:
        """Return the value last put under ``key``, or None. A checkpoint.

        Trouble with the file is a miss and a warning.
        """
        request = _Request(key)
        await self._do(request)
        if request.drop is not None:
            self._dropped += 1
        if request.answer is None:
            self._misses += 1
        else:
            self._hits += 1
        return request.answer

    async def put(self, key: str, value: bytes, label: CacheLabel) -> bool:
        """Keep ``value`` under ``key`` in place of what was there. A checkpoint.

        Returns:
          Whether it was kept. Not kept is what is larger than the size limit, or
          than 256 MiB, and what the disk has no room for; that is a warning.
        """
        if len(value) > LARGEST or entry_size(value) > min(self._limits):
            await trio.lowlevel.checkpoint()
            self._refused += 1
            self._warn(
                ("too large", label.worker),
                f"a result of worker {label.worker!r} is not cached: it has {len(value):,} bytes; "
                f"at most {min(min(self._limits), LARGEST):,} are kept",
            )
            return False
        request = _Request(key, put=(key, value, label))
        await self._do(request)
        if request.kept:
            self._stored += 1
        else:
            self._refused += 1
        return request.kept

    async def drop(self, key: str, value: bytes) -> None:
        """Forget ``key`` if it still has ``value``, which is of no use. A checkpoint."""
        await self._do(_Request(key, drop=(key, value)))
        self._dropped += 1

    # Who goes to the thread

    async def _do(self, request: _Request) -> None:
        """Have ``request`` done; when cancelled before that, it may be done or not."""
        self._waiting.append(request)
        if self._busy:
            try:
                await request.ready.wait()
            except trio.Cancelled:
                if request.leads:
                    self._waiting.remove(request)
                    self._next_leader()
                elif not request.done and request in self._waiting:
                    self._waiting.remove(request)
                raise
            if request.done:
                return
        self._busy = True
        batch, self._waiting = self._waiting, []
        try:
            await trio.to_thread.run_sync(self._work, batch, limiter=self._limiter)
        finally:
            # Cancelled before the thread began, or while another process was writing: what
            # the others want is still to be done.
            rest = [other for other in batch if not other.done and other is not request]
            self._waiting[:0] = rest
            for other in batch:
                if other.done:
                    other.ready.set()
            self._next_leader()

    def _next_leader(self) -> None:
        self._busy = bool(self._waiting)
        if self._busy:
            self._waiting[0].leads = True
            self._waiting[0].ready.set()

    # In the thread

    def _work(self, batch: list[_Request]) -> None:
        if self._usable:
            self._trying("read from", self._read, batch)
        if self._usable:
            self._trying("write to", self._write, batch)
        for request in batch:
            request.done = True

    def _trying(
        self, doing: str, work: Callable[[list[_Request]], None], batch: list[_Request]
    ) -> None:
        try:
            work(batch)
        except sqlite3.Error as error:
            if is_damage(error):
                self._start_anew(error)
            else:
                self._warn(error_code(error), f"can't {doing} the cache: {error}; going on without")

    def _read(self, batch: list[_Request]) -> None:
        for request in batch:
            if request.put is None and request.drop is None:
                try:
                    request.answer = self._store.get(request.key)
                except Damaged:
                    request.drop = (request.key, None)
                    logger.warning("a damaged result was dropped from the cache: %s", request.key)

    def _write(self, batch: list[_Request]) -> None:
        puts = [request for request in batch if request.put is not None]
        drops = [request.drop for request in batch if request.drop is not None]
        if puts or drops:
            # The last one to put a key has its way.
            latest = {request.key: request.put for request in puts if request.put is not None}
            self._evicted += self._store.write(latest.values(), drops, min(self._limits))
            for request in puts:
                request.kept = True
        elif self._store.uses >= USES:
            self._write_uses()

    def _write_uses(self) -> None:
        try:
            self._store.write_uses()
        except sqlite3.OperationalError as error:
            # Another process writes just now: next time will do.
            if error_code(error) != sqlite3.SQLITE_BUSY:
                raise

    def _start_anew(self, error: sqlite3.Error) -> None:
        try:
            self._usable = self._store.start_anew()
        except (sqlite3.Error, CacheError):
            self._usable = False
        then = (
            "it was set aside, and a new one begun"
            if self._usable
            else "others use it, so this run goes on without a cache; clear it with "
            "'trioworkers cache clear' when they have ended"
        )
        logger.warning("the cache is damaged (%s): %s", error, then)

    def _warn(self, kind: object, text: str) -> None:
        """Log the first of a kind; the rest is in the statistics."""
        if kind not in self._warned:
            self._warned.add(kind)
            logger.warning("%s", text)

    async def aclose(self) -> None:
        """Close the file. Requests under way are finished; later ones find nothing.

        Not cancellable: it waits for the thread, which waits for no other process.
        """
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(self._close, limiter=self._limiter)

    def _close(self) -> None:
        self._usable = False
        with contextlib.suppress(sqlite3.Error):  # only when it was last used is lost
            self._store.close()

    # Who shares it

    def _join(self, size_limit: int) -> None:
        self._limits.append(size_limit)

    def _leave(self, size_limit: int) -> None:
        self._limits.remove(size_limit)


@attrs.define(eq=False)
class _Shared:
    """The cache of one directory in one Trio run, and how many have it open."""

    users: int = 0
    cache: SqliteCache | None = None
    opening: trio.Lock = attrs.field(factory=trio.Lock)


_shared: trio.lowlevel.RunVar[dict[str, _Shared]] = trio.lowlevel.RunVar("trioworkers.caches")


@contextlib.asynccontextmanager
async def open_sqlite_cache(
    directory: str | os.PathLike[str],
    *,
    size_limit: int = 25_000_000_000,
    clock: Callable[[], float] = time.time,
) -> AsyncIterator[SqliteCache]:
    """Open the cache in ``directory``, made if need be, for the length of the block.

    Many may have it open: in one Trio run they share one connection, and the
    smallest of their limits counts; other processes have their own.

    The directory is made with mode 0700. One that is there already is left as it
    is, but others must not be able to write into it. The file in it has mode 0600.

    Args:
      directory: Where it is.
      size_limit: Bytes, > 0. Beyond it the least recently used entries go.
      clock: Returns seconds since the epoch, for the order of uses.

    Raises:
      ValueError: The limit is not positive.
      CacheError: It can't be there: no place to write to, a file of something
        else, or a file system on which SQLite has no write-ahead log.

    Enter and exit are checkpoints. Exit is not cancellable, and short.
    """
    if size_limit <= 0:
        raise ValueError(f"size_limit must be > 0, not {size_limit!r}")
    place = str(await trio.Path(directory).resolve())
    caches = _shared.get({})
    _shared.set(caches)
    shared = caches.setdefault(place, _Shared())
    shared.users += 1
    try:
        async with shared.opening:
            if shared.cache is None:
                store = await trio.to_thread.run_sync(_open_store, directory, clock)
                shared.cache = SqliteCache(store, size_limit)
            else:
                shared.cache._join(size_limit)
        try:
            yield shared.cache
        finally:
            if shared.users > 1:
                shared.cache._leave(size_limit)
    finally:
        shared.users -= 1
        if not shared.users:
            del caches[place]
            if shared.cache is not None:
                await shared.cache.aclose()


def _open_store(directory: str | os.PathLike[str], clock: Callable[[], float]) -> SqliteStore:
    path = Path(directory)
    try:
        store = SqliteStore(path, clock=clock, check=trio.from_thread.check_cancelled)
    except sqlite3.Error as error:
        raise CacheError(
            str(path),
            f"is damaged ({error}), and another process uses it",
            "end that, or give another cache_dir",
        ) from error
    if store.set_aside:
        logger.warning("the cache in %s was damaged; it was set aside, and a new one begun", path)
    return store
