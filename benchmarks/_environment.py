"""The peers' virtual environments: made when first needed, and when their lists change."""

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import attrs
import trio

from ._children import ROOT

_LISTS = ROOT / "benchmarks" / "peers"
#: What belongs in each environment: peers that can't be in one have several. Git ignores
#: all directories that begin like these.
ENVIRONMENTS = {
    ROOT / ".venv-peers": _LISTS / "requirements.txt",
    ROOT / ".venv-peers-arq": _LISTS / "requirements-arq.txt",
}
#: Seconds that pip may take.
PIP_SECONDS = 900.0


class InstallError(Exception):
    """A command that makes the environment failed.

    The message says which, and what it said last.
    """


@attrs.frozen
class Environment:
    """An environment that has been made.

    Attributes:
      python: Its interpreter.
      missing: Peers that could not be installed, with the reason.
    """

    python: str
    missing: dict[str, str]


def read_requirements(path: Path) -> dict[str, str]:
    """Return the lines that name packages, by package."""
    lines = [line.partition("#")[0].strip() for line in path.read_text("utf-8").splitlines()]
    return {line.partition("==")[0].partition("[")[0]: line for line in lines if line}


def fingerprint(requirements: Sequence[str]) -> str:
    """Return what changes when the environment must be made anew."""
    parts = (sys.version, sys.executable, *requirements)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


async def prepare(
    tell: Callable[[str], None], *, directory: Path, requirements: Path
) -> Environment:
    """Return an environment, and make it if need be.

    If not all can be installed together, each is tried by itself. What can't
    be installed is tried again the next time.

    Args:
      tell: Called with a line when something takes long.
      directory: Where it is, or is to be.
      requirements: What belongs in it.

    Raises:
      InstallError: There is no environment.
    """
    wanted = read_requirements(requirements)
    mark = directory / "made-from.json"
    python = directory / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    expected = fingerprint(list(wanted.values()))
    if _read_mark(mark) == expected:
        return Environment(str(python), {})
    tell(f"installing {', '.join(wanted)} into {directory}; once")
    shutil.rmtree(directory, ignore_errors=True)
    await _run([sys.executable, "-m", "venv", str(directory)])
    missing = await _install(str(python), wanted, tell)
    if not missing:
        mark.write_text(json.dumps(expected), "utf-8")
    return Environment(str(python), missing)


def _read_mark(mark: Path) -> object:
    try:
        return json.loads(mark.read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        return None


async def _install(
    python: str, wanted: dict[str, str], tell: Callable[[str], None]
) -> dict[str, str]:
    """Install what is wanted; return what can't be, with the reason."""
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    try:
        await _run([*pip, *wanted.values()])
    except InstallError as error:
        tell(f"they can't be installed together ({error}); trying each alone")
    else:
        return {}
    missing = {}
    for name, requirement in wanted.items():
        try:
            await _run([*pip, requirement])
        except InstallError as error:
            missing[name] = f"not installed: {error}"
    return missing


async def _run(command: Sequence[str]) -> None:
    """Run a command whose output matters only if it fails."""
    done = None
    with trio.move_on_after(PIP_SECONDS):
        done = await trio.run_process(
            list(command),
            stdin=subprocess.DEVNULL,
            capture_stdout=True,
            stderr=subprocess.STDOUT,
            check=False,
        )
    what = " ".join(command[1:4])
    if done is None:
        raise InstallError(f"'{what}' took more than {PIP_SECONDS:g} s")
    if done.returncode:
        lines = done.stdout.decode(errors="replace").splitlines()
        errors = [line for line in lines if "error" in line.lower()] or lines or ["nothing"]
        raise InstallError(f"'{what}' says: {errors[-1].strip()}")
