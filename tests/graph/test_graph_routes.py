"""Properties of what is found out about a graph, against a plain definition of it."""

import itertools
import time

import pytest
from hypothesis import given, settings
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


def kinds_then(kinds, worker):
    """Return the kinds of pairs in a provenance with one more, without those that it hides.

    A join goes back to the last pair of its kind, which a pair of that kind right
    after another always is.
    """
    if not isinstance(worker, Red):
        return kinds
    while kinds and isinstance(worker, kinds[-1]):
        kinds = kinds[:-1]
    return (*kinds, type(worker))


def lacking(edges, start):
    """Return the joins where a task of ``start`` leads to a group that is there before it.

    That is found by following all ways of what may come of it, with the pairs that
    are added to its provenance and that joins take off.
    """
    found = set()
    pending = [(start, kinds_then((), start))]
    for worker, kinds in pending:
        for up, down in edges:
            if up is not worker:
                continue
            left = kinds
            if isinstance(down, Join):
                while left and not issubclass(left[-1], down.join_type):
                    left = left[:-1]
                if not left:
                    found.add(down)
                    continue
            after = down, kinds_then(left, down)
            if after not in pending:
                pending.append(after)
    return found - {start}


@settings(max_examples=400)
@given(graphs())
def test_what_is_missing_where_is_as_defined(drawn):
    """A join lacks what some way would have brought it, whether or not the graph has faults."""
    graph, edges = drawn
    for worker, missing in missing_sets(graph._wiring).items():
        expected = lacking(edges, worker)
        assert list(missing) == [join for join in graph.workers if join in expected]


def test_nested_joins_are_seen_through_where_they_have_no_group():
    """What is lost above that which a join joins on, or there, is missing from the next join."""
    top, blue, last = Red(), Blue(), Red()
    inner, outer = Join(join_type=Blue), Join(join_type=InitialTaskWorker)
    graph = Graph().add_workers(top, blue, last, inner, outer)
    graph.set_dependency(top, blue).next(last).next(inner).next(outer)
    assert missing_sets(graph._wiring) == {
        top: (outer,),
        blue: (outer,),
        last: (inner,),
        inner: (outer,),
        outer: (),
    }


def test_many_nested_joins_are_seen_through_soon():
    """Its cost doesn't grow with the number of ways."""
    kinds = [type(f"Kind{number}", (Red,), {}) for number in range(300)]
    splits, end = [kind() for kind in kinds], Blue()
    joins = [Join(join_type=kind) for kind in reversed(kinds)]
    graph = Graph().add_workers(*splits, end, *joins)
    for up, down in itertools.pairwise([*splits, end, *joins]):
        graph.set_dependency(up, down)
    began = time.process_time()
    found = missing_sets(graph._wiring)
    assert time.process_time() - began < 5
    assert found[end] == (joins[0],)
    assert found[splits[0]] == ()
    for number in range(1, 300):
        assert found[splits[number]] == (joins[300 - number],)


async def test_a_long_chain_starts_soon(autojump_clock):
    """Its cost doesn't grow faster than the graph does, or not by much."""
    workers = [Red() for _ in range(1000)]
    graph = Graph().add_workers(*workers).set_entry(workers[0])
    for up, down in itertools.pairwise(workers):
        graph.set_dependency(up, down)
    graph.set_sink(workers[-1], Item)
    began = time.process_time()
    graph.check()
    await graph.run([Item()])
    assert time.process_time() - began < 2


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
