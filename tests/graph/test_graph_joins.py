"""Joins and merges: when they are called, with what, and what they do when inputs are missing."""

from collections.abc import Sequence

import pytest
import trio
from flows import A, B, C, D, assert_quiet, fan, found, join, line, make, merge

from trioworkers.errors import GraphError, HeldTasksError, JoinError
from trioworkers.graph import (
    Graph,
    InitialTaskWorker,
    Joined,
    JoinedTaskWorker,
    Merged,
    Task,
    TaskWorker,
    at_least,
)


def total(seen=None):
    """Return a join of C that publishes their sum, and notes their numbers."""

    async def total(self, tasks: list[C]):
        if seen is not None:
            seen.append([task.n for task in tasks])
        self.publish_work(
            D(n=sum(task.n for task in tasks)), input_task=tasks[0] if tasks else None
        )

    return total


async def test_join_waits_for_all_and_is_sorted(autojump_clock):
    """It is called once a group, sorted by provenance, whoever was first."""
    seen = []

    async def slow(self, task: B):
        await trio.sleep(10 - task.n)
        self.publish_work(C(n=task.n))

    graph = line(fan(4), make(slow, C), join(total(seen), D), sink=D)
    await graph.run([A(), A()])
    # By provenance: Slow has numbered them in the order in which they ended.
    assert [sorted(one) for one in seen] == [[0, 1, 2, 3]] * 2
    (first, second) = sorted(graph.get_output_tasks(), key=lambda task: task.provenance()[0])
    assert (first.n, second.n) == (6, 6)
    assert [name for name, _ in first.provenance()] == ["InitialTaskWorker", "Total"]
    assert len(first.find_input_tasks(C)) == 4
    assert_quiet(graph)


async def test_join_on_a_worker_further_down(autojump_clock):
    """There is a group for each of its tasks."""

    async def more(self, task: B):
        for n in range(3):
            self.publish_work(C(n=10 * task.n + n))

    async def same(self, task: C):
        self.publish_work(C(n=task.n))

    seen = []
    split = fan(2)
    graph = line(split, make(more, C), make(same, C), join(total(seen), D, on=type(split)), sink=D)
    await graph.run([A()])
    assert sorted(seen) == [[0, 1, 2], [10, 11, 12]]
    assert [name for name, _ in graph.get_output_tasks()[0].provenance()] == [
        "InitialTaskWorker",
        "Split",
        "Total",
    ]


async def test_joins_in_a_row(autojump_clock):
    """Two on one join_type: the first is called first, the second with what came of it."""
    order = []

    async def pass_on(self, task: B):
        self.publish_work(C(n=task.n))

    async def first(self, tasks: list[C]):
        order.append(("first", len(tasks)))
        for task in tasks:
            self.publish_work(D(n=task.n))

    async def later(self, task: D):
        await trio.sleep(5)
        self.publish_work(A(n=task.n))

    async def second(self, tasks: list[A | B]):
        order.append(("second", sorted(task.n for task in tasks)))
        self.publish_work(C(n=len(tasks)))

    async def both(self, task: A):
        self.publish_work(B(n=1), consumer=passing)
        self.publish_work(B(n=100), consumer=end)

    passing, end = make(pass_on, C), join(second, C)
    start, middle, after = make(both, B), join(first, D), make(later, A)
    graph = Graph()
    # The second is added first: the order of the graph counts.
    graph.add_workers(end, middle, after, passing, start).set_entry(start)
    graph.set_dependency(start, passing).next(middle).next(after).next(end)
    graph.set_dependency(start, end)
    graph.set_sink(end, C)
    await graph.run([A()])
    assert order == [("first", 1), ("second", [1, 100])]


async def test_join_fed_by_a_cycle_fires_again(autojump_clock):
    """What it has published comes back, and is a further group."""
    seen = []

    async def again(self, tasks: list[B | C]):
        seen.append([task.n for task in tasks])
        if len(seen) < 4:
            self.publish_work(A(n=len(seen)))
        else:
            self.publish_work(D(n=len(seen)))

    async def split(self, task: A):
        for n in range(2):
            self.publish_work(B(n=10 * task.n + n))

    splitter, joiner = make(split, B), join(again, A, D)
    graph = line(splitter, joiner)
    graph.set_dependency(joiner, splitter)
    graph.set_sink(joiner, D)
    await graph.run([A()])
    assert seen == [[0, 1], [10, 11], [20, 21], [30, 31]]
    assert found(graph) == [4]


