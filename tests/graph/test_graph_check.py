"""Tests of building a graph, and of what its check finds."""

import pytest

from trioworkers.errors import DuplicateWorkerError, GraphFaultsError
from trioworkers.graph import (
    Graph,
    InitialTaskWorker,
    JoinedTaskWorker,
    MergedTaskWorker,
    Task,
    TaskWorker,
)


class Text(Task):
    text: str = ""


class Word(Task):
    word: str = ""


class LongWord(Word):
    pass


class Count(Task):
    count: int = 0


class Reader(TaskWorker):
    output_types = [Text]

    async def consume_work(self, task: Text): ...


class Splitter(TaskWorker):
    output_types = [Word]

    async def consume_work(self, task: Text): ...


class Counter(TaskWorker):
    output_types = [Count]

    async def consume_work(self, task: Word): ...


class Total(JoinedTaskWorker):
    output_types = [Count]
    join_type = InitialTaskWorker

    async def consume_work_joined(self, tasks: list[Count]): ...


class Printer(TaskWorker):
    async def consume_work(self, task: Count): ...


class Anything(TaskWorker):
    async def consume_work(self, task: Task): ...


def graph_of(*edges, entry=None, sinks=(), graph=None):
    """Return a graph with the workers in some edges, the first of which is the entry."""
    graph = graph or Graph(name="g")
    workers = dict.fromkeys(worker for edge in edges for worker in edge)
    graph.add_workers(*workers)
    for upstream, downstream in edges:
        graph.set_dependency(upstream, downstream)
    graph.set_entry(*(entry or [next(iter(workers))]))
    for worker, cls in sinks:
        graph.set_sink(worker, cls)
    return graph


def faults_of(graph):
    with pytest.raises(GraphFaultsError) as caught:
        graph.check()
    return list(caught.value.faults)


# -- Building ------------------------------------------------------------------


def test_building_can_be_chained():
    """As in the reference."""
    reader, splitter, counter, printer = Reader(), Splitter(), Counter(), Printer()
    graph = Graph(name="words").add_workers(reader, splitter).add_worker(counter)
    assert graph.add_workers(printer).set_entry(reader) is graph
    assert graph.set_dependency(reader, splitter).next(counter).next(printer) is printer
    assert graph.workers == (reader, splitter, counter, printer)
    assert graph.get_entry_workers() == [reader]
    assert graph.get_exit_worker() is None
    graph.set_exit(printer)
    assert graph.get_exit_worker() is printer
    graph.check()


def test_set_entry_adds_to_the_entries():
    """Twice is the same as once."""
    reader, splitter = Reader(), Splitter()
    graph = Graph().add_workers(reader, splitter).set_entry(reader).set_entry(splitter, reader)
    assert graph.get_entry_workers() == [reader, splitter]


def test_second_worker_of_a_class_has_a_name_of_its_own():
    """So they are told apart in every provenance."""
    first, second, third = Reader(), Reader(), Reader()
    Graph().add_workers(first, second, third)
    assert [worker.name for worker in (first, second, third)] == ["Reader", "Reader-2", "Reader-3"]


def test_made_up_names_go_around_given_ones():
    """A name that somebody was given stays his."""
    given, first, second = Reader(name="Reader-2"), Reader(), Reader()
    Graph().add_workers(given, first, second)
    assert [worker.name for worker in (given, first, second)] == ["Reader-2", "Reader", "Reader-3"]


def test_given_names_must_be_unique():
    """A merge of two workers would be worse."""
    graph = Graph(name="g").add_worker(Reader(name="a"))
    with pytest.raises(DuplicateWorkerError, match="'a' is already in graph 'g'"):
        graph.add_worker(Splitter(name="a"))
    with pytest.raises(DuplicateWorkerError, match="'InitialTaskWorker' is already in"):
        graph.add_worker(Reader(name="InitialTaskWorker"))
    assert len(graph.workers) == 1


