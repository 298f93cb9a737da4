"""What random graphs have found to be wrong, each as small as it could be written."""

from contextlib import contextmanager

import pytest
import trio
from flows import A, B, C, D, assert_quiet, fan, join, line, make

from trioworkers.errors import HeldTasksError
from trioworkers.graph import Graph, TaskWorker


class Busy:
    """Counts handlers at work, without those that wait in a ``yield``."""

    def __init__(self):
        self.now = self.most = 0

    @contextmanager
    def working(self):
        self.now += 1
        self.most = max(self.most, self.now)
        yield
        self.now -= 1


async def test_too_much_held_of_a_source_ends_the_run(autojump_clock):
    """It was taken for a failure of the source's task, and the run went on."""

    async def split(self, task: A):
        for n in range(3):
            yield B(n=n)

    async def total(self, tasks: list[B]):
        raise AssertionError("called")

    graph = line(make(split, B), join(total), max_held=2)
    with pytest.raises(HeldTasksError):
        await graph.run([A()], on_failure="collect")
    assert graph.statistics().failed == 0


async def test_a_source_that_has_waited_for_a_place_looks_at_its_window_again(autojump_clock):
    """While it waited, others of its descendants had come."""
    pulled = []

    class Shared(TaskWorker):
        async def consume_work(self, task: A):
            """Overridden."""

    async def split(self, task: A):
        for n in range(4):
            yield B(n=n)
            now = graph.statistics().workers
            pulled.append(sum(one.queued + one.running for one in now.values()) - 1)

    async def more(self, task: B):
        await trio.sleep(1)
        for n in range(3):
            self.publish_work(C(n=n))

    async def slow(self, task: C):
        await trio.sleep(10)

    graph = line(make(split, B, base=Shared), make(more, C, base=Shared), make(slow), window=2)
    graph.set_max_parallel_tasks(Shared, 1)
    await graph.run([A()])
    assert len(pulled) == 4
    assert max(pulled) < 2, pulled
    assert_quiet(graph)


@pytest.mark.parametrize("most", [1, 2])
async def test_sources_that_go_on_count_among_the_handlers_that_may_run(most, autojump_clock):
    """They went on beside those that had taken their places, which then stayed for ever."""
    busy = Busy()

    async def split(self, task: A):
        for n in range(5):
            with busy.working():
                await trio.sleep(1)
            yield B(n=n)

    async def work(self, task: B):
        with busy.working():
            await trio.sleep(1)
        self.publish_work(C(n=task.n))

    async def end(self, task: C):
        with busy.working():
            await trio.sleep(1)

    graph = line(make(split, B), make(work, C), make(end), window=3, max_running=most)
    await graph.run(A(n=n) for n in range(5))
    assert busy.most == most
    assert graph.statistics().done == 5 + 25 + 25
    assert_quiet(graph)


async def test_an_aborted_source_gives_its_runner_back(autojump_clock):
    """One that had waited in a ``yield``: its runner went on beside the one in its place."""
    busy = Busy()

    async def split(self, task: A):
        for n in range(2):
            yield B(n=n)

    async def work(self, task: B):
        with busy.working():
            await trio.sleep(1)

    splitter = make(split, B)
    graph = line(splitter, make(work), window=1, max_running=1)
    async with graph.open():
        chain = await graph.add_work(splitter, A())
        await trio.sleep(0.5)
        for _ in range(3):
            await graph.add_work(splitter, A())
            graph.abort_work(chain)
    assert busy.most == 1


async def test_a_cancelled_run_begins_nothing(autojump_clock):
    """What had just become ready was called all the same."""
    called = []

    async def work(self, task: B):
        called.append(task.n)

    async def hold(self, task: A):
        with trio.CancelScope(shield=True):
            await trio.sleep(1)

    graph = Graph()
    worker, holder = make(work), make(hold)
    graph.add_workers(worker, holder).set_entry(worker, holder)
    with trio.CancelScope() as scope:
        async with graph.open():
            await graph.add_work(holder, A())
            await trio.sleep(0.5)
            await graph.add_work(worker, B(n=1))
            scope.cancel()
            await trio.lowlevel.checkpoint()
    assert scope.cancelled_caught
    assert called == []


async def test_a_cancelled_run_ends_soon_although_its_handlers_raise(autojump_clock):
    """Those that answer a cancellation with an error make no room for what is queued."""
    called = []

    async def work(self, task: B):
        called.append(task.n)
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("while cleaning up")

    graph = line(fan(10), make(work, D), sink=D, max_running=2)
    with trio.move_on_after(1) as scope:
        await graph.run([A()], on_failure="collect")
    assert scope.cancelled_caught
    assert called == [0, 1]
