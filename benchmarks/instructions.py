"""Counts the machine instructions that a job and a group member take.

    python -m benchmarks.instructions [--keep]

Each subject runs twice under ``valgrind --tool=callgrind``, in a Python of its
own, with different numbers of jobs; the difference is what the further jobs
took, without start-up. Unlike a time, the count hardly depends on what else
the machine does. So it is compared with the figure that ``instructions.json``
keeps for the same version of Python: more than 10 % above that is an error.
How an interpreter was built changes the floor as much, so the kept figure is
scaled by what has become of the floor. Needs valgrind.
"""

import argparse
import gc
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import attrs
import trio

from . import floor, ours
from ._timing import Stopwatch

ROOT = Path(__file__).resolve().parents[1]
KEPT = ROOT / "benchmarks" / "instructions.json"

#: How much more than the kept figure is too much.
TOLERANCE = 0.10

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


def _group(group: Callable[..., Awaitable[float]]) -> Callable[[int], Awaitable[float]]:
    return lambda members: group(members // GROUP_SIZE, size=GROUP_SIZE)


JOB, MEMBER = "job round trip", f"member of a group of {GROUP_SIZE}"

SUBJECTS = {
    "job": Subject(JOB, ours.round_trip, 200, 1200),
    "job-floor": Subject(JOB, floor.round_trip, 200, 1200),
    "member": Subject(MEMBER, _group(ours.group), 500, 2500),
    "member-floor": Subject(MEMBER, _group(floor.group), 500, 2500),
}


#: Those that may not grow; the others are their floors.
COMPARED = ("job", "member")


def run_subject(name: str, units: int) -> None:
    """Do ``units`` of a subject, in the same way each time. For the child process."""
    gc.disable()
    order = trio._core._run._r  # of what is ready to run
    stop = Stopwatch.stop

    def stop_and_reseed(self: Stopwatch) -> None:
        """End few units and many in the same order: ending costs more or less by luck."""
        stop(self)
        order.seed(0)

    Stopwatch.stop = stop_and_reseed  # type: ignore[method-assign]
    order.seed(0)
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


def expected(counted: Mapping[str, float], kept: Mapping[str, float]) -> dict[str, float]:
    """Return the kept figures as they would be with this build of Python; {} if none are kept."""
    return {
        name: kept[name] * counted[f"{name}-floor"] / kept[f"{name}-floor"]
        for name in COMPARED
        if kept
    }


def grown(counted: Mapping[str, float], kept: Mapping[str, float]) -> list[str]:
    """Return a line for each figure that is too far above the kept one."""
    return [
        f"{SUBJECTS[name].what}: {counted[name]:,.0f} instructions are "
        f"{counted[name] / before - 1:.1%} more than the {before:,.0f} kept in "
        f"{KEPT.name}. Find out why, or run: python -m benchmarks.instructions --keep"
        for name, before in expected(counted, kept).items()
        if counted[name] > before * (1 + TOLERANCE)
    ]


def print_table(counted: Mapping[str, float], kept: Mapping[str, float]) -> None:
    """Print a Markdown table of what was counted."""
    before = expected(counted, kept)
    print("| what | instructions | kept | floor | ratio to floor |")
    print("|---|---|---|---|---|")
    for name in COMPARED:
        taken, least = counted[name], counted[f"{name}-floor"]
        print(
            f"| {SUBJECTS[name].what} | {taken:,.0f} "
            f"| {f'{before[name]:,.0f}' if before else 'none'} "
            f"| {least:,.0f} | {taken / least:.3f} |"
        )


def main() -> int:
    """Count, print and compare; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--child", nargs=2, metavar=("SUBJECT", "UNITS"), help=argparse.SUPPRESS)
    parser.add_argument(
        "--keep", action="store_true", help=f"write the figures into {KEPT.name}; compare nothing"
    )
    options = parser.parse_args()
    if options.child:
        run_subject(options.child[0], int(options.child[1]))
        return 0
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        print("valgrind is not installed. Run: apt-get install valgrind", file=sys.stderr)
        return 1
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        results = threads.map(partial(instructions_per_unit, valgrind), SUBJECTS)
        counted = dict(zip(SUBJECTS, results, strict=True))
    everything = json.loads(KEPT.read_text("utf-8"))
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    kept = {} if options.keep else everything.get(version, {})
    print_table(counted, kept)
    if options.keep:
        everything[version] = {name: round(figure) for name, figure in counted.items()}
        KEPT.write_text(json.dumps(everything, indent=2) + "\n", "utf-8")
        print(f"\nkept in {KEPT}")
        return 0
    lines = grown(counted, kept)
    for line in lines:
        print(line, file=sys.stderr)
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
