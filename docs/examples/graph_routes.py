import trio

from trioworkers.errors import GraphFaultsError
from trioworkers.graph import Graph, Task, TaskWorker


class Letter(Task):
    text: str
    urgent: bool = False


class Reply(Task):
    text: str


class Complaint(Task):
    text: str


class Sorter(TaskWorker):
    output_types: list[type[Task]] = [Letter, Complaint]
    slow: TaskWorker
    fast: TaskWorker

    async def consume_work(self, task: Letter) -> None:
        if "awful" in task.text:
            self.publish_work(Complaint(text=task.text), input_task=task)
        else:  # two workers take letters: say which
            desk = self.fast if task.urgent else self.slow
            self.publish_work(task.copy_public(), input_task=task, consumer=desk)


class Desk(TaskWorker):
    output_types: list[type[Task]] = [Reply]

    async def consume_work(self, task: Letter) -> None:
        self.publish_work(Reply(text=f"{self.name}: {task.text}"), input_task=task)


async def main() -> None:
    graph = Graph(name="post")
    slow, fast = Desk(name="slow"), Desk(name="fast")
    sorter = Sorter(slow=slow, fast=fast)
    graph.add_workers(sorter, slow, fast)
    try:
        await graph.run([Letter(text="hello")])
    except GraphFaultsError as error:  # everything at once, before anything has begun
        for fault in error.faults:
            print(fault.partition(";")[0])  # after that: what to do

    graph.set_entry(sorter)
    graph.set_dependency(sorter, slow).sink(Reply)
    graph.set_dependency(sorter, fast).sink(Reply)
    sorter.sink(Complaint, lambda metadata, task: print("called with", task))
    letters = [Letter(text="hello"), Letter(text="help", urgent=True), Letter(text="awful")]
    await graph.run(letters)
    print(sorted(reply.text for reply in graph.get_output_tasks(Reply)))


trio.run(main)
# Output:
# the graph has no entry
# Sorter: nobody takes its Letter
# Sorter: nobody takes its Complaint
# slow: nobody takes its Reply
# fast: nobody takes its Reply
# called with Complaint(text='awful')
# ['fast: help', 'slow: hello']
