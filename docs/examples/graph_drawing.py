from trioworkers.graph import Graph, InitialTaskWorker, JoinedTaskWorker, Task, TaskWorker


class Page(Task):
    url: str


class Link(Task):
    url: str


class Found(Task):
    urls: list[str]


class Crawl(TaskWorker):
    output_types: list[type[Task]] = [Page, Link]

    async def consume_work(self, task: Page) -> None: ...


class Collect(JoinedTaskWorker):
    join_type: type[TaskWorker] = InitialTaskWorker
    output_types: list[type[Task]] = [Found]

    async def consume_work_joined(self, tasks: list[Link]) -> None: ...


graph = Graph(name="crawler")
crawl, collect = Crawl(), Collect()
graph.add_workers(crawl, collect).set_entry(crawl)
graph.set_dependency(crawl, crawl)  # pages lead to pages
graph.set_dependency(crawl, collect).sink(Found)
graph.check()
print(graph.to_mermaid(), end="")
# Output:
# flowchart TD
#     initial(["InitialTaskWorker"])
#     w0["Crawl"]
#     w1{{"Collect"}}
#     s0[("sink of Found")]
#     initial -->|"Page"| w0
#     w0 -->|"Page"| w0
#     w0 -->|"Link"| w1
#     w1 -->|"Found"| s0
