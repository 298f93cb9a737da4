"""Whole runs: cancelled at every step, and random graphs beside a model of provenance."""

from collections import Counter, defaultdict
from contextlib import suppress

import pytest
import trio
from flows import A, B, C, D, assert_quiet, fan, join, line, make
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import run

from trioworkers.errors import JoinError
from trioworkers.graph import Graph, InitialTaskWorker, Task, TaskWorker
from trioworkers.testing import cancel_at_every_checkpoint


class Watched:
    """A graph with all kinds of handlers, which knows those that have not returned."""

    def __init__(self):
        self.inside = Counter()
        self.graph = Graph(window=3, max_running=3, random=lambda: 0.5)
        watch = self.inside

        async def give(self, task: A):
            watch["give"] += 1
            try:
                for n in range(4):
                    await trio.lowlevel.checkpoint()
                    yield B(n=n)
            finally:
                watch["give"] -= 1

        async def flaky(self, task: B):
            watch["flaky"] += 1
            try:
                self.get_worker_state(task.prefix(1))["n"] = task.n
                await trio.sleep(0.1)
                self.publish_work(C(n=task.n))
                self.notify_status(task, "done")
                if task.n == 1 and task.retry_count == 0:
                    raise KeyError("once")
            finally:
                watch["flaky"] -= 1

        async def total(self, tasks: list[C]):
            watch["total"] += 1
            try:
                await trio.sleep(0.1)
                self.publish_work(D(n=len(tasks)))
            finally:
                watch["total"] -= 1

        async def notify(metadata, task):
            watch["notify"] += 1
            try:
                await trio.sleep(0.1)
            finally:
                watch["notify"] -= 1

        workers = make(give, B), make(flaky, C, num_retries=1, backoff=1.0), join(total, D)
        for worker in workers:
            worker.init = self.hook("begun", 1)
            worker.completed = self.hook("begun", -1)
        self.graph.add_workers(*workers).set_entry(workers[0])
        self.graph.set_dependency(workers[0], workers[1]).next(workers[2])
        self.graph.set_sink(workers[2], D, notify)
        self.graph.set_max_parallel_tasks(type(workers[1]), 2)

    def hook(self, name, change):
        async def call():
            if change > 0:
                await trio.lowlevel.checkpoint()
            self.inside[name] += change
            if change < 0:
                await trio.lowlevel.checkpoint()

        return call

    def check(self):
        left = +self.inside
        assert not left, left
        assert self.graph.statistics().handler_tasks == 0
        assert all(worker._run is None for worker in self.graph.workers)


def test_run_cancelled_at_every_step():
    """All handlers have returned, and the graph can be run again."""
    seen = []

    async def scenario(runner):
        watched = Watched()
        seen.append(watched)
        await watched.graph.run([A(), A()])

    runs = cancel_at_every_checkpoint(scenario, check=lambda runner: seen[-1].check())
    assert runs > 50
    assert seen[-1].graph.statistics().workers["Total"].done == 2


def test_open_cancelled_at_every_step():
    """Also with an abort, and somebody who waits, in between."""
    seen = []

    async def scenario(runner):
        watched = Watched()
        seen.append(watched)
        graph, first = watched.graph, watched.graph.workers[0]
        told = []
        async with graph.open():
            one = await graph.add_work(first, A(), status_callback=lambda *args: told.append(args))
            two = await graph.add_work(first, A())
            async with trio.open_nursery() as nursery:
                nursery.start_soon(graph.wait_completed, one)
                await trio.sleep(0.15)
                graph.abort_work(two)
        assert len(told) == 4
        assert_quiet(graph)

    runs = cancel_at_every_checkpoint(scenario, check=lambda runner: seen[-1].check())
    assert runs > 50


@pytest.mark.parametrize("outside", [False, True])
async def test_handler_that_swallows_its_cancellation(autojump_clock, outside):
    """It is waited for, and what it says then is not heard."""
    ended = []

    async def deaf(self, task: B):
        with suppress(trio.Cancelled):
            await trio.sleep(100)
        with trio.CancelScope(shield=True):
            await trio.sleep(5)
        self.publish_work(C(n=task.n))
        ended.append(task.n)

    split = fan(2)
    graph = line(split, make(deaf, C), sink=C)
    with trio.move_on_after(10 if outside else 1000):
        async with graph.open():
            chain = await graph.add_work(split, A())
            await trio.sleep(1)
            if outside:
                await trio.sleep_forever()
            graph.abort_work(chain)
    assert sorted(ended) == [0, 1]
    if not outside:
        assert graph.get_output_tasks() == []
        assert_quiet(graph)


# Random graphs beside a model.
#
# Layers of workers, each of which publishes to some of the next layer, some of which fail
# or are aborted while they work; one join at the end, on the initial tasks or a layer.


class Flow(Task):
    path: tuple[int, ...]


class Sum(Task):
    paths: list[tuple[int, ...]]


