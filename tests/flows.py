"""Small graphs for tests: tasks with a number, and workers made of one function."""

from itertools import pairwise
from typing import Any

from trioworkers.graph import (
    Graph,
    InitialTaskWorker,
    JoinedTaskWorker,
    MergedTaskWorker,
    Task,
    TaskWorker,
)


class A(Task):
    n: int = 0


class B(Task):
    n: int = 0


class C(Task):
    n: int = 0


class D(Task):
    n: int = 0


def make(handler: Any, *outputs: type[Task], base: type = TaskWorker, **fields: Any) -> Any:
    """Return a worker of a new class that is named as ``handler`` is, capitalised.

    Args:
      handler: ``(self, task)``, annotated; of any kind.
      outputs: What it publishes.
      base: What it derives from.
      fields: Attributes of the class: defaults of fields, or methods.
    """
    name = handler.__name__.strip("_").title()
    return type(
        name,
        (base,),
        {
            base._handler_name: handler,
            "__module__": handler.__module__,
            "output_types": list(outputs),
            **fields,
        },
    )()


def join(
    handler: Any, *outputs: type[Task], on: type[TaskWorker] = InitialTaskWorker, **fields: Any
) -> Any:
    """Return a join; see `make`."""
    return make(handler, *outputs, base=JoinedTaskWorker, join_type=on, **fields)


def merge(
    handler: Any, *outputs: type[Task], on: type[TaskWorker] = InitialTaskWorker, **fields: Any
) -> Any:
    """Return a merge; see `make`."""
    return make(handler, *outputs, base=MergedTaskWorker, join_type=on, **fields)


def line(*workers: Any, sink: type[Task] | None = None, **options: Any) -> Graph:
    """Return a graph of workers one after the other, the last with a sink."""
    graph = Graph(**options)
    graph.add_workers(*workers).set_entry(workers[0])
    for upstream, downstream in pairwise(workers):
        graph.set_dependency(upstream, downstream)
    if sink is not None:
        graph.set_sink(workers[-1], sink)
    return graph


def fan(count: int) -> Any:
    """Return a worker that publishes ``count`` B for an A, numbered from 0."""

    async def split(self: Any, task: A) -> None:
        for n in range(count):
            self.publish_work(B(n=n))

    return make(split, B)


def found(graph: Graph) -> list[int]:
    """Return the numbers of what sinks have collected."""
    return [task.n for task in graph.get_output_tasks()]  # type: ignore[attr-defined]


def assert_quiet(graph: Graph) -> None:
    """Check that a graph has nothing in flight, and counts none."""
    now = graph.statistics()
    assert (now.in_flight, now.queued, now.running, now.retrying, now.held) == (0, 0, 0, 0, 0), now
    for name, worker in now.workers.items():
        left = (worker.queued, worker.running, worker.retrying, worker.held)
        assert left == (0, 0, 0, 0), (name, worker)
