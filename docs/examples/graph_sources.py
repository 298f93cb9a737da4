from collections.abc import AsyncIterator

import trio

from trioworkers.graph import Graph, InitialTaskWorker, JoinedTaskWorker, Task, TaskWorker


class Range(Task):
    stop: int


class Number(Task):
    n: int


class Square(Task):
    n: int


class Sum(Task):
    n: int


class Count(TaskWorker):
    """A source: an async generator."""

    output_types: list[type[Task]] = [Number]
    most: int = 0

    async def consume_work(self, task: Range) -> AsyncIterator[Number]:
        for n in range(task.stop):
            yield Number(n=n)
            self.most = max(self.most, graph.statistics().queued)


class Squares(TaskWorker):
    output_types: list[type[Task]] = [Square]

    async def consume_work(self, task: Number) -> None:
        await trio.lowlevel.checkpoint()
        self.publish_work(Square(n=task.n**2), input_task=task)


class Total(JoinedTaskWorker):
    join_type: type[TaskWorker] = InitialTaskWorker
    output_types: list[type[Task]] = [Sum]

    async def consume_work_joined(self, tasks: list[Square]) -> None:
        self.publish_work(Sum(n=sum(task.n for task in tasks)))


graph = Graph(window=100, max_held=20_000)
count, squares, total = Count(), Squares(), Total()
graph.add_workers(count, squares, total).set_entry(count)
graph.set_dependency(count, squares).next(total).sink(Sum)
trio.run(graph.run, [Range(stop=10_000)])
print(graph.get_output_tasks())
print("queued at once:", count.most)
# Output:
# [Sum(n=333283335000)]
# queued at once: 99