async def test_join_with_the_last_worker_as_its_type(autojump_clock):
    """Where it is fed by that worker, too, those groups have one task each."""
    seen = []

    async def pass_on(self, task: B):
        self.publish_work(C(n=task.n))

    async def end(self, tasks: list[B | C]):
        seen.append([(type(task).__name__, task.n) for task in tasks])

    async def split(self, task: A):
        self.publish_work(B(n=1), consumer=passing)
        self.publish_work(B(n=2), consumer=last)

    start, passing = make(split, B), make(pass_on, C)
    last = join(end, on=type(start))
    graph = Graph()
    graph.add_workers(start, passing, last).set_entry(start)
    graph.set_dependency(start, passing).next(last)
    graph.set_dependency(start, last)
    await graph.run([A()])
    assert sorted(seen) == [[("B", 2)], [("C", 1)]]


async def test_plain_join_runs_in_a_thread():
    """As other handlers do."""

    def total(self, tasks: list[B]):
        self.publish_work(D(n=len(tasks)))

    graph = line(fan(3), join(total, D), sink=D)
    await graph.run([A()])
    assert found(graph) == [3]


async def test_merge_sorts_by_type(autojump_clock):
    """The dict has the order of merged_types, and only what there is."""
    seen = []

    async def both(self, task: A):
        for n in range(2):
            self.publish_work(C(n=n))
            self.publish_work(B(n=n))

    async def merged(self, tasks: dict[str, list]):
        seen.append({name: [task.n for task in some] for name, some in tasks.items()})
        self.publish_work(A(n=tasks.missing_count))

    graph = line(make(both, B, C), merge(merged, A, merged_types=[D, B, C][1:]), sink=A)
    await graph.run([A()])
    assert list(seen[0]) == ["B", "C"]
    assert seen == [{"B": [0, 1], "C": [0, 1]}]
    assert found(graph) == [0]


def failing(*numbers):
    """Return a worker that fails for some B, and publishes a C for the others."""

    async def work(self, task: B):
        if task.n in numbers:
            raise KeyError(task.n)
        self.publish_work(C(n=task.n))

    return make(work, C)


async def test_all_fails_and_names_what_failed(autojump_clock):
    """The default: a join that lacks something is not called."""
    seen = []
    graph = line(fan(4), failing(1, 3), join(total(seen), D), sink=D)
    with pytest.raises(GraphError) as caught:
        await graph.run([A()])
    assert seen == []
    assert found(graph) == []
    *errors, last = [failure.error for failure in caught.value.failures]
    assert all(isinstance(error, KeyError) for error in errors)
    assert isinstance(last, JoinError)
    assert (last.arrived, last.count) == (2, 2)
    assert "join 'Total' with policy all has 2 inputs" in str(last)
    assert "Work with B at InitialTaskWorker:1 Split:2: KeyError: 1" in str(last)
    assert_quiet(graph)


async def test_other_groups_are_not_concerned(autojump_clock):
    """Only the group that lacks something fails."""

    async def some(self, task: A):
        for n in range(3):
            self.publish_work(B(n=10 * task.n + n))

    seen = []
    graph = line(make(some, B), failing(11), join(total(seen), D), sink=D)
    failures = await graph.run([A(n=0), A(n=1), A(n=2)], on_failure="collect")
    assert len(failures) == 2
    assert sorted(found(graph)) == [3, 63]


async def test_settled_gets_what_there_is_and_what_is_missing(autojump_clock):
    """Also when that is nothing at all."""
    seen = []

    async def settle(self, tasks: list[C]):
        assert isinstance(tasks, Joined)
        seen.append(([task.n for task in tasks], [str(one.error) for one in tasks.missing]))
        assert tasks.missing_count == len(tasks.missing)
        assert tasks.prefix[0][0] == "InitialTaskWorker"
        self.publish_work(D(n=len(tasks)))

    for bad, there in ((1,), [0, 2]), ((0, 1, 2), []):
        graph = line(fan(3), failing(*bad), join(settle, D, join_policy="settled"), sink=D)
        failures = await graph.run([A()], on_failure="collect")
        assert len(failures) == len(bad)
        assert seen.pop() == (there, [str(n) for n in bad])
        (task,) = graph.get_output_tasks()
        assert [name for name, _ in task.provenance()] == ["InitialTaskWorker", "Settle"]


