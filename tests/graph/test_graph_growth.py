"""What must not grow: the work per task with the depth, what is kept, the size of messages."""

import gc
import random
import sys
import weakref

import pytest
import trio
from flows import A, B, C, assert_quiet, fan, join, line, make
from trio.testing import wait_all_tasks_blocked

from trioworkers.errors import GraphError, JoinError
from trioworkers.graph import Graph, Task
from trioworkers.graph._provenance import ProvenanceTree
from trioworkers.graph._sorting import SHORT, sort_by_provenance


async def lines_of(function, *args):
    """Return how many lines of the engine were run by an async function."""
    count = 0

    def trace(frame, event, _arg):
        nonlocal count
        if "trioworkers" not in frame.f_code.co_filename:
            return None
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        await function(*args)
    finally:
        sys.settrace(before)
    return count


async def assert_linear(function):
    """Twice the size takes about twice the lines."""
    small, large = await lines_of(function, 150), await lines_of(function, 300)
    assert large < 2.5 * small


async def test_publishing_for_each_input_of_a_join(autojump_clock):
    """The whole ancestry is walked once, not once an output, also for what isn't an input."""

    async def each(self, tasks: list[B]):
        for task in tasks:
            self.publish_work(C(n=task.n), input_task=task)
        for _ in tasks:
            self.publish_work(C(), tasks[0])
            with pytest.raises(ValueError, match="nor comes from"):
                self.publish_work(C(), input_task=A())

    async def run(count):
        graph = line(fan(count), join(each, C), sink=C)
        await graph.run([A()])
        assert len(graph.get_output_tasks()) == 2 * count

    await assert_linear(run)


async def test_inputs_further_up_are_found_once(autojump_clock):
    """What the inputs of a join were made from is found at any time, and in any order."""

    async def change(self, task: B):
        self.publish_work(C(n=task.n))

    async def each(self, tasks: list[C]):
        for task in reversed(tasks):
            self.publish_work(A(n=task.n), input_task=task.previous_input_task())
        self.publish_work(A(n=-1), input_task=tasks[0].find_input_task(A))

    async def run(count):
        graph = line(fan(count), make(change, C), join(each, A), sink=A)
        await graph.run([A()])
        out = graph.get_output_tasks()
        assert {task.provenance()[:-1] for task in out} == {out[0].prefix(1)}
        assert all(task.find_input_task(C) is not None for task in out)

    await assert_linear(run)


async def test_a_join_behind_a_cycle(autojump_clock):
    """What each round adds to the group is sorted without looking at all rounds."""

    async def again(self, task: A):
        self.publish_work(B(n=task.n))
        if task.n:
            self.publish_work(A(n=task.n - 1))

    given = []

    async def gather(self, tasks: list[B]):
        given.extend(task.n for task in tasks)

    async def run(count):
        given.clear()
        worker, last = make(again, A, B), join(gather)
        graph = Graph()
        graph.add_workers(worker, last).set_entry(worker)
        graph.set_dependency(worker, worker)
        graph.set_dependency(worker, last)
        await graph.run([A(n=count)])
        assert len(given) == count + 1

    await assert_linear(run)


