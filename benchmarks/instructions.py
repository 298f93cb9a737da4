"""Counts the machine instructions that a job and a group member take.

    python -m benchmarks.instructions

Each subject runs twice under ``valgrind --tool=callgrind``, in a Python of its
own, with different numbers of jobs; the difference is what the further jobs
took, without start-up. Unlike a time, the count hardly depends on what else
the machine does. Needs valgrind.
"""

import argparse
import gc
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import attrs
import trio

from . import floor, ours

ROOT = Path(__file__).resolve().parents[1]

#: Members of the groups that are counted.
GROUP_SIZE = 100


@attrs.frozen
class Subject:
    """Something whose instructions are counted.

    Attributes:
      what: What one unit of it is, for a person to read.
      run: Does a number of units.
      few: Units of the first run.
      many: Units of the second.
    """

    what: str
    run: Callable[[int], Awaitable[float]]
    few: int
    many: int


def _group(
    group: Callable[[int, int], Awaitable[float]],
) -> Callable[[int], Awaitable[float]]:
    return lambda members: group(GROUP_SIZE, members // GROUP_SIZE)


SUBJECTS = {
    "job": Subject("job round trip", ours.jobs, 200, 1200),
    "job-floor": Subject("job round trip", floor.jobs, 200, 1200),
    "member": Subject(f"member of a group of {GROUP_SIZE}", _group(ours.group), 500, 2500),
    "member-floor": Subject(f"member of a group of {GROUP_SIZE}", _group(floor.group), 500, 2500),
}


def run_subject(name: str, units: int) -> None:
    """Do ``units`` of a subject, in the same way each time. For the child process."""
    gc.disable()
    trio._core._run._r.seed(0)  # the order in which Trio runs what is ready
    trio.run(partial(SUBJECTS[name].run, units))


def count(valgrind: str, name: str, units: int) -> int:
    """Return the instructions of a Python that does ``units`` of a subject.

    Raises:
      RuntimeError: The child failed; the message has what it wrote.
    """
    with tempfile.TemporaryDirectory(prefix="trioworkers-instructions-") as directory:
        log, counts = Path(directory, "log"), Path(directory, "counts")
        with log.open("wb") as output:
            done = subprocess.run(
                [
                    valgrind,
                    "--tool=callgrind",
                    f"--callgrind-out-file={counts}",
                    sys.executable,
                    "-m",
                    "benchmarks.instructions",
                    "--child",
                    name,
                    str(units),
                ],
                cwd=ROOT,
                env={**os.environ, "PYTHONHASHSEED": "0"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            )
        text = log.read_text(encoding="utf-8", errors="replace")
        found = re.search(r"Collected : (\d+)", text)
        if done.returncode or found is None:
            raise RuntimeError(f"{name} under valgrind ended with {done.returncode}:\n{text}")
        return int(found[1])


def instructions_per_unit(valgrind: str, name: str) -> float:
    """Return how many instructions one more unit of a subject takes."""
    subject = SUBJECTS[name]
    few, many = (count(valgrind, name, units) for units in (subject.few, subject.many))
    return (many - few) / (subject.many - subject.few)


def main() -> int:
    """Count and print; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--child", nargs=2, metavar=("SUBJECT", "UNITS"), help=argparse.SUPPRESS)
    child = parser.parse_args().child
    if child:
        run_subject(child[0], int(child[1]))
        return 0
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        print("valgrind is not installed. Run: apt-get install valgrind", file=sys.stderr)
        return 1
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        counted = threads.map(partial(instructions_per_unit, valgrind), SUBJECTS)
        results = dict(zip(SUBJECTS, counted, strict=True))
    print("| what | instructions | floor | ratio to floor |")
    print("|---|---|---|---|")
    for name in ("job", "member"):
        taken, least = results[name], results[f"{name}-floor"]
        what = SUBJECTS[name].what
        print(f"| {what} | {taken:,.0f} | {least:,.0f} | {taken / least:.3f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
