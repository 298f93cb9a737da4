"""What tests have from npm, installed once for a checkout, and the Node that runs it."""

import fcntl
import functools
import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

#: Where the packages are named; what is installed is in folders in it that git ignores.
CLIENTS = Path(__file__).parent / "clients"
#: Seconds that an installation may take, that of another process included.
PATIENCE = 300.0


def npm_packages() -> Path:
    """Install what `CLIENTS` names, unless it is there; return `CLIENTS`.

    The calling test is skipped where that can't be done, and fails if all must be there (CI).
    """
    node_command()
    trouble = _install()
    if trouble is not None:
        _give_up(f"the npm packages of {CLIENTS} can't be installed: {trouble}")
    return CLIENTS


@functools.cache
def node_command() -> tuple[str, ...]:
    """Return how to call Node so that it has a WebSocket, if it can."""
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        _give_up("there is no node or no npm: apt-get install nodejs npm")
    asked = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=60)
    major = int(asked.stdout.removeprefix("v").split(".")[0])
    if major < 18:
        _give_up(f"node is {asked.stdout.strip()}: 18 or later is needed")
    return (node, "--experimental-websocket") if major in (20, 21) else (node,)


def _give_up(why):
    if os.environ.get("CI") == "true":
        pytest.fail(why)
    pytest.skip(why)


@functools.cache
def _install():
    """Return why it can't be done; None if it is."""
    named = sorted([*CLIENTS.glob("package.json"), *CLIENTS.glob("v*/package.json")])
    wanted = hashlib.sha256(b"\0".join(path.read_bytes() for path in named)).hexdigest()
    done = CLIENTS / "node_modules" / ".installed"
    deadline = time.monotonic() + PATIENCE
    try:
        with _locked(CLIENTS / "package.json", deadline):
            if done.exists() and done.read_text() == wanted:
                return None
            ran = subprocess.run(
                ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock"],
                cwd=CLIENTS,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=max(deadline - time.monotonic(), 1.0),
            )
            if ran.returncode != 0:
                return f"npm install says {ran.stdout[-1000:]}"
            done.write_text(wanted)
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    return None


@contextmanager
def _locked(path: Path, deadline: float) -> Iterator[None]:
    """Hold a file's lock, which no other process has then."""
    with path.open("rb") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"another process holds the lock of {path}") from None
                time.sleep(0.2)
            else:
                break
        yield
