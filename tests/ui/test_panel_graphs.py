"""What the panel tells of graphs, and of one provenance."""

import gc
import json
import weakref

import pytest
import trio
from flows import A, B, fan, join, line, make
from panels import asking
from trio.testing import wait_all_tasks_blocked

from trioworkers import WorkerRunner
from trioworkers.errors import JobError
from trioworkers.graph import Graph, GraphWorker
from trioworkers.ui.panel._graphs import MAX_ARROWS, MAX_BOXES, MAX_GRAPHS, Graphs
from trioworkers.ui.panel._traces import MAX_TASKS, trace

NASTY = "<script>alert(1)</script>\"'&\u202e"


def told(graphs):
    return graphs.describe(graphs.find())["graphs"]


def working(name="work"):
    """Return a graph that splits, works, and joins what there is."""

    async def work(self, task: B):
        await trio.sleep(task.n)
        if task.n == 2:
            raise TimeoutError("too <b>slow</b>")
        self.publish_work(B(n=task.n))

    async def total(self, tasks: list[B]):
        self.publish_work(A(n=len(tasks)))

    worker, end = make(work, B), join(total, A, join_policy="settled")
    worker.name = NASTY
    split = fan(3)
    graph = Graph(name=name).add_workers(split, worker, end).set_entry(split)
    graph.set_dependency(split, worker).next(end).sink(A)
    return graph, split


async def test_drawing_and_counts(autojump_clock):
    """Names are as they are: whoever shows them has to see to that they are text."""
    graph, split = working()
    graphs = Graphs(WorkerRunner(), [graph])
    (before,) = told(graphs)
    assert before["running"] is False
    assert before["totals"]["done"] == 0
    async with graph.open(on_failure="collect"):
        await graph.add_work(split, A())
        await trio.sleep(0.5)
        (now,) = told(graphs)
        json.dumps(now, allow_nan=False)
    assert (now["id"], now["name"], now["worker"], now["running"]) == ("g1", "work", None, True)
    assert [(box["key"], box["text"], box["kind"], box["worker"]) for box in now["boxes"]] == [
        ("initial", "InitialTaskWorker", "end", None),
        ("w0", "Split", "worker", "Split"),
        ("w1", NASTY, "worker", NASTY),
        ("w2", "Total", "join", "Total"),
        ("s0", "sink of A", "sink", "Total"),
    ]
    assert {"start": "w0", "end": "w1", "text": "B"} in now["arrows"]
    assert now["totals"] == {
        "in_flight": 1,
        "queued": 0,
        "running": 2,
        "retrying": 0,
        "held": 1,
        "done": 2,
        "failed": 0,
        "aborted": 0,
    }
    assert now["workers"][NASTY]["running"] == 2
    assert now["workers"]["Total"]["held"] == 1
    assert set(now["workers"]["Total"]) == {
        *now["totals"].keys() - {"in_flight"},
        "retries",
        "cached",
    }
    (after,) = told(graphs)
    assert after["running"] is False
    assert after["totals"]["failed"] == 1


async def test_graphs_of_graph_workers_are_found(autojump_clock):
    """Those that run now; one that was given, too, is there once. Names may be the same."""
    first, second = asking(name="same"), asking(name="same")
    async with WorkerRunner() as runner:
        graphs = Graphs(runner, [first])
        worker = GraphWorker("served", second)
        await runner.add_workers(worker, GraphWorker("given", first))
        await runner.registry.wait_ready("served", "given")
        assert [(one["id"], one["name"], one["worker"]) for one in told(graphs)] == [
            ("g1", "same", "given"),
            ("g2", "same", "served"),
        ]
        assert graphs.get("g1") is first
        assert graphs.get("g2") is second
        await worker.stop()
        await wait_all_tasks_blocked()
        assert [one["id"] for one in told(graphs)] == ["g1"]
        with pytest.raises(JobError, match="there is no graph 'g2'"):
            graphs.get("g2")
        await runner.add_workers(GraphWorker("anew", asking()))
        assert [one["id"] for one in told(graphs)] == ["g1", "g3"]


async def test_graph_that_has_gone_is_forgotten(autojump_clock):
    """Nothing keeps it."""
    async with WorkerRunner() as runner:
        graphs, worker = Graphs(runner), GraphWorker("served", asking())
        gone = weakref.ref(worker.graph)
        await runner.add_workers(worker)
        await runner.registry.wait_ready("served")
        assert len(told(graphs)) == 1
        await worker.stop()
        await wait_all_tasks_blocked()
        assert told(graphs) == []
        del worker
        gc.collect()
        assert gone() is None


