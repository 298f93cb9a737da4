"""`Graph.run`: tasks flow, commits are atomic, what is published is checked."""

import threading

import pytest
import trio
from flows import A, B, C, D, assert_quiet, fan, found, line, make

from trioworkers.errors import GraphError, NotAttachedError
from trioworkers.graph import Graph, TaskFailure
from trioworkers.graph import _failures as failures_module


async def test_tasks_flow_to_the_sink(autojump_clock):
    """What each worker publishes gets to the next, and provenance says how."""

    async def double(self, task: B):
        self.publish_work(C(n=2 * task.n), input_task=task)

    graph = line(fan(3), make(double, C), sink=C)
    assert await graph.run([A()]) == ()
    assert sorted(found(graph)) == [0, 2, 4]
    (first, *_) = graph.get_output_tasks()
    assert first.provenance() == (("InitialTaskWorker", 1), ("Split", 1), ("Double", 1))
    assert first.find_input_task(A).provenance() == (("InitialTaskWorker", 1),)
    assert_quiet(graph)
    assert graph.statistics().workers["Double"].done == 3


async def test_numbers_go_on_in_the_next_run(autojump_clock):
    """No two tasks of one graph ever have the same provenance."""
    graph = line(fan(1), sink=B)
    chains = []
    for _ in range(2):
        await graph.run([A()])
        chains += [task.provenance() for task in graph.get_output_tasks()]
    assert chains == [
        (("InitialTaskWorker", 1), ("Split", 1)),
        (("InitialTaskWorker", 2), ("Split", 2)),
    ]


async def test_empty_returns_at_once(autojump_clock):
    """There is nothing to do, and no worker is begun."""
    begun = []
    split = fan(1)
    split.init = lambda: begun.append(1)
    graph = line(split, sink=B)
    assert await graph.run([]) == ()
    assert not begun

    async def nothing():
        return
        yield

    assert await graph.run(nothing()) == ()
    assert begun == [1]
    assert await graph.run(iter(())) == ()


async def test_initial_tasks_from_all_kinds_of_iterables(autojump_clock):
    """Pairs and bare tasks, lists and generators, sync or not."""
    split = fan(1)
    graph = line(split, sink=B)

    async def some():
        yield A()
        await trio.sleep(1)
        yield split, A()

    for tasks, count in ([A(), (split, A())], 2), ((A() for _ in range(3)), 3), (some(), 2):
        await graph.run(tasks)
        assert len(graph.get_output_tasks()) == count


@pytest.mark.parametrize(
    ("items", "error", "says"),
    [
        (lambda split, other: [1], TypeError, "pairs of worker and task"),
        (lambda split, other: [(split, 1)], TypeError, "must be a Task"),
        (lambda split, other: [(other, B())], ValueError, "is no entry"),
        (lambda split, other: [(split, C())], ValueError, "takes A, not C"),
        (lambda split, other: [C()], ValueError, "no entry takes a C"),
        (
            lambda split, other: [task := A(), task],
            ValueError,
            "tasks twice: give task.copy_public",
        ),
        (lambda split, other: (x for x in [1]), TypeError, "pairs of worker and task"),
        (
            lambda split, other: iter([task := A(), task]),
            ValueError,
            "published before.*copy_public",
        ),
    ],
)
async def test_wrong_initial_tasks_are_refused(autojump_clock, items, error, says):
    """The error leaves unwrapped, and nothing is left running."""

    async def other(self, task: B):
        pass

    split, last = fan(1), make(other)
    graph = line(split, last)
    with pytest.raises(error, match=says):
        await graph.run(items(split, last))
    assert await graph.run([A()]) == ()


async def test_bare_task_that_two_entries_take_is_refused(autojump_clock):
    """It is not clear who gets it."""

    async def one(self, task: A):
        pass

    graph = Graph()
    workers = [make(one), make(one)]
    graph.add_workers(*workers).set_entry(*workers)
    with pytest.raises(ValueError, match="several entries take a A"):
        await graph.run([A()])


async def test_error_of_the_generator_leaves_unwrapped(autojump_clock):
    """It is the caller's own error; handlers are cancelled."""
    ended = []

    async def slow(self, task: A):
        try:
            await trio.sleep_forever()
        finally:
            ended.append(1)

    async def tasks():
        yield A()
        await trio.sleep(1)
        raise KeyError("mine")

    graph = line(make(slow))
    with pytest.raises(KeyError, match="mine"):
        await graph.run(tasks())
    assert ended == [1]


