"""State of workers and initial tasks, and watches: seen when the work succeeds, gone with it."""

import pytest
import trio
from flows import A, B, C, assert_quiet, fan, found, line, make

from trioworkers.errors import NotAttachedError


async def test_state_is_shared_by_a_prefix(autojump_clock):
    """As in document 004: the fifth one publishes."""

    async def count(self, task: B):
        state = self.get_worker_state(task.prefix(1))
        state["counter"] = state.get("counter", 0) + 1
        if state["counter"] == 5:
            self.publish_work(C(n=state["counter"]))

    graph = line(fan(5), make(count, C), sink=C)
    await graph.run([A(), A()])
    assert found(graph) == [5, 5]


@pytest.mark.parametrize("where", ["worker", "shared"])
async def test_overlapping_changes_are_all_seen(autojump_clock, where):
    """Of two that overlap, one is made again; none is lost, and no try is counted."""
    calls = []

    async def count(self, task: B):
        calls.append(task.n)
        is_shared = where == "shared"
        state = self.get_state(task) if is_shared else self.get_worker_state(task.prefix(1))
        before = state.setdefault("seen", [])
        await trio.sleep(1)
        before.append(task.n)
        self.publish_work(C(n=len(before)))

    graph = line(fan(50), make(count, C), sink=C)
    await graph.run([A()])
    assert sorted(found(graph)) == list(range(1, 51))
    # Each but the first twice: they take turns, once they have collided.
    assert len(calls) == 99
    assert graph.statistics().workers["Count"].retries == 0
    assert_quiet(graph)


async def test_readers_do_not_disturb_each_other(autojump_clock):
    """What is not changed is not committed."""
    calls = []

    async def read(self, task: B):
        calls.append(self.get_worker_state(task.prefix(1)).get("x"))
        await trio.sleep(1)

    await line(fan(8), make(read)).run([A()])
    assert len(calls) == 8


async def test_failed_attempts_change_nothing(autojump_clock):
    """State and watches are those of the attempt that succeeds."""
    noted = []

    async def change(self, task: A):
        state = self.get_worker_state(task.prefix(1))
        state["tries"] = state.get("tries", 0) + 1
        assert self.watch(task.prefix(1))
        assert not self.watch(task.prefix(1))
        if task.retry_count < 2:
            raise KeyError("again")
        self.publish_work(B(n=state["tries"]))

    worker = make(
        change, B, num_retries=2, backoff=0.0, notify=lambda self, prefix: noted.append(prefix)
    )
    graph = line(worker, sink=B)
    await graph.run([A()])
    assert found(graph) == [1]
    assert noted == [(("InitialTaskWorker", 1),)]


async def test_watch_is_told_when_nothing_is_left(autojump_clock):
    """It may publish then, and another watch waits for that."""
    order = []

    async def begin(self, task: A):
        assert self.watch(task.prefix(1))
        assert self.watch(task.prefix(1), unwanted)
        assert self.unwatch(task.prefix(1), unwanted)
        assert not self.unwatch(task.prefix(1), unwanted)
        self.publish_work(B(n=1))

    def unwanted(prefix):
        order.append("unwanted")

    async def notify(self, prefix):
        order.append(("notified", prefix))
        self.publish_work(B(n=2))

    async def slow(self, task: B):
        await trio.sleep(1)
        order.append(task.n)

    graph = line(make(begin, B, notify=notify), make(slow))
    await graph.run([A()])
    assert order == [1, ("notified", (("InitialTaskWorker", 1),)), 2]
    assert_quiet(graph)


async def test_failing_watch_is_told(autojump_clock):
    """It hangs nobody."""

    async def begin(self, task: A):
        self.watch(task.prefix(1), fail)

    def fail(prefix):
        raise KeyError("watch")

    (failure,) = await line(make(begin)).run([A()], on_failure="collect")
    assert failure.provenance == (("InitialTaskWorker", 1),)