def test_worker_is_in_one_graph_only_once():
    """Its numbers would get mixed up."""
    worker = Reader()
    graph = Graph(name="one").add_worker(worker)
    with pytest.raises(ValueError, match="worker 'Reader' is in this graph already"):
        graph.add_worker(worker)
    with pytest.raises(ValueError, match="worker 'Reader' is in graph 'one' already"):
        Graph(name="two").add_worker(worker)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda g, w: g.add_worker(Reader),
            TypeError,
            r"takes a worker, not its class: Reader\(\)",
        ),
        (lambda g, w: g.add_worker(3), TypeError, "add_worker takes a TaskWorker, not 3"),
        (lambda g, w: g.add_worker(InitialTaskWorker()), ValueError, "can't be added"),
        (lambda g, w: g.set_dependency(w, Reader()), ValueError, "is not in graph 'g'"),
        (lambda g, w: g.set_dependency(Reader(), w), ValueError, "is not in graph 'g'"),
        (lambda g, w: g.set_dependency(w, 3), TypeError, "set_dependency takes a TaskWorker"),
        (lambda g, w: g.set_dependency(w, w, types=[int]), TypeError, "subclass of Task, not <cl"),
        (lambda g, w: w.next(Reader()), ValueError, "is not in graph 'g'"),
        (lambda g, w: g.set_entry(Reader()), ValueError, "set_entry: worker 'Reader' is not in"),
        (lambda g, w: g.set_exit(Reader()), ValueError, "set_exit: worker 'Reader' is not in"),
        (lambda g, w: g.set_sink(w, Count), ValueError, "its output_types are Text"),
        (lambda g, w: g.set_sink(w, 3), TypeError, "set_sink takes a subclass of Task, not 3"),
        (lambda g, w: g.set_sink(w, Text, 3), TypeError, "notify must be callable or None, not 3"),
        (lambda g, w: w.sink(Word), ValueError, "can't have a sink for Word"),
        (lambda g, w: g.set_max_parallel_tasks(w, 3), TypeError, "takes a subclass of TaskWorker"),
        (lambda g, w: g.set_max_parallel_tasks(Reader, 0), ValueError, "must be >= 1, not 0"),
        (lambda g, w: g.set_max_parallel_tasks(Reader, 1.5), TypeError, "whole number, not 1.5"),
        (lambda g, w: Graph(window=0), ValueError, "window must be >= 1, not 0"),
        (lambda g, w: Graph(max_held="1"), TypeError, "max_held must be a whole number, not '1'"),
        (lambda g, w: Graph(max_running=True), TypeError, "max_running must be a whole number"),
        (lambda g, w: Graph(name=3), TypeError, "a graph's name must be a str, not 3"),
    ],
)
def test_mistakes_in_arguments_are_told_at_once(call, error, message):
    """And change nothing."""
    worker = Reader()
    graph = Graph(name="g").add_worker(worker)
    with pytest.raises(error, match=message):
        call(graph, worker)
    assert graph.workers == (worker,)
    assert graph.get_entry_workers() == []


def test_second_sink_for_a_type_is_refused():
    """It would collect everything twice."""
    graph = Graph().add_worker(reader := Reader())
    reader.sink(Text)
    with pytest.raises(ValueError, match="worker 'Reader' has a sink for Text already"):
        graph.set_sink(reader, Text, print)


# -- Faults --------------------------------------------------------------------


def test_good_graph_has_no_faults():
    """With a cycle, a join, and a sink beside a consumer."""
    reader, splitter, counter, total, printer = Reader(), Splitter(), Counter(), Total(), Printer()
    graph = graph_of(
        (reader, reader),
        (reader, splitter),
        (splitter, counter),
        (counter, total),
        (total, printer),
        sinks=[(total, Count)],
    )
    graph.check()


def test_all_faults_are_told_at_once():
    """Each with what to do."""
    reader, counter, printer, lost = Reader(), Counter(), Printer(), Anything()
    graph = graph_of((reader, counter), (printer, lost), (counter, printer))
    graph.add_worker(Splitter(name="alone"))
    lost.name = "alone"
    with pytest.raises(GraphFaultsError) as caught:
        graph.check()
    text = str(caught.value)
    assert text.startswith("graph 'g' has 6 faults; nothing was started:\n  ")
    for fault in (
        "two workers are named 'alone'; give each its own `name=`",
        "Reader -> Counter: the types don't fit: Reader publishes Text; Counter takes Word",
        "Printer -> alone: the types don't fit: Printer publishes nothing; alone takes Task",
        "Reader: nobody takes its Text; call set_dependency() with a worker that does",
        "alone: nobody takes its Word",
        "alone: no entry leads to it; call set_dependency() or set_entry()",
    ):
        assert f"\n  {fault}" in text


