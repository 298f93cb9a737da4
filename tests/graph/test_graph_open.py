"""`Graph.open`: work that comes one by one, how the block is left, hooks and callbacks."""

import signal

import pytest
import trio
from flows import A, B, C, assert_quiet, fan, found, line, make
from trio.testing import assert_checkpoints, wait_all_tasks_blocked

from trioworkers.errors import GraphError, GraphWindowFull, StoppedError
from trioworkers.graph import Graph


def sleeper(seconds, log=None):
    async def sleep(self, task: A):
        try:
            await trio.sleep(seconds)
            self.publish_work(B(n=task.n))
        finally:
            if log is not None:
                log.append(task.n)

    return make(sleep, B)


async def test_leaving_drains(autojump_clock):
    """All that was added is done when the block is left."""
    worker = sleeper(5)
    graph = line(worker, sink=B)
    async with graph.open():
        chain = await graph.add_work(worker, A(n=1))
        assert chain == (("InitialTaskWorker", 1),)
        await graph.add_work(worker, A(n=2))
        assert graph.statistics().in_flight == 2
    assert sorted(found(graph)) == [1, 2]
    assert_quiet(graph)
    with pytest.raises(StoppedError, match=r"add_work\(\).*not open"):
        await graph.add_work(worker, A())


async def test_wait_completed(autojump_clock):
    """It returns when nothing is left of one provenance, and at once if nothing is."""
    worker = sleeper(5)
    graph = line(worker, sink=B)
    async with graph.open():
        chains = [await graph.add_work(worker, A(n=n)) for n in range(2)]
        start = trio.current_time()
        async with trio.open_nursery() as nursery:
            for chain in chains:
                nursery.start_soon(graph.wait_completed, chain)
        assert trio.current_time() - start == 5
        with assert_checkpoints():
            await graph.wait_completed(chains[0])
        with assert_checkpoints():
            await graph.add_work(worker, A())


async def test_failures_are_raised_when_it_is_left(autojump_clock):
    """Unless they are collected."""

    async def fail(self, task: A):
        raise KeyError("mine")

    worker = make(fail)
    graph = line(worker)
    with pytest.raises(GraphError, match="'mine'"):
        async with graph.open():
            await graph.add_work(worker, A())
    async with graph.open(on_failure="collect") as opened:
        await graph.add_work(worker, A())
        await wait_all_tasks_blocked()
        assert len(opened.failures) == 1


async def test_exception_of_the_body_cancels_and_leaves_as_it_is(autojump_clock):
    """All handlers have returned by then; failures are a note on it."""
    log = []

    async def fail(self, task: A):
        raise ValueError("a task")

    worker, bad = sleeper(100, log), make(fail)
    graph = Graph()
    graph.add_workers(worker, bad).set_entry(worker, bad)
    graph.set_sink(worker, B)
    error = KeyError("body")
    with pytest.raises(KeyError) as caught:
        async with graph.open():
            await graph.add_work(worker, A(n=1))
            await graph.add_work(bad, A(n=1))
            await wait_all_tasks_blocked()
            raise error
    assert caught.value is error
    assert "ValueError: a task" in caught.value.__notes__[0]
    assert log == [1]


async def test_exception_group_of_the_body_leaves_as_it_is(autojump_clock):
    """It is not wrapped in another."""
    worker = sleeper(1)
    error = ExceptionGroup("body", [KeyError()])
    with pytest.raises(ExceptionGroup) as caught:
        async with line(worker, sink=B).open():
            raise error
    assert caught.value is error


async def test_cancellation_cancels_all(autojump_clock):
    """From outside; and who waits for completion elsewhere is told."""
    log, told = [], []
    worker = sleeper(100, log)
    graph = line(worker, sink=B)

    async def wait(chain):
        with pytest.raises(StoppedError, match="ended with work left"):
            await graph.wait_completed(chain)
        told.append(1)

    async with trio.open_nursery() as nursery:
        with trio.move_on_after(3) as scope:
            async with graph.open():
                nursery.start_soon(wait, await graph.add_work(worker, A(n=1)))
                await trio.sleep_forever()
        assert scope.cancelled_caught
        assert log == [1]
    assert told == [1]
    assert graph.statistics().handler_tasks == 0


async def test_add_work_waits_for_room(autojump_clock):
    """While the window is full; from a handler it raises instead."""
    full = []

    async def more(self, task: A):
        await trio.sleep(1 if task.n else 5)
        if task.n:
            try:
                await graph.add_work(worker, A())
            except GraphWindowFull as error:
                full.append(str(error))

    worker = make(more)
    graph = line(worker, window=2)
    start = trio.current_time()
    async with graph.open():
        for n in (1, 0, 0):
            await graph.add_work(worker, A(n=n))
        assert trio.current_time() - start == 1
    assert len(full) == 1
    assert "window of 2" in full[0]
    assert graph.statistics().done == 3
    assert_quiet(graph)


