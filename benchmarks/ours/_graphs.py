"""Tasks that flow through a graph."""

import math
from collections.abc import Iterator

from trioworkers.graph import Graph, InitialTaskWorker, JoinedTaskWorker, Task, TaskWorker

from .._resident import resident_bytes, settled_bytes
from .._timing import Stopwatch


class Start(Task):
    """How many to scatter."""

    width: int


class Branch(Task):
    """How many to scatter again."""

    width: int


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
    """Makes branches."""

    output_types: list[type[Task]] = [Branch]  # noqa: RUF012 - a field

    async def consume_work(self, task: Start) -> None:
        """Publish ``task.width`` branches."""
        for _ in range(task.width):
            self.publish_work(Branch(width=task.width), input_task=task)


class ScatterAgain(TaskWorker):
    """Makes items."""

    output_types: list[type[Task]] = [Item]  # noqa: RUF012 - a field

    async def consume_work(self, task: Branch) -> None:
        """Publish ``task.width`` items."""
        for number in range(task.width):
            self.publish_work(Item(number=number), input_task=task)


class ScatterItems(TaskWorker):
    """Makes items at once."""

    output_types: list[type[Task]] = [Item]  # noqa: RUF012 - a field

    async def consume_work(self, task: Start) -> None:
        """Publish ``task.width`` items."""
        for number in range(task.width):
            self.publish_work(Item(number=number), input_task=task)


class Echo(TaskWorker):
    """Answers an item."""

    output_types: list[type[Task]] = [Answer]  # noqa: RUF012 - a field

    async def consume_work(self, task: Item) -> None:
        """Publish the answer."""
        self.publish_work(Answer(number=task.number), input_task=task)


class EchoInThread(TaskWorker):
    """Answers an item, in a thread."""

    output_types: list[type[Task]] = [Answer]  # noqa: RUF012 - a field

    def consume_work(self, task: Item) -> None:
        """Publish the answer."""
        self.publish_work(Answer(number=task.number), input_task=task)


class Join(JoinedTaskWorker):
    """Waits for all answers."""

    output_types: list[type[Task]] = [Joined]  # noqa: RUF012 - a field
    join_type: type[TaskWorker] = InitialTaskWorker

    async def consume_work_joined(self, tasks: list[Answer]) -> None:
        """Publish their number."""
        self.publish_work(Joined(size=len(tasks)), input_task=tasks[0])


class Count(TaskWorker):
    """Counts items."""

    items: int = 0
    most: int = 0
    before: int = 0

    async def consume_work(self, task: Item) -> None:
        """Count one; look at the memory now and then."""
        if not self.items % 50_000:
            self.most = max(self.most, resident_bytes() - self.before)
        self.items += 1


async def _flow(width: int, size: int, *workers: TaskWorker) -> None:
    graph = Graph(name="flow")
    join = Join()
    graph.add_workers(*workers, join).set_entry(workers[0])
    for upstream, downstream in zip(workers, (*workers[1:], join), strict=True):
        graph.set_dependency(upstream, downstream)
    graph.set_sink(join, Joined)
    await graph.run([(workers[0], Start(width=width))])
    (joined,) = graph.get_output_tasks()
    assert isinstance(joined, Joined)
    assert joined.size == size


async def graph(count: int, *, tasks: int) -> float:
    """Let about ``tasks`` tasks flow, ``count`` times; return seconds per task."""
    width = math.isqrt(tasks // 2)
    with Stopwatch() as watch:
        for _ in range(count):
            await _flow(width, width * width, Scatter(), ScatterAgain(), Echo())
    return watch.seconds / (1 + width + 2 * width * width) / count


async def graph_threads(count: int, *, tasks: int) -> float:
    """Let ``tasks`` items flow through a worker with a plain function; return seconds per item."""
    with Stopwatch() as watch:
        for _ in range(count):
            await _flow(tasks, tasks, ScatterItems(), EchoInThread())
    return watch.seconds / tasks / count


async def graph_source(count: int) -> tuple[float, float]:
    """Pull ``count`` tasks from a source; return seconds per task and the most bytes gained."""
    counting = Count()
    graph = Graph(name="source")
    graph.add_workers(counting).set_entry(counting)

    def source() -> Iterator[tuple[TaskWorker, Task]]:
        for number in range(count):
            yield counting, Item(number=number)

    counting.before = settled_bytes()
    with Stopwatch() as watch:
        await graph.run(source())
    assert counting.items == count
    return watch.seconds / count, counting.most
