"""Times the library against the floor, in interleaved rounds of one run.

    python -m benchmarks.figures [--quick] [--rounds N]

Only the ratios say something about the library: each is between two numbers
taken one right after the other. Times are of this machine, at this moment.
"""

import argparse
import platform
import statistics
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import attrs
import trio

from . import floor, ours

Measure = Callable[[], Awaitable[float]]


@attrs.frozen
class Case:
    """One thing that is measured.

    Attributes:
      what: What is done.
      size: How much of it, for a person to read.
      ours: Measures the library; returns seconds.
      floor: Measures hand-written Trio; returns seconds.
    """

    what: str
    size: str
    ours: Measure
    floor: Measure


@attrs.frozen
class Figure:
    """What came of a case: seconds of each round, and the floor's of the same round."""

    case: Case
    seconds: list[float] = attrs.field(factory=list)
    floor_seconds: list[float] = attrs.field(factory=list)

    @property
    def ratios(self) -> list[float]:
        """The library's seconds in units of the floor's, per round."""
        return [a / b for a, b in zip(self.seconds, self.floor_seconds, strict=True)]


def make_cases(*, quick: bool) -> list[Case]:
    """Return the cases; quick ones only show that they run."""
    jobs, chunks, groups = (20, 200, 1) if quick else (5000, 20_000, 5)
    bystanders, members, cancelled = (10, 10, 5) if quick else (1000, 1000, 100)
    return [
        Case("job round trip", "alone", partial(ours.jobs, jobs), partial(floor.jobs, jobs)),
        Case(
            "job round trip",
            f"{bystanders:,} bystanders",
            partial(ours.jobs, jobs, bystanders=bystanders),
            partial(floor.jobs, jobs),
        ),
        Case(
            "group, per member",
            f"{members:,} members",
            partial(ours.group, members, groups),
            partial(floor.group, members, groups),
        ),
        Case(
            "stream, per chunk",
            f"{chunks:,} chunks",
            partial(ours.stream, chunks),
            partial(floor.stream, chunks),
        ),
        Case(
            "cancel running handlers",
            f"{cancelled:,} handlers",
            partial(ours.cancel, cancelled),
            partial(floor.cancel, cancelled),
        ),
    ]


async def measure(cases: Sequence[Case], rounds: int) -> list[Figure]:
    """Measure each case once per round, right after its floor.

    A first round is thrown away.
    """
    figures = [Figure(case) for case in cases]
    for number in range(rounds + 1):
        for figure in figures:
            base = await figure.case.floor()
            seconds = await figure.case.ours()
            if number:
                figure.seconds.append(seconds)
                figure.floor_seconds.append(base)
    return figures


def _spread(values: Sequence[float], digits: int) -> str:
    return f"{min(values):,.{digits}f}..{max(values):,.{digits}f}"


def print_table(figures: Sequence[Figure]) -> None:
    """Print a Markdown table."""
    print("| what | size | unit | median | spread | ratio to floor | spread of ratio |")
    print("|---|---|---|---|---|---|---|")
    for figure in figures:
        micros = [seconds * 1e6 for seconds in figure.seconds]
        ratios = figure.ratios
        print(
            f"| {figure.case.what} | {figure.case.size} | us | {statistics.median(micros):,.2f} "
            f"| {_spread(micros, 2)} | {statistics.median(ratios):.2f} | {_spread(ratios, 2)} |"
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="tiny sizes: only see that it runs")
    parser.add_argument("--rounds", type=int, help="default: 7, or 1 if quick")
    options = parser.parse_args()
    rounds = options.rounds or (1 if options.quick else 7)
    figures = trio.run(partial(measure, make_cases(quick=options.quick), rounds))
    where = f"{platform.python_implementation()} {platform.python_version()}"
    print(f"{where}, trio {trio.__version__}, {platform.machine()}; {rounds} rounds\n")
    print_table(figures)


if __name__ == "__main__":
    main()
