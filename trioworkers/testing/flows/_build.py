"""Builds the graph of a plan: task types, worker classes, and how they are connected."""

from collections.abc import AsyncIterator
from typing import Any, Protocol

import attrs

from ...graph import (
    AtLeast,
    Graph,
    InitialTaskWorker,
    JoinedTaskWorker,
    MergedTaskWorker,
    ProvenanceChain,
    Task,
    TaskWorker,
)
from ._plan import FlowPlan, WorkerPlan


class Parcel(Task):
    """What flows.

    Attributes:
      serial: Which one it is, in order of making.
      key: What it is about: decides what is done with it.
      budget: How many tasks may come of it.
    """

    serial: int = 0
    key: int = 0
    budget: int = 0


class Red(Parcel):
    """One type."""


class Green(Parcel):
    """Another type."""


class Blue(Parcel):
    """Another type."""


class White(Blue):
    """A subclass."""


#: The types, by number.
PARCELS: tuple[type[Parcel], ...] = (Red, Green, Blue, White)


class Handlers(Protocol):
    """Who does what the workers are to do."""

    async def step(self, worker: int, task: Parcel) -> None:
        """Work on one task."""

    def source(self, worker: int, task: Parcel) -> AsyncIterator[Parcel | None]:
        """Yield what comes of one task."""

    async def join(self, worker: int, tasks: Any) -> None:
        """Work on one group."""

    def notified(self, worker: int, prefix: ProvenanceChain) -> None:
        """Hear of a prefix that is complete."""

    def collected(self, worker: int, task: Parcel) -> None:
        """Get what a sink gets."""


class _Step(TaskWorker):
    number: int = 0
    handlers: Any = None

    async def consume_work(self, task: Parcel) -> None:
        await self.handlers.step(self.number, task)

    def notify(self, prefix: ProvenanceChain) -> None:
        self.handlers.notified(self.number, prefix)


class Step0(_Step):
    """A class of steps."""


class Step1(Step0):
    """A subclass."""


class Step2(_Step):
    """A class of steps."""


class Step3(Step2):
    """A subclass."""


class Source0(Step0):
    """A subclass, whose instances are sources."""

    async def consume_work(self, task: Parcel) -> AsyncIterator[Parcel | None]:  # type: ignore[override]
        """Yield what comes of a task."""
        items = self.handlers.source(self.number, task)
        try:
            async for item in items:
                yield item
        finally:
            await items.aclose()


class Source1(Source0):
    """A subclass."""


class Join0(JoinedTaskWorker):
    """A class of joins."""

    join_type: type[TaskWorker] = InitialTaskWorker
    number: int = 0
    handlers: Any = None

    async def consume_work_joined(self, tasks: list[Parcel]) -> None:
        """Work on one group."""
        await self.handlers.join(self.number, tasks)

    def notify(self, prefix: ProvenanceChain) -> None:
        """Hear of a prefix that is complete."""
        self.handlers.notified(self.number, prefix)


class Join1(Join0):
    """A subclass."""


class Merge0(MergedTaskWorker):
    """A class of merges."""

    join_type: type[TaskWorker] = InitialTaskWorker
    number: int = 0
    handlers: Any = None

    async def consume_work_merged(self, tasks: dict[str, list[Parcel]]) -> None:
        """Work on one group."""
        await self.handlers.join(self.number, tasks)

    def notify(self, prefix: ProvenanceChain) -> None:
        """Hear of a prefix that is complete."""
        self.handlers.notified(self.number, prefix)


class Merge1(Merge0):
    """A subclass."""


CLASSES: dict[str, tuple[type[TaskWorker], ...]] = {
    "step": (Step0, Step1, Step2, Step3),
    "source": (Source0, Source1),
    "join": (Join0, Join1),
    "merge": (Merge0, Merge1),
}
#: What a plan can join on.
JOINABLE: tuple[type[TaskWorker], ...] = (Step0, Step1, Step2, Source0, Join0)
#: What a plan can limit.
LIMITED: tuple[type[TaskWorker], ...] = (TaskWorker, Step0, Step2, Join0, JoinedTaskWorker)


@attrs.frozen(eq=False)
class Built:
    """A graph, and its workers by number."""

    graph: Graph
    workers: tuple[TaskWorker, ...]


def build(plan: FlowPlan, handlers: Handlers | None) -> Built:
    """Return the graph of ``plan``, whose work ``handlers`` do."""
    graph = Graph(
        name="flow",
        window=plan.window,
        max_held=plan.max_held,
        max_running=plan.max_running,
        random=lambda: 0.5,
    )
    workers = tuple(_worker(plan, index, handlers) for index in range(len(plan.workers)))
    graph.add_workers(*workers).set_entry(*(workers[index] for index in plan.entries))
    for index, worker in enumerate(workers):
        taken: dict[int, list[type[Task]]] = {}
        for outlet in plan.outlets[index]:
            if outlet.consumer is not None:
                taken.setdefault(outlet.consumer, []).append(PARCELS[outlet.type])
        for consumer, types in taken.items():
            graph.set_dependency(worker, workers[consumer], types=types)
        for sink in plan.sinks[index]:
            notify = None
            if sink.notifies and handlers is not None:
                notify = _notify(handlers, index)
            graph.set_sink(worker, PARCELS[sink.type], notify)
    for number, most in plan.limits:
        graph.set_max_parallel_tasks(LIMITED[number], most)
    return Built(graph, workers)


def _notify(handlers: Handlers, index: int) -> Any:
    return lambda _metadata, task: handlers.collected(index, task)


def _worker(plan: FlowPlan, index: int, handlers: Handlers | None) -> TaskWorker:
    worker: WorkerPlan = plan.workers[index]
    types = {outlet.type for outlet in plan.outlets[index]}
    fields: dict[str, Any] = {
        "number": index,
        "handlers": handlers,
        "output_types": [PARCELS[one] for one in sorted(types)],
        "num_retries": 0 if worker.kind == "source" else worker.retries,
        "backoff": worker.backoff,
    }
    if worker.kind in ("join", "merge"):
        fields["join_type"] = InitialTaskWorker if worker.on is None else JOINABLE[worker.on]
        policy = worker.policy
        fields["join_policy"] = AtLeast(policy) if isinstance(policy, int) else policy
    if worker.kind == "merge":
        taken = {
            outlet.type for some in plan.outlets for outlet in some if outlet.consumer == index
        }
        fields["merged_types"] = [PARCELS[one] for one in sorted(taken)]
    return CLASSES[worker.kind][worker.cls](**fields)
