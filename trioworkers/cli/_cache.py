"""``trioworkers cache``: look into a cache of task results, and empty it."""

import json
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich import box
from rich.table import Table
from rich.text import Text

from trioworkers.errors import CacheError
from trioworkers.graph._sqlite_file import is_damage
from trioworkers.graph._sqlite_store import CacheEntry, CacheTotal, Damaged, SqliteStore

from ._sim_display import open_console

#: Digits of a key that are listed; hardly ever do two entries have them in common.
SHOWN = 12
_STEPS = ((60.0, "s"), (3600.0, "min"), (86400.0, "h"), (float("inf"), "d"))


@contextmanager
def _opened(directory: Path, *, mend: bool = False) -> Iterator[SqliteStore]:
    """Open the cache in ``directory``, and tell trouble with it as a user's error.

    Args:
      directory: Where it is.
      mend: Whether a damaged one may be replaced by an empty one.
    """
    try:
        store = SqliteStore(directory, create=False, mend=mend)
    except FileNotFoundError:
        raise click.ClickException(
            f"there is no cache in {directory}; name the cache_dir of your workers with --dir"
        ) from None
    except (CacheError, OSError, sqlite3.Error) as error:
        raise _trouble(directory, error) from error
    try:
        yield store
    except sqlite3.Error as error:
        raise _trouble(directory, error) from error
    finally:
        try:
            store.close()
        except sqlite3.Error as error:
            raise _trouble(directory, error) from error


def _trouble(directory: Path, error: Exception) -> click.ClickException:
    if isinstance(error, sqlite3.Error) and is_damage(error):
        return click.ClickException(
            f"the cache in {directory} is damaged ({error}); 'trioworkers cache clear' removes it "
            "when no worker uses it"
        )
    text = str(error)
    return click.ClickException(text if isinstance(error, CacheError) else f"{directory}: {text}")


def _size(size: float) -> str:
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 10 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def _ago(seconds: float) -> str:
    scale = 1.0
    for end, unit in _STEPS:
        if seconds < end:
            return f"{max(0, int(seconds / scale))} {unit} ago"
        scale = end
    raise AssertionError("no time is beyond the last step")


def _plural(entries: int) -> str:
    return "1 entry" if entries == 1 else f"{entries:,} entries"


def _in_short(total: CacheTotal) -> str:
    return f"{_plural(total.entries)}, {_size(total.size)}"


_directory = click.option(
    "--dir",
    "directory",
    type=click.Path(path_type=Path),
    default=Path("./cache"),
    show_default="./cache",
    help="The cache_dir of the workers.",
)


@click.group(
    epilog="""\b
Examples:
  trioworkers cache list
  trioworkers cache show 3f2a
  trioworkers cache clear --worker Summarizer

\b
Exit status: 0 if it was done, 1 if there is no such cache or entry, 2 for a
wrong option.
"""
)
def cache() -> None:
    """Look into a cache of task results, and empty it."""


@cache.command(
    "list",
    epilog="""\b
Examples:
  trioworkers cache list --limit 5
  trioworkers cache list --dir analysis_cache --worker Summarizer
""",
)
@_directory
@click.option("--worker", metavar="NAME", help="Only what this worker has published.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=50,
    show_default=True,
    help="List this many at most.",
)
def list_entries(directory: Path, worker: str | None, limit: int) -> None:
    """List what is in the cache, the latest used first.

    The last use of an entry is written down now and then, so it can be a little
    later than what is shown while workers run.
    """
    with _opened(directory) as store:
        total, entries = store.total(), store.entries(worker=worker, limit=limit + 1)
    if entries:
        _print_entries(entries[:limit])
    elif worker is not None:
        raise click.ClickException(f"there is nothing of a worker {worker!r} in {directory}")
    more = f"; --limit shows more than {limit:,}" if len(entries) > limit else ""
    open_console().out(f"{_in_short(total)} in {directory}{more}", highlight=False)


def _print_entries(entries: list[CacheEntry]) -> None:
    table = Table(box=box.SIMPLE, pad_edge=False)
    for name in ("key", "worker", "input", "outputs"):
        table.add_column(name, overflow="fold")
    for name in ("size", "last used"):
        table.add_column(name, justify="right", no_wrap=True)
    now = time.time()
    for entry in entries:
        label = entry.label
        table.add_row(
            entry.key[:SHOWN],
            # As texts: a name may hold what rich would take for markup.
            Text(label.worker),
            Text(label.input_type),
            Text(", ".join(label.output_types)),
            _size(entry.size),
            _ago(now - entry.used),
        )
    open_console().print(table)


def _check_key(_context: click.Context, _parameter: click.Parameter, key: str) -> str:
    key = key.lower()
    if not re.fullmatch("[0-9a-f]{1,64}", key):
        raise click.BadParameter(f"{key!r} is not a key: up to 64 hexadecimal digits")
    return key


@cache.command(
    epilog="""\b
Examples:
  trioworkers cache show 3f2a
  trioworkers cache show 3f2a9c --dir analysis_cache | jq .value
"""
)
@click.argument("key", callback=_check_key)
@_directory
def show(key: str, directory: Path) -> None:
    """Show the entry whose key is KEY, or begins so: what was published, as JSON."""
    with _opened(directory) as store:
        found = store.find(key, 5)
        if not found:
            raise click.ClickException(f"there is no entry {key} in {directory}")
        if len(found) > 1:
            keys = ", ".join(entry.key[: max(SHOWN, len(key) + 4)] for entry in found)
            more = " and more" if len(found) == 5 else ""
            raise click.ClickException(
                f"several keys begin with {key}: {keys}{more}; give more digits"
            )
        (entry,) = found
        try:
            value = store.get(entry.key, is_use=False)
            outputs = None if value is None else json.loads(value)
        except (Damaged, ValueError):
            raise click.ClickException(
                f"entry {entry.key} is damaged; when it is next asked for it will be dropped"
            ) from None
    document = {
        "key": entry.key,
        "worker": entry.label.worker,
        "input_type": entry.label.input_type,
        "size": entry.size,
        "made": _stamp(entry.made),
        "used": _stamp(entry.used),
        "value": outputs,
    }
    open_console().out(json.dumps(document, indent=2, ensure_ascii=False), highlight=False)


def _stamp(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


@cache.command(
    epilog="""\b
Examples:
  trioworkers cache clear --yes
  trioworkers cache clear --worker Summarizer
"""
)
@_directory
@click.option("--worker", metavar="NAME", help="Only what this worker has published.")
@click.option("--yes", "-y", is_flag=True, help="Don't ask.")
def clear(directory: Path, worker: str | None, yes: bool) -> None:
    """Forget what is in the cache, and give its room back to the disk.

    Workers may run meanwhile. Other files in the directory are left alone, and so
    is the cache's own file, but empty.
    """
    whose = "" if worker is None else f" of worker {worker!r}"
    if not yes:
        click.confirm(f"Forget all results{whose} in {directory}?", abort=True)
    with _opened(directory, mend=worker is None) as store:
        try:
            forgotten = store.clear(worker=worker)
        except sqlite3.Error as error:
            if worker is not None or not is_damage(error) or not store.start_anew():
                raise
            forgotten = store.clear()
        mended = store.set_aside > 0
    what = "a damaged cache" if mended else _in_short(forgotten)
    click.echo(f"forgot {what}{whose} in {directory}")