async def test_all_inputs_missing_fails_too(autojump_clock):
    """A join that would have got something is not just silent."""
    graph = line(fan(2), failing(0, 1), join(total(), D), sink=D)
    failures = await graph.run([A()], on_failure="collect")
    assert isinstance(failures[-1].error, JoinError)
    assert failures[-1].worker == "Total"
    assert failures[-1].provenance == (("InitialTaskWorker", 1),)
    assert failures[-1].task is None


@pytest.mark.parametrize(("least", "there"), [(1, [0, 2]), (2, [0, 2]), (3, None)])
async def test_at_least(autojump_clock, least, there):
    """It takes so many or more."""
    seen = []
    graph = line(fan(3), failing(1), join(total(seen), D, join_policy=at_least(least)), sink=D)
    failures = await graph.run([A()], on_failure="collect")
    assert seen == ([] if there is None else [there])
    assert len(failures) == (2 if there is None else 1)


async def test_at_least_without_anything_missing(autojump_clock):
    """Too few is too few, whatever the reason."""
    graph = line(fan(1), failing(), join(total(), D, join_policy=at_least(2)), sink=D)
    with pytest.raises(GraphError, match=r"has 1 inputs at .*, which is too few"):
        await graph.run([A()])


async def test_many_rounds_of_a_join(autojump_clock):
    """What a join has published knows its provenance, however often it has been round."""

    async def again(self, tasks: list[B]):
        assert len(tasks) == 2
        number = tasks[0].n
        self.publish_work(A(n=number + 1) if number < 2000 else D(n=number))

    async def split(self, task: A):
        for _ in range(2):
            self.publish_work(B(n=task.n))

    splitter, joiner = make(split, B), join(again, A, D)
    graph = line(splitter, joiner)
    graph.set_dependency(joiner, splitter)
    graph.set_sink(joiner, D)
    await graph.run([A()])
    (last,) = graph.get_output_tasks()
    assert last.provenance() == (("InitialTaskWorker", 1), ("Again", 2001))


@pytest.mark.parametrize("count", [-1, True, 1.0, "2"])
def test_at_least_is_checked(count):
    """It takes a number."""
    with pytest.raises(ValueError, match="at_least takes"):
        at_least(count)


async def test_failed_join_is_missing_in_the_next(autojump_clock):
    """The error goes on to the joins behind it, and only to those."""

    async def more(self, task: B):
        for n in range(2):
            self.publish_work(C(n=10 * task.n + n))

    async def some(self, task: C):
        if task.n == 11:
            raise KeyError("11")
        self.publish_work(C(n=task.n))

    async def outer(self, tasks: list[D]):
        self.publish_work(A(n=len(tasks)))

    split = fan(3)
    for policy, expected in ("all", []), ("settled", [2]):
        split = fan(3)
        graph = line(
            split,
            make(more, C),
            make(some, C),
            join(total(), D, on=type(split)),
            join(outer, A, join_policy=policy),
            sink=A,
        )
        failures = await graph.run([A()], on_failure="collect")
        assert found(graph) == expected
        names = [failure.worker for failure in failures]
        assert names == (["Some", "Total", "Outer"] if policy == "all" else ["Some", "Total"])


def nested(read, more, policy):
    """Return a graph in which one join is on ``more``, the other on the initial task."""

    async def same(self, task: C):
        await trio.sleep(1)
        self.publish_work(C(n=task.n))

    async def outer(self, tasks: list[D]):
        self.publish_work(A(n=100 * tasks.missing_count + len(tasks)))

    more = make(more, C)
    return line(
        fan(4),
        make(read, B),
        more,
        make(same, C),
        join(total(), D, on=type(more)),
        join(outer, A, join_policy=policy),
        sink=A,
    )


async def read_it(self, task: B):
    """Pass a task on."""
    await trio.sleep(task.n)
    self.publish_work(B(n=task.n))


async def read_or_fail(self, task: B):
    """Pass a task on, but not the second."""
    if task.n == 1:
        raise KeyError("read")
    self.publish_work(B(n=task.n))


