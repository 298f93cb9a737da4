"""`abort_work`: it stops a provenance and all that comes of it, and nothing else."""

import threading
from contextlib import suppress

import pytest
import trio
from flows import A, B, C, D, assert_quiet, fan, found, join, line, make
from trio.testing import wait_all_tasks_blocked

from trioworkers.errors import JoinError, TaskAbortedError
from trioworkers.graph import Graph


class Log:
    """Handlers that wait until they are told, and how each ended."""

    def __init__(self):
        self.events = {}
        self.ended = {}

    async def wait(self, n):
        event = self.events[n] = trio.Event()
        try:
            await event.wait()
        except trio.Cancelled:
            self.ended[n] = "cancelled"
            raise
        self.ended[n] = "done"

    def let_go(self):
        for event in self.events.values():
            event.set()


def waiting(log):
    async def hold(self, task: B):
        await log.wait(task.n)
        self.publish_work(C(n=task.n))

    return make(hold, C)


async def test_running_descendants_are_cancelled_and_no_others(autojump_clock):
    """Siblings and other initial tasks go on."""
    log = Log()

    async def split(self, task: A):
        for n in range(2):
            self.publish_work(B(n=10 * task.n + n))

    splitter = make(split, B)
    graph = line(splitter, waiting(log), sink=C)
    async with graph.open():
        first = await graph.add_work(splitter, A(n=0))
        second = await graph.add_work(splitter, A(n=1))
        await wait_all_tasks_blocked()
        assert graph.abort_work((*first, ("Split", 1)))
        await graph.wait_completed((*first, ("Split", 1)))
        assert log.ended == {0: "cancelled"}
        assert not graph.abort_work((*first, ("Split", 1)))
        assert graph.abort_work(second)
        await graph.wait_completed(second)
        assert log.ended == {0: "cancelled", 10: "cancelled", 11: "cancelled"}
        log.let_go()
    assert found(graph) == [1]
    assert graph.statistics().aborted == 3
    assert_quiet(graph)


async def test_unknown_and_complete_provenance(autojump_clock):
    """There is nothing to stop, and that is told."""
    split = fan(1)
    graph = line(split, sink=B)
    async with graph.open():
        assert not graph.abort_work((("InitialTaskWorker", 9),))
        chain = await graph.add_work(split, A())
        await graph.wait_completed(chain)
        assert not graph.abort_work(chain)


async def test_queued_descendants_are_dropped(autojump_clock):
    """Their handlers are never called; places are given back."""
    called = []

    async def one_by_one(self, task: B):
        called.append(task.n)
        await trio.sleep(1)
        if task.n == 1:
            assert graph.abort_work(task.prefix(1))
        await trio.sleep(1)

    split = fan(100)
    worker = make(one_by_one)
    graph = line(split, worker)
    graph.set_max_parallel_tasks(type(worker), 2)
    await graph.run([A(), A()], on_failure="collect")
    # Of each, 0 and 1 had places, and 2 took that of 0 just when 1 ended all.
    assert sorted(called) in ([0, 0, 1, 1, 2], [0, 0, 1, 1, 2, 2], [0, 0, 1, 1])
    assert_quiet(graph)


@pytest.mark.parametrize("max_running", [1, 1000])
async def test_queued_without_limits_are_dropped(autojump_clock, max_running):
    """Also those that wait for nothing but a runner."""
    called = []

    async def stop(self, task: B):
        called.append(task.n)
        assert graph.abort_work(task.prefix(1))
        await trio.sleep(1)
        called.append("not reached")

    graph = line(fan(100), make(stop), max_running=max_running)
    await graph.run([A()])
    assert called == [0]
    assert graph.statistics().aborted == 100
    assert_quiet(graph)


async def test_handler_that_aborts_itself_publishes_nothing(autojump_clock):
    """Even if it never looks at the cancellation, or swallows it."""

    async def deaf(self, task: B):
        self.publish_work(C(n=task.n))
        assert graph.abort_work(task.provenance())
        if task.n == 1:
            with trio.CancelScope(shield=True):
                await trio.sleep(1)
        if task.n == 2:
            with suppress(trio.Cancelled):
                await trio.sleep(1)
        if task.n == 3:
            await trio.sleep(1)

    graph = line(fan(5), make(deaf, C), sink=C)
    await graph.run([A()])
    assert found(graph) == []
    assert graph.statistics().aborted == 5
    assert_quiet(graph)


