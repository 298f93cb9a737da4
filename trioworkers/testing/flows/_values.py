"""What the model of a running graph keeps: values, and what is asked of provenances."""

from collections.abc import Iterable
from typing import Any

import attrs

from ._build import Parcel
from ._plan import Outlet

#: A path of pairs of a worker's name and a number.
Chain = tuple[tuple[str, int], ...]
#: Who lacks what is missing, and where it was: a worker's name, and a provenance.
Missing = tuple[str, Chain]


class FlowBroken(AssertionError):
    """A graph has not done what it must; the message begins with the promise."""


def below(chain: Chain, prefix: Chain) -> bool:
    """Whether a provenance is a prefix's, or begins with it."""
    return chain[: len(prefix)] == prefix


def flat_tasks(tasks: Any) -> Iterable[Parcel]:
    """Return what a join or a merge got, as one list."""
    if isinstance(tasks, dict):
        return [task for some in tasks.values() for task in some]
    return list(tasks)


def shown(chain: Chain) -> str:
    """Return a provenance for a person to read."""
    return " ".join(f"{name}:{number}" for name, number in chain)


def labels(tasks: Iterable[Any]) -> list[str]:
    """Return the provenances of tasks for a person to read."""
    return [shown(task.provenance()) for task in tasks]


@attrs.define(eq=False)
class Group:
    """What a join waits for, or a watch.

    Attributes:
      worker: Whose.
      place: The prefix.
      rank: Of several at one place the lowest comes first.
      is_watch: Whether it is a watch.
      held: Tasks that have come, with their provenance.
      missing: What won't come.
    """

    worker: int
    place: Chain
    rank: tuple[int, ...]
    is_watch: bool = False
    held: list[tuple[Chain, Parcel]] = attrs.field(factory=list)
    missing: list[Missing] = attrs.field(factory=list)
    dropped: list[Chain] = attrs.field(factory=list)


@attrs.define(eq=False)
class Work:
    """A task for a worker or a sink, or a group that has fired: what a handler is called for.

    Attributes:
      worker: Whose handler; of a sink, who has published.
      chain: Where it is: what is below that comes of it.
      parent: What its outputs come below.
      label: The provenance by which its failure is told.
      task: None for a group.
      group: None for a task.
      is_sink: Whether a sink is called.
      tries: How often it has failed.
      running: Whether its handler is running.
      resting: Whether that waits in a ``yield``.
      aborted: Whether it was aborted.
      refused: Whether it is a join that must not be called.
    """

    worker: int
    chain: Chain
    parent: Chain
    label: Chain
    task: Parcel | None = None
    group: Group | None = None
    is_sink: bool = False
    tries: int = 0
    running: bool = False
    resting: bool = False
    aborted: bool = False
    refused: bool = False

    def comes_of(self, prefix: Chain) -> bool:
        """Whether it is aborted with ``prefix``; a sink is with its task, wherever it is."""
        return below(self.label if self.is_sink else self.chain, prefix)

    @property
    def is_watch(self) -> bool:
        """Whether it is a watch that is told."""
        return self.group is not None and self.group.is_watch


@attrs.define(eq=False)
class Said:
    """What a handler has said in this attempt, and will be true if it succeeds."""

    outputs: list[tuple[Parcel, Outlet, Parcel | None]] = attrs.field(factory=list)
    counts: dict[tuple[int, Chain], int] = attrs.field(factory=dict)
    watches: list[Chain] = attrs.field(factory=list)
    statuses: list[str] = attrs.field(factory=list)


@attrs.define(eq=False)
class Tally:
    """What the graph must have counted for one worker."""

    done: int = 0
    failed: int = 0
    aborted: int = 0
    retries: int = 0
    reruns: int = 0
