"""Properties of what is found out about a graph, against a plain definition of it."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioworkers.errors import GraphFaultsError
from trioworkers.graph import Graph, InitialTaskWorker, JoinedTaskWorker, Task, TaskWorker
from trioworkers.graph._routes import missing_sets


class Item(Task):
    pass


class Red(TaskWorker):
    output_types = [Item]

    async def consume_work(self, task: Item): ...


class Blue(Red):
    pass


class Join(JoinedTaskWorker):
    output_types = [Item]

    async def consume_work_joined(self, tasks: list[Item]): ...


JOIN_TYPES = {"on initial": InitialTaskWorker, "on red": Red, "on blue": Blue}


@st.composite
def graphs(draw):
    """Draw a graph, with or without faults."""
    kinds = draw(st.lists(st.sampled_from(["red", "blue", *JOIN_TYPES]), min_size=1, max_size=7))
    workers = []
    for kind in kinds:
        if kind in JOIN_TYPES:
            workers.append(Join(join_type=JOIN_TYPES[kind]))
        else:
            workers.append(Red() if kind == "red" else Blue())
    pairs = list(itertools.product(range(len(workers)), repeat=2))
    edges = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=12))
    graph = Graph().add_workers(*workers)
    graph.set_entry(*draw(st.lists(st.sampled_from(workers), min_size=1, unique=True)))
    for up, down in edges:
        graph.set_dependency(workers[up], workers[down])
    for worker in workers:
        graph.set_sink(worker, Item)
    return graph, [(workers[up], workers[down]) for up, down in edges]


def lacks(edges, start, join, seen=()):
    """Return whether a path leads from a worker to a join that nothing on the way cuts."""
    for up, down in edges:
        if up is start and not isinstance(start, join.join_type):
            if down is join:
                return True
            passes = down not in seen and not isinstance(down, Join)
            if passes and lacks(edges, down, join, (*seen, down)):
                return True
    return False


@given(graphs())
def test_what_is_missing_where_is_as_defined(drawn):
    """A join lacks what some path would have brought it, whether or not the graph has faults."""
    graph, edges = drawn
    joins = [worker for worker in graph.workers if isinstance(worker, Join)]
    for worker, missing in missing_sets(graph._wiring).items():
        lacking = [join for join in joins if join is not worker and lacks(edges, worker, join)]
        assert list(missing) == lacking


@given(graphs())
def test_routes_follow_the_edges(drawn):
    """For each worker and type, in the order in which they were made."""
    graph, edges = drawn
    try:
        routes = graph._find_routes()
    except GraphFaultsError:
        return
    for worker in graph.workers:
        assert routes.consumers[worker] == {Item: tuple(down for up, down in edges if up is worker)}
        if isinstance(worker, Join):
            assert routes.missing_from[worker] == (worker,)
        else:
            assert worker not in routes.missing_after


@given(graphs())
def test_graph_without_faults_has_no_unreached_worker(drawn):
    """And every join has what it joins on above it."""
    graph, edges = drawn
    reached = set(graph.get_entry_workers())
    for _ in graph.workers:
        reached |= {down for up, down in edges if up in reached}
    above = {worker: {worker} for worker in graph.workers}
    for _ in graph.workers:
        for up, down in edges:
            above[down] |= above[up]
    lost = [worker for worker in graph.workers if worker not in reached]
    groundless = [
        join
        for join in graph.workers
        if isinstance(join, Join)
        and join.join_type is not InitialTaskWorker
        and not any(isinstance(worker, join.join_type) for worker in above[join])
    ]
    if lost or groundless:
        with pytest.raises(GraphFaultsError) as caught:
            graph.check()
        for worker in lost:
            assert f"{worker.name}: no entry leads to it" in str(caught.value)
        for join in groundless:
            text = f"{join.name}: joins on {join.join_type.__name__}, which is not above it"
            assert text in str(caught.value)
    assert graph.to_mermaid().count("-->") == graph.to_dot().count(" -> ")
