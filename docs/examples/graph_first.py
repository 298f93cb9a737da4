import trio

from trioworkers.graph import Graph, InitialTaskWorker, JoinedTaskWorker, Task, TaskWorker


class Text(Task):
    text: str


class Line(Task):
    number: int
    text: str


class Words(Task):
    count: int


class Total(Task):
    lines: int
    words: int


class Split(TaskWorker):
    output_types: list[type[Task]] = [Line]

    async def consume_work(self, task: Text) -> None:
        for number, line in enumerate(task.text.splitlines()):
            self.publish_work(Line(number=number, text=line), input_task=task)


class Count(TaskWorker):
    output_types: list[type[Task]] = [Words]

    def consume_work(self, task: Line) -> None:  # no async: runs in a thread
        self.publish_work(Words(count=len(task.text.split())), input_task=task)


class Report(JoinedTaskWorker):
    join_type: type[TaskWorker] = InitialTaskWorker
    output_types: list[type[Task]] = [Total]

    async def consume_work_joined(self, tasks: list[Words]) -> None:
        words = sum(task.count for task in tasks)
        self.publish_work(Total(lines=len(tasks), words=words))


async def main() -> None:
    graph = Graph(name="words")
    split, count, report = Split(), Count(), Report()
    graph.add_workers(split, count, report).set_entry(split)
    graph.set_dependency(split, count).next(report).sink(Total)
    await graph.run([Text(text="many hands\nmake light work")])
    print(graph.get_output_tasks())


trio.run(main)
# Output: [Total(lines=2, words=5)]