async def test_plain_handlers_run_in_threads():
    """They may publish from there, and several run side by side."""
    barrier = threading.Barrier(2, timeout=10)
    threads = set()

    def wait(self, task: B):
        barrier.wait()
        threads.add(threading.get_ident())
        self.publish_work(C(n=task.n), input_task=task)

    graph = line(fan(4), make(wait, C), sink=C, max_threads=2)
    await graph.run([A()])
    assert sorted(found(graph)) == [0, 1, 2, 3]
    assert threading.get_ident() not in threads


async def test_union_and_cycle(autojump_clock):
    """A worker that publishes to itself ends when it publishes no more."""

    async def count(self, task: A | B):
        if task.n < 500:
            self.publish_work(B(n=task.n + 1))
        else:
            self.publish_work(C(n=task.n))

    worker = make(count, B, C)
    graph = line(worker, sink=C)
    graph.set_dependency(worker, worker)
    await graph.run([A()])
    assert found(graph) == [500]
    assert len(graph.get_output_tasks()[0].provenance()) == 502


async def test_consumer_chooses_between_takers(autojump_clock):
    """Without it, it is an error that names who takes the type."""

    async def left(self, task: B):
        self.publish_work(C(n=1))

    async def right(self, task: B):
        self.publish_work(C(n=2))

    async def choose(self, task: A):
        if task.n == 9:
            self.publish_work(B())
        self.publish_work(B(), consumer=self.to)
        if task.n == 8:
            self.publish_work(B(), consumer=self)

    chooser, one, two = make(choose, B), make(left, C), make(right, C)
    graph = Graph()
    graph.add_workers(chooser, one, two).set_entry(chooser)
    for worker in one, two:
        graph.set_dependency(chooser, worker).sink(C)
    for chooser.to, number in (one, 1), (two, 2):
        await graph.run([A()])
        assert found(graph) == [number]
    (failure,) = await graph.run([A(n=9)], on_failure="collect")
    assert "several workers take: Left, Right" in str(failure)
    (failure,) = await graph.run([A(n=8)], on_failure="collect")
    assert "for 'Choose', which takes none" in str(failure)


async def test_what_is_published_is_checked_at_once(autojump_clock):
    """Each mistake is an error in the handler, which says what to do."""
    said = []

    async def publish(self, task: A):
        again = B()
        self.publish_work(again)
        for wrong in (
            lambda: self.publish_work(again),
            lambda: self.publish_work(task),
            lambda: self.publish_work(D()),
            lambda: self.publish_work("B"),
            lambda: self.publish_work(B(), input_task=A()),
            lambda: other.publish_work(C()),
        ):
            with pytest.raises((ValueError, TypeError, NotAttachedError)) as caught:
                wrong()
            said.append(str(caught.value))

    async def take(self, task: B):
        self.publish_work(C(n=task.n))

    other = make(take, C)
    graph = line(make(publish, B), other, sink=C)
    await graph.run([A()])
    assert len(graph.get_output_tasks()) == 1
    for text, expected in zip(
        said,
        (
            "copy_public",
            "output_types are B",
            "output_types are B",
            "takes a Task",
            "not working on",
            "in a handler of 'Publish'",
        ),
        strict=True,
    ):
        assert expected in text


async def test_publishing_after_the_end_is_an_error(autojump_clock):
    """A Trio task that outlives the handler can't slip something in."""
    said = []

    async def late(self, task: A):
        nursery.start_soon(publish_later, self)

    async def publish_later(worker):
        await trio.sleep(1)
        with pytest.raises(NotAttachedError) as caught:
            worker.publish_work(B())
        said.append(str(caught.value))

    async def slow(self, task: A):
        await trio.sleep(5)

    graph = Graph()
    workers = make(late, B), make(slow)
    graph.add_workers(*workers).set_entry(*workers)
    graph.set_sink(workers[0], B)
    async with trio.open_nursery() as nursery:
        await graph.run([(workers[0], A()), (workers[1], A())])
    assert said
    assert "after the handler had ended" in said[0]
    with pytest.raises(NotAttachedError, match="isn't running"):
        workers[0].publish_work(B())


