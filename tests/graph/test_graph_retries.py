"""Retries: when there is one, what it costs, and that nothing is said twice."""

import threading
import weakref
from contextvars import ContextVar

import pytest
import trio
from flows import A, B, C, assert_quiet, fan, found, line, make
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import wait_all_tasks_blocked

from trioworkers.graph._retry import MAX_BACKOFF, RetryPolicy


@given(
    retry=st.integers(1, 10_000),
    backoff=st.floats(0, 1e6),
    number=st.floats(0, 1, exclude_max=True),
)
def test_full_jitter(retry, backoff, number):
    """A wait is between 0 and the exponential, which is bounded."""
    policy = RetryPolicy(10_000, (Exception,), backoff)
    ceiling = policy.ceiling(retry)
    assert 0 <= ceiling <= MAX_BACKOFF
    if retry < 900:
        assert ceiling == min(MAX_BACKOFF, backoff * 2 ** (retry - 1))
    assert 0 <= policy.delay(KeyError(), retry, lambda: number) <= ceiling


@pytest.mark.parametrize(
    ("error", "retried"),
    [
        (KeyError(), True),
        (ValueError(), False),
        (ExceptionGroup("", [KeyError(), KeyError()]), True),
        (ExceptionGroup("", [KeyError(), ExceptionGroup("", [ValueError()])]), False),
    ],
)
def test_retry_on(error, retried):
    """A group is worth another try if all in it are."""
    policy = RetryPolicy(1, (KeyError,), 1.0)
    assert (policy.delay(error, 1, lambda: 0.5) is not None) is retried
    assert policy.delay(error, 2, lambda: 0.5) is None


async def test_waits_grow_and_nothing_is_published_twice(autojump_clock):
    """Each try begins anew; only what the last one says is seen."""
    times, statuses = [], []

    async def flaky(self, task: B):
        times.append(trio.current_time() - start)
        assert task.retry_count == len(times) - 1
        self.publish_work(C(n=len(times)))
        self.notify_status(task, f"try {len(times)}")
        if len(times) < 4:
            raise ConnectionError("again")

    split = fan(1)
    worker = make(flaky, C, num_retries=3, retry_on=(ConnectionError,), backoff=2.0)
    graph = line(split, worker, sink=C, random=lambda: 0.5)
    start = trio.current_time()
    async with graph.open():
        await graph.add_work(split, A(), status_callback=lambda *args: statuses.append(args[4]))
    assert times == [0, 1, 3, 7]
    assert found(graph) == [4]
    assert statuses == ["try 4"]
    assert graph.statistics().workers["Flaky"].retries == 3
    assert_quiet(graph)


async def test_waiting_holds_no_place(autojump_clock):
    """Neither a runner nor one of its worker's places."""
    order = []

    async def fail_once(self, task: B):
        order.append(task.n)
        if task.retry_count == 0:
            raise KeyError("once")

    worker = make(fail_once, num_retries=1, backoff=1.0)
    graph = line(fan(5), worker, max_running=1, random=lambda: 0.999)
    graph.set_max_parallel_tasks(type(worker), 1)
    start = trio.current_time()
    await graph.run([A()])
    assert order == [*range(5), *range(5)]
    assert trio.current_time() - start < 1.1


async def test_no_wait_is_queued_behind_others(autojump_clock):
    """backoff=0 tries again at once, when it is its turn."""
    order = []

    async def fail_once(self, task: B):
        order.append(task.n)
        if task.retry_count == 0:
            raise KeyError("once")

    graph = line(fan(3), make(fail_once, num_retries=1, backoff=0.0), max_running=1)
    await graph.run([A()])
    assert order == [0, 1, 2, 0, 1, 2]


async def test_retries_come_when_they_are_due(autojump_clock):
    """An earlier one doesn't wait for a later one."""
    order = []
    numbers = iter([0.9, 0.1, 0.5])

    async def fail_once(self, task: B):
        if task.retry_count == 0:
            raise KeyError("once")
        order.append((task.n, round(trio.current_time() - start, 6)))

    worker = make(fail_once, num_retries=1, backoff=10.0)
    graph = line(fan(3), worker, random=lambda: next(numbers))
    start = trio.current_time()
    await graph.run([A()])
    assert order == [(1, 1.0), (2, 5.0), (0, 9.0)]


async def test_what_fails_for_good_says_how_often(autojump_clock):
    """And other errors are not tried again."""

    async def fail(self, task: A):
        raise (KeyError if task.n else ValueError)("no")

    graph = line(make(fail, num_retries=2, retry_on=(KeyError,), backoff=0.0))
    failures = await graph.run([A(n=0), A(n=1)], on_failure="collect")
    assert [(type(one.error), one.attempts) for one in failures] == [(ValueError, 1), (KeyError, 3)]
    assert any("after 3 attempts" in str(one) for one in failures)


async def test_shutdown_is_no_try(autojump_clock):
    """A handler that makes an error of its cancellation is not called again."""
    called = []

    async def stubborn(self, task: A):
        called.append(task.n)
        try:
            await trio.sleep_forever()
        except trio.Cancelled as cancelled:
            raise KeyError("stopped") from cancelled

    graph = line(make(stubborn, num_retries=9, backoff=0.0))
    with trio.move_on_after(1) as scope:
        await graph.run([A()])
    assert scope.cancelled_caught
    assert called == [0]
    assert graph.statistics().failed == 1


async def test_thread_handlers_are_tried_again():
    """From a thread, nothing is published twice either."""
    calls = []

    def flaky(self, task: A):
        calls.append(threading.get_ident())
        self.publish_work(B(n=len(calls)))
        if len(calls) < 3:
            raise KeyError("again")

    graph = line(make(flaky, B, num_retries=2, backoff=0.0), sink=B)
    await graph.run([A()])
    assert found(graph) == [3]


async def test_waiting_keeps_nothing_of_what_has_failed(autojump_clock):
    """Neither what the handler has set in its context, nor what it has published."""
    mine: ContextVar[object] = ContextVar("mine")
    kept = []

    class Thing:
        pass

    async def fail(self, task: A):
        if task.retry_count == 0:
            thing = Thing()
            mine.set(thing)
            kept.append(weakref.ref(thing))
            output = B()
            kept.append(weakref.ref(output))
            self.publish_work(output)
            raise KeyError("again")

    worker = make(fail, B, num_retries=1, backoff=100.0)
    graph = line(worker, random=lambda: 0.9, sink=B)
    async with graph.open():
        await graph.add_work(worker, A())
        await wait_all_tasks_blocked()
        assert graph.statistics().retrying == 1
        assert [one() for one in kept] == [None, None]
    assert_quiet(graph)
