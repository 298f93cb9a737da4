"""`InvokeTaskWorker`: handlers on their own, called as a graph calls them."""

import threading
from typing import Any

import pytest
import trio
from flows import A, B, C, D, make

from trioworkers.errors import JoinError
from trioworkers.graph import (
    CachedTaskWorker,
    Graph,
    JoinedTaskWorker,
    MergedTaskWorker,
    Task,
    TaskWorker,
    at_least,
)
from trioworkers.testing import InvokeTaskWorker, MemoryCache


class Split(TaskWorker):
    output_types: list[type[Task]] = [B, C]
    count: int = 2
    fails: int = 0
    log: Any = None

    def init(self):
        self.log = ["init"]

    def completed(self):
        self.log.append("completed")

    async def consume_work(self, task: A):
        self.log.append(task.n)
        for n in range(self.count):
            self.publish_work(B(n=n), input_task=task)
        self.notify_status(task, f"split {task.n}", {"count": self.count})
        if task.retry_count < self.fails:
            raise KeyError(task.n)
        self.publish_work(C(n=self.count))


class Total(JoinedTaskWorker):
    join_type: type[TaskWorker] = Split
    output_types: list[type[Task]] = [D]

    async def consume_work_joined(self, tasks: list[B]):
        self.publish_work(D(n=10 * sum(task.n for task in tasks) + tasks.missing_count))


async def test_what_is_published_and_told(autojump_clock):
    """In order, with its provenance; init before and completed after."""
    invoke = InvokeTaskWorker(Split, count=3)
    published = await invoke.invoke(A(n=7))
    assert published == [B(n=0), B(n=1), B(n=2), C(n=3)] == invoke.published
    assert published[0].find_input_task(A) == A(n=7)
    assert [name for name, _ in published[0].provenance()] == ["InitialTaskWorker", "Split"]
    assert invoke.worker.log == ["init", 7, "completed"]
    (status,) = invoke.statuses
    assert (status.task, status.message, status.object) == (A(n=7), "split 7", {"count": 3})
    invoke.assert_published_task_count(4)
    invoke.assert_published_task_types([B, B, B, C])
    with pytest.raises(AssertionError, match="published 4 tasks, not 1: B, B, B, C"):
        invoke.assert_published_task_count(1)
    with pytest.raises(AssertionError, match=r"\[B, B, B, C\], not \[C\]"):
        invoke.assert_published_task_types([C])


async def test_each_call_starts_anew(autojump_clock):
    """With an instance, too; and it can be put into a graph afterwards."""
    worker = Split(count=1)
    invoke = InvokeTaskWorker(worker)
    assert len(await invoke(A())) == 2
    assert len(await invoke(A())) == 2
    assert len(invoke.statuses) == 1
    Graph().add_worker(worker)
    with pytest.raises(ValueError, match="Split is in a graph already"):
        InvokeTaskWorker(worker)


async def test_tries_that_fail_leave_nothing(autojump_clock):
    """As many as the worker says; what the last raises leaves the call as it is."""
    invoke = InvokeTaskWorker(Split, num_retries=2, fails=2)
    invoke_too_few = InvokeTaskWorker(Split, num_retries=1, fails=2)
    assert len(await invoke(A(n=1))) == 3
    assert len(invoke.statuses) == 1
    assert invoke.worker.log == ["init", 1, 1, 1, "completed"]
    with pytest.raises(KeyError, match="1"):
        await invoke_too_few(A(n=1))
    assert invoke_too_few.published == []
    assert invoke_too_few.statuses == []
    invoke_too_few.assert_published_task_count(0)


async def test_plain_handlers_and_sources():
    """In a thread, and as far as they go."""
    threads = []

    def plain(self, task: A):
        threads.append(threading.current_thread())
        self.publish_work(B(n=task.n))

    async def source(self, task: A):
        for n in range(5):
            yield B(n=n)

    assert await InvokeTaskWorker(make(plain, B)).invoke(A(n=3)) == [B(n=3)]
    assert threads[0] is not threading.current_thread()
    assert len(await InvokeTaskWorker(make(source, B)).invoke(A())) == 5


async def test_metadata_inputs_and_state(autojump_clock):
    """What a handler may ask for is there."""

    async def look(self, task: B):
        state = self.get_worker_state(task.prefix(1))
        state["seen"] = True
        assert self.get_metadata(task) == {"who": "me"}
        self.publish_work(C(n=task.find_input_task(A).n))

    invoke = InvokeTaskWorker(make(look, C))
    task = B().inject_input(A(n=5))
    assert await invoke.invoke(task, metadata={"who": "me"}) == [C(n=5)]


async def test_what_one_has_published_another_can_get(autojump_clock):
    """As a copy that knows what it came from."""

    async def look(self, task: B):
        assert task.get_private_state("key") == "value"
        self.publish_work(C(n=task.find_input_task(A).n))

    (task, *_) = await InvokeTaskWorker(Split).invoke(A(n=6))
    task.add_private_state("key", "value")
    assert await InvokeTaskWorker(make(look, C)).invoke(task) == [C(n=6)]


