"""Windows: who gives tasks is asked for more only while there is room."""

import pytest
import trio
from flows import A, B, C, D, assert_quiet, found, join, line, make
from trio.testing import wait_all_tasks_blocked

from trioworkers.errors import GraphError


@pytest.mark.parametrize("window", [1, 2, 7, 100])
@pytest.mark.parametrize("is_async", [False, True])
async def test_generator_is_pulled_under_the_window(autojump_clock, window, is_async):
    """Never more than that is in flight, all descendants counted."""
    given, most = [0], [0]
    ended = [0]

    def numbers():
        for n in range(200):
            given[0] += 1
            most[0] = max(most[0], given[0] - ended[0])
            yield A(n=n)

    async def numbers_async():
        for task in numbers():
            yield task

    async def work(self, task: A):
        await trio.sleep(1)
        ended[0] += 1
        self.publish_work(B(n=task.n))

    async def more(self, task: B):
        given[0] += 1
        ended[0] += 1

    graph = line(make(work, B), make(more), window=window)
    await graph.run(numbers_async() if is_async else numbers())
    assert given == ended == [400]
    assert most[0] <= window + 1
    assert_quiet(graph)


async def test_source_handler_is_pulled_under_the_window(autojump_clock):
    """What it yields is seen at once, and it waits for room."""
    given, ended = [], []

    async def give(self, task: A):
        for n in range(50):
            given.append(n)
            yield B(n=n)

    async def slow(self, task: B):
        await trio.sleep(1)
        ended.append(task.n)

    worker = make(give, B)
    graph = line(worker, make(slow), window=5)
    async with graph.open():
        await graph.add_work(worker, A())
        await wait_all_tasks_blocked()
        assert len(given) == 5
        await trio.sleep(1.5)
        assert len(given) == 10
    assert sorted(ended) == list(range(50))


async def test_what_joins_hold_is_not_counted(autojump_clock):
    """Otherwise a join of more than the window would wait for ever."""

    async def give(self, task: A):
        for n in range(50):
            yield B(n=n)

    async def pass_on(self, task: B):
        self.publish_work(C(n=task.n))

    async def total(self, tasks: list[C]):
        self.publish_work(D(n=len(tasks)))

    graph = line(make(give, B), make(pass_on, C), join(total, D), sink=D, window=3)
    await graph.run([A()])
    assert found(graph) == [50]


@pytest.mark.parametrize("max_running", [1, 2, 1000])
@pytest.mark.parametrize("limit", [None, 1, 2])
async def test_waiting_sources_hold_no_place(autojump_clock, max_running, limit):
    """Nested sources in any numbers end, whatever few may run at once."""

    async def give(self, task: A):
        for n in range(5):
            yield B(n=n)

    async def give_more(self, task: B):
        for n in range(5):
            yield C(n=n)

    async def end(self, task: C):
        self.publish_work(D(n=task.n))

    workers = [make(give, B), make(give_more, C), make(end, D)]
    graph = line(*workers, sink=D, window=2, max_running=max_running)
    if limit is not None:
        from trioworkers.graph import TaskWorker

        graph.set_max_parallel_tasks(TaskWorker, limit)
    await graph.run(A() for _ in range(4))
    assert len(found(graph)) == 100
    assert_quiet(graph)


async def test_source_that_fails_keeps_what_it_has_given(autojump_clock):
    """What it yielded is seen already; its error is told."""

    async def give(self, task: A):
        yield B(n=1)
        self.publish_work(B(n=2))
        yield None
        self.publish_work(B(n=3))
        raise KeyError("source")

    graph = line(make(give, B), sink=B)
    with pytest.raises(GraphError, match="source"):
        await graph.run([A()])
    assert found(graph) == [1, 2]


async def test_source_must_yield_tasks(autojump_clock):
    """Anything else is an error that says so."""

    async def give(self, task: A):
        yield 3

    with pytest.raises(GraphError, match="Give yielded 3: a source yields tasks"):
        await line(make(give, B), sink=B).run([A()])


async def test_source_may_publish_after_its_last_yield(autojump_clock):
    """And tell statuses at each."""
    told = []

    async def give(self, task: A):
        self.notify_status(task, "first")
        yield B(n=1)
        self.notify_status(task, "last")
        self.publish_work(B(n=2))

    worker = make(give, B)
    graph = line(worker, sink=B)
    async with graph.open():
        await graph.add_work(worker, A(), status_callback=lambda *args: told.append(args[4]))
    assert found(graph) == [1, 2]
    assert told == ["first", "last"]


async def test_generator_is_closed_when_the_run_is_cancelled(autojump_clock):
    """An async one, in the Trio task that has run it."""
    closed = []

    async def tasks():
        try:
            while True:
                yield A()
        finally:
            closed.append(1)

    async def slow(self, task: A):
        await trio.sleep_forever()

    with trio.move_on_after(1):
        await line(make(slow), window=3).run(tasks())
    assert closed == [1]


async def test_joins_that_run_count_in_the_window(autojump_clock):
    """Each is counted once, and no longer than it runs."""
    most = []

    def tasks():
        for _ in range(50):
            most.append(graph.statistics().in_flight)
            yield A()

    async def two(self, task: A):
        for n in range(2):
            self.publish_work(B(n=n))

    async def slow(self, tasks: list[B]):
        await trio.sleep(1)

    graph = line(make(two, B), join(slow), window=3)
    await graph.run(tasks())
    assert max(most) == 2
    assert graph.statistics().done == 100


async def test_add_work_goes_on_as_soon_as_there_is_room(autojump_clock):
    """One place is enough, as all the others may be waiting for what is added next."""
    come = trio.Event()

    async def wait(self, task: A):
        if task.n == 8:
            come.set()
        elif task.n:
            await come.wait()
        else:
            await trio.sleep(1)

    worker = make(wait)
    graph = line(worker, window=8)
    with trio.fail_after(10):
        async with graph.open():
            for n in range(9):
                await graph.add_work(worker, A(n=n))
        await graph.run([A(n=n) for n in range(9)])


async def test_who_waits_for_room_is_not_forgotten(autojump_clock):
    """One who was let go on and then can't leaves the room to the next."""
    hold, same, added = trio.Event(), A(n=1), []

    async def wait(self, task: A):
        if not task.n:
            await hold.wait()
        else:
            await trio.sleep_forever()

    worker = make(wait)
    graph = line(worker, window=3)

    async def add(task):
        try:
            added.append(await graph.add_work(worker, task))
        except ValueError:
            added.append("refused")

    async with graph.open():
        with trio.fail_after(10):
            await graph.add_work(worker, A(n=0))
            await graph.add_work(worker, A(n=0))
            await graph.add_work(worker, A(n=1))
            async with trio.open_nursery() as nursery:
                for task in (same, same, A(n=1)):
                    nursery.start_soon(add, task)
                    await wait_all_tasks_blocked()
                assert not added
                hold.set()
        assert [type(one) for one in added] == [tuple, str, tuple]
        for number in range(3, 6):
            graph.abort_work((("InitialTaskWorker", number),))


async def test_a_generator_is_closed_when_run_leaves(autojump_clock):
    """What it has open doesn't wait for the garbage collector."""
    closed = []

    def numbers(worker):
        try:
            for n in range(10**9):
                yield worker, A(n=n)
        finally:
            closed.append(True)

    async def stop(self, task: A):
        if task.n == 30:
            raise SystemExit

    worker = make(stop)
    given = numbers(worker)
    with pytest.raises(SystemExit):
        await line(worker, window=5).run(given, on_failure="collect")
    assert closed == [True]
