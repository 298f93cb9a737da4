"""What exploring has found: counts for each scenario, and violations. Values; no runs here."""

import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import attrs
import trio

from ...errors import SimulationError
from .._plans import PromiseBroken
from .._timeline import Timeline

#: What `Timeline.exercised` puts before the word for a fault.
FAULT = "fault: "
#: The words for what was done to a run; others, such as "found", are what came of it.
INJECTED = frozenset(
    {
        "crashed",
        "cut",
        "cut off",
        "cutafter",
        "cutbefore",
        "delay",
        "disconnect",
        "drop",
        "duplicate",
        "foreign entry",
        "muted",
        "out of memory",
        "paused",
        "reorder",
        "repeat",
        "restarted",
        "server down",
        "server lost data",
        "slow",
        "stall",
    }
)
#: Where frames are that say nothing about what is wrong.
TRIO = str(Path(trio.__file__).parent)
#: Lines of a timeline that are kept of a violation.
LINES = 40


@attrs.define
class Tally:
    """Counts over many runs.

    Attributes:
      schedules: Runs.
      events: Messages sent, delivered and so on, as timelines note them.
      violations: Runs that did not end well.
      faults: What went wrong on purpose, by kind.
      races: Situations that were met, by name.
    """

    schedules: int = 0
    events: int = 0
    violations: int = 0
    faults: Counter[str] = attrs.field(factory=Counter)
    races: Counter[str] = attrs.field(factory=Counter)

    def count(self, timeline: Timeline) -> None:
        """Add one run's timeline."""
        self.events += len(timeline)
        for situation, times in timeline.exercised.items():
            word = situation.removeprefix(FAULT)
            if word == situation:
                self.races[str(word)] += times
            elif word in INJECTED:
                self.faults[word] += times

    def add(self, other: "Tally") -> None:
        """Add what another one has counted."""
        self.schedules += other.schedules
        self.events += other.events
        self.violations += other.violations
        self.faults += other.faults
        self.races += other.races


@attrs.frozen
class Violation:
    """A run that did not end well.

    Attributes:
      scenario: Its name.
      seed: What repeats it.
      reason: What is wrong, for a person to read.
      timeline: The last lines of what happened.
    """

    scenario: str
    seed: int
    reason: str
    timeline: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """What ``--replay`` takes."""
        return f"{self.scenario}:{self.seed}"

    @property
    def kind(self) -> str:
        """What violations that are probably the same bug have in common."""
        line = self.reason.partition("\n")[0]
        return f"{self.scenario}: {''.join('N' if c.isdigit() else c for c in line)}"


def violation_of(scenario: str, seed: int, error: BaseException) -> Violation:
    """Return what ``error``, which came of a run, says about it."""
    if isinstance(error, SimulationError):
        return Violation(scenario, seed, error.reason, _last_lines(str(error.timeline)))
    reasons = "\n".join(dict.fromkeys(map(_in_words, _leaves(error))))
    notes = "\n".join(getattr(error, "__notes__", ()))
    return Violation(scenario, seed, reasons, _last_lines(notes))


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def _in_words(error: BaseException) -> str:
    if isinstance(error, PromiseBroken):
        where = f"in job group {error.result.job_id}: {error.result.plan}"
        return "; ".join(error.faults) + f"\n  {where}"
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if not frame.filename.startswith(TRIO)]
    where = "".join(f"\n  in {frame.filename}:{frame.lineno}" for frame in ours[-1:])
    return f"{type(error).__name__}: {error}{where}"


def _last_lines(text: str) -> tuple[str, ...]:
    return tuple(text.splitlines()[-LINES:])


@attrs.define
class Findings:
    """What exploring has found so far.

    Attributes:
      tallies: Of each scenario that was run, by name.
      violations: In the order found.
    """

    tallies: dict[str, Tally] = attrs.field(factory=dict)
    violations: list[Violation] = attrs.field(factory=list)

    def of(self, scenario: str) -> Tally:
        """Return the tally of a scenario, to count on."""
        return self.tallies.setdefault(scenario, Tally())

    def add(self, other: "Findings") -> None:
        """Add what was found elsewhere."""
        for scenario, tally in other.tallies.items():
            self.of(scenario).add(tally)
        self.violations += other.violations

    def note(self, violation: Violation) -> None:
        """Note a run that did not end well."""
        self.of(violation.scenario).violations += 1
        self.violations.append(violation)

    @property
    def total(self) -> Tally:
        """The sum over all scenarios."""
        total = Tally()
        for tally in self.tallies.values():
            total.add(tally)
        return total
