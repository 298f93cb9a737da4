import trio

from trioworkers.graph import Graph, Task, TaskWorker


class Name(Task):
    name: str


class Greeting(Task):
    text: str


class Greet(TaskWorker):
    output_types: list[type[Task]] = [Greeting]
    word: str = "Hello"

    async def consume_work(self, task: Name) -> None:
        self.publish_work(Greeting(text=f"{self.word}, {task.name}!"), input_task=task)


async def main() -> None:
    graph, greet = Graph(name="greetings"), Greet(word="Good morning")
    graph.add_workers(greet).set_entry(greet)
    greet.sink(Greeting)
    await graph.run([Name(name="Ada")])
    print(graph.get_output_tasks())


trio.run(main)
# Output: [Greeting(text='Good morning, Ada!')]
