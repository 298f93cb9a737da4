"""Caches of results in files, for tests: keys, clocks, and looks from outside."""

import contextlib
import hashlib
import sqlite3
from pathlib import Path

import attrs

import trioworkers
from trioworkers.graph._cache import CacheLabel
from trioworkers.graph._sqlite_file import DATABASE
from trioworkers.graph._sqlite_store import SqliteStore

LABEL = CacheLabel("Counter", "Page", ("Count",))
HOME = str(Path(trioworkers.__file__).parents[1])


def key(number):
    """Return the key of something."""
    return hashlib.sha256(str(number).encode()).hexdigest()


@attrs.define
class Clock:
    """Seconds that are set by hand."""

    now: float = 1_000_000.0

    def __call__(self):
        return self.now


@contextlib.contextmanager
def store_in(directory):
    """The file as one who looks into it sees it."""
    store = SqliteStore(directory, create=False)
    try:
        yield store
    finally:
        store.close()


def entries(directory):
    """Return what is in the file."""
    with store_in(directory) as store:
        return store.entries()


def damage(directory, statement, *values):
    """Change the file behind everybody's back."""
    connection = sqlite3.connect(directory / DATABASE)
    with connection:
        connection.execute(statement, values)
    connection.close()