def test_empty_graph_and_graph_without_entry_are_faults():
    """They could not run."""
    assert faults_of(Graph()) == ["the graph has no workers; call add_workers()"]
    graph = Graph().add_worker(Printer())
    assert faults_of(graph) == [
        "the graph has no entry; call set_entry() with the workers that get initial tasks"
    ]


def test_output_is_taken_by_consumer_sink_or_exit():
    """One of them is enough."""
    for way in ("consumer", "sink", "exit", None):
        counter = Counter()
        graph = Graph().add_worker(counter).set_entry(counter)
        if way == "consumer":
            graph.add_worker(printer := Printer()).set_dependency(counter, printer)
        elif way == "sink":
            counter.sink(Count)
        elif way == "exit":
            graph.set_exit(counter)
        if way is None:
            assert faults_of(graph) == [
                "Counter: nobody takes its Count; call set_dependency() with a worker that does, "
                "or set_sink(), or leave it out of output_types"
            ]
        else:
            graph.check()


class Both(TaskWorker):
    output_types = [Word, LongWord]

    async def consume_work(self, task: Text): ...


class Union(TaskWorker):
    async def consume_work(self, task: Word | LongWord): ...


def test_several_types_that_fit_a_common_base_are_a_fault():
    """They may not all be meant; a union or a choice says which are."""
    both, counter, anything = Both(), Counter(), Anything()
    graph = graph_of((both, counter), (both, anything), sinks=[(counter, Count)])
    assert faults_of(graph) == [
        "Both -> Counter: several types fit Word: Word, LongWord; annotate `Word | LongWord`, or "
        "choose with set_dependency(..., types=[...])",
        "Both -> Anything: several types fit Task: Word, LongWord; annotate `Word | LongWord`, or "
        "choose with set_dependency(..., types=[...])",
    ]
    graph.set_dependency(both, counter, types=[LongWord])
    graph.set_dependency(both, anything, types=[Word, LongWord])
    routes = graph._find_routes()
    assert routes.consumers[both] == {Word: (anything,), LongWord: (counter, anything)}
    union = Union()
    graph = graph_of((second := Both(), union))
    assert graph._find_routes().consumers[second] == {Word: (union,), LongWord: (union,)}


def test_chosen_type_that_does_not_fit_is_a_fault():
    """Not published, or not taken."""
    graph = Graph().add_workers(both := Both(), union := Union()).set_entry(both)
    graph.set_dependency(both, union, types=[Count, Word, LongWord])
    assert faults_of(graph) == [
        "Both -> Union: Count can't go this way: Both publishes Word, LongWord; Union takes Word, "
        "LongWord"
    ]


def test_handler_without_annotation_is_one_fault():
    """And not one for each edge to it."""

    class Vague(TaskWorker):
        async def consume_work(self, task): ...

    graph = graph_of((reader := Reader(), Vague()), sinks=[(reader, Text)])
    (fault,) = faults_of(graph)
    assert "Vague.consume_work: say what it takes" in fault


# -- Joins ---------------------------------------------------------------------


def test_join_on_a_worker_that_is_not_above_it_is_a_fault():
    """Below does not count."""
    counter, total, printer = Counter(), Total(join_type=Printer), Printer()
    graph = graph_of((counter, total), (total, printer))
    assert faults_of(graph) == [
        "Total: joins on Printer, which is not above it in the graph; join on a worker that is, "
        "or on InitialTaskWorker"
    ]


def test_join_on_the_worker_right_above_alone_is_a_fault():
    """Each group would be a single task."""
    splitter, counter, total = Splitter(), Counter(), Total(join_type=Counter)
    graph = graph_of((splitter, counter), (counter, total), sinks=[(total, Count)])
    (fault,) = faults_of(graph)
    assert fault.startswith("Total: joins on Counter, which is right before it, so that each group")
    entry = Total()
    graph = graph_of((entry, Printer()))
    (fault,) = faults_of(graph)
    assert fault.startswith("Total: joins on InitialTaskWorker, which is right before it")


def test_join_on_a_base_class_is_found():
    """Whatever worker is an instance."""

    class MySplitter(Splitter):
        pass

    splitter, counter, total = MySplitter(), Counter(), Total(join_type=Splitter)
    graph_of((splitter, counter), (counter, total), sinks=[(total, Count)]).check()


