"""Draws a random graph from chances: of a seed, or of Hypothesis."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import attrs

from ...errors import GraphFaultsError
from ._build import JOINABLE, LIMITED, build
from ._plan import ALWAYS, FlowPlan, Outlet, Script, SinkPlan, WorkerPlan

T = TypeVar("T")

#: Returns a number below its argument; 0 is the plainest.
Number = Callable[[int], int]

#: Few and equal, so that things happen at the same moment.
SECONDS = (0.0, 0.0, 0.5, 1.0, 2.0)
#: Types of tasks.
TYPES = 4


def draw_flow(number: Number) -> FlowPlan:
    """Return a random graph that is fit to run.

    Args:
      number: Who decides.
    """
    return _fit(_Draw(number).flow())


def _fit(plan: FlowPlan) -> FlowPlan:
    """Let those joins join on the initial tasks that can't on what they should."""
    while True:
        try:
            build(plan, None).graph.check()
        except GraphFaultsError as error:
            index = next((i for i, one in enumerate(plan.workers) if one.on is not None), None)
            if index is None:
                raise AssertionError(f"{plan} can't be run: {error}") from error
            worker = attrs.evolve(plan.workers[index], on=None)
            workers = (*plan.workers[:index], worker, *plan.workers[index + 1 :])
            plan = attrs.evolve(plan, workers=workers)
        else:
            return plan


class _Draw:
    def __init__(self, number: Number) -> None:
        self.number = number

    def one_of(self, options: Sequence[T]) -> T:
        return options[self.number(len(options))]

    def chance(self, percent: int) -> bool:
        """Return whether; no is the plainest."""
        return self.number(100) >= 100 - percent

    def flow(self) -> FlowPlan:
        count = 1 + self.number(6)
        entries = [0]
        if count > 2 and self.chance(25):
            entries.append(1)
        workers = [self.worker(index, entries) for index in range(count)]
        outlets: list[list[Outlet]] = [[] for _ in workers]
        for index in range(count):
            if index not in entries:
                self._feed(index, workers, outlets)
        for _ in range(self.number(4)):  # more ways, also back
            self._connect(self.number(count), self.number(count), workers, outlets, entries)
        sinks = tuple(self._sinks(some) for some in outlets)
        return FlowPlan(
            workers=tuple(workers),
            outlets=tuple(map(tuple, outlets)),
            sinks=sinks,
            entries=tuple(entries),
            limits=tuple(
                {
                    self.number(len(LIMITED)): self.one_of((1, 1, 2, 3))
                    for _ in range(self.number(3))
                }.items()
            ),
            window=self.one_of((1000, 1, 2, 3, 5)),
            max_running=self.one_of((1000, 1000, 1, 2)),
            max_held=1 + self.number(6) if self.chance(4) else 1_000_000,
            budget=4 + self.number(16),
            mode=self.one_of(("run", "async", "open")),
            initials=tuple(
                (self.one_of(entries), self.one_of(SECONDS)) for _ in range(1 + self.number(4))
            ),
            aborts=tuple(
                (self.one_of(SECONDS) + self.one_of(SECONDS), self.number(8), 1 + self.number(4))
                for _ in range(max(0, self.number(5) - 2))
            ),
            cancelled_after=self.one_of(SECONDS) * 2 if self.chance(6) else None,
        )

    def worker(self, index: int, entries: Sequence[int]) -> WorkerPlan:
        kind = self.number(20)
        if index in entries or kind < 11:
            if self.chance(25):
                return WorkerPlan("source", self.number(2), scripts=self.scripts(6))
            return WorkerPlan(
                "step",
                self.number(4),
                retries=self.one_of((0, 1, 3)),
                backoff=self.one_of((0.0, 1.0)),
                scripts=self.scripts(),
            )
        on = self.number(2 * len(JOINABLE))
        return WorkerPlan(
            "join" if kind < 17 else "merge",
            self.number(2),
            on if on < len(JOINABLE) else None,
            self.one_of(("all", "settled", 1, 2, 0, "settled")),
            retries=self.one_of((0, 0, 2)),
            backoff=self.one_of((0.0, 1.0)),
            scripts=self.scripts(),
        )

    def scripts(self, outputs: int = 4) -> tuple[Script, ...]:
        return tuple(self.script(outputs) for _ in range(1 + self.number(3)))

    def script(self, outputs: int) -> Script:
        fails = self.one_of((0, 0, 0, 0, 1, 2, ALWAYS, ALWAYS)) if self.chance(40) else 0
        abort = 0
        if self.chance(8):
            abort = self.one_of((1, 2, 3, 4, -1, -2, -3, -5))
        return Script(
            sleeps=self.one_of(SECONDS),
            counts=1 + self.number(3) if self.chance(25) else 0,
            watches=1 + self.number(3) if self.chance(10) else 0,
            tells=self.chance(10),
            outputs=tuple(self.number(4) for _ in range(self.number(outputs))),
            upward=1 + self.number(3) if self.chance(8) else 0,
            aborts=abort,
            rests=self.one_of(SECONDS),
            fails=fails,
            on_cancel=self.one_of(("leave", "leave", "swallow", "raise", "linger")),
        )

    def _feed(self, index: int, workers: Sequence[WorkerPlan], outlets: list[list[Outlet]]) -> None:
        """Connect a worker to one before it; a join rather to several."""
        several = workers[index].kind in ("join", "merge")
        for _ in range(1 + (self.number(3) if several else 0)):
            self._connect(self.number(index), index, workers, outlets, ())

    def _connect(
        self,
        upstream: int,
        downstream: int,
        workers: Sequence[WorkerPlan],
        outlets: list[list[Outlet]],
        entries: Sequence[int],
    ) -> None:
        if downstream in entries and workers[downstream].kind in ("join", "merge"):
            return
        outlet = Outlet(self.number(TYPES), downstream)
        if outlet not in outlets[upstream]:
            outlets[upstream].append(outlet)

    def _sinks(self, outlets: list[Outlet]) -> tuple[SinkPlan, ...]:
        """Return sinks; and add the ways that nothing but they take."""
        types = {self.number(TYPES) for _ in range(self.number(3))}
        for one in sorted(types):
            if all(outlet.type != one for outlet in outlets):
                outlets.append(Outlet(one))
        return tuple(SinkPlan(one, self.chance(30)) for one in sorted(types))
