"""`CachedTaskWorker`: what is published again, what is worked on once, and what is not kept."""

import collections
import json
import threading
from typing import Any

import attrs
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from trioworkers.errors import CacheError, GraphError
from trioworkers.graph import CachedTaskWorker, Graph, Task, TaskWorker
from trioworkers.testing import MemoryCache


class Page(Task):
    text: str
    tags: set[str] = attrs.field(factory=set)


class Count(Task):
    words: int


class Note(Task):
    text: str


class Counter(CachedTaskWorker):
    """Counts words; and how often it was called."""

    output_types: list[type[Task]] = [Count]
    calls: list[str] = attrs.field(factory=list)

    async def consume_work(self, task: Page):
        self.calls.append(task.text)
        await trio.lowlevel.checkpoint()
        self.publish_work(Count(words=len(task.text.split())), input_task=task)


class Collector(TaskWorker):
    """Has what came to it."""

    found: list[Any] = attrs.field(factory=list)

    async def consume_work(self, task: Count):
        self.found.append(task)


def graph_of(worker, *others, sinks=(Count,)):
    """Return a graph of one worker, and of some that take what it publishes."""
    graph = Graph(name="test")
    graph.add_workers(worker, *others)
    for other in others:
        graph.set_dependency(worker, other)
    if not others:
        for cls in sinks:
            graph.set_sink(worker, cls)
    graph.set_entry(worker)
    return graph


async def run(worker, *tasks, **options):
    """Run a new graph of one worker; return what came out, and its statistics."""
    graph = graph_of(worker, **options)
    await graph.run([(worker, task) for task in tasks])
    return list(graph.get_output_tasks()), graph.statistics().workers[worker.name]


def pages(*texts):
    return [Page(text=text) for text in texts]


# What is published again


async def test_an_equal_task_is_not_worked_on_again(tmp_path):
    """In a later run, with a new worker: the cache is in the directory."""
    first, second = Counter(cache_dir=str(tmp_path / "c")), Counter(cache_dir=str(tmp_path / "c"))
    tasks, statistics = await run(first, *pages("a b", "c"))
    assert sorted(task.words for task in tasks) == [1, 2]
    assert (statistics.done, statistics.cached) == (2, 0)
    tasks, statistics = await run(second, *pages("a b", "c", "d e f"))
    assert sorted(task.words for task in tasks) == [1, 2, 3]
    assert (statistics.done, statistics.cached) == (3, 2)
    assert second.calls == ["d e f"]


async def test_what_is_published_again_comes_from_the_new_task():
    """As if the work had been done."""
    cache = MemoryCache()
    for _ in range(2):
        worker, page = Counter(cache=cache), Page(text="a b", tags={"x"})
        (task,), statistics = await run(worker, page)
        assert task.find_input_task(Page) is page
        assert [name for name, _ in task.provenance()] == ["InitialTaskWorker", "Counter"]
    assert statistics.cached == 1
    assert cache.statistics().hits == 1
    (label,) = cache.labels.values()
    assert (label.worker, label.input_type, label.output_types) == ("Counter", "Page", ("Count",))


async def test_each_consumer_gets_what_it_got():
    """Where several take one type."""

    class Split(CachedTaskWorker):
        output_types: list[type[Task]] = [Count]

        async def consume_work(self, task: Page):
            for number in range(4):
                self.publish_work(Count(words=number), consumer=takers[number % 2])

    cache = MemoryCache()
    for cached in (0, 1):
        takers = [Collector(name="even"), Collector(name="odd")]
        worker = Split(cache=cache)
        graph = graph_of(worker, *takers)
        await graph.run([(worker, Page(text="a"))])
        assert [[task.words for task in taker.found] for taker in takers] == [[0, 2], [1, 3]]
        assert graph.statistics().workers["Split"].cached == cached


async def test_a_consumer_that_is_gone_is_work_done_again(caplog):
    """Nothing is given to somebody else."""

    class Split(CachedTaskWorker):
        output_types: list[type[Task]] = [Count]

        async def consume_work(self, task: Page):
            self.publish_work(Count(words=1), consumer=takers[0])
            self.publish_work(Count(words=2), consumer=takers[1])

    cache = MemoryCache()
    for names in ("ab", "ac"):
        takers = [Collector(name=name) for name in names]
        worker = Split(cache=cache)
        await graph_of(worker, *takers).run([(worker, Page(text="a"))])
        assert [[task.words for task in taker.found] for taker in takers] == [[1], [2]]
    assert "it is for 'b', which takes no such task now" in caplog.text