async def test_strange_prefixes_are_refused(autojump_clock):
    """Only what the present task comes from can be watched, or has state."""
    other = (("InitialTaskWorker", 99),)

    async def look(self, task: B):
        for wrong in other, (*task.provenance(), ("X", 1)), (task.provenance()[0], ("X", 1)):
            for method in self.watch, self.unwatch, self.get_worker_state:
                with pytest.raises(ValueError, match="no prefix of the provenance"):
                    method(wrong)
        with pytest.raises(ValueError, match="no prefix"):
            self.get_state(C())
        assert self.get_metadata(C()) == {}
        assert self.get_metadata(task.find_input_task(A)) == {}
        assert self.get_state(task.find_input_task(A)) == {}

    await line(fan(1), make(look)).run([A()])


async def test_outside_of_a_handler(autojump_clock):
    """State is the committed one; the rest needs a handler."""

    async def slow(self, task: A):
        await trio.sleep(1)
        self.publish_work(B(n=self.get_worker_state(task.prefix(1))["n"]))

    worker = make(slow, B)
    graph = line(worker, sink=B)
    async with graph.open():
        task = A()
        chain = await graph.add_work(worker, task)
        worker.get_worker_state(chain)["n"] = 4
        assert worker.get_worker_state(chain) == {"n": 4}
        worker.get_state(task)["shared"] = 1
        assert worker.get_state(task) == {"shared": 1}
        with pytest.raises(NotAttachedError, match="outside of any handler"):
            worker.watch(chain)
        with pytest.raises(NotAttachedError, match="outside of any handler"):
            worker.publish_work(B())
        with pytest.raises(ValueError, match="no prefix"):
            worker.get_worker_state((("InitialTaskWorker", 7),))
        worker.trace(chain)
    assert found(graph) == [4]


async def test_state_that_cannot_be_compared_is_kept(autojump_clock):
    """A user's comparison that raises is taken for a change."""

    class Odd:
        def __eq__(self, other):
            raise KeyError("eq")

        __hash__ = None

    async def keep(self, task: B):
        state = self.get_worker_state(task.prefix(1))
        state["odd"] = Odd()
        state["n"] = state.get("n", 0) + 1
        self.publish_work(C(n=state["n"]))

    graph = line(fan(3), make(keep, C), sink=C)
    await graph.run([A()])
    assert sorted(found(graph)) == [1, 2, 3]


async def test_those_that_collide_can_be_aborted_and_fail(autojump_clock):
    """The turn goes on to the next, whatever becomes of who has it."""
    calls = []

    async def count(self, task: B):
        calls.append(task.n)
        state = self.get_worker_state(task.prefix(1))
        state["n"] = state.get("n", 0) + 1
        await trio.sleep(1)
        if calls.count(task.n) == 2:
            if task.n % 5 == 1:
                raise KeyError("for good")
            if task.n % 5 == 2:
                assert graph.abort_work(task.provenance())
            if task.n % 5 == 3:
                # One that waits for its turn, or has had it.
                graph.abort_work((*task.prefix(1), ("Split", (task.n + 7) % 20 + 1)))
        self.publish_work(C(n=state["n"]))

    graph = line(fan(20), make(count, C), sink=C)
    await graph.run([A()], on_failure="collect")
    numbers = sorted(found(graph))
    assert numbers == list(range(1, len(numbers) + 1))
    now = graph.statistics().workers["Count"]
    assert now.done + now.failed + now.aborted == 20
    assert now.done == len(numbers)
    assert min(now.failed, now.aborted) >= 2
    assert_quiet(graph)


async def test_those_that_collide_are_retried(autojump_clock):
    """A retry leaves its turn to the next."""
    calls = []

    async def count(self, task: B):
        calls.append(task.n)
        state = self.get_worker_state(task.prefix(1))
        state["n"] = state.get("n", 0) + 1
        await trio.sleep(1)
        if calls.count(task.n) == 2 and task.retry_count == 0:
            raise KeyError("again")
        self.publish_work(C(n=state["n"]))

    graph = line(fan(10), make(count, C, num_retries=1, backoff=5.0), sink=C)
    await graph.run([A()])
    assert sorted(found(graph)) == list(range(1, 11))
    assert_quiet(graph)