async def test_input_task_further_up_is_the_parent(autojump_clock):
    """The output then has the provenance of that one."""

    async def back(self, task: B):
        self.publish_work(C(n=1), input_task=task.find_input_task(A))

    graph = line(fan(1), make(back, C), sink=C)
    await graph.run([A()])
    (task,) = graph.get_output_tasks()
    assert [name for name, _ in task.provenance()] == ["InitialTaskWorker", "Back"]


async def test_returned_value_is_an_error(autojump_clock):
    """What goes nowhere is not lost silently."""

    async def give(self, task: A):
        return B()

    with pytest.raises(GraphError, match="Give returned a B, which goes nowhere"):
        await line(make(give, B), sink=B).run([A()])


async def test_failures_do_not_stop_siblings(autojump_clock):
    """All others are done; what failed is told with its provenance and error."""

    async def odd(self, task: B):
        if task.n % 2:
            raise KeyError(task.n)
        self.publish_work(C(n=task.n))

    graph = line(fan(6), make(odd, C), sink=C)
    with pytest.raises(GraphError, match="3 tasks of graph 'graph' failed") as caught:
        await graph.run([A()])
    assert sorted(found(graph)) == [0, 2, 4]
    assert isinstance(caught.value.__cause__, ExceptionGroup)
    assert all(isinstance(error, KeyError) for error in caught.value.__cause__.exceptions)
    failures = await graph.run([A()], on_failure="collect")
    assert sorted(failure.error.args[0] for failure in failures) == [1, 3, 5]
    assert failures[0].worker == "Odd"
    assert failures[0].attempts == 1
    assert failures[0].provenance == failures[0].task.provenance()
    assert "Odd with B at InitialTaskWorker:2 Split:" in str(failures[0])
    assert_quiet(graph)


async def test_further_failures_are_counted(autojump_clock, monkeypatch):
    """They don't grow without bound."""
    monkeypatch.setattr(failures_module, "MAX_FAILURES", 3)

    async def fail(self, task: B):
        raise ValueError("no")

    with pytest.raises(GraphError, match="20 tasks") as caught:
        await line(fan(20), make(fail)).run([A()])
    assert len(caught.value.failures) == 3
    assert caught.value.count == 20


async def test_failed_handler_publishes_nothing(autojump_clock):
    """And what it had published may be published again."""
    kept = []

    async def fail(self, task: A):
        kept.append(B(n=7))
        self.publish_work(kept[-1])
        raise ValueError("after publishing")

    graph = line(make(fail, B), sink=B)
    assert len(await graph.run([A()], on_failure="collect")) == 1
    assert found(graph) == []
    assert kept[0].provenance() == ()
    assert not kept[0]._published


async def test_only_one_run_at_a_time(autojump_clock):
    """The second is refused, the first goes on; nor may the graph be changed."""

    async def nested(self, task: A):
        with pytest.raises(RuntimeError, match="running already"):
            await graph.run([A()])
        with pytest.raises(RuntimeError, match="call set_entry"):
            graph.set_entry(worker)

    worker = make(nested)
    graph = line(worker)
    await graph.run([A()])


async def test_graph_in_a_graph(autojump_clock):
    """A handler may run another graph."""

    async def inner(self, task: A):
        self.publish_work(B(n=task.n + 1))

    async def outer(self, task: A):
        graph = line(make(inner, B), sink=B)
        await graph.run([A(n=task.n)])
        for one in graph.get_output_tasks():
            self.publish_work(one.copy_public())

    graph = line(make(outer, B), sink=B)
    await graph.run([A(n=1), A(n=2)])
    assert sorted(found(graph)) == [2, 3]


async def test_wrong_on_failure(autojump_clock):
    """It is refused before anything begins."""
    graph = line(fan(1), sink=B)
    with pytest.raises(ValueError, match="'raise' or 'collect'"):
        await graph.run([A()], on_failure="ignore")
    with pytest.raises(ValueError, match="'raise' or 'collect'"):
        graph.open(on_failure="ignore")


@pytest.mark.parametrize("max_threads", [0, True, "1"])
def test_max_threads_is_checked(max_threads):
    """A number of threads is a whole one."""
    with pytest.raises((ValueError, TypeError), match="max_threads must be"):
        Graph(max_threads=max_threads)