async def test_hooks_are_called_also_on_hits():
    """Around the work; what they publish is published each time, once."""

    class Hooked(CachedTaskWorker):
        output_types: list[type[Task]] = [Count, Note]
        log: list[str] = attrs.field(factory=list)

        def pre_consume_work(self, task: Page):
            self.log.append("pre")
            self.publish_work(Note(text="before"))

        async def consume_work(self, task: Page):
            self.log.append("work")
            self.publish_work(Count(words=1))

        async def post_consume_work(self, task: Page):
            await trio.lowlevel.checkpoint()
            self.log.append("post")
            self.publish_work(Note(text="after"))

    cache = MemoryCache()
    for log in (["pre", "work", "post"], ["pre", "post"]):
        worker = Hooked(cache=cache)
        tasks, _ = await run(worker, Page(text="a"), sinks=(Count, Note))
        assert worker.log == log
        assert [getattr(task, "text", None) for task in tasks] == ["before", None, "after"]


async def test_the_extra_key_counts():
    """It is asked for after `pre_consume_work`, which may set what it depends on."""

    class Moody(Counter):
        mood: str = ""

        def pre_consume_work(self, task: Page):
            self.mood = min(task.tags)

        def extra_cache_key(self, task: Page):
            return self.mood

    cache = MemoryCache()
    one, other = Moody(cache=cache), Moody(cache=cache)
    await run(one, Page(text="a", tags={"x"}))
    await run(other, Page(text="a", tags={"x"}))
    assert (one.calls, other.calls, one.mood) == (["a"], [], "x")
    assert len(cache.values) == 1


async def test_workers_of_other_names_have_their_own_results():
    """They may have other settings."""
    cache = MemoryCache()
    for name in ("A", "B", "A"):
        worker = Counter(cache=cache, name=name)
        await run(worker, Page(text="a"))
    assert worker.calls == []
    assert len(cache.values) == 2


async def test_plain_handlers_are_cached_too():
    """They run in a thread, and publish from there."""

    class Plain(CachedTaskWorker):
        output_types: list[type[Task]] = [Count]
        threads: list[int] = attrs.field(factory=list)

        def consume_work(self, task: Page):
            self.threads.append(threading.get_ident())
            self.publish_work(Count(words=len(task.text)))

    cache = MemoryCache()
    for calls in (2, 0):
        worker = Plain(cache=cache)
        tasks, statistics = await run(worker, *pages("a", "bb", "a"))
        assert sorted(task.words for task in tasks) == [1, 1, 2]
        assert len(worker.threads) == calls
        assert threading.get_ident() not in worker.threads
        assert statistics.cached == 3 - calls


# What is not kept


async def test_only_success_is_kept():
    """A handler that fails after it has published leaves nothing; a later try does."""

    class Flaky(CachedTaskWorker):
        output_types: list[type[Task]] = [Count]
        num_retries: int = 1
        backoff: float = 0.0
        tries: int = 0

        async def consume_work(self, task: Page):
            self.tries += 1
            self.publish_work(Count(words=self.tries))
            if self.tries == 1:
                assert not cache.values
                raise OSError

    cache = MemoryCache()
    (task,), _ = await run(Flaky(cache=cache), Page(text="a"))
    assert task.words == 2
    (task,), statistics = await run(Flaky(cache=cache), Page(text="a"))
    assert (task.words, statistics.cached) == (2, 1)


async def test_failure_is_not_kept():
    """Each run tries again."""

    class Failing(CachedTaskWorker):
        output_types: list[type[Task]] = [Count]

        async def consume_work(self, task: Page):
            raise OSError("no")

    cache = MemoryCache()
    with pytest.raises(GraphError):
        await run(Failing(cache=cache), *pages("a", "a"))
    assert cache.values == {}
    assert len(cache.asked) == 2


async def test_a_handler_that_returns_something_is_not_kept():
    """That is a mistake, which is told each time."""

    class Returning(CachedTaskWorker):
        output_types: list[type[Task]] = [Count]

        async def consume_work(self, task: Page):
            return Count(words=1)

    cache = MemoryCache()
    with pytest.raises(GraphError):
        await run(Returning(cache=cache), Page(text="a"))
    assert cache.values == {}


