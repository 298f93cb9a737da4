import random

import trio
import trio.testing

from trioworkers.graph import Graph, Task, TaskWorker


class Page(Task):
    url: str


class Link(Task):
    url: str


class Unreachable(Exception):
    pass


class Fetch(TaskWorker):
    output_types: list[type[Task]] = [Link]
    num_retries: int = 2
    retry_on: tuple[type[Exception], ...] = (Unreachable,)
    backoff: float = 0.5

    async def consume_work(self, task: Page) -> None:
        self.publish_work(Link(url=f"{task.url}/1"), input_task=task)
        if task.retry_count < int(task.url[-1]):
            raise Unreachable(task.url)  # what was published is not seen by anyone
        if task.url == "page0":
            raise ValueError("no such page")  # would not become better: not tried again
        self.publish_work(Link(url=f"{task.url}/2"), input_task=task)


async def main() -> None:
    graph = Graph(name="pages", random=random.Random(1).random)
    fetch = Fetch()
    graph.add_workers(fetch).set_entry(fetch)
    fetch.sink(Link)
    pages = [Page(url=f"page{n}") for n in range(4)]
    failures = await graph.run(pages, on_failure="collect")
    print(*sorted(link.url for link in graph.get_output_tasks(Link)))
    for failure in failures:
        print(failure)
    statistics = graph.statistics().workers["Fetch"]
    print(statistics.done, "done,", statistics.failed, "failed,", statistics.retries, "retries")


trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))  # waits take no time
# Output:
# page1/1 page1/2 page2/1 page2/2
# Fetch with Page at InitialTaskWorker:1: ValueError: no such page
# Fetch with Page at InitialTaskWorker:4 after 3 attempts: Unreachable: page3
# 2 done, 2 failed, 5 retries
