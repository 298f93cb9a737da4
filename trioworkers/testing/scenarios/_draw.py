"""Draws what a built-in scenario does from a seed: plans, scripts, faults.

It draws from what the Hypothesis strategies of `group_plans` and `fault_plans`
draw from, in a hundredth of the time, and does not shrink.
"""

import itertools
import random
from collections.abc import Sequence
from typing import TypeVar

from .._fault_strategies import FAULT_SECONDS
from .._faults import (
    Crash,
    Cut,
    Delay,
    Disconnect,
    Drop,
    Duplicate,
    Fault,
    Pause,
    Reorder,
    SlowConsumer,
)
from .._job_scripts import (
    Ask,
    AskGroup,
    CleanUp,
    EndStream,
    JobScript,
    NeverAnswer,
    Raise,
    Respond,
    SendChunk,
    SendUpdate,
    Sleep,
    StartStream,
    Step,
)
from .._plans import GroupPlan
from .._strategies import DURATIONS

T = TypeVar("T")

#: Seconds that a clean-up takes at most. With a nested one, it is less than what a requester
#: that stops waits for its jobs.
CLEAN_UP = 2.0


class Draw:
    """Chances, and what is made of them; the same seed gives the same, on any machine.

    Args:
      seed: Any text.
    """

    def __init__(self, seed: str) -> None:
        # A text is seeded by its SHA-512, which no hash seed has a say in.
        self._random = random.Random(seed)  # noqa: S311 - to be repeatable
        self.number = self._random.randrange
        self._float = self._random.random

    def one_of(self, options: Sequence[T]) -> T:
        """Return one of ``options``."""
        return options[int(self._float() * len(options))]

    def chance(self, probability: float) -> bool:
        """Return True with that probability."""
        return self._float() < probability

    def some_of(self, options: Sequence[T], at_most: int) -> tuple[T, ...]:
        """Return one or more different ones of ``options``, in any order."""
        return tuple(self._random.sample(options, 1 + self.number(min(at_most, len(options)))))

    def seconds(self) -> float:
        """Return few and equal durations, so that things happen at the same moment."""
        return self.one_of(DURATIONS)

    def limit(self) -> float | None:
        """Return a time limit, more often None: what is cut off soon shows little."""
        return self.seconds() if self.chance(0.3) else None

    # What handlers do

    def script(self, names: Sequence[str] = (), depth: int = 0, **how: bool) -> JobScript:
        """Return a script for whoever plays it; see `steps` for the arguments."""
        return JobScript(self.steps(names, depth, **how))

    def steps(
        self, names: Sequence[str], depth: int, *, circular: bool = False
    ) -> tuple[Step, ...]:
        """Return some work, perhaps an outcome, and perhaps a rest. One clean-up at most.

        Args:
          names: Whom nested jobs may ask, in order: each asks those after it.
          depth: How deep jobs nest.
          circular: Whether any may ask any.
        """
        asks = bool(names) and depth > 0
        steps = [
            self._ask(names, depth - 1, circular=circular)
            if asks and self.chance(0.35)
            else self._work()
            for _ in range(self.number(4))
        ]
        first = next((step for step in steps if isinstance(step, CleanUp)), None)
        steps = [step for step in steps if step is first or not isinstance(step, CleanUp)]
        if self.chance(0.4):
            steps.append(self._end())
            if self.chance(0.3):
                steps.append(Sleep(self.seconds()))
        return tuple(steps)

    def _work(self) -> Step:
        kind = self.number(10)
        if kind < 4:
            return Sleep(self.seconds())
        if kind < 7:
            return SendUpdate(1 + self.number(5), self.chance(0.3))
        if kind < 8:
            return SendChunk(self.one_of((1, 3, 3, 40, 100)))
        return CleanUp(min(self.seconds(), CLEAN_UP)) if kind < 9 else StartStream()

    def _end(self) -> Step:
        kind = self.number(10)
        if kind < 4:
            return Respond(self.chance(0.3), self.chance(0.5))
        if kind < 7:
            return Raise(self.one_of(("JobError", "ValueError")))
        return NeverAnswer() if kind < 8 else EndStream()

    def _ask(self, names: Sequence[str], depth: int, *, circular: bool) -> Step:
        if self.chance(0.5):
            name = self.one_of(names)
            return Ask(
                name,
                self.script(_below(names, (name,), circular), depth, circular=circular),
                self.limit(),
                in_turn=self.chance(0.8 if circular else 0.3),
                reads=self.chance(0.5),
            )
        members = self.some_of(names, 3)
        return AskGroup(
            members,
            self.member_scripts(names, members, depth, circular=circular),
            self.limit(),
            cancel_on_error=self.chance(0.6),
            in_turn=self.chance(0.8 if circular else 0.3),
            reads=self.chance(0.5),
        )

    def member_scripts(
        self, names: Sequence[str], members: Sequence[str], depth: int, *, circular: bool
    ) -> JobScript:
        """Return one script for all ``members``, or one for each."""
        if self.chance(0.5):
            return self.script(_below(names, members, circular), depth, circular=circular)
        return JobScript(
            of={
                name: self.steps(_below(names, (name,), circular), depth, circular=circular)
                for name in members
            }
        )

    # What requesters do

    def plan(
        self,
        names: Sequence[str],
        *,
        members: int = 4,
        depth: int = 0,
        circular: bool = False,
        timeout: float | None = None,
    ) -> GroupPlan:
        """Return what a requester does with one group, or one job.

        Args:
          names: Whom it may ask, and whom nested jobs may ask.
          members: How many at most.
          depth: How deep jobs nest below the group's.
          circular: Whether nested jobs may ask any of ``names``.
          timeout: The time limit of those that would have none, if the plan must end
            whatever others do; None if it need only end by itself.
        """
        asked = self.some_of(names, members)
        script = self.member_scripts(names, asked, depth, circular=circular)
        limit = self.limit() or timeout
        if limit is None and NeverAnswer() in script.all_steps():
            limit = DURATIONS[-1]
        return GroupPlan(
            asked,
            script,
            limit,
            cancel_on_error=self.chance(0.6),
            in_turn=self.chance(0.8 if circular else 0.2),
            reads=self.one_of((0, None, None, 1, 2, 40)),
            pause=self.one_of((0.0, 0.0, 0.01)),
            stays=self.seconds() if self.chance(0.4) else 0.0,
            raises=self.chance(0.15),
            cancel_after=self.seconds() if self.chance(0.2) else None,
        )

    # What goes wrong

    def faults(self, runners: Sequence[str], *, gentle: bool = False) -> tuple[Fault, ...]:
        """Return up to eight faults between ``runners``, or with them.

        Args:
          runners: At least two.
          gentle: Whether none of them can last as long as a lease of 10 s.
        """
        links = list(itertools.permutations(runners, 2))
        return tuple(self._fault(links, runners, gentle) for _ in range(self.number(9)))

    def _fault(
        self, links: Sequence[tuple[str, str]], runners: Sequence[str], gentle: bool
    ) -> Fault:
        source, target = self.one_of(links)
        nth, at = 1 + self.number(self.one_of((4, 12, 30))), self.seconds()
        seconds = self.one_of(FAULT_SECONDS[:2] if gentle else FAULT_SECONDS)
        faults: tuple[Fault, ...] = (
            Drop(source, target, nth),
            Duplicate(source, target, nth),
            Delay(source, target, nth, seconds),
            Reorder(source, target, nth),
            Disconnect(source, target, nth, seconds),
            Cut(source, target, at, seconds),
            Pause(source, at, seconds),
            SlowConsumer(source, at, seconds),
            Crash(source, at, seconds if self.chance(0.6) else None),
        )
        return self.one_of(faults[:-1] if gentle else faults)


def _below(names: Sequence[str], members: Sequence[str], circular: bool) -> tuple[str, ...]:
    """Return whom all of ``members`` may ask."""
    return tuple(names) if circular else tuple(names)[max(map(names.index, members)) + 1 :]