async def test_outputs_made_from_another_task_are_not_kept(caplog):
    """There may be no such task next time. It is said once."""

    class Upstream(CachedTaskWorker):
        output_types: list[type[Task]] = [Count]
        calls: int = 0

        async def consume_work(self, task: Note):
            self.calls += 1
            self.publish_work(Count(words=1), input_task=task.find_input_task(Page))

    class Noter(TaskWorker):
        output_types: list[type[Task]] = [Note]

        async def consume_work(self, task: Page):
            self.publish_work(Note(text="same"))

    cache = MemoryCache()
    first, worker = Noter(), Upstream(cache=cache)
    graph = Graph(name="test")
    graph.add_workers(first, worker)
    graph.set_dependency(first, worker)
    graph.set_sink(worker, Count)
    graph.set_entry(first)
    await graph.run([(first, page) for page in pages("a", "b", "c")])
    assert (worker.calls, cache.values) == (3, {})
    assert len(graph.get_output_tasks()) == 3
    assert caplog.text.count("is not cached: Count was published with an input_task (Page)") == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda value: b"\x80\x04K\x01.",
        lambda value: value.replace(b"Count", b"Other"),
        lambda value: value.replace(b"words", b"sheep"),
        lambda value: value.replace(b"2", b'"2"'),
    ],
)
async def test_what_does_not_fit_is_dropped_and_made_again(change, caplog):
    """Also where one of several outputs fits: nothing is published twice."""

    class Two(Counter):
        async def consume_work(self, task: Page):
            self.calls.append(task.text)
            self.publish_work(Count(words=1))
            self.publish_work(Count(words=2))

    cache = MemoryCache()
    await run(Two(cache=cache), Page(text="a"))
    (key,) = cache.values
    good = cache.values[key]
    cache.values[key] = change(good)
    worker = Two(cache=cache)
    tasks, statistics = await run(worker, Page(text="a"))
    assert [task.words for task in tasks] == [1, 2]
    assert (worker.calls, statistics.cached) == (["a"], 0)
    assert cache.values[key] == good
    assert caplog.text.count("a cached result of worker 'Two' is of no use") == 1


async def test_a_hook_that_fails_after_the_work_keeps_the_result():
    """The work was done; the next try finds it."""

    class Unlucky(Counter):
        num_retries: int = 1
        backoff: float = 0.0
        unlucky: bool = True

        def post_consume_work(self, task: Page):
            if self.unlucky:
                self.unlucky = False
                raise OSError

    worker = Unlucky(cache=MemoryCache())
    tasks, statistics = await run(worker, Page(text="a b"))
    assert [task.words for task in tasks] == [2]
    assert (worker.calls, statistics.cached, statistics.retries) == (["a b"], 1, 1)


async def test_a_cache_that_keeps_nothing_is_no_failure():
    """The work is done each time."""

    class Full(MemoryCache):
        async def put(self, key, value, label):
            await trio.lowlevel.checkpoint()
            return False

    for _ in range(2):
        worker = Counter(cache=Full())
        tasks, _ = await run(worker, Page(text="a b"))
        assert [task.words for task in tasks] == [2]
        assert worker.calls == ["a b"]


# Equal tasks at once


class Gated(CachedTaskWorker):
    """Works on a task until it is told to go on, or to fail."""

    output_types: list[type[Task]] = [Count]
    gates: Any = attrs.field(factory=lambda: collections.defaultdict(trio.Event))
    calls: list[str] = attrs.field(factory=list)
    failing: int = 0

    async def consume_work(self, task: Page):
        self.calls.append(task.text)
        await self.gates[task.text].wait()
        if self.failing:
            self.failing -= 1
            raise OSError("not yet")
        self.publish_work(Count(words=len(task.text)))


@pytest.mark.parametrize("count", [2, 50])
async def test_equal_tasks_at_once_are_worked_on_once(count):
    """The others publish what the first did."""
    worker = Gated(cache=MemoryCache())
    graph = graph_of(worker)
    async with trio.open_nursery() as nursery:
        tasks = [(worker, Page(text="a")) for _ in range(count)]
        nursery.start_soon(graph.run, [*tasks, (worker, Page(text="bb"))])
        await wait_all_tasks_blocked()
        assert sorted(worker.calls) == ["a", "bb"]
        worker.gates["a"].set()
        worker.gates["bb"].set()
    assert sorted(worker.calls) == ["a", "bb"]
    assert sorted(task.words for task in graph.get_output_tasks()) == [1] * count + [2]
    assert len({id(task) for task in graph.get_output_tasks()}) == count + 1
    assert graph.statistics().workers["Gated"].cached == count - 1