async def test_error_of_an_aborted_handler_is_told(autojump_clock):
    """Alone or in a group with the cancellation; it is not tried again."""

    async def clean_up_badly(self, task: B):
        if task.n == 0:
            try:
                await trio.sleep_forever()
            finally:
                raise KeyError("alone")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            try:
                await trio.sleep_forever()
            finally:
                raise KeyError("group")

    split = fan(2)
    graph = line(split, make(clean_up_badly, num_retries=3, backoff=0.0))
    async with graph.open(on_failure="collect") as opened:
        chain = await graph.add_work(split, A())
        await wait_all_tasks_blocked()
        graph.abort_work(chain)
    texts = sorted(str(failure.error) for failure in opened.failures)
    assert len(texts) == 2
    assert texts[0] == "'alone'"
    assert opened.failures[0].attempts == 1
    assert graph.statistics().aborted == 2
    assert_quiet(graph)


async def test_waiting_retries_are_dropped(autojump_clock):
    """They are not tried again."""
    called = []

    async def fail(self, task: B):
        called.append(task.n)
        raise KeyError("again")

    split = fan(2)
    graph = line(split, make(fail, num_retries=5, backoff=60.0))
    async with graph.open():
        chain = await graph.add_work(split, A())
        await wait_all_tasks_blocked()
        assert graph.statistics().retrying == 2
        assert graph.abort_work(chain)
        assert graph.statistics().retrying == 0
        await graph.wait_completed(chain)
    assert sorted(called) == [0, 1]
    assert_quiet(graph)


async def test_handler_in_a_thread_is_waited_for():
    """It can't be cancelled but by its own checks; what it publishes is dropped."""
    begun, go = threading.Event(), threading.Event()

    def slow(self, task: A):
        begun.set()
        go.wait(10)
        self.publish_work(B())
        with pytest.raises(trio.Cancelled):
            trio.from_thread.check_cancelled()

    graph = line(make(slow, B), sink=B)
    async with graph.open():
        chain = await graph.add_work(graph.workers[0], A())
        await trio.to_thread.run_sync(begun.wait)
        assert graph.abort_work(chain)
        assert graph.statistics().running == 1
        go.set()
        await graph.wait_completed(chain)
    assert found(graph) == []
    assert graph.statistics().aborted == 1


async def test_what_was_aborted_is_missing_in_a_join(autojump_clock):
    """A join says so, whatever state the aborted task was in."""
    log = Log()

    async def settle(self, tasks: list[C]):
        missing = sorted((type(one.error).__name__, one.worker) for one in tasks.missing)
        self.publish_work(D(n=len(tasks)))
        seen.append(missing)

    seen = []
    split = fan(3)
    for policy in "settled", "all":
        split = fan(3)
        graph = line(split, waiting(log), join(settle, D, join_policy=policy), sink=D)
        async with graph.open(on_failure="collect") as opened:
            chain = await graph.add_work(split, A())
            await wait_all_tasks_blocked()
            assert graph.abort_work((*chain, ("Split", 2)))
            log.let_go()
        if policy == "settled":
            assert found(graph) == [2]
            assert seen == [[("TaskAbortedError", "Hold")]]
            assert opened.failures == ()
        else:
            (failure,) = opened.failures
            assert isinstance(failure.error, JoinError)
            assert "Hold with B at InitialTaskWorker:1 Split:2: TaskAbortedError: aborted" in str(
                failure.error
            )


async def test_held_tasks_of_what_is_aborted_are_dropped(autojump_clock):
    """They don't reach the join, which lacks them."""
    log = Log()

    async def two(self, task: B):
        for n in range(2):
            self.publish_work(C(n=10 * task.n + n))

    async def one_waits(self, task: C):
        if task.n == 1:
            await log.wait(1)
        self.publish_work(C(n=task.n))

    async def settle(self, tasks: list[C]):
        seen.append(([task.n for task in tasks], tasks.missing_count))

    seen = []
    split = fan(2)
    graph = line(split, make(two, C), make(one_waits, C), join(settle, join_policy="settled"))
    async with graph.open():
        chain = await graph.add_work(split, A())
        await wait_all_tasks_blocked()
        assert graph.statistics().held == 3
        # Of B 0, one C is held and one runs: both are gone.
        assert graph.abort_work((*chain, ("Split", 1)))
    assert seen == [([10, 11], 2)]
    assert_quiet(graph)


