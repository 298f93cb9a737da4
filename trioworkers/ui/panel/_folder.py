"""A private directory of files, with names that it makes up."""

import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar, TypeVarTuple

import attrs
import trio

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

#: Seconds that removing the directory may take.
REMOVE_SECONDS = 5.0
#: Threads that work on files at once. Of the app's own none is taken away.
MAX_THREADS = 4


@attrs.define(eq=False)
class Folder:
    """Files below a directory that only this user can look into.

    The directory is made when the first file is, and anew if it has gone: systems remove old
    temporary files. What is done with files is done in threads,
    and not given up half-way when it is cancelled.

    Attributes:
      parent: Where the directory is made; None for where temporary files go.
    """

    parent: str | None = None
    _path: Path | None = None
    _making: trio.Lock = attrs.field(factory=trio.Lock)
    _threads: trio.CapacityLimiter = attrs.field(
        factory=lambda: trio.CapacityLimiter(MAX_THREADS), repr=False
    )

    @staticmethod
    def new_name() -> str:
        """Return a name for a new file."""
        return secrets.token_hex(16)

    def path_of(self, name: str) -> Path:
        """Return the path of a file that was written."""
        assert self._path is not None
        return self._path / name

    async def write(self, name: str, offset: int, data: bytes) -> None:
        """Write into a file, at an offset.

        Args:
          name: As `new_name` returned it.
          offset: At 0 the file is made, elsewhere it must be there.
          data: What to write.

        Raises:
          OSError: It can't be written.
        """
        async with self._making:
            if self._path is None or not offset:
                self._path = await self._in_thread(_made, self._path, self.parent)
        await self._in_thread(_write, self._path / name, offset, data)

    async def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        if self._path is not None:
            await self._in_thread(_remove, self._path / name)

    async def missing(self, names: Iterable[str]) -> list[str]:
        """Return those names of which there is no file: whoever got it may have removed it."""
        paths = [] if self._path is None else [self._path / name for name in names]
        return await self._in_thread(_missing, paths)

    async def aclose(self) -> None:
        """Remove the directory and all that is in it. Shielded, and bounded in time."""
        with trio.move_on_after(REMOVE_SECONDS, shield=True):
            async with self._making:
                path, self._path = self._path, None
            if path is not None:
                await trio.to_thread.run_sync(
                    shutil.rmtree,
                    path,
                    True,
                    abandon_on_cancel=True,
                    limiter=trio.CapacityLimiter(1),
                )

    async def _in_thread(self, function: Callable[[*Ts], T], *args: *Ts) -> T:
        return await trio.to_thread.run_sync(function, *args, limiter=self._threads)


def _made(path: Path | None, parent: str | None) -> Path:
    """Return the directory at ``path``, or a new one if somebody has tidied it away."""
    if path is not None and _is_own(path):
        return path
    return Path(tempfile.mkdtemp(prefix="panel-", dir=parent))


def _is_own(path: Path) -> bool:
    """Whether there is a directory of this user: not one that another has made in its place."""
    try:
        found = path.lstat()
    except OSError:
        return False
    is_of_user = not hasattr(os, "getuid") or found.st_uid == os.getuid()
    return stat.S_ISDIR(found.st_mode) and is_of_user


def _write(path: Path, offset: int, data: bytes) -> None:
    flags = os.O_WRONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
    if not offset:
        flags |= os.O_CREAT | os.O_EXCL
    with open(os.open(path, flags, 0o600), "wb") as file:
        file.seek(offset)
        file.write(data)


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


def _missing(paths: list[Path]) -> list[str]:
    return [path.name for path in paths if not os.path.lexists(path)]