async def test_what_hooks_have_said_before_the_wait_counts():
    """They are called once for each task, whether it waits or not."""

    class Hooked(Gated):
        output_types: list[type[Task]] = [Count, Note]
        hooks: list[str] = attrs.field(factory=list)

        def pre_consume_work(self, task: Page):
            self.hooks.append("pre")
            state = self.get_worker_state(task.prefix(1))
            state["seen"] = True
            self.publish_work(Note(text="before"))
            self.notify_status(task, "begun")

        def post_consume_work(self, task: Page):
            assert self.get_worker_state(task.prefix(1)) == {"seen": True}
            self.hooks.append("post")

    worker, told = Hooked(cache=MemoryCache()), []
    graph = graph_of(worker, sinks=(Count, Note))
    async with graph.open():
        for _ in range(3):
            await graph.add_work(
                worker, Page(text="a"), status_callback=lambda *status: told.append(status[-2])
            )
        await wait_all_tasks_blocked()
        assert (worker.hooks, told) == (["pre"] * 3, [])
        worker.gates["a"].set()
    assert worker.hooks == ["pre"] * 3 + ["post"] * 3
    assert told == ["begun"] * 3
    found = collections.Counter(type(task).__name__ for task in graph.get_output_tasks())
    assert found == {"Count": 3, "Note": 3}


async def test_who_waits_goes_on_when_the_work_is_done():
    """Not only when the first one has ended for good."""

    class Waiting(Gated):
        waiting: int = 0
        together: Any = attrs.field(factory=trio.Event)

        async def post_consume_work(self, task: Page):
            self.waiting += 1
            if self.waiting == 3:
                self.together.set()
            await self.together.wait()

    worker = Waiting(cache=MemoryCache())
    graph = graph_of(worker)
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(graph.run, [(worker, Page(text="a")) for _ in range(3)])
            await wait_all_tasks_blocked()
            worker.gates["a"].set()


async def test_if_the_first_fails_the_next_one_tries():
    """One after the other, until one succeeds; then the rest have it."""
    worker = Gated(cache=MemoryCache(), failing=2)
    worker.gates["a"].set()
    graph = graph_of(worker)
    failures = await graph.run([(worker, Page(text="a")) for _ in range(5)], on_failure="collect")
    assert len(failures) == 2
    assert worker.calls == ["a"] * 3
    assert [task.words for task in graph.get_output_tasks()] == [1] * 3
    assert graph.statistics().workers["Gated"].cached == 2


async def test_if_the_first_is_aborted_the_next_one_takes_over():
    """Wherever the first was; whoever waits can be aborted too."""
    worker = Gated(cache=MemoryCache())
    graph = graph_of(worker)
    async with graph.open():
        chains = [await graph.add_work(worker, Page(text="a")) for _ in range(4)]
        await wait_all_tasks_blocked()
        assert worker.calls == ["a"]
        graph.abort_work(chains[1])
        graph.abort_work(chains[0])
        await wait_all_tasks_blocked()
        assert worker.calls == ["a", "a"]
        worker.gates["a"].set()
    assert [task.words for task in graph.get_output_tasks()] == [1, 1]
    assert graph.statistics().workers["Gated"].aborted == 2


@pytest.mark.parametrize("places", [1, 2])
async def test_who_waits_holds_no_place(places):
    """Other tasks go on, though the worker may work on few at once."""
    worker = Gated(cache=MemoryCache())
    graph = graph_of(worker)
    graph.set_max_parallel_tasks(Gated, places + 1)
    async with trio.open_nursery() as nursery:
        texts = ["a"] * 20 + [str(number) for number in range(places)]
        nursery.start_soon(graph.run, [(worker, Page(text=text)) for text in texts])
        await wait_all_tasks_blocked()
        assert sorted(worker.calls) == sorted(set(texts))
        assert graph.statistics().workers["Gated"].running >= places + 1
        for text in reversed(worker.calls):
            worker.gates[text].set()
            await wait_all_tasks_blocked()
    assert len(graph.get_output_tasks()) == 20 + places