async def test_held_task_itself_can_be_aborted(autojump_clock):
    """Though its own work is over."""
    log = Log()

    async def mixed(self, task: B):
        if task.n == 0:
            await log.wait(0)
        self.publish_work(C(n=task.n))

    async def settle(self, tasks: list[C]):
        seen.append(([task.n for task in tasks], [str(one.error) for one in tasks.missing]))

    seen = []
    split = fan(3)
    graph = line(split, make(mixed, C), join(settle, join_policy="settled"))
    async with graph.open():
        chain = await graph.add_work(split, A())
        await wait_all_tasks_blocked()
        assert graph.abort_work((*chain, ("Split", 2)))  # complete, but for what is held of it
        assert not graph.abort_work((*chain, ("Split", 7)))
        log.let_go()
    assert seen == [([0, 2], ["aborted"])]


async def test_join_in_an_aborted_subtree_is_missing_above(autojump_clock):
    """It is aborted with its group, and the join behind it lacks it."""
    log = Log()

    async def two(self, task: B):
        for n in range(2):
            self.publish_work(C(n=10 * task.n + n))

    async def some_wait(self, task: C):
        if task.n == 11:
            await log.wait(11)
        self.publish_work(C(n=task.n))

    async def inner(self, tasks: list[C]):
        called.append(tasks[0].n)
        self.publish_work(D(n=tasks[0].n))

    async def outer(self, tasks: list[D]):
        seen.append(([task.n for task in tasks], [one.worker for one in tasks.missing]))

    called, seen = [], []
    split = fan(2)
    graph = line(
        split,
        make(two, C),
        make(some_wait, C),
        join(inner, D, on=type(split)),
        join(outer, join_policy="settled"),
    )
    async with graph.open():
        chain = await graph.add_work(split, A())
        await wait_all_tasks_blocked()
        assert graph.abort_work((*chain, ("Split", 2)))
    assert called == [0]
    assert seen == [([0], ["Inner"])]
    assert_quiet(graph)


async def test_running_join_is_aborted(autojump_clock):
    """With the prefix that it joins."""
    log = Log()

    async def slow(self, tasks: list[B]):
        await log.wait(0)

    split = fan(2)
    graph = line(split, join(slow))
    async with graph.open():
        chain = await graph.add_work(split, A())
        await wait_all_tasks_blocked()
        assert graph.abort_work(chain)
    assert log.ended == {0: "cancelled"}
    assert_quiet(graph)


async def test_source_can_abort_what_it_has_given(autojump_clock):
    """A handler that runs may abort its descendants, and goes on."""
    log = Log()

    async def give(self, task: A):
        for n in range(3):
            yield B(n=n)
        await trio.sleep(1)
        assert graph.abort_work((*task.provenance(), ("Give", 2)))
        yield B(n=3)
        await trio.sleep(1)
        log.let_go()

    worker = make(give, B)
    graph = line(worker, waiting(log), sink=C)
    await graph.run([A()])
    assert sorted(found(graph)) == [0, 2, 3]
    assert log.ended[1] == "cancelled"


