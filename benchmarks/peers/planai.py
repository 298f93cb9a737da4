"""PlanAI: a graph of workers whose handlers run in threads.

A group is a graph that scatters tasks and joins them; a pool is a worker with
a limit of parallel tasks. Each graph runs once, so making it is timed too.
"""

import logging
import math
from collections.abc import Callable
from typing import Any

from planai import Graph, InitialTaskWorker, JoinedTaskWorker, Task, TaskWorker

from .._timing import Stopwatch

logging.disable(logging.CRITICAL)


class Start(Task):
    """How many to scatter."""

    size: int


class Item(Task):
    """One of them."""

    number: int


class Answer(Task):
    """What became of it."""

    number: int


class Joined(Task):
    """All of them."""

    size: int


class Scatter(TaskWorker):
    """Makes items."""

    output_types: list[type[Task]] = [Item]  # noqa: RUF012 - a field of pydantic's

    def consume_work(self, task: Start) -> None:
        """Publish ``task.size`` items."""
        for number in range(task.size):
            self.publish_work(Item(number=number), input_task=task)


class Branch(Task):
    """How many to scatter again."""

    size: int


class Branching(TaskWorker):
    """Makes branches."""

    output_types: list[type[Task]] = [Branch]  # noqa: RUF012 - a field of pydantic's

    def consume_work(self, task: Start) -> None:
        """Publish ``task.size`` branches."""
        for _ in range(task.size):
            self.publish_work(Branch(size=task.size), input_task=task)


class ScatterBranch(TaskWorker):
    """Makes items of a branch."""

    output_types: list[type[Task]] = [Item]  # noqa: RUF012 - a field of pydantic's

    def consume_work(self, task: Branch) -> None:
        """Publish ``task.size`` items."""
        for number in range(task.size):
            self.publish_work(Item(number=number), input_task=task)


class Echo(TaskWorker):
    """Answers an item."""

    output_types: list[type[Task]] = [Answer]  # noqa: RUF012 - a field of pydantic's

    def consume_work(self, task: Item) -> None:
        """Publish the answer."""
        self.publish_work(Answer(number=task.number), input_task=task)


class Join(JoinedTaskWorker):
    """Waits for all answers."""

    output_types: list[type[Task]] = [Joined]  # noqa: RUF012 - a field of pydantic's
    join_type: type[TaskWorker] = InitialTaskWorker

    def consume_work_joined(self, tasks: list[Answer]) -> None:
        """Publish their number."""
        self.publish_work(Joined(size=len(tasks)), input_task=tasks[0])


def run(measure: Callable[[], Any]) -> Any:
    """Run one measurement."""
    return measure()


def _scatter_and_join(size: int, *, parallel: int | None = None) -> float:
    """Return the seconds of one graph."""
    with Stopwatch() as watch:
        graph = Graph(name="group")
        scatter, echo, join = Scatter(), Echo(), Join()
        graph.add_workers(scatter, echo, join)
        graph.set_dependency(scatter, echo).next(join)
        graph.set_sink(join, Joined)
        if parallel is not None:
            graph.set_max_parallel_tasks(Echo, parallel)
        graph.run(
            initial_tasks=[(scatter, Start(size=size))],
            run_dashboard=False,
            display_terminal=False,
        )
        joined = graph.get_output_tasks()
    assert [task.size for task in joined] == [size], joined
    return watch.seconds


def group(count: int, *, size: int) -> float:
    """Scatter ``size`` items and join the answers; return seconds per item."""
    return sum(_scatter_and_join(size) for _ in range(count)) / size / count


def pool(count: int, *, size: int, jobs: int) -> float:
    """As `group` of ``jobs`` items, of which ``size`` are worked on at once."""
    return sum(_scatter_and_join(jobs, parallel=size) for _ in range(count)) / jobs / count


def graph(count: int, *, tasks: int) -> float:
    """Scatter, scatter again, echo, join: about ``tasks`` tasks; return seconds per task."""
    size = math.isqrt(tasks // 2)
    with Stopwatch() as watch:
        for _ in range(count):
            graph = Graph(name="flow")
            branching, scatter, echo, join = Branching(), ScatterBranch(), Echo(), Join()
            graph.add_workers(branching, scatter, echo, join)
            graph.set_dependency(branching, scatter).next(echo).next(join)
            graph.set_sink(join, Joined)
            graph.run(
                initial_tasks=[(branching, Start(size=size))],
                run_dashboard=False,
                display_terminal=False,
            )
            joined = graph.get_output_tasks()
            assert [task.size for task in joined] == [size * size], joined
    return watch.seconds / (1 + size + 2 * size * size) / count


def graph_threads(count: int, *, tasks: int) -> float:
    """Scatter ``tasks`` items, echo each, join; return seconds per item."""
    return sum(_scatter_and_join(tasks) for _ in range(count)) / tasks / count
