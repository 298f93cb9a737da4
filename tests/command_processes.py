"""The ``trioworkers`` command in processes of its own, for tests that talk to several."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import trioworkers

ROOT = Path(trioworkers.__file__).parents[1]
#: Seconds that a process may take to say or do what is waited for.
PATIENCE = 20.0
#: Background shells let their children ignore Ctrl-C, which these are not to.
COMMAND = ["env", "--default-signal=INT"]
COMMAND += [sys.executable, "-W", "error", "-m", "trioworkers.cli"]
_LEFT_OUT = {"FORCE_COLOR", "NO_COLOR", "COLUMNS", "TRIOWORKERS_BUS", "TRIOWORKERS_NAMESPACE"}


def environment(**more: str) -> dict[str, str]:
    """Return what a command's process has as its environment."""
    kept = {name: value for name, value in os.environ.items() if name not in _LEFT_OUT}
    return {**kept, "PYTHONPATH": str(ROOT), "TERM": "xterm", **more}


class Command:
    """A process that runs: see `running`."""

    def __init__(self, process: subprocess.Popen[bytes], directory: Path) -> None:
        self.process = process
        self._directory = directory

    @property
    def stdout(self) -> str:
        """What it has written to standard output until now."""
        return (self._directory / "stdout").read_text()

    @property
    def stderr(self) -> str:
        """What it has written to standard error until now."""
        return (self._directory / "stderr").read_text()

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def wait_stderr(self, text: str, times: int = 1) -> None:
        """Wait until it has written ``text`` to standard error so many times."""
        self._wait(lambda: self.stderr.count(text) >= times, text)

    def wait_stdout(self, text: str, times: int = 1) -> None:
        """Wait until it has written ``text`` to standard output so many times."""
        self._wait(lambda: self.stdout.count(text) >= times, text)

    def wait(self) -> int:
        """Wait until it has ended; return its exit status."""
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it doesn't end: {self.stdout}{self.stderr}") from None

    def _wait(self, happened: Any, what: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not happened():
            told = f"{self.stdout}{self.stderr}"
            assert time.monotonic() < deadline, f"{what!r} is not in {told}"
            ended = self.process.poll()
            assert ended is None or happened(), f"it has ended ({ended}) without {what!r}: {told}"
            time.sleep(0.01)


@contextmanager
def running(
    directory: Path, *arguments: object, env: Mapping[str, str] | None = None
) -> Iterator[Command]:
    """Run the command while the block does.

    Args:
      directory: Where it runs.
      arguments: Of the command.
      env: Further variables of its environment.
    """
    number = len(list(directory.glob("command-*")))
    own = directory / f"command-{number}"
    own.mkdir()
    with (own / "stdout").open("wb") as stdout, (own / "stderr").open("wb") as stderr:
        process = subprocess.Popen(
            [*COMMAND, *map(str, arguments)],
            cwd=directory,
            env=environment(**(env or {})),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
        )
    try:
        yield Command(process, own)
    finally:
        process.kill()
        process.wait()


def finished(
    directory: Path,
    *arguments: object,
    env: Mapping[str, str] | None = None,
    given: str | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run the command to its end; ``given`` is its standard input."""
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        cwd=directory,
        env=environment(**(env or {})),
        input=given or "",
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