@st.composite
def plans(draw):
    """Draw what each task does, by its path: how many outputs, how long, how it ends."""
    depth = draw(st.integers(2, 4))
    return {
        "depth": depth,
        "roots": draw(st.integers(1, 3)),
        "join_at": draw(st.integers(0, depth - 2)),
        "policy": draw(st.sampled_from(["all", "settled"])),
        "fans": draw(st.lists(st.integers(0, 3), min_size=12, max_size=12)),
        "ends": draw(
            st.lists(st.sampled_from(["ok"] * 6 + ["fail", "abort"]), min_size=12, max_size=12)
        ),
        "sleeps": draw(st.lists(st.integers(0, 3), min_size=12, max_size=12)),
        "window": draw(st.sampled_from([1, 3, 1000])),
        "max_running": draw(st.sampled_from([1, 3, 1000])),
        "limit": draw(st.sampled_from([None, 1, 2])),
    }


def choice(plan, what, path):
    values = plan[what]
    return values[hash((what == "fans", path)) % len(values)] if what != "roots" else 0


def model(plan):
    """Return what the join gets for each group, or what it lacks; by the group's path."""
    groups = defaultdict(lambda: ([], []))
    depth, join_at = plan["depth"], plan["join_at"]

    def group_of(path):
        return path[: join_at + 1]

    def visit(path):
        # A task of length n is worked on by layer n - 1, whose outputs have length n + 1.
        end = choice(plan, "ends", path)
        layer = len(path) - 1
        if end != "ok":
            # With the task that the group is about, the join is aborted, too.
            if len(path) > join_at and not (end == "abort" and len(path) == join_at + 1):
                groups[group_of(path)][1].append(path)
            return
        for n in range(choice(plan, "fans", path)):
            child = (*path, n)
            if layer == depth - 1:
                groups[group_of(child)][0].append(child)
            else:
                visit(child)

    for root in range(plan["roots"]):
        visit((root,))
    return groups


async def play(plan):
    """Run the plan; check it against the model."""
    depth, join_at = plan["depth"], plan["join_at"]
    aborted, failed, running = set(), set(), Counter()
    graph = Graph(window=plan["window"], max_running=plan["max_running"])

    async def layer(self, task: Flow):
        running["now"] += 1
        try:
            for _ in range(choice(plan, "sleeps", task.path)):
                await trio.sleep(0.5)
            for n in range(choice(plan, "fans", task.path)):
                self.publish_work(Flow(path=(*task.path, n)))
            end = choice(plan, "ends", task.path)
            if end == "fail":
                failed.add(task.path)
                raise KeyError(task.path)
            if end == "abort":
                aborted.add(task.path)
                assert graph.abort_work(task.provenance())
                if task.path[-1] % 2:
                    await trio.sleep(1)
        finally:
            running["now"] -= 1

    async def final(self, tasks: list[Flow]):
        lacking = sorted(one.task.path for one in tasks.missing)
        got.append((sorted(task.path for task in tasks), lacking))

    got = []
    layers = [make(layer, Flow, name=f"layer{n}") for n in range(depth)]
    on = InitialTaskWorker if join_at == 0 else type(layers[join_at - 1])
    last = join(final, on=on, join_policy=plan["policy"])
    graph.add_workers(*layers, last).set_entry(layers[0])
    for upstream, downstream in zip([*layers], [*layers[1:], last], strict=True):
        graph.set_dependency(upstream, downstream)
    if plan["limit"] is not None:
        graph.set_max_parallel_tasks(TaskWorker, plan["limit"])
    roots = ((layers[0], Flow(path=(root,))) for root in range(plan["roots"]))
    failures = await graph.run(roots, on_failure="collect")
    assert running["now"] == 0
    assert_quiet(graph)

    groups = {key: group for key, group in model(plan).items() if group[0] or group[1]}
    refused = [one for one in failures if isinstance(one.error, JoinError)]
    expected = []
    lacking = 0
    for arrived, missing in groups.values():
        if plan["policy"] == "settled" or not missing:
            expected.append((sorted(arrived), sorted(missing)))
        else:
            lacking += 1
    assert sorted(got) == sorted(expected)
    assert len(refused) == lacking
    assert len(failures) - len(refused) == len(failed)
    assert graph.statistics().aborted == len(aborted)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(plan=plans(), schedule=st.random_module())
def test_random_graphs_agree_with_the_model(plan, schedule):
    """Each join gets exactly what there is, and lacks exactly what failed or was aborted."""
    run(play, plan)


async def test_many_tasks_leave_nothing(autojump_clock):
    """Neither nodes, nor tasks that nobody holds."""
    import gc
    import weakref

    refs = []

    async def work(self, task: B):
        refs.append(weakref.ref(task))
        self.publish_work(C(n=task.n))

    async def end(self, task: C):
        refs.append(weakref.ref(task))

    gc.collect()
    gc.disable()
    try:
        split = fan(50)
        graph = line(split, make(work, C), make(end))
        async with graph.open():
            await graph.wait_completed(await graph.add_work(split, A()))
            # No garbage collector is needed: what is over is gone at once.
            alive = [ref() for ref in refs if ref() is not None]
            assert len(alive) <= 2, len(alive)
    finally:
        gc.enable()
