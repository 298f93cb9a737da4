"""What the reference shows of task workers works here as it does there: plain ``def`` and all."""

import pytest

from trioworkers.errors import GraphError, GraphFaultsError
from trioworkers.graph import (
    CachedTaskWorker,
    Graph,
    InitialTaskWorker,
    JoinedTaskWorker,
    Task,
    TaskWorker,
)


class Request(Task):
    text: str
    wanted: int = 3


class Query(Task):
    text: str
    number: int = 0


class Page(Task):
    text: str


class Report(Task):
    texts: list[str]


class Split(TaskWorker):
    output_types: list[type[Task]] = [Query]

    def consume_work(self, task: Request):
        for number in range(task.wanted):
            self.publish_work(Query(text=task.text, number=number), input_task=task)


class Fetch(TaskWorker):
    output_types: list[type[Task]] = [Page]

    def init(self):
        self.connection = []

    def completed(self):
        if hasattr(self, "connection"):
            self.connection.append("closed")

    def consume_work(self, task: Query):
        self.connection.append(task.number)
        request = task.find_input_task(Request)
        assert request is not None
        self.publish_work(Page(text=f"{request.text} {task.number}"), input_task=task)


class Gather(JoinedTaskWorker):
    join_type: type[TaskWorker] = InitialTaskWorker
    output_types: list[type[Task]] = [Report]
    enable_trace: bool = True

    def consume_work_joined(self, tasks: list[Page]):
        texts = [task.text for task in tasks]
        assert sorted(tasks, key=Task.provenance) == tasks
        self.publish_work(Report(texts=sorted(texts)), tasks[0])


async def test_a_pipeline_with_a_join():
    """Split, work, join on the initial task; sinks and limits."""
    graph = Graph(name="pages")
    split, fetch, gather = Split(), Fetch(), Gather()
    graph.add_workers(split, fetch, gather)
    assert graph.set_dependency(split, fetch).next(gather) is gather
    graph.set_entry(split)
    graph.set_sink(gather, Report)
    graph.set_max_parallel_tasks(Fetch, 1)
    await graph.run([(split, Request(text="a")), (split, Request(text="b", wanted=1))])
    reports = sorted(task.texts for task in graph.get_output_tasks(Report))
    assert reports == [["a 0", "a 1", "a 2"], ["b 0"]]
    assert sorted(fetch.connection[:-1]) == [0, 0, 1, 2]
    assert fetch.connection[-1] == "closed"


async def test_a_sink_of_a_worker_and_what_it_is_told():
    """`sink` with and without a callback."""
    seen = []
    graph = Graph(name="queries")
    split = Split()
    graph.add_workers(split)
    graph.set_entry(split)
    split.sink(Query, notify=lambda _metadata, task: seen.append(task.number))
    await graph.run([(split, Request(text="a"))])
    assert sorted(seen) == [0, 1, 2]
    assert graph.get_output_tasks() == []


class Big(Task):
    number: int


class Small(Task):
    number: int


class Choose(TaskWorker):
    output_types: list[type[Task]] = [Big, Small]

    def consume_work(self, task: Query):
        if task.number > 1:
            self.publish_work(Big(number=task.number), input_task=task)
        else:
            self.publish_work(Small(number=task.number), input_task=task)


async def test_a_worker_with_several_types():
    """It publishes one or the other; each has its sink."""
    graph = Graph(name="choice")
    split, choose = Split(), Choose()
    graph.add_workers(split, choose).set_entry(split)
    graph.set_dependency(split, choose)
    choose.sink(Big)
    choose.sink(Small)
    await graph.run([(split, Request(text="a"))])
    assert graph.get_output_tasks(Big) == [Big(number=2)]
    assert len(graph.get_output_tasks(Small)) == 2
    assert choose.get_task_class() is Query
    valid, error = split.validate_task(Query, choose)
    assert (valid, error) == (True, None)
    valid, error = choose.validate_task(Big, split)
    assert not valid
    assert "takes Request, not Big" in str(error)


class Publishes(TaskWorker):
    output_types: list[type[Task]] = [Request]
    copies: bool = False

    def consume_work(self, task: Request):
        self.publish_work(task.copy_public() if self.copies else task, input_task=task)