async def test_sinks_notify(autojump_clock):
    """Callbacks get metadata and task, sync or async; a failing one is a failure."""
    got = []

    async def slowly(metadata, task):
        await trio.sleep(1)
        got.append(("async", metadata, task.n))

    def at_once(metadata, task):
        got.append(("sync", metadata, task.n))

    def fail(metadata, task):
        raise KeyError("sink")

    for notify in slowly, at_once, fail:
        split = fan(1)
        graph = line(split)
        split.sink(B, notify)
        async with graph.open(on_failure="collect") as opened:
            chain = await graph.add_work(split, A(), metadata={"k": 1})
            await graph.wait_completed(chain)
            if notify is fail:
                (failure,) = opened.failures
                assert isinstance(failure, TaskFailure)
                assert "sink of Split" in str(failure)
        assert graph.get_output_tasks() == []
    assert got == [("async", {"k": 1}, 0), ("sync", {"k": 1}, 0)]


async def test_output_goes_to_consumer_and_sinks(autojump_clock):
    """Each of them has it, and the initial task is complete when all are done."""
    got = []

    async def notify(metadata, task):
        await trio.sleep(5)
        got.append(task.n)

    async def last(self, task: B):
        self.publish_work(C(n=task.n))

    split = fan(2)
    end = make(last, C)
    graph = line(split, end, sink=C)
    split.sink(B, notify)
    async with graph.open():
        chain = await graph.add_work(split, A())
        await graph.wait_completed(chain)
        assert sorted(got) == [0, 1]
    assert found(graph) == [0, 1]


async def test_exit_without_takers_is_collected(autojump_clock):
    """What the graph as a whole publishes is its output."""
    split = fan(2)
    graph = line(split)
    graph.set_exit(split)
    await graph.run([A()])
    assert found(graph) == [0, 1]


async def test_max_parallel_tasks(autojump_clock):
    """Waiting tasks hold no runner: with one runner left, others work on."""
    most = {"few": 0, "now": 0}
    done = []

    async def few(self, task: B):
        most["now"] += 1
        most["few"] = max(most["few"], most["now"])
        await trio.sleep(1)
        most["now"] -= 1
        done.append("few")

    async def split(self, task: A):
        for n in range(10):
            self.publish_work(B(n=n))
            self.publish_work(C(n=n))

    async def many(self, task: C):
        done.append("many")

    graph = Graph(max_running=4)
    one, two, three = make(split, B, C), make(few), make(many)
    graph.add_workers(one, two, three).set_entry(one)
    graph.set_dependency(one, two)
    graph.set_dependency(one, three)
    graph.set_max_parallel_tasks(type(two), 3)
    start = trio.current_time()
    await graph.run([A()])
    assert most["few"] == 3
    assert trio.current_time() - start == 4
    assert done[:10] == ["many"] * 10
    assert_quiet(graph)


async def test_max_running(autojump_clock):
    """No more handlers run at once, and tasks are taken in order."""
    running, most, order = [], [], []

    async def slow(self, task: B):
        order.append(task.n)
        running.append(1)
        most.append(len(running))
        await trio.sleep(1)
        running.pop()

    await line(fan(20), make(slow), max_running=5).run([A()])
    assert max(most) == 5
    assert order == list(range(20))


async def test_strict_finds_changed_inputs():
    """A handler that changes what others share has failed."""

    async def change(self, task: A):
        task.n += 1

    def change_in_thread(self, task: A):
        task.n += 1

    async def change_source(self, task: A):
        task.n += 1
        yield B()

    for handler in change, change_in_thread, change_source:
        worker = make(handler, B)
        graph = line(worker, sink=B, strict=True)
        with pytest.raises(GraphError, match=r"has changed the A.*copy_public"):
            await graph.run([A()])
        assert found(graph) == []
        graph = line(make(handler, B), sink=B)
        await graph.run([A()])


async def test_context_of_a_handler_is_its_own(autojump_clock):
    """What one sets, the next doesn't see."""
    import contextvars

    variable = contextvars.ContextVar("variable", default=0)
    variable.set(1)
    seen = []

    async def look(self, task: B):
        seen.append(variable.get())
        variable.set(2)

    await line(fan(5), make(look)).run([A()])
    assert seen == [1] * 5