async def test_add_work_from_a_handler_with_room(autojump_clock):
    """That is as good as from elsewhere."""

    async def again(self, task: A):
        if task.n:
            await graph.add_work(worker, A(n=task.n - 1))

    worker = make(again)
    graph = line(worker)
    async with graph.open():
        await graph.add_work(worker, A(n=10))
    assert graph.statistics().done == 11


async def test_waiting_for_oneself_is_refused(autojump_clock):
    """It would never end."""

    async def wait(self, task: A):
        with pytest.raises(ValueError, match="would wait for ever"):
            await graph.wait_completed(task.prefix(1))
        self.publish_work(B())

    worker = make(wait, B)
    graph = line(worker, sink=B)
    await graph.run([A()])
    assert found(graph) == [0]


async def test_add_work_refuses_wrong_tasks(autojump_clock):
    """At once, not when there is room."""
    worker = sleeper(1)
    graph = line(worker, sink=B)
    async with graph.open():
        task = A()
        await graph.add_work(worker, task)
        with pytest.raises(ValueError, match="copy_public"):
            await graph.add_work(worker, task)
        with pytest.raises(ValueError, match="not C"):
            await graph.add_work(worker, C())


class Hooks:
    """Which hooks were called, in order; some of them fail."""

    def __init__(self, fail=()):
        self.calls = []
        self.fail = fail

    def worker(self, name, is_async=True):
        async def work(self, task: A | B): ...

        worker = make(work, name=name)

        def call(what):
            self.calls.append((what, name))
            if (what, name) in self.fail:
                raise KeyError(f"{what} of {name}")

        async def call_async(what):
            await trio.sleep(1)
            call(what)

        one = call_async if is_async else call
        worker.init = lambda: one("init")
        worker.completed = lambda: one("completed")
        return worker


def with_hooks(hooks):
    workers = [hooks.worker("one"), hooks.worker("two", is_async=False), hooks.worker("three")]
    graph = Graph()
    graph.add_workers(*workers).set_entry(*workers)
    return graph


ALL = [
    ("init", "one"),
    ("init", "two"),
    ("init", "three"),
    ("completed", "three"),
    ("completed", "two"),
    ("completed", "one"),
]


async def test_hooks_in_order(autojump_clock):
    """init of all before the first task, completed in the reverse order."""
    hooks = Hooks()
    graph = with_hooks(hooks)
    async with graph.open():
        assert hooks.calls == ALL[:3]
    assert hooks.calls == ALL


async def test_failing_init_is_raised_and_what_has_begun_is_completed(autojump_clock):
    """As it is; no task is begun."""
    hooks = Hooks(fail=[("init", "three")])
    graph = with_hooks(hooks)
    with pytest.raises(KeyError, match="init of three"):
        await graph.run([(graph.workers[0], A())])
    assert hooks.calls == [*ALL[:3], *ALL[4:]]
    hooks.fail = ()
    await graph.run([(graph.workers[0], A())])


async def test_failing_completed_is_a_failure(autojump_clock):
    """The others are called all the same."""
    hooks = Hooks(fail=[("completed", "three"), ("completed", "two")])
    graph = with_hooks(hooks)
    failures = await graph.run([(graph.workers[0], A())], on_failure="collect")
    assert [str(one) for one in failures] == [
        "three.completed: KeyError: 'completed of three'",
        "two.completed: KeyError: 'completed of two'",
    ]
    assert hooks.calls == ALL


async def test_completed_is_called_after_cancellation_and_errors(autojump_clock):
    """Shielded, for a bounded time."""
    for hang in False, True:
        hooks = Hooks()
        graph = with_hooks(hooks)
        if hang:
            graph.workers[2].completed = trio.sleep_forever
        start = trio.current_time()
        with trio.move_on_after(10) as scope:
            async with graph.open():
                await trio.sleep_forever()
        assert scope.cancelled_caught
        assert hooks.calls == ([*ALL[:3], *ALL[4:]] if hang else ALL)
        assert trio.current_time() - start == (21 if hang else 12)
    hooks = Hooks()
    with pytest.raises(ValueError, match="body"):
        async with with_hooks(hooks).open():
            raise ValueError("body")
    assert hooks.calls == ALL


async def test_completed_that_is_cancelled_lets_others_be_called(autojump_clock):
    """The cancellation goes on after that."""
    hooks = Hooks()
    graph = with_hooks(hooks)
    with trio.move_on_after(2.5) as scope:
        async with graph.open():
            pass
    assert scope.cancelled_caught
    assert hooks.calls == [*ALL[:3], *ALL[4:]]