async def test_a_task_is_published_once():
    """`copy_public` is the way to publish what exists already."""
    for copies in (False, True):
        graph = Graph(name="copies")
        worker = Publishes(copies=copies)
        graph.add_workers(worker).set_entry(worker)
        worker.sink(Request)
        work = [(worker, Request(text="a"))]
        if copies:
            await graph.run(work)
            assert graph.get_output_tasks() == [Request(text="a")]
        else:
            with pytest.raises(GraphError, match="copy_public"):
                await graph.run(work)


class Count(TaskWorker):
    output_types: list[type[Task]] = [Small]
    completed_prefixes: list[object] = []

    def notify(self, prefix):
        self.completed_prefixes.append(prefix)

    def consume_work(self, task: Query):
        self.watch(task.prefix(1))
        state = self.get_worker_state(task.prefix(1))
        state["counter"] = state.get("counter", 0) + 1
        assert self.get_metadata(task) == {"who": "me"}
        self.get_state(task)["last"] = task.number
        self.notify_status(task, message=f"counted {task.number}")
        if state["counter"] == 3:
            self.publish_work(Small(number=state["counter"]), input_task=task)


async def test_state_metadata_status_and_completion():
    """For one initial task, whoever works on it, however many at once."""
    told = []
    graph = Graph(name="state")
    split, count = Split(), Count(completed_prefixes=[])
    graph.add_workers(split, count).set_entry(split)
    graph.set_dependency(split, count).sink(Small)

    def tell(metadata, prefix, worker, task, message, _object):
        told.append((metadata["who"], prefix[0][1], worker.name, message))

    async with graph.open():
        prefix = await graph.add_work(
            split, Request(text="a"), metadata={"who": "me"}, status_callback=tell
        )
    assert graph.get_output_tasks() == [Small(number=3)]
    assert sorted(told) == [("me", prefix[0][1], "Count", f"counted {n}") for n in range(3)]
    assert count.completed_prefixes == [prefix]


class TemporaryError(Exception):
    pass


class Flaky(TaskWorker):
    output_types: list[type[Task]] = [Page]
    num_retries: int = 3
    tries: int = 0

    def consume_work(self, task: Request):
        self.tries += 1
        self.publish_work(Page(text=task.text), input_task=task)
        if self.tries <= 2:
            raise TemporaryError("not yet")


async def test_retries_publish_once():
    """Where the library that the reference describes publishes in each try."""
    graph = Graph(name="retries")
    flaky = Flaky(backoff=0.0)
    graph.add_workers(flaky).set_entry(flaky)
    flaky.sink(Page)
    await graph.run([(flaky, Request(text="a"))])
    assert (flaky.tries, graph.get_output_tasks()) == (3, [Page(text="a")])


class Analyze(CachedTaskWorker):
    output_types: list[type[Task]] = [Small]
    model_version: str = "v1"
    log: list[str] = []

    def extra_cache_key(self, task: Query) -> str:
        return f"model_{self.model_version}"

    def pre_consume_work(self, task: Query):
        self.log.append("pre")

    def consume_work(self, task: Query):
        self.log.append("work")
        self.publish_work(Small(number=len(task.text)), input_task=task)

    def post_consume_work(self, task: Query):
        self.log.append("post")


async def test_a_cache_is_asked_first(tmp_path):
    """Hooks run also on a hit; the extra key is part of the key."""
    logs = []
    for version in ("v1", "v1", "v2"):
        graph = Graph(name="cache")
        analyze = Analyze(cache_dir=str(tmp_path / "cache"), model_version=version, log=[])
        graph.add_workers(analyze).set_entry(analyze)
        analyze.sink(Small)
        await graph.run([(analyze, Query(text="abc"))])
        assert graph.get_output_tasks() == [Small(number=3)]
        logs.append(analyze.log)
    assert logs == [["pre", "work", "post"], ["pre", "post"], ["pre", "work", "post"]]


class Tight(JoinedTaskWorker):
    join_type: type[TaskWorker] = Split
    output_types: list[type[Task]] = [Report]

    def consume_work_joined(self, tasks: list[Query]):
        self.publish_work(Report(texts=[]), tasks[0])


async def test_the_rules_of_joins_are_checked():
    """What is joined on is upstream, and not right above."""
    graph = Graph(name="joins")
    split, tight = Split(), Tight()
    graph.add_workers(split, tight).set_entry(split)
    graph.set_dependency(split, tight).sink(Report)
    with pytest.raises(GraphFaultsError, match="right before it"):
        graph.check()
    tight.join_type = Fetch
    with pytest.raises(GraphFaultsError, match="not above it"):
        graph.check()