async def test_graph_that_is_not_right_is_shown(autojump_clock):
    """To see what is wrong; it can't run."""

    async def vague(self, task): ...

    graph = Graph(name="vague").add_worker(make(vague))
    (shown,) = told(Graphs(WorkerRunner(), [graph]))
    assert [box["text"] for box in shown["boxes"]] == ["InitialTaskWorker", "Vague"]
    assert shown["workers"] == {}


async def test_large_graphs_are_bounded():
    """Boxes, arrows and graphs are counted where there are too many."""

    def chain(count):
        async def step(self, task: A): ...

        workers = [make(step, A) for _ in range(count)]
        for number, worker in enumerate(workers):
            worker.name = f"step {number} " + "x" * 1000
        graph = line(*workers, sink=A, name="n" * 1000)
        for upstream in workers[:20]:
            for downstream in workers:
                graph.set_dependency(upstream, downstream)
        return graph

    middle, large = chain(300), chain(700)
    graphs = Graphs(WorkerRunner(), [middle, large])
    await middle.run([])
    first, second = told(graphs)
    assert len(first["boxes"]) == 302
    assert first["more_boxes"] == 0
    assert len(second["boxes"]) == MAX_BOXES - 302
    assert second["more_boxes"] == 702 - len(second["boxes"])
    (cut,) = told(Graphs(WorkerRunner(), [large]))
    assert (len(cut["boxes"]), len(cut["arrows"])) == (MAX_BOXES, MAX_ARROWS)
    keys = {box["key"] for box in cut["boxes"]}
    assert all(arrow["start"] in keys and arrow["end"] in keys for arrow in cut["arrows"])
    keys = {box["key"] for box in second["boxes"]}
    assert all(arrow["start"] in keys and arrow["end"] in keys for arrow in second["arrows"])
    assert len(first["arrows"]) + len(second["arrows"]) == MAX_ARROWS
    assert first["more_arrows"] + second["more_arrows"] > 10_000
    assert len(json.dumps(graphs.describe(graphs.find()))) < 1_000_000

    many = Graphs(WorkerRunner(), [asking() for _ in range(MAX_GRAPHS + 5)])
    answer = many.describe(many.find())
    assert len(answer["graphs"]) == MAX_GRAPHS
    assert answer["more_graphs"] == 5


async def test_trace_of_what_is_in_flight(autojump_clock):
    """It begins when it is asked for first, and can be asked for again, also afterwards."""
    graph, split = working()
    async with graph.open(on_failure="collect"):
        await graph.add_work(split, A())
        await trio.sleep(0.5)
        begun = trace(graph, "InitialTaskWorker:1")
        assert begun["is_complete"] is False
        assert [one["outcome"] for one in begun["tasks"]] == ["runs", "runs"]
    ended = trace(graph, " InitialTaskWorker:1 ")
    json.dumps(ended, allow_nan=False)
    assert ended["prefix"] == "InitialTaskWorker:1"
    assert ended["is_complete"] is True
    assert ended["count"] == len(ended["tasks"])
    assert set(ended["tasks"][0]) == {
        "provenance",
        "worker",
        "type",
        "queued",
        "began",
        "ended",
        "outcome",
        "tries",
    }
    assert "failed: TimeoutError: too <b>slow</b>" in [one["outcome"] for one in ended["tasks"]]
    assert ended["tasks"][0]["provenance"] == "InitialTaskWorker:1 Split:2"
    assert ended["tasks"][0]["worker"] == NASTY


async def test_trace_of_what_is_not_there_says_so(autojump_clock):
    """And how a provenance is written."""
    graph, _ = working()
    for text in ("InitialTaskWorker:1", "x:1", "<b>:7 y:2"):
        with pytest.raises(JobError, match=f"nothing of {text} is in flight in graph 'work'"):
            trace(graph, text)
    with pytest.raises(ValueError, match="names and numbers, such as InitialTaskWorker:1"):
        trace(graph, "InitialTaskWorker")


async def test_long_trace_is_bounded(autojump_clock):
    """The first tasks, and how many there were."""

    async def work(self, task: B):
        await trio.sleep(1)

    graph = line(fan(3000), make(work))
    async with graph.open():
        await graph.add_work(graph.workers[0], A())
        await wait_all_tasks_blocked()
        told = trace(graph, "InitialTaskWorker:1")
    assert len(told["tasks"]) == MAX_TASKS
    assert told["count"] == 3000