def tasks_below(draw, size, *, deep):
    """Return a node and tasks below it, some of them published by joins."""
    tree, root = ProvenanceTree(), A()
    root._pair = ("InitialTaskWorker", 3)
    node = tree.open(None, root._pair, root, None)
    tasks = [root]
    for number in range(1, size):
        task, above = A(n=number), tasks[-1] if deep else draw.choice(tasks)
        task._pair = (draw.choice("VW"), number)
        task._inputs = (above,)
        if number % 7 == 0:  # a join at what is above has published it
            task._base = above.provenance()
            task._inputs = (draw.choice(tasks),)
        tasks.append(task)
    return node, draw.sample(tasks, len(tasks) // 2)


@pytest.mark.parametrize("deep", [False, True])
def test_the_order_is_that_of_provenance(deep):
    """Whatever is below what, and whoever has published it."""
    draw = random.Random(5)
    for _ in range(30):
        node, tasks = tasks_below(draw, draw.choice([5, 60, 3 * SHORT]), deep=deep)
        expected = sorted(tasks, key=Task.provenance)
        sort_by_provenance(tasks, node)
        assert tasks == expected


# What is kept


def alive(ref):
    return sum(one() is not None for one in ref)


async def add_and_abort(graph, worker, count):
    """Begin with tasks that are aborted at once; return references to them."""
    refs = []
    for _ in range(count):
        task = A(n=1)
        refs.append(weakref.ref(task))
        chain = await graph.add_work(worker, task)
        await wait_all_tasks_blocked()
        graph.abort_work(chain)
        del task
    gc.collect()
    return refs


@pytest.mark.parametrize("where", ["a place", "a runner", "the next try"])
async def test_what_was_aborted_while_it_waited_is_gone(mock_clock, where):
    """Not only when its turn comes: also while what is before it goes on for ever."""
    ended = []

    async def hold(self, task: A):
        if task.n == 0:
            await trio.sleep_forever()
        if where == "the next try":
            raise ValueError
        ended.append(task.n)

    worker = make(hold, num_retries=int(where == "the next try"), backoff=1000.0)
    graph = line(worker, max_running=1 if where == "a runner" else 1000)
    if where == "a place":
        graph.set_max_parallel_tasks(type(worker), 1)
    async with graph.open(on_failure="collect"):
        first = None
        if where != "the next try":
            first = await graph.add_work(worker, A(n=0))
        last = await graph.add_work(worker, A(n=2))
        refs = await add_and_abort(graph, worker, 100)
        assert alive(refs) <= 3
        graph.abort_work(last if first is None else first)
        await graph.wait_completed(last)
    assert ended == ([] if where == "the next try" else [2])
    assert_quiet(graph)


async def test_a_join_that_waits_keeps_little_of_what_was_aborted(autojump_clock):
    """Provenances to be dropped are no more than what they are to be dropped from."""
    got = []

    count = 3000

    async def give(self, task: A):
        for n in range(count):
            yield B(n=n)

    async def some(self, task: B):
        if task.n:
            graph.abort_work(task.provenance())
            await trio.lowlevel.checkpoint()
        self.publish_work(A(n=task.n))

    async def gather(self, tasks: list[A]):
        got.append((len(tasks), tasks.missing_count))

    graph = line(make(give, B), make(some, A), join(gather, join_policy="settled"))
    async with graph.open() as opened:
        await graph.add_work(graph.workers[0], A())
        most = 0
        while opened.run.tree.roots:
            for node in opened.run.tree.roots.values():
                for group in (node.waiting or {}).values():
                    most = max(most, len(group.dropped or ()))
            await trio.lowlevel.checkpoint()
    assert got == [(1, count - 1)]
    assert most <= 1000


async def test_what_is_dropped_early_is_held_no_more(autojump_clock):
    """The counts are right, and the join is told of all that it lacks."""
    got, hold, chains = [], trio.Event(), []

    async def some(self, task: B):
        chains.append(task.provenance())
        self.publish_work(C(n=task.n))

    async def slow(self, task: C):
        if task.n == 0 or task.n > 600:
            await hold.wait()
        self.publish_work(A(n=task.n))

    async def gather(self, tasks: list[A]):
        got.append((len(tasks), tasks.missing_count))

    count = 1200
    graph = line(
        fan(count), make(some, C), make(slow, A), join(gather, join_policy="settled"), window=5000
    )
    async with graph.open() as opened:
        await graph.add_work(graph.workers[0], A())
        await wait_all_tasks_blocked()
        assert graph.statistics().held == 600
        for chain in chains[1:]:
            assert graph.abort_work(chain)
        assert opened.run.held == graph.statistics().held == 0
        hold.set()
    assert got == [(1, count - 1)]


# Messages


async def test_messages_stay_short(autojump_clock):
    """However deep the task is, and whatever is in it."""

    async def again(self, task: A):
        if task.n:
            self.publish_work(A(n=task.n - 1))
        else:
            self.publish_work(B(n=10**4000))

    async def fail(self, task: B):
        raise ValueError("deep")

    async def gather(self, tasks: list[C]):
        pass

    worker, last = make(again, A, B), make(fail, C)
    graph = line(worker, last, join(gather, on=type(worker)))
    graph.set_dependency(worker, worker)
    with pytest.raises(
        GraphError, match=r"InitialTaskWorker:1 Again:1 .* \.\.\. 490 more"
    ) as caught:
        await graph.run([A(n=500)])
    error = caught.value
    failure, refused = error.failures
    assert isinstance(refused.error, JoinError)
    texts = [text for one in (error, failure, refused.error) for text in (str(one), repr(one))]
    texts += failure.error.__notes__
    assert max(map(len, texts)) < 1000


async def test_one_exception_that_many_tasks_raise(autojump_clock):
    """It is there once, with notes of some of them."""
    one, other = ValueError("one for all"), ValueError("another")

    async def fail(self, task: A):
        raise one if task.n else other

    graph = line(make(fail))
    for _ in range(2):
        with pytest.raises(GraphError, match="100 tasks of graph") as caught:
            await graph.run([A(n=n) for n in range(100)])
    assert caught.value.__cause__.exceptions == (other, one)
    assert len(one.__notes__) == 3
    assert len(other.__notes__) == 2
