"""`Graph.trace`: what happens below a prefix, as text."""

import pytest
import trio
from flows import A, B, C, assert_quiet, fan, join, line, make
from trio.testing import wait_all_tasks_blocked

from trioworkers.graph import _trace as limits


def words():
    """Return a graph that splits, counts with failures, and joins."""

    async def count(self, task: B):
        await trio.sleep(1 + task.n)
        if task.n == 1 or (task.n == 2 and task.retry_count == 0):
            raise ValueError(f"n\n{task.n}")
        self.publish_work(C(n=task.n))

    async def total(self, tasks: list[C]):
        self.publish_work(A(n=len(tasks)))

    counting = make(count, C, num_retries=1, backoff=0.0)
    return line(fan(3), counting, join(total, A, join_policy="settled"), sink=A)


async def test_trace_says_who_when_and_what(autojump_clock):
    """Each task of the prefix with what became of it; none of others."""
    graph = words()
    async with graph.open(on_failure="collect"):
        chain = await graph.add_work(graph.workers[0], A())
        trace = graph.trace(chain)
        await trio.sleep(0.5)
        await graph.add_work(graph.workers[0], A())
        await wait_all_tasks_blocked()
        assert "trace of InitialTaskWorker:1: 4 tasks, not complete" in str(trace)
        assert "Split:1 B for Count: runs" in str(trace)
        await graph.wait_completed(chain)
        assert trace.is_complete
    failed = "failed: ValueError: n 1"
    assert str(trace) == "\n".join(
        [
            "trace of InitialTaskWorker:1: 8 tasks, complete",
            "        at     waited       took  what",
            "     0.000      0.000      0.000  InitialTaskWorker:1 A for Split: done",
            "     0.000      0.000      1.000    Split:1 B for Count: done",
            f"     0.000      2.000      2.000    Split:2 B for Count: {failed} (try 2)",
            "     0.000      3.000      3.000    Split:3 B for Count: done (try 2)",
            "     1.000          -          -      Count:1 C for Total: given to a join",
            "     6.000          -          -      Count:3 C for Total: given to a join",
            "     6.000      0.000      0.000  InitialTaskWorker:1 join of 2 for Total: done",
            "     6.000          -          -    Total:1 A for sink of Total: collected",
        ]
    )
    assert graph.trace(chain) is trace  # also after the run
    assert graph.traces() == (trace,)


async def test_aborted_tasks_are_said_to_be(autojump_clock):
    """Those that run, and those that wait; also with a trace that begins late."""
    graph = words()
    graph.set_max_parallel_tasks(type(graph.workers[1]), 1)
    async with graph.open(on_failure="collect"):
        chain = await graph.add_work(graph.workers[0], A())
        await wait_all_tasks_blocked()
        trace = graph.trace(chain)
        assert [(task.type, task.outcome) for task in trace.tasks] == [
            ("B", "runs"),
            ("B", "waits"),
            ("B", "waits"),
        ]
        graph.abort_work(chain)
        await graph.wait_completed(chain)
    assert [task.outcome for task in trace.tasks] == ["aborted"] * 3
    assert trace.is_complete


async def test_worker_and_join_can_ask_for_it(autojump_clock):
    """By `TaskWorker.trace`, also in a thread, and by ``enable_trace``."""

    async def split(self, task: A):
        self.trace(task.provenance())
        self.publish_work(B())

    def trace(self, task: B):
        self.trace(task.provenance())
        self.trace(task.prefix(1))
        self.publish_work(C())

    async def total(self, tasks: list[C]): ...

    graph = line(make(split, B), make(trace, C), join(total, enable_trace=True))
    await graph.run([A()])
    first, second = graph.traces()
    assert first.prefix == (("InitialTaskWorker", 1),)
    assert second.prefix == (("InitialTaskWorker", 1), ("Split", 1))
    assert first.is_complete
    assert "join of 1 for Total: done" in str(first)

    graph = line(fan(2), join(make_total(), enable_trace=True))
    await graph.run([A(), A()])
    assert len(graph.traces()) == 2
    assert all("join of 2 for Total: done" in str(trace) for trace in graph.traces())


def make_total():
    async def total(self, tasks: list[B]): ...

    return total


async def test_traces_are_bounded(autojump_clock, monkeypatch):
    """In tasks each, and in number; the oldest that are complete go first."""
    monkeypatch.setattr(limits, "MAX_TASKS", 3)
    monkeypatch.setattr(limits, "MAX_TRACES", 2)

    async def hang(self, task: B):
        if task.n == 4:
            await trio.sleep(100)

    graph = line(fan(5), make(hang))
    async with graph.open():
        chains = []
        for _ in range(2):
            chains.append(await graph.add_work(graph.workers[0], A()))
            graph.trace(chains[-1])
        await wait_all_tasks_blocked()
        text = str(graph.trace(chains[0]))
        assert "6 tasks, not complete" in text
        assert text.endswith("\nand 3 more")
        assert text.count("\n") == 5
        graph.abort_work(chains[1])
        await graph.wait_completed(chains[1])
        chains.append(await graph.add_work(graph.workers[0], A()))
        graph.trace(chains[2])
        assert [trace.prefix for trace in graph.traces()] == [chains[0], chains[2]]
        chains.append(await graph.add_work(graph.workers[0], A()))
        graph.trace(chains[3])
        assert [trace.prefix for trace in graph.traces()] == [chains[2], chains[3]]
    assert_quiet(graph)


async def test_unknown_prefix_is_an_error(autojump_clock):
    """Whether the graph is open or not; a new run forgets the traces."""
    graph = words()
    with pytest.raises(ValueError, match=r"nothing of .*:9.* is in flight.*not traced"):
        graph.trace((("InitialTaskWorker:9", 9),))
    async with graph.open(on_failure="collect"):
        chain = await graph.add_work(graph.workers[0], A())
        graph.trace(chain)
        with pytest.raises(ValueError, match="not traced"):
            graph.trace((*chain, ("Count", 9)))
    assert len(graph.traces()) == 1
    async with graph.open():
        assert graph.traces() == ()


async def test_long_errors_are_cut(autojump_clock):
    """To one line of 200 characters."""

    async def fail(self, task: A):
        self.trace(task.provenance())
        raise ValueError("long " * 1000)

    graph = line(make(fail))
    await graph.run([A()], on_failure="collect")
    assert max(map(len, str(graph.traces()[0]).splitlines())) < 320