async def two_each(self, task: B):
    """Publish two."""
    for _ in range(2):
        self.publish_work(C(n=task.n))


async def two_or_fail(self, task: B):
    """Publish two, but not for the second."""
    await two_each(self, task)
    if task.n == 1:
        raise KeyError("two")


async def one_and_fail(self, task: B):
    """Yield two, but only one for the second."""
    yield C(n=task.n)
    if task.n == 1:
        raise KeyError("one")
    yield C(n=task.n)


@pytest.mark.parametrize(
    ("read", "more", "groups"),
    [
        (read_or_fail, two_each, 6),
        (read_it, two_or_fail, 6),
        (read_it, one_and_fail, 7),
    ],
    ids=["above", "at", "at a source"],
)
async def test_what_an_inner_join_has_no_group_for_is_missing_in_the_outer(
    read, more, groups, autojump_clock
):
    """A group of the inner one that never came to be can't say that it lacks something."""
    graph = nested(read, more, "settled")
    (failure,) = await graph.run([A()], on_failure="collect")
    assert isinstance(failure.error, KeyError)
    assert found(graph) == [100 + groups]
    for policy in "all", at_least(8):
        graph = nested(read, more, policy)
        failures = await graph.run([A()], on_failure="collect")
        assert [type(failure.error) for failure in failures] == [KeyError, JoinError]
        assert "lacks what should have come of 1: " in str(failures[1].error)
        assert found(graph) == []


@pytest.mark.parametrize("policy", ["all", "settled"])
async def test_what_is_aborted_above_an_inner_join_is_missing_in_the_outer(policy, autojump_clock):
    """Once for each task above the inner groups, and once for each of these."""
    graph = nested(read_it, two_each, policy)
    async with graph.open(on_failure="collect") as running:
        pair = await graph.add_work(graph.get_entry_workers()[0], A())
        await trio.sleep(0.5)
        for number in 2, 3:  # which are read
            assert graph.abort_work((pair[0], ("Split", number)))
        await trio.sleep(3)
        assert graph.abort_work((pair[0], ("Split", 4)))  # of which two groups are there
    assert found(graph) == ([] if policy == "all" else [402])
    assert [type(failure.error) for failure in running.failures] == (
        [JoinError] if policy == "all" else []
    )


async def test_joins_in_a_circle_that_fail_with_nothing_end(autojump_clock):
    """As those do that their policy fails: each once with what has come, and once without."""
    calls = []

    async def one(self, tasks: list[B | D]):
        calls.append(("one", len(tasks), tasks.missing_count))
        raise KeyError("one")

    async def two(self, tasks: list[C]):
        calls.append(("two", len(tasks), tasks.missing_count))
        raise KeyError("two")

    first = join(one, C, join_policy="settled")
    second = join(two, D, join_policy="settled")
    graph = line(fan(2), first, second)
    graph.set_dependency(second, first)
    with trio.fail_after(10):
        failures = await graph.run([A()], on_failure="collect")
    assert [failure.worker for failure in failures] == ["One", "Two", "One"]
    assert calls == [("one", 2, 0), ("two", 0, 1), ("one", 0, 1)]
    assert_quiet(graph)


async def test_joins_in_a_circle_fail_once_each(autojump_clock):
    """A failure that would be missing from its own cause ends."""

    async def one(self, tasks: list[B | D]):
        self.publish_work(C(n=1))

    async def two(self, tasks: list[C]):
        self.publish_work(D(n=1))

    async def split(self, task: A):
        self.publish_work(A(n=task.n), consumer=bad)
        self.publish_work(B(n=task.n), consumer=first)

    async def fail(self, task: A):
        raise KeyError("start")

    start, bad, first, second = make(split, A, B), make(fail, B), join(one, C), join(two, D)
    graph = Graph()
    graph.add_workers(start, bad, first, second).set_entry(start)
    graph.set_dependency(start, bad).next(first).next(second).next(first)
    graph.set_dependency(start, first)
    failures = await graph.run([A()], on_failure="collect")
    assert [failure.worker for failure in failures] == ["Fail", "One", "Two"]


