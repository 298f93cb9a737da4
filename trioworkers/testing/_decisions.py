"""Who decides what is delivered next: chance, priorities, or a script."""

import random
from collections.abc import Hashable, Sequence
from typing import Protocol

import attrs


class Decisions(Protocol):
    """Makes the choices of one simulated run."""

    def choose(self, options: Sequence[Hashable]) -> int:
        """Return an index into ``options``, of which there are at least two.

        Option 0 is the plainest: what was sent first goes first.
        """


@attrs.define(eq=False)
class InOrder:
    """Always the plainest choice."""

    def choose(self, options: Sequence[Hashable]) -> int:
        """Return 0."""
        return 0


@attrs.define(eq=False)
class RandomChoices:
    """Chooses evenly, by a seed."""

    seed: int
    _random: random.Random = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311 - to be repeatable

    def choose(self, options: Sequence[Hashable]) -> int:
        """Return any index, each as likely as the others."""
        return self._random.randrange(len(options))


@attrs.define(eq=False)
class Priorities:
    """Gives each channel a priority, and changes it at a bounded number of points.

    Probabilistic concurrency testing: a bug that needs ``d`` ordering
    constraints is found in ``n`` steps over ``k`` channels with probability at
    least ``1 / (k * n ** (d - 1))``. Source: Burckhardt and others, A Randomized
    Scheduler with Probabilistic Guarantees of Finding Bugs, ASPLOS 2010.

    Args:
      seed: Decides the priorities and the change points.
      changes: How many times the highest priority becomes the lowest, >= 0.
      steps: Among how many decisions the change points lie, >= 1.
    """

    seed: int
    changes: int = 3
    steps: int = 200
    _random: random.Random = attrs.field(init=False)
    _priorities: dict[Hashable, float] = attrs.field(init=False, factory=dict)
    _change_at: set[int] = attrs.field(init=False)
    _step: int = attrs.field(init=False, default=0)

    def __attrs_post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311 - to be repeatable
        self._change_at = {self._random.randrange(self.steps) for _ in range(self.changes)}

    def choose(self, options: Sequence[Hashable]) -> int:
        """Return the index of the option with the highest priority."""
        for option in options:
            if option not in self._priorities:
                self._priorities[option] = self._random.random()
        best = max(range(len(options)), key=lambda index: self._priorities[options[index]])
        if self._step in self._change_at:
            self._priorities[options[best]] = -float(self._step + 1)
            best = max(range(len(options)), key=lambda index: self._priorities[options[index]])
        self._step += 1
        return best


@attrs.define(eq=False)
class Script:
    """Replays recorded choices; after their end, the plainest ones.

    Args:
      choices: What to choose, in order. Numbers that are too large for what is
        there are taken as the last option.
    """

    choices: Sequence[int]
    _step: int = attrs.field(init=False, default=0)

    def choose(self, options: Sequence[Hashable]) -> int:
        """Return the next recorded choice."""
        step, self._step = self._step, self._step + 1
        return min(self.choices[step], len(options) - 1) if step < len(self.choices) else 0


@attrs.define(eq=False)
class Recorder:
    """Notes what other `Decisions` choose, to make a `Script` of it.

    Attributes:
      decisions: Who chooses.
      choices: What was chosen so far, in order.
    """

    decisions: Decisions
    choices: list[int] = attrs.field(factory=list)

    def choose(self, options: Sequence[Hashable]) -> int:
        """Return what the others choose."""
        choice = self.decisions.choose(options)
        if not 0 <= choice < len(options):
            raise ValueError(f"decision {choice} is not one of {len(options)} options")
        self.choices.append(choice)
        return choice

    @property
    def script(self) -> list[int]:
        """What was chosen, without the plain choices at the end."""
        end = len(self.choices)
        while end and self.choices[end - 1] == 0:
            end -= 1
        return self.choices[:end]