def test_join_that_can_be_got_to_past_what_it_joins_on_is_a_fault():
    """Such tasks would belong to no group."""
    splitter, counter, total = Splitter(), Counter(), Total(join_type=Splitter)
    graph = graph_of(
        (splitter, counter), (counter, total), entry=[splitter, counter], sinks=[(total, Count)]
    )
    assert faults_of(graph) == [
        "Total: tasks can get to it from an entry without coming through a Splitter, and so would "
        "belong to no group"
    ]


def test_join_on_the_worker_right_above_is_good_if_others_are_in_between_too():
    """As in a cycle."""

    class Back(TaskWorker):
        output_types = [Count]

        async def consume_work(self, task: Count): ...

    counter, back, total = Counter(), Back(), Total(join_type=Counter)
    graph = graph_of((counter, total), (counter, back), (back, total), sinks=[(total, Count)])
    graph.check()


def test_join_type_that_is_no_worker_is_a_fault():
    """It is refused at once where it is given, but may be set."""
    with pytest.raises(TypeError, match=r"Total.join_type: expected a subclass of TaskWorker, got"):
        Total(join_type=Count)
    counter, total = Counter(), Total()
    total.join_type = 3
    graph = graph_of((counter, total), sinks=[(total, Count)])
    assert faults_of(graph) == ["Total: join_type must be a subclass of TaskWorker, not 3"]


def test_merged_type_that_nobody_publishes_is_a_fault():
    """It would always be missing."""

    class Merge(MergedTaskWorker):
        join_type = InitialTaskWorker
        merged_types = [Count, Text, LongWord]

        async def consume_work_merged(self, tasks: dict[str, list[Task]]): ...

    counter, reader, merge = Counter(), Reader(), Merge()
    graph = graph_of((counter, merge), (reader, merge), entry=[counter, reader])
    assert faults_of(graph) == [
        "Merge: no worker right above it publishes LongWord, which it merges"
    ]


# -- Routes --------------------------------------------------------------------


def test_routes_hold_consumers_sinks_and_limits():
    """For each worker and each type that it publishes."""
    reader, counter, printer = Reader(), Counter(), Printer()
    splitter = type("MySplitter", (Splitter,), {})()
    graph = graph_of((reader, splitter), (splitter, counter), (counter, printer))
    graph.set_sink(counter, Count, print)
    graph.set_max_parallel_tasks(Splitter, 5)
    graph.set_max_parallel_tasks(TaskWorker, 9)
    graph.set_max_parallel_tasks(Splitter, 3)
    routes = graph._find_routes()
    assert routes.entries == (reader,)
    assert routes.consumers == {
        reader: {Text: (splitter,)},
        splitter: {Word: (counter,)},
        counter: {Count: (printer,)},
        printer: {},
    }
    assert [sink.notify for sink in routes.sinks[counter][Count]] == [print]
    assert routes.sinks[reader] == {Text: ()}
    assert routes.limits[splitter] == (Splitter, TaskWorker)
    assert routes.limits[counter] == (TaskWorker,)


def test_lost_tasks_are_missing_from_the_joins_they_would_have_led_to():
    """Not from a worker that the join joins on, nor through a join that has a group for them."""

    class Again(TaskWorker):
        output_types = [Count]

        async def consume_work(self, task: Count): ...

    splitter, counter, inner = Splitter(), Counter(), Total(join_type=Splitter)
    again, outer, printer = Again(), Total(name="outer"), Printer()
    graph = graph_of(
        (splitter, counter), (counter, inner), (inner, again), (again, outer), (outer, printer)
    )
    routes = graph._find_routes()
    assert routes.missing_from == {
        splitter: (outer,),  # inner has no group for it
        counter: (inner,),
        inner: (inner,),
        again: (outer,),
        outer: (outer,),
        printer: (),
    }
    assert routes.missing_after == {inner: (outer,), outer: ()}


def test_join_in_a_cycle_is_not_missing_from_itself():
    """It would fail again and again."""

    class Back(TaskWorker):
        output_types = [Count]

        async def consume_work(self, task: Count): ...

    counter, back, total = Counter(), Back(), Total()
    graph = graph_of((counter, total), (total, back), (back, total))
    routes = graph._find_routes()
    assert routes.missing_from[back] == (total,)
    assert routes.missing_from[counter] == (total,)
    assert routes.missing_after == {total: ()}
