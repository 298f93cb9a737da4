"""Initial tasks that are none are refused, before anything starts where that can be."""

import pytest
from flows import A, B, fan, line, make

from trioworkers.graph import Task


class Part(A):
    pass


def begun(started):
    """Return a worker of A that notes in ``started`` that it was begun."""

    async def take(self, task: A): ...

    return make(take, init=lambda self: started.append(self.name))


def nothing(worker):
    """Return what `run` can't take tasks from, and what it says then."""
    return [
        (A(), TypeError, r"run\(\) takes a list of initial tasks, not one alone: \[A\(n=0\)\]"),
        (None, TypeError, r"run\(\) takes an iterable, .*, not None"),
        ("abc", TypeError, r"run\(\) takes an iterable, .*, not 'abc'"),
        ({worker: A()}, TypeError, r"run\(\) takes an iterable, .*, not {Take"),
        (list, TypeError, r"run\(\) takes an iterable, .*, not <class"),
        ((worker, A()), TypeError, "pairs of worker and task, not Take.*: give a list of pairs"),
    ]


def wrong(worker):
    """Return items that can't begin, and what is said of them."""
    task = A()
    return [
        ([None], TypeError, "initial tasks are tasks, or pairs of worker and task, not None"),
        ([(worker,)], TypeError, "initial tasks are tasks, or pairs"),
        ([(A(), worker)], TypeError, "an initial task must be a Task, not Take"),
        ([(type(worker), A())], TypeError, "be a worker of the graph, the object and not its clas"),
        ([([worker], A())], TypeError, r"must be a worker of the graph, not \[Take"),
        ([("Take", A())], TypeError, "must be a worker of the graph, not 'Take'"),
        ([(worker, A()), (worker, B())], ValueError, "Take takes A, not B"),
        ([A(), B()], ValueError, "no entry takes a B"),
        ([A(), (worker, task), task], ValueError, "this A is among the initial tasks twice"),
        ([(fan(1), A())], ValueError, "'Split' is no entry of graph 'graph', which has Take"),
    ]


@pytest.mark.parametrize("number", range(16))
async def test_lists_are_looked_at_before_anything_starts(number):
    """Also the last item; and nothing is marked as published."""
    started = []
    worker = begun(started)
    items, error, says = [*nothing(worker), *wrong(worker)][number]
    graph = line(worker)
    with pytest.raises(error, match=says):
        await graph.run(items)
    assert started == []
    if isinstance(items, list):
        with pytest.raises(error, match=says):
            await graph.run(tuple(items))
    task = A()
    await graph.run([task, (worker, Part())])
    assert started == ["Take"]
    with pytest.raises(ValueError, match=r"published before, .*: give task.copy_public\(\)"):
        await graph.run([A(), task])
    assert started == ["Take"]


async def test_what_a_generator_gives_is_looked_at_as_it_comes():
    """It isn't known before; what has the sequence protocol alone is fine, too."""

    class Sequence:
        def __getitem__(self, index):
            return items[index]

    started = []
    worker = begun(started)
    graph = line(worker)
    for wrong, error, says in (None, TypeError, "or pairs"), (B(), ValueError, "takes a B"):
        items = [A(), (worker, A()), wrong]
        with pytest.raises(error, match=says):
            await graph.run(Sequence())
        assert (started.pop(), graph.statistics().done) == ("Take", 0)
    items = [A(), (worker, A()), A()]
    await graph.run(Sequence())
    assert graph.statistics().done == 3


async def test_the_faults_of_the_graph_come_first():
    """They may be why a task fits nobody."""
    graph = line(begun([]))
    graph.add_worker(fan(1))
    with pytest.raises(ValueError, match="no entry leads to it"):
        await graph.run([Task()])