async def test_status_callbacks(autojump_clock):
    """Sync or async, with metadata, in order; one that fails is a failure."""
    got = []

    async def notify(self, task: B):
        assert self.get_metadata(task) == {"who": "me"}
        self.notify_status(task, "one", 1)
        self.notify_status(task, "two")

    async def slowly(*args):
        await trio.sleep(1)
        got.append(args)

    def fail(*args):
        raise KeyError(args[4])

    split = fan(1)
    worker = make(notify)
    graph = line(split, worker)
    async with graph.open(on_failure="collect") as opened:
        chain = await graph.add_work(split, A(), {"who": "me"}, slowly)
        await graph.wait_completed(chain)
        assert [(*call[:3], *call[4:]) for call in got] == [
            ({"who": "me"}, chain, worker, "one", 1),
            ({"who": "me"}, chain, worker, "two", None),
        ]
        await graph.wait_completed(await graph.add_work(split, A(), {"who": "me"}, fail))
        assert [str(one.error) for one in opened.failures] == ["'one'", "'two'"]
    assert_quiet(graph)


async def test_what_is_published_does_not_wait_for_a_status_callback(autojump_clock):
    """It is seen before that, and there is somebody to work on it."""
    worked = trio.Event()

    async def notify(self, task: A):
        self.publish_work(B())
        self.notify_status(task, "published")

    async def work(self, task: B):
        worked.set()

    async def wait(*args):
        await worked.wait()

    first = make(notify, B)
    async with line(first, make(work)).open():
        await first._graph.add_work(first, A(), status_callback=wait)


async def test_no_callback_no_metadata(autojump_clock):
    """Both are optional."""

    async def notify(self, task: A):
        self.notify_status(task, "nobody listens")
        assert self.get_metadata(task) == {}

    await line(make(notify)).run([A()])


async def test_status_callback_may_abort_its_own_work(autojump_clock):
    """Also while the handler's outputs have just been published."""

    async def notify(self, task: A):
        self.publish_work(B())
        self.notify_status(task, "stop")

    worker = make(notify, B)
    called = []

    async def after(self, task: B):
        called.append(1)

    for wait in False, True:
        graph = line(make(notify, B), make(after))

        async def stop(metadata, chain, *args):
            assert graph.abort_work(chain)  # noqa: B023
            if wait:  # noqa: B023
                await trio.sleep(1)

        async with graph.open():
            await graph.add_work(graph.workers[0], A(), status_callback=stop)
        assert called == []
        assert_quiet(graph)
    assert worker is not None


async def test_scope_can_be_entered_once(autojump_clock):
    """As the error says, it is called again."""
    graph = line(sleeper(0), sink=B)
    scope = graph.open()
    async with scope:
        with pytest.raises(RuntimeError, match="call it again"):
            await scope.__aenter__()


def test_keyboard_interrupt_in_a_handler_leaves_the_run():
    """Unwrapped, after all handlers have returned."""
    ended = []

    async def interrupted(self, task: B):
        if task.n == 1:
            signal.raise_signal(signal.SIGINT)
        try:
            await trio.sleep_forever()
        finally:
            ended.append(task.n)

    with pytest.raises(KeyboardInterrupt):
        trio.run(line(fan(3), make(interrupted)).run, [A()])
    assert sorted(ended) == [0] or sorted(ended) == [0, 2]


def test_system_exit_of_a_handler_leaves_the_run():
    """As it is."""

    async def leave(self, task: A):
        raise SystemExit(3)

    with pytest.raises(SystemExit) as caught:
        trio.run(line(make(leave)).run, [A()])
    assert caught.value.code == 3


def test_exit_in_a_nursery_of_a_handler_leaves_in_its_group():
    """With what else was raised there, without the cancellation."""

    async def leave():
        raise SystemExit(3)

    async def work(self, task: A):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            nursery.start_soon(leave)

    with pytest.raises(BaseExceptionGroup) as caught:
        trio.run(line(make(work)).run, [A()])
    assert [type(error) for error in caught.value.exceptions] == [SystemExit]


async def test_error_of_a_handler_that_is_stopped_with_the_run(autojump_clock):
    """In a group with the cancellation it leaves, as from a nursery; nothing is lost."""

    async def work(self, task: A):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            try:
                await trio.sleep_forever()
            finally:
                raise KeyError("clean-up")

    with pytest.raises(ExceptionGroup) as caught:
        with trio.move_on_after(1):
            await line(make(work)).run([A()])
    assert caught.group_contains(KeyError, match="clean-up")


async def test_wrong_arguments_are_refused_at_once(autojump_clock):
    """Of `Graph`, of `add_work`; and a block that was not entered has no failures."""
    with pytest.raises(TypeError, match="strict must be True or False, not 'no'"):
        Graph(strict="no")
    with pytest.raises(TypeError, match="random must be a function that gives numbers, not 3"):
        Graph(random=3)
    split = fan(1)
    graph = line(split, sink=B)
    block = graph.open()
    with pytest.raises(RuntimeError, match="has not begun: enter it, with `async with`, first"):
        _ = block.failures
    async with graph.open():
        with pytest.raises(TypeError, match="metadata must be a dict or None, not 'meta'"):
            await graph.add_work(split, A(), "meta")
        with pytest.raises(TypeError, match="status_callback must be callable or None, not 'x'"):
            await graph.add_work(split, A(), {}, "x")