async def test_joins_and_what_they_lack(autojump_clock):
    """By their policy; the order is the one given, and join_type is what it was."""
    invoke = InvokeTaskWorker(Total)
    assert await invoke.invoke_joined([B(n=1), B(n=2)]) == [D(n=30)]
    assert invoke.worker.join_type is Split
    with pytest.raises(JoinError, match="has 1 inputs"):
        await invoke.invoke_joined([B(n=1)], missing=[KeyError("lost")])
    settled = InvokeTaskWorker(Total, join_policy="settled")
    assert await settled.invoke_joined([B(n=1)], missing=[KeyError("a"), OSError("b")]) == [D(n=12)]
    assert await settled.invoke_joined([], missing=[KeyError("a")]) == [D(n=1)]
    two = InvokeTaskWorker(Total, join_policy=at_least(2))
    assert await two.invoke_joined([B(n=1), B(n=1)], missing=[KeyError("a")]) == [D(n=21)]
    with pytest.raises(JoinError):
        await two.invoke_joined([B(n=1)])
    with pytest.raises(ValueError, match="a join of nothing is never called"):
        await invoke.invoke_joined([])
    tasks = await InvokeTaskWorker(Split, count=4).invoke(A())
    assert await invoke.invoke_joined([task for task in tasks if isinstance(task, B)]) == [D(n=60)]


async def test_merges(autojump_clock):
    """They get lists by type."""

    class Merge(MergedTaskWorker):
        join_type: type[TaskWorker] = Split
        merged_types: list[type[Task]] = [B, C]
        output_types: list[type[Task]] = [D]

        async def consume_work_merged(self, tasks: dict[str, list]):
            assert list(tasks) == ["B", "C"]
            self.publish_work(D(n=10 * len(tasks["B"]) + len(tasks["C"])))

    invoke = InvokeTaskWorker(Merge)
    assert await invoke.invoke_joined([C(), B(n=1), B(n=2)]) == [D(n=21)]


class More(B):
    more: int = 0


async def test_subclasses_are_taken(autojump_clock):
    """As in a graph."""
    assert await InvokeTaskWorker(Total).invoke_joined([More(n=1), B(n=1)]) == [D(n=20)]


async def test_mistakes_are_told():
    """At once, and with what to do."""
    with pytest.raises(TypeError, match="Split takes A, not B"):
        await InvokeTaskWorker(Split).invoke(B())
    with pytest.raises(TypeError, match="invoke takes tasks, not 3"):
        await InvokeTaskWorker(Split).invoke(3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="Total takes B, not A"):
        await InvokeTaskWorker(Total).invoke_joined([A()])
    with pytest.raises(TypeError, match="takes a list of tasks"):
        await InvokeTaskWorker(Total).invoke_joined(B())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"Total is a join: call invoke_joined\(\)"):
        await InvokeTaskWorker(Total).invoke(B())
    with pytest.raises(TypeError, match=r"Split is no join: call invoke\(\)"):
        await InvokeTaskWorker(Split).invoke_joined([A()])
    with pytest.raises(TypeError, match="made already, so it takes no count"):
        InvokeTaskWorker(Split(), count=1)
    with pytest.raises(TypeError, match="takes a task worker, or its class, not 7"):
        InvokeTaskWorker(7)  # type: ignore[arg-type]


async def test_questions_are_answered(autojump_clock):
    """With what was set; a test that forgot it is told so."""

    async def ask(self, task: A):
        data, mime = await self.request_user_input(task, "name?", ["text/plain", "text/html"])
        self.publish_work(B(n=len(data)))
        self.notify_status(task, mime)

    invoke = InvokeTaskWorker(make(ask, B))
    with pytest.raises(AssertionError, match=r"asks 'name\?': set \.answer"):
        await invoke(A())
    invoke.answer = "Ada"
    assert await invoke(A()) == [B(n=3)]
    assert (invoke.asked, invoke.statuses[0].message) == (["name?"], "text/plain")
    invoke.answer = "<b>", "text/html"
    await invoke(A())
    assert invoke.statuses[0].message == "text/html"
    invoke.answer = lambda request: request.instruction
    assert await invoke(A()) == [B(n=5)]


async def test_cached_workers_have_a_cache_in_memory(autojump_clock):
    """So that no test writes files by chance."""

    class Slow(CachedTaskWorker):
        output_types: list[type[Task]] = [B]
        calls: int = 0

        async def consume_work(self, task: A):
            self.calls += 1
            self.publish_work(B(n=task.n))

    invoke = InvokeTaskWorker(Slow)
    assert await invoke(A(n=1)) == await invoke(A(n=1)) == [B(n=1)]
    assert invoke.worker.calls == 1
    assert isinstance(invoke.worker.cache, MemoryCache)
    mine = MemoryCache()
    assert InvokeTaskWorker(Slow, cache=mine).worker.cache is mine


async def test_cancelled_with_its_caller(autojump_clock):
    """The handler has ended, and the worker can be invoked again."""
    ended = []

    async def wait(self, task: A):
        try:
            await trio.sleep(task.n)
        finally:
            ended.append(task.n)

    invoke = InvokeTaskWorker(make(wait))
    with trio.move_on_after(1) as scope:
        await invoke(A(n=100))
    assert scope.cancelled_caught
    assert ended == [100]
    assert await invoke(A(n=1)) == []
