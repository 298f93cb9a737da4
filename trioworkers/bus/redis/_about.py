"""What a process tells the others about itself, and what it is known by then."""

import os
import socket
from collections.abc import Iterable

import attrs
import orjson


@attrs.frozen
class RedisPeer:
    """Another process on a `RedisBus`; see `RedisBus.peers`.

    All but the incarnation is what it says of itself.

    Attributes:
      incarnation: What it is called in the streams.
      host: The name of its machine; empty if it doesn't say.
      pid: Its process id; None if it doesn't say.
      lease: Seconds of silence after which it is taken for gone; None if it doesn't say.
      runners: Its runners that have been heard of.
    """

    incarnation: str
    host: str
    pid: int | None
    lease: float | None
    runners: tuple[str, ...]


def tell_about(lease: float) -> bytes:
    """Return what this process tells about itself; ``lease`` is in seconds."""
    return orjson.dumps({"host": socket.gethostname(), "pid": os.getpid(), "lease": lease})


def read_about(incarnation: str, about: bytes, runners: Iterable[str] = ()) -> RedisPeer:
    """Return who has told ``about``; whatever that is, as anyone may have written it."""
    try:
        told = orjson.loads(about)
    except ValueError:
        told = None
    if not isinstance(told, dict):
        told = {}
    host, pid, lease = told.get("host"), told.get("pid"), told.get("lease")
    return RedisPeer(
        incarnation,
        host if isinstance(host, str) else "",
        pid if type(pid) is int else None,
        lease if type(lease) in (int, float) else None,
        tuple(sorted(runners)),
    )
