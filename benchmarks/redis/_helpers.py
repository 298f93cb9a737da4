"""Helper processes, such as the one that hosts the worker, and the server's address.

    python -m benchmarks.redis._helpers MODULE FUNCTION ARGUMENTS

runs an async function of a module until standard input ends, which is when the
process that has started it has no use for it any more, or is gone.
"""

import importlib
import json
import os
import socket
import subprocess
import sys
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

#: The environment variable that tells children where the server is.
URL_VARIABLE = "TRIOWORKERS_BENCHMARKS_REDIS"
#: The one that tells a helper where to write when it is ready.
READY_VARIABLE = "TRIOWORKERS_BENCHMARKS_READY"


def server_url() -> str:
    """Return the address of the run's server."""
    return os.environ[URL_VARIABLE]


def ask(url: str, *words: str) -> str:
    """Send one command to a server on a connection of its own; return a reply of one string.

    Raises:
      OSError: There is no connection, or the reply is an error.
    """
    parts = urllib.parse.urlsplit(url)
    assert parts.hostname is not None
    with socket.create_connection((parts.hostname, parts.port or 6379), timeout=5) as connection:
        command = [f"*{len(words)}"]
        for word in words:
            command += [f"${len(word)}", word]
        connection.sendall(("\r\n".join(command) + "\r\n").encode("ascii"))
        with connection.makefile("rb") as replies:
            first = replies.readline().decode()
            if first[:1] not in "+$" or not first:
                raise ConnectionError(f"the server says {first.strip()!r}")
            return first[1:-2] if first[0] == "+" else replies.read(int(first[1:])).decode()


def forget_everything() -> None:
    """Empty the server, so that no measurement finds what another has left."""
    ask(server_url(), "FLUSHALL")


def server_pid() -> int:
    """Return the server's process id."""
    lines = ask(server_url(), "INFO", "server").splitlines()
    (pid,) = (line.partition(":")[2] for line in lines if line.startswith("process_id:"))
    return int(pid)


class HelperError(RuntimeError):
    """A helper process ended before it was ready. What it said is on standard error."""


@contextmanager
def helper(module: str, function: str, **arguments: int) -> Iterator[int]:
    """Run ``function`` in a process of its own; yield its process id when that calls `ready`.

    The process has ended when the block has.

    Args:
      module: The full name of the module; its ``run`` runs the function.
      function: An async function.
      arguments: What it gets.

    Raises:
      HelperError: It ended instead.
    """
    reading, writing = os.pipe()
    with (
        os.fdopen(reading, "rb") as news,
        os.fdopen(writing, "wb") as telling,
        subprocess.Popen(
            [sys.executable, "-m", __name__, module, function, json.dumps(arguments)],
            stdin=subprocess.PIPE,
            env={**os.environ, READY_VARIABLE: str(writing)},
            pass_fds=[writing],
        ) as process,
    ):
        telling.close()
        try:
            if not news.read(1):
                raise HelperError(f"{module}.{function} ended before it was ready")
            yield process.pid
        finally:
            process.kill()


def ready() -> None:
    """Tell whoever has started this helper that it is."""
    os.write(int(os.environ[READY_VARIABLE]), b".")


def _end_with_input() -> None:
    while sys.stdin.buffer.read(1024):
        pass
    # Whatever the event loop does: nothing here is worth keeping.
    os._exit(0)


def main() -> None:
    """Be a helper."""
    name, function, arguments = sys.argv[1:]
    threading.Thread(target=_end_with_input, daemon=True).start()
    module = importlib.import_module(name)
    module.run(partial(getattr(module, function), **json.loads(arguments)))


if __name__ == "__main__":
    main()