async def test_failed_join_handler_is_told(autojump_clock):
    """And is tried again, if it is to be."""
    calls = []

    async def fail(self, tasks: list[B]):
        calls.append(len(tasks))
        tasks.clear()
        self.publish_work(D(n=1))
        if len(calls) < 3:
            raise KeyError("join")

    graph = line(fan(2), join(fail, D, num_retries=2), sink=D)
    await graph.run([A()])
    assert calls == [2, 2, 2]
    assert found(graph) == [1]
    calls.clear()
    graph = line(fan(2), join(fail, D, num_retries=1), sink=D)
    (failure,) = await graph.run([A()], on_failure="collect")
    assert failure.attempts == 2
    assert failure.provenance == (("InitialTaskWorker", 2 - 1),)


async def test_refusal_is_not_tried_again(autojump_clock):
    """Missing inputs don't come by waiting."""
    graph = line(fan(2), failing(1), join(total(), D, num_retries=5), sink=D)
    failures = await graph.run([A()], on_failure="collect")
    assert failures[-1].attempts == 1
    assert graph.statistics().workers["Total"].retries == 0


async def test_held_tasks_are_bounded(autojump_clock):
    """Beyond the bound the run fails, loudly, and says what to do."""
    graph = line(fan(11), join(total_of_b, D), sink=D, max_held=10)
    with pytest.raises(HeldTasksError, match=r"hold 10 tasks.*larger max_held"):
        await graph.run([A()])
    graph = line(fan(10), join(total_of_b, D), sink=D, max_held=10)
    await graph.run([A()])
    assert_quiet(graph)


async def total_of_b(self, tasks: list[B]):
    self.publish_work(D(n=len(tasks)))


async def test_join_as_entry(autojump_clock):
    """Each initial task is a group of its own."""

    async def single(self, tasks: list[A | B]):
        self.publish_work(B(n=tasks[0].n))
        assert len(tasks) == 1

    async def never(self, task: C):
        self.publish_work(A())

    joiner, other = join(single, B), make(never, A)
    graph = Graph()
    graph.add_workers(joiner, other).set_entry(joiner, other)
    graph.set_dependency(other, joiner)
    graph.set_sink(joiner, B)
    await graph.run([(joiner, A(n=3)), (joiner, A(n=4))])
    assert found(graph) == [3, 4]


async def test_join_publishes_further_up_or_for_a_joined_task(autojump_clock):
    """Joined tasks, and what is between them and the group, mean the group."""

    async def up(self, tasks: list[C]):
        self.publish_work(D(n=0), input_task=tasks[1])
        self.publish_work(D(n=1), input_task=tasks[1].find_input_task(B))
        self.publish_work(D(n=2), input_task=tasks[0].find_input_task(A))
        with pytest.raises(ValueError, match="not working on"):
            self.publish_work(D(n=3), input_task=C())

    async def more(self, task: B):
        for n in range(2):
            self.publish_work(C(n=n))

    async def same(self, task: C):
        self.publish_work(C(n=task.n))

    split = fan(1)
    graph = line(split, make(more, C), make(same, C), join(up, D, on=type(split)), sink=D)
    await graph.run([A()])
    names = [[name for name, _ in task.provenance()] for task in graph.get_output_tasks()]
    assert names == [["InitialTaskWorker", "Split", "Up"]] * 2 + [["InitialTaskWorker", "Up"]]


def test_joins_have_no_consume_work():
    """Who calls it by hand is told what to call."""
    joiner = join(total_of_b, D)
    with pytest.raises(TypeError, match="consume_work_joined"):
        joiner.consume_work(B())

    async def merged(self, tasks: dict[str, list]):
        pass

    merger = merge(merged, merged_types=[A, B])
    assert merger.get_task_classes() == [A, B]
    with pytest.raises(TypeError, match="consume_work_merged"):
        merger.consume_work_joined([])


async def test_wrong_policy_is_refused(autojump_clock):
    """Before anything begins."""

    class Any3(TaskWorker):
        async def consume_work(self, task: A): ...

    with pytest.raises((TypeError, ValueError), match="join_policy"):
        await line(fan(1), join(total_of_b, D, join_policy="most"), sink=D).run([A()])


async def test_initial_task_worker_is_the_default_of_these_tests(autojump_clock):
    """Groups go by initial task."""
    graph = line(fan(2), join(total_of_b, D), sink=D)
    assert graph.workers[1].join_type is InitialTaskWorker
    await graph.run([A(), A(), A()])
    assert found(graph) == [2, 2, 2]


