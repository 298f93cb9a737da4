from typing import Any

import trio

from trioworkers.graph import Graph, Task, TaskWorker, UserRequest


class Draft(Task):
    text: str


class Approved(Task):
    text: str


class Review(TaskWorker):
    output_types: list[type[Task]] = [Approved]

    async def consume_work(self, task: Draft) -> None:
        answer, mime_type = await self.request_user_input(
            task, f"Publish {task.text!r}?", ["text/plain"], timeout=60
        )
        print(answer, mime_type)
        if answer == "yes":
            self.publish_work(Approved(text=task.text), input_task=task)


def ask(metadata: dict[str, Any], request: UserRequest) -> None:
    """May answer later, too, and be async; a web page would show the request."""
    print(f"{request.worker} asks: {request.instruction}")
    request.answer("yes" if "well" in request.instruction else "no", "text/plain")


async def main() -> None:
    graph, review = Graph(name="editors"), Review()
    graph.add_workers(review).set_entry(review)
    review.sink(Approved)
    graph.set_user_request_callback(ask)
    for text in ("all is well", "oops"):
        await graph.run([Draft(text=text)])
        print(graph.get_output_tasks())


trio.run(main)
# Output:
# Review asks: Publish 'all is well'?
# yes text/plain
# [Approved(text='all is well')]
# Review asks: Publish 'oops'?
# no text/plain
# []