@pytest.mark.parametrize("where", ["for room", "for a place", "for what it reads"])
async def test_source_is_aborted_wherever_it_waits(autojump_clock, where):
    """It is closed, what it has given is aborted, and others go on."""
    closed = []
    log = Log()

    async def give(self, task: A):
        try:
            for n in range(7):
                yield B(n=10 * task.n + n)
                if task.n:
                    await log.wait("second")
        finally:
            closed.append(task.n)

    worker = make(give, B)
    graph = line(worker, waiting(log), sink=C, window=5)
    graph.set_max_parallel_tasks(type(worker), 1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(graph.run, [A(n=0), A(n=1)])
        await wait_all_tasks_blocked()
        chains = [(("InitialTaskWorker", number),) for number in (1, 2)]
        if where == "for a place":
            # There is room again, but the second source has the place.
            for n in range(5):
                log.events[n].set()
            await wait_all_tasks_blocked()
        aborted = 1 if where == "for what it reads" else 0
        assert graph.abort_work(chains[aborted])
        await graph.wait_completed(chains[aborted])
        assert closed == [aborted]
        while graph.statistics().in_flight != 0:
            log.let_go()
            await wait_all_tasks_blocked()
    assert sorted(closed) == [0, 1]
    expected = {
        "for room": range(10, 17),
        "for a place": [*range(5), *range(10, 17)],
        "for what it reads": range(7),
    }
    assert sorted(found(graph)) == sorted(expected[where])
    assert_quiet(graph)


async def test_aborted_error_says_so():
    """In the text of a join's error."""
    assert str(TaskAbortedError()) == "aborted"


async def test_abort_needs_an_open_graph():
    """Otherwise it is told what to do."""
    with pytest.raises(RuntimeError, match=r"inside `async with graph[.]open"):
        Graph().abort_work((("InitialTaskWorker", 1),))


@pytest.mark.parametrize("chain", ["abc", None, (), ("A", 1), [("A", 1)], (["A", 1],), (("A",),)])
async def test_what_is_no_provenance_is_refused(chain):
    """It would be found nowhere, and so seem to be complete."""
    graph = line(fan(1), sink=B)
    async with graph.open():
        with pytest.raises(ValueError, match=r"a prefix is a tuple of .* pairs, not "):
            graph.abort_work(chain)
        with pytest.raises(ValueError, match=r"a prefix is a tuple of .* pairs, not "):
            await graph.wait_completed(chain)
        with pytest.raises(ValueError, match=r"a prefix is a tuple of .* pairs, not "):
            graph.trace(chain)
        with pytest.raises(ValueError, match=r"not \('A', 1\): of one pair, it is \(\('A', 1\),\)"):
            graph.abort_work(("A", 1))


async def test_the_sink_of_a_task_is_stopped_with_it(autojump_clock):
    """It is told of the same task as a worker: also when only one of the two is left."""
    told, chains = [], []

    async def split(self, task: A):
        self.publish_work(B(n=task.n))

    async def work(self, task: B):
        chains.append(task.provenance())
        await trio.sleep(task.n)

    async def tell(metadata, task):
        await trio.sleep(5)
        told.append(task.n)

    splitter, worker = make(split, B), make(work)
    graph = line(splitter, worker)
    graph.set_sink(splitter, B, tell)
    async with graph.open():
        for n in (9, 1, 1):
            await graph.add_work(splitter, A(n=n))
        await trio.sleep(2)
        assert graph.abort_work(chains[0])
        assert graph.abort_work(chains[1])
        await wait_all_tasks_blocked()
        assert graph.abort_work(chains[1]) is False
        assert graph.abort_work((*chains[2][:1], ("nothing", None))) is False
        await graph.wait_completed(chains[2])
        assert trio.current_time() == 5
    assert told == [1]
    assert graph.statistics().aborted == 1
    assert_quiet(graph)


async def test_a_sink_cannot_wait_for_its_own_task(autojump_clock):
    """It would wait for itself, also if a worker has the task too."""

    async def split(self, task: A):
        self.publish_work(B())

    async def work(self, task: B):
        await trio.sleep(1)

    async def tell(metadata, task):
        with pytest.raises(ValueError, match="would wait for ever"):
            await graph.wait_completed(task.provenance())

    splitter = make(split, B)
    graph = line(splitter, make(work))
    graph.set_sink(splitter, B, tell)
    async with graph.open():
        await graph.add_work(splitter, A())


async def test_what_a_join_holds_is_aborted_but_not_waited_for(autojump_clock):
    """A part of a group is complete before the group is, which may still lose it."""

    async def change(self, task: B):
        chains.append(task.provenance())
        await trio.sleep(10 * task.n)
        self.publish_work(C(n=task.n))

    async def gather(self, tasks: list[C]):
        got.append(([task.n for task in tasks], tasks.missing_count))

    got, chains = [], []
    worker = fan(2)
    graph = line(worker, make(change, C), join(gather, join_policy="settled"))
    async with graph.open():
        await graph.add_work(worker, A())
        await wait_all_tasks_blocked()
        await graph.wait_completed(chains[0])
        assert trio.current_time() == 0
        assert graph.statistics().held == 1
        assert graph.abort_work(chains[0])
    assert got == [([1], 1)]