async def test_who_takes_over_waits_for_a_place():
    """And if it is aborted while it does, the next one takes over."""
    worker = Gated(cache=MemoryCache())
    graph = graph_of(worker)
    graph.set_max_parallel_tasks(Gated, 1)
    async with graph.open():
        first = await graph.add_work(worker, Page(text="a"))
        await wait_all_tasks_blocked()
        second = await graph.add_work(worker, Page(text="a"))
        third = await graph.add_work(worker, Page(text="a"))
        other = await graph.add_work(worker, Page(text="bb"))
        await wait_all_tasks_blocked()
        assert worker.calls == ["a"]
        graph.abort_work(first)
        await wait_all_tasks_blocked()
        graph.abort_work(second)
        await wait_all_tasks_blocked()
        for text in ("a", "bb"):
            worker.gates[text].set()
    assert sorted(task.words for task in graph.get_output_tasks()) == [1, 2]
    assert third != other


async def test_what_can_not_be_shared_is_worked_on_by_each():
    """All at once, once the first has found that out."""

    class Unkept(CachedTaskWorker):
        output_types: list[type[Task]] = [Loose]
        calls: int = 0
        most: int = 0
        now: int = 0

        async def consume_work(self, task: Page):
            self.calls += 1
            self.now += 1
            self.most = max(self.most, self.now)
            await wait_all_tasks_blocked()
            self.now -= 1
            self.publish_work(Loose(value=float("nan")))

    worker = Unkept(cache=MemoryCache())
    tasks, statistics = await run(worker, *pages(*"aaaaa"), sinks=(Loose,))
    assert len(tasks) == 5
    assert (worker.calls, worker.most, statistics.cached) == (5, 4, 0)


class Loose(Task):
    value: float


async def test_a_cancelled_run_leaves_nothing(tmp_path):
    """The next one begins anew."""
    worker = Gated(cache_dir=str(tmp_path / "c"))
    graph = graph_of(worker)
    with trio.move_on_after(0.2):
        await graph.run([(worker, Page(text="a")) for _ in range(10)])
    worker.gates["a"].set()
    await graph.run([(worker, Page(text="a")) for _ in range(10)])
    assert worker.calls == ["a", "a"]
    assert len(graph.get_output_tasks()) == 10


# Making a worker


def test_a_source_can_not_be_cached():
    """Its outputs are taken one by one."""
    with pytest.raises(TypeError, match=r"Bad\.consume_work is a source, which can't be cached"):

        class Bad(CachedTaskWorker):
            async def consume_work(self, task: Page):
                yield Count(words=1)


@pytest.mark.parametrize("options", [{"cache_dir": ""}, {"cache_size_limit": 0}])
def test_settings_are_checked(options):
    """When the worker is made."""
    (name,) = options
    with pytest.raises(ValueError, match=name):
        Counter(**options)


async def test_a_cache_that_can_not_be_is_told_at_once(tmp_path):
    """Before any work."""
    (tmp_path / "file").write_text("")
    worker = Counter(cache_dir=str(tmp_path / "file"))
    with pytest.raises(CacheError, match="another cache_dir"):
        await run(worker, Page(text="a"))
    assert worker.calls == []


async def test_the_defaults_are_those_of_the_reference():
    """Where the cache is, and how large."""
    worker = Counter()
    assert (worker.cache_dir, worker.cache_size_limit) == ("./cache", 25_000_000_000)
    assert worker.extra_cache_key(Page(text="a")) == ""


async def test_an_extra_key_that_is_no_text_fails_the_task():
    """With what to do."""

    class Wrong(Counter):
        def extra_cache_key(self, task: Page):
            return 3

    graph = graph_of(worker := Wrong(cache=MemoryCache()))
    (failure,) = await graph.run([(worker, Page(text="a"))], on_failure="collect")
    assert "extra_cache_key must return a str, not int" in str(failure.error)


async def test_results_are_plain_json():
    """Nothing that could be code."""
    cache = MemoryCache()
    await run(Counter(cache=cache), Page(text="a b c"))
    (value,) = cache.values.values()
    assert json.loads(value)["outputs"][0]["task"] == {"words": 3}
