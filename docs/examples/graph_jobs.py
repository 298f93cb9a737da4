import trio

from trioworkers import BaseWorker, BusJobRequestMessage, JobEvent, WorkerRunner, job
from trioworkers.graph import Graph, GraphRequest, GraphWorker, JobTaskWorker, Task, TaskWorker


class Text(Task):
    text: str


class Line(Task):
    text: str


class Words(Task):
    count: int


class Split(TaskWorker):
    output_types: list[type[Task]] = [Line]

    async def consume_work(self, task: Text) -> None:
        for line in task.text.splitlines():
            self.publish_work(Line(text=line), input_task=task)
        self.notify_status(task, "split")


class Counter(BaseWorker):
    """Knows nothing of graphs, and may be anywhere on the bus."""

    @job(name="count")
    async def count(self, message: BusJobRequestMessage) -> dict[str, int]:
        return {"count": len(message.payload["text"].split())}


async def main() -> None:
    graph, split = Graph(name="words"), Split()
    count = JobTaskWorker(
        target="counter", job_name="count", input_types=[Line], output_types=[Words]
    )
    graph.add_workers(split, count).set_entry(split)
    graph.set_dependency(split, count).sink(Words)

    async with WorkerRunner() as runner:
        await runner.add_workers(Counter("counter"), GraphWorker("words", graph))
        request = GraphRequest.of(Text(text="many hands\nmake light work"))
        async with runner.job("words", name="run", payload=request) as job_:
            chunks = []
            async for event in job_:
                if event.type == JobEvent.STREAM_DATA:
                    chunks.append(event.data["fields"])
                elif event.type == JobEvent.UPDATE:
                    print("update:", event.data["message"])
        print(sorted(chunk["count"] for chunk in chunks), job_.response)


trio.run(main)
# Output:
# update: split
# [2, 3] {'tasks': 1, 'outputs': 2}
