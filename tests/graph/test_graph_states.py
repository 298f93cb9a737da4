"""State of workers and initial tasks, and watches: seen when the work succeeds, gone with it."""

import sys
import threading

import pytest
import trio
from flows import A, B, C, D, assert_quiet, fan, found, join, line, make

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


async def test_sources_have_no_state(autojump_clock):
    """What they have yielded can't be taken back, so that nobody could say what counts."""

    async def give(self, task: A):
        for look in (lambda: self.get_state(task), lambda: self.get_worker_state(task.prefix(1))):
            with pytest.raises(TypeError, match=r"Give.get_\w*state\(\) was called in Give, a sou"):
                look()
        yield B(n=1)
        with pytest.raises(TypeError, match="keep the state in a worker that takes what the sour"):
            self.get_state(task)

    graph = line(make(give, B), sink=B)
    await graph.run([A()])
    assert found(graph) == [1]


async def test_reruns_are_counted(autojump_clock):
    """Those that collide are called again, and the statistics tell of it."""
    calls = []

    async def count(self, task: B):
        calls.append(task.n)
        state = self.get_worker_state(task.prefix(1))
        await trio.sleep(1)
        state["n"] = state.get("n", 0) + 1

    began = trio.current_time()
    graph = line(fan(10), make(count))
    await graph.run([A()])
    now = graph.statistics().workers["Count"]
    assert (now.done, now.reruns, now.retries, len(calls)) == (10, 9, 0, 19)
    assert trio.current_time() - began == pytest.approx(10)  # they take turns


@pytest.mark.parametrize("where", ["worker", "shared"])
async def test_state_that_cannot_be_copied_is_named(autojump_clock, where):
    """With whose it is, the prefix and the key."""

    async def keep(self, task: B):
        is_shared = where == "shared"
        state = self.get_state(task) if is_shared else self.get_worker_state(task.prefix(1))
        state["fine"] = 1
        state["guard"] = threading.Lock()
        await trio.sleep(task.n)

    failures = await line(fan(2), make(keep)).run([A()], on_failure="collect")
    (failure,) = failures
    whose = "the shared state" if where == "shared" else "the state of Keep"
    assert isinstance(failure.error, TypeError)
    assert str(failure.error).startswith(f"{whose} for (('InitialTaskWorker', 1),) can't be copied")
    assert "because of ['guard'], a lock: " in str(failure.error)


async def test_state_with_a_key_that_cannot_be_copied(autojump_clock):
    """It is as well told."""

    async def keep(self, task: B):
        self.get_worker_state(task.prefix(1))[threading.Lock()] = 1
        await trio.sleep(task.n)

    (failure,) = await line(fan(2), make(keep)).run([A()], on_failure="collect")
    assert "because of one of its keys" in str(failure.error)


async def test_state_after_the_handler_has_ended(autojump_clock):
    """Changes would be lost: so it is refused, also in another worker's name."""
    looked = []

    async def leave(self, task: A):
        async def look():
            await trio.sleep(1)
            for worker in (self, other):
                for call in (
                    lambda: worker.get_state(task),  # noqa: B023 - called at once
                    lambda: worker.get_worker_state(task.prefix(1)),  # noqa: B023
                ):
                    with pytest.raises(NotAttachedError, match="after the handler had ended"):
                        call()
            looked.append(self.get_metadata(task))

        nursery.start_soon(look)
        self.publish_work(B(n=1))

    async def wait(self, task: B):
        await trio.sleep(2)

    other = make(wait)
    graph = line(make(leave, B), other)
    async with trio.open_nursery() as nursery:
        await graph.run([A()])
    assert looked == [{}]


async def test_metadata_is_a_copy(autojump_clock):
    """Of a failing try nothing is seen, neither by the next one nor by who gave it."""
    seen = []

    async def look(self, task: A):
        metadata = self.get_metadata(task)
        seen.append(dict(metadata))
        metadata["tries"] = task.retry_count + 1
        if task.retry_count == 0:
            raise KeyError("again")

    given = {"who": "me"}
    worker = make(look, num_retries=1, backoff=0.0)
    async with line(worker).open() as opened:
        await opened._graph.add_work(worker, A(), given)
    assert seen == [{"who": "me"}] * 2
    assert given == {"who": "me"}


async def test_wrong_arguments_are_refused(autojump_clock):
    """With the remedy."""
    told = []

    async def ask(self, task: A):
        for what in ("a", None, 3):
            for method in (self.get_metadata, self.get_state, self.notify_status):
                with pytest.raises(TypeError, match=r"Ask.\w+\(\) takes a Task, .* consume_work"):
                    method(what)
        with pytest.raises(TypeError, match=r"a message that is a str or None, not 3: give it as"):
            self.notify_status(task, 3)
        self.notify_status(task)
        self.notify_status(task, "fine", 3)

    worker = make(ask)
    graph = line(worker)
    async with graph.open():
        await graph.add_work(worker, A(), None, lambda *args: told.append(args[-2:]))
    assert told == [(None, None), ("fine", 3)]


async def test_state_of_prefixes_of_all_lengths(autojump_clock):
    """Far down a cycle, where a join goes on with it, whatever was asked for before."""
    seen = []

    async def go(self, task: A):
        chain = task.provenance()
        assert [task.prefix(n) for n in range(10)] == [chain[:n] for n in range(10)]
        for length in range(1, len(chain) + 1):
            state = self.get_worker_state(chain[:length])
            state["n"] = state.get("n", 0) + 1
            seen.append((len(chain), length, state["n"]))
        self.publish_work(A(n=task.n - 1) if task.n else B())

    async def gather(self, tasks: list[B]):
        assert tasks.prefix == tasks[0].prefix(2)
        self.publish_work(C(n=5))

    async def again(self, task: C):
        chain = task.provenance()
        assert len(chain) == 3 + 5 - task.n
        assert [task.prefix(n) for n in range(10)] == [chain[:n] for n in range(10)]
        for length in range(1, len(chain) + 1):
            assert self.get_worker_state(chain[:length]).setdefault("n", task.n) >= task.n
        if task.n:
            self.publish_work(C(n=task.n - 1))

    begin = make(_begin, A)
    go, again = make(go, A, B), make(again, C)
    graph = line(begin, go, join(gather, C, on=type(begin)), again)
    graph.set_dependency(go, go)
    graph.set_dependency(again, again)
    await graph.run([D()])
    assert seen == [(d, k, min(d - 1, d - k + 1)) for d in range(2, 10) for k in range(1, d + 1)]
    assert_quiet(graph)


async def _begin(self, task: D):
    self.publish_work(A(n=7))


async def test_short_prefixes_cost_the_same_at_any_depth(autojump_clock):
    """The state of an initial task is looked up in each round of a cycle."""
    steps = []

    def count(frame, event, arg):
        steps[-1] += 1  # calls, also of what is written in C

    async def go(self, task: A):
        steps.append(0)
        sys.setprofile(count)
        try:
            self.get_worker_state(task.prefix(1))
            self.get_worker_state(task.prefix(2))
            self.get_state(task.previous_input_task() or task)
        finally:
            sys.setprofile(before)
        if task.n:
            self.publish_work(A(n=task.n - 1))

    before = sys.getprofile()
    go = make(go, A)
    graph = line(go)
    graph.set_dependency(go, go)
    await graph.run([A(n=200)])
    assert len(steps) == 201
    assert max(steps[10:]) < 2 * min(steps[5:10])