async def test_task_without_a_group_is_a_failure(autojump_clock):
    """It was published past the worker that the join is about."""

    async def past(self, task: B):
        self.publish_work(C(n=task.n), input_task=task.find_input_task(A) if task.n else task)

    seen = []
    split = fan(2)
    graph = line(split, make(past, C), join(total(seen), D, on=type(split)), sink=D)
    (failure,) = await graph.run([A()], on_failure="collect")
    assert "Total joins on Split, and no such worker has a part in this task" in str(failure)
    assert failure.provenance == (("InitialTaskWorker", 1), ("Past", 2))
    assert seen == [[0]]
    assert_quiet(graph)


async def test_joined_output_goes_to_a_sink_too(autojump_clock):
    """The join has it, and so has the sink."""
    split = fan(3)
    last = join(total_of_b, D)
    graph = line(split, last, sink=D)
    graph.set_sink(split, B)
    await graph.run([A()])
    kinds = [type(task).__name__ for task in graph.get_output_tasks()]
    assert kinds == ["B", "B", "B", "D"]


async def test_merge_takes_subclasses(autojump_clock):
    """They are listed with the type that was asked for."""

    class Special(B):
        pass

    async def both(self, task: A):
        self.publish_work(Special(n=1))
        self.publish_work(B(n=2))

    async def merged(self, tasks: dict[str, list]):
        self.publish_work(D(n=len(tasks["B"])))

    graph = Graph()
    first, last = make(both, Special, B), merge(merged, D, merged_types=[B])
    graph.add_workers(first, last).set_entry(first)
    graph.set_dependency(first, last, types=[Special, B])
    graph.set_sink(last, D)
    await graph.run([A()])
    assert found(graph) == [2]


class Numbers(Task):
    all: list[B]
    other: Sequence[B] | None = None


class Sorted(Task):
    by_type: dict[str, list[B]] | None


async def test_what_joins_get_may_be_kept_in_fields(autojump_clock):
    """As the plain list or dict; the handler has seen what is missing all the same."""
    missing = []

    async def one_fails(self, task: B):
        if task.n == 1:
            raise ValueError
        self.publish_work(task.copy_public())

    async def all_of(self, tasks: list[B]):
        missing.append(tasks.missing_count)
        self.publish_work(Numbers(all=tasks, other=tasks), tasks[0])

    async def sorted_by(self, tasks: dict[str, list[B]]):
        missing.append(tasks.missing_count)
        self.publish_work(Sorted(by_type=tasks))

    wanted = [B(n=0), B(n=2)]
    for last, output, parts in (
        (join(all_of, Numbers, join_policy="settled"), Numbers, [wanted, wanted]),
        (
            merge(sorted_by, Sorted, merged_types=[B], join_policy="settled"),
            Sorted,
            [{"B": wanted}],
        ),
    ):
        graph = line(fan(3), make(one_fails, B), last, sink=output)
        await graph.run([A()], on_failure="collect")
        (task,) = graph.get_output_tasks()
        values = list(vars(task).values())[: len(parts)]
        assert values == parts
        assert {type(value) for value in values} <= {list, dict}
        assert output.from_json(task.to_json()) == task == output.from_xml(task.to_xml())
    assert missing == [1, 1]


def test_what_is_in_a_join_is_checked_in_fields_as_ever():
    """A list of something else is none of B; other subclasses of list are refused."""
    with pytest.raises(TypeError, match=r"Numbers.all\[0\]: expected B, got A"):
        Numbers(all=Joined([A()]))
    with pytest.raises(TypeError, match=r"Numbers.all: expected list, got dict"):
        Numbers(all=Merged())
    with pytest.raises(TypeError, match=r"Numbers.all: expected list, got Mine"):
        Numbers(all=type("Mine", (list,), {})())


def test_join_without_join_type_is_told_so():
    """When it is made, as it may be a parameter."""

    class Last(JoinedTaskWorker):
        async def consume_work_joined(self, tasks: list[A]): ...

    with pytest.raises(TypeError, match=r"Last.join_type isn't set: .* = InitialTaskWorker`"):
        Last()
    assert Last(join_type=InitialTaskWorker).join_type is InitialTaskWorker
