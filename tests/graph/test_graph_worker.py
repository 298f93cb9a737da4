"""Tests of `TaskWorker`: its fields, what it takes, and its face outside a run."""

import functools
import re
import types
from collections.abc import Sequence
from typing import Annotated, Any, Generic, TypeVar

import attrs
import pytest

from trioworkers.errors import NotAttachedError
from trioworkers.graph import (
    Graph,
    InitialTaskWorker,
    Joined,
    JoinedTaskWorker,
    Task,
    TaskWorker,
)


class Query(Task):
    text: str


class Plan(Task):
    steps: int = 0


class SubPlan(Plan):
    pass


class Planner(TaskWorker):
    output_types: list[type[Task]] = [Plan]
    least: int = 1
    labels: list[str] = []
    _lock: Any = attrs.field(factory=object, init=False)

    def init(self):
        self.connection = "open"

    async def consume_work(self, task: Query): ...


class Careful(Planner):
    output_types = [Plan, SubPlan]
    least = 2
    num_retries = 3


# -- Fields --------------------------------------------------------------------


def test_fields_are_keywords_with_defaults():
    """Also those of the base class, and plain overrides."""
    worker = Planner(least=5, num_retries=2, backoff=1, retry_on=(OSError,), name="P")
    assert (worker.least, worker.num_retries, worker.backoff) == (5, 2, 1)
    assert (worker.name, worker.retry_on) == ("P", (OSError,))
    assert Planner().retry_on == (Exception,)
    careful = Careful()
    assert careful.output_types == [Plan, SubPlan]
    assert (careful.least, careful.num_retries) == (2, 3)
    assert Careful(least=9).least == 9


def test_mutable_defaults_are_not_shared():
    """Each worker has its own lists."""
    one, other = Planner(), Planner()
    one.labels.append("x")
    one.output_types.append(Query)
    assert other.labels == []
    assert other.output_types == [Plan]
    assert Careful().output_types == [Plan, SubPlan]


def test_other_attributes_may_be_set():
    """As `init` does."""
    worker = Planner()
    worker.init()
    assert worker.connection == "open"


def test_workers_are_compared_by_identity():
    """Two of one class are two."""
    one, other = Planner(), Planner()
    assert one != other
    assert len({one, other, one}) == 2


def test_name_is_the_class_name_by_default():
    """It may be a default of the class, too."""

    class Named(Planner):
        name = "somebody"

    assert Planner().name == "Planner"
    assert Careful().name == "Careful"
    assert Named().name == "somebody"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"num_retries": -1}, ValueError, "Planner.num_retries must be >= 0, not -1"),
        ({"num_retries": "1"}, TypeError, "Planner.num_retries: expected int, got '1'"),
        ({"backoff": -0.5}, ValueError, "Planner.backoff must be .* >= 0, not -0.5"),
        ({"backoff": float("nan")}, ValueError, "Planner.backoff must be"),
        ({"backoff": float("inf")}, ValueError, "Planner.backoff must be"),
        ({"retry_on": (int,)}, TypeError, r"retry_on\[0\]: expected a subclass of Exception"),
        ({"retry_on": OSError}, TypeError, "Planner.retry_on: expected tuple"),
        ({"output_types": [int]}, TypeError, r"output_types\[0\]: expected a subclass of Task"),
        ({"output_types": (Plan,)}, TypeError, "Planner.output_types: expected list, got tuple"),
        ({"least": "x"}, TypeError, "Planner.least: expected int, got 'x'"),
        ({"name": ""}, ValueError, "Planner.name must not be empty"),
        ({"lock": 1}, TypeError, "unexpected keyword"),
    ],
)
def test_wrong_settings_are_refused_at_once(options, error, message):
    """With class, field and value."""
    with pytest.raises(error, match=message):
        Planner(**options)


@pytest.mark.parametrize("name", ["publish_work", "init", "consume_work", "_run", "_graph"])
def test_field_with_a_name_of_ours_is_refused(name):
    """It would break the engine."""
    with pytest.raises(TypeError, match=f"Bad.{name}: TaskWorker uses this name itself"):
        type("Bad", (TaskWorker,), {"__annotations__": {name: int}})


def test_name_as_a_property_is_refused():
    """It is a field: the graph sets it."""
    with pytest.raises(TypeError, match=r"Bad.name is a field, and can't be a method or property"):

        class Bad(Planner):
            @property
            def name(self): ...


# -- Kinds of handlers ---------------------------------------------------------


def test_worker_without_handler_is_refused():
    """When it is made; a class without may be a base."""

    class Base(TaskWorker):
        pass

    with pytest.raises(TypeError, match=r"Base has no consume_work\(\): override it"):
        Base()


def test_plain_generator_is_refused_when_the_class_is_made():
    """Its outputs would be lost without a word."""
    with pytest.raises(TypeError, match=r"Bad.consume_work is a plain generator.*`async def`"):

        class Bad(TaskWorker):
            def consume_work(self, task: Query):
                yield Plan()


def test_handler_that_is_no_method_is_refused():
    """When the class is made."""
    with pytest.raises(TypeError, match=r"Bad.consume_work must be a method, not 3"):

        class Bad(TaskWorker):
            consume_work = 3


def test_source_cannot_be_tried_again():
    """What it has yielded is gone."""

    class Source(TaskWorker):
        output_types = [Plan]

        async def consume_work(self, task: Query):
            yield Plan()

    assert Source().num_retries == 0
    with pytest.raises(ValueError, match=r"Source is a source, .*num_retries must be 0, not 1"):
        Source(num_retries=1)


def test_join_that_yields_is_refused():
    """A join is no source."""
    with pytest.raises(TypeError, match=r"Bad.consume_work_joined can't yield: publish with"):

        class Bad(JoinedTaskWorker):
            async def consume_work_joined(self, tasks: list[Query]):
                yield Plan()


def test_kinds_are_told_apart():
    """By what the handler is."""

    class Thread(TaskWorker):
        def consume_work(self, task: Query): ...

    class Again(Thread):
        async def consume_work(self, task: Query): ...

    kinds = [cls._consume_kind for cls in (Planner, Careful, Thread, Again, TaskWorker)]
    assert kinds == ["async", "async", "thread", "async", None]


# -- What it takes -------------------------------------------------------------


def taking(annotation, name="task"):
    """Return a worker whose handler has an annotation."""

    async def consume_work(self, task): ...

    consume_work.__annotations__ = {"task": annotation}
    return type("Taker", (TaskWorker,), {"consume_work": consume_work})()


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (Query, [Query]),
        (Query | Plan, [Query, Plan]),
        (Annotated[Query, "x"], [Query]),
        ("Query", [Query]),
        ("Query | SubPlan", [Query, SubPlan]),
        (Task, [Task]),
    ],
)
def test_inputs_are_taken_from_the_annotation(annotation, expected):
    """One type, or a union, also as a text."""
    worker = taking(annotation)
    assert worker.get_task_classes() == expected
    if len(expected) == 1:
        assert worker.get_task_class() is expected[0]
    else:
        with pytest.raises(TypeError, match=r"Taker takes several tasks \(Query, "):
            worker.get_task_class()


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        (int, "expected a Task class or a union of them, not int"),
        (Query | None, "expected a Task class or a union of them, not NoneType"),
        (list[Query], "expected a Task class"),
        ("Nowhere", r"the type 'Nowhere' can't be evaluated \(NameError"),
    ],
)
def test_annotation_that_names_no_tasks_is_told(annotation, message):
    """Where it is asked for, as the class may be a base."""
    with pytest.raises(TypeError, match=message):
        taking(annotation).get_task_classes()


def test_handler_without_annotation_is_told():
    """With an example of one."""

    class Vague(TaskWorker):
        async def consume_work(self, task): ...

    with pytest.raises(
        TypeError, match=r"say what it takes, as in `def consume_work\(self, task: "
    ):
        Vague().get_task_class()


@pytest.mark.parametrize("number", [0, 2])
def test_handler_with_other_parameters_is_told(number):
    """It is called with one task."""
    parameters = "".join(f", p{index}: int" for index in range(number))
    made: dict[str, Any] = {}
    exec(f"async def consume_work(self{parameters}): ...", made)
    cls = type("Odd", (TaskWorker,), {"consume_work": made["consume_work"]})
    with pytest.raises(TypeError, match="must take one parameter besides self, not"):
        cls().get_task_classes()


def test_local_classes_are_found_in_annotations_that_are_texts():
    """As they all are where ``annotations`` is imported from ``__future__``."""

    class Local(Task):
        pass

    class Taker(TaskWorker):
        async def consume_work(self, task: "Local | Query"): ...

    assert Taker().get_task_classes() == [Local, Query]


def test_decorated_handler_is_looked_into():
    """With functools.wraps, as usual."""

    def twice(handler):
        @functools.wraps(handler)
        async def wrapper(self, *args):
            await handler(self, *args)

        return wrapper

    class Taker(TaskWorker):
        @twice
        async def consume_work(self, task: Query): ...

    assert Taker().get_task_class() is Query


def test_inherited_handler_counts():
    """And an overriding one replaces it."""

    class Other(Planner):
        async def consume_work(self, task: Plan): ...

    assert Careful().get_task_class() is Query
    assert Other().get_task_class() is Plan


def test_join_takes_what_is_in_its_list():
    """Also a union."""

    class Join(JoinedTaskWorker):
        join_type = InitialTaskWorker

        async def consume_work_joined(self, tasks: list[Query | Plan]): ...

    class Vague(JoinedTaskWorker):
        join_type = InitialTaskWorker

        async def consume_work_joined(self, tasks: Sequence[Query]): ...

    assert Join().get_task_classes() == [Query, Plan]
    with pytest.raises(TypeError, match=r"expected a list of tasks, as in `list\[Query\]`"):
        Vague().get_task_classes()


def test_validate_task_says_whether_and_why_not():
    """By class and subclass."""
    planner, taker = Planner(), taking(Plan)
    assert planner.validate_task(Plan, taker) == (True, None)
    assert planner.validate_task(SubPlan, taker) == (True, None)
    fits, error = planner.validate_task(Query, taker)
    assert not fits
    assert str(error) == "Taker takes Plan, not Query, which Planner publishes"
    fits, error = planner.validate_task(Query, taking(int))
    assert not fits
    assert isinstance(error, TypeError)


# -- Outside a graph, and outside a run ----------------------------------------

CALLS = {
    "publish_work": lambda worker: worker.publish_work(Plan()),
    "notify_status": lambda worker: worker.notify_status(Query(text=""), "hello"),
    "get_metadata": lambda worker: worker.get_metadata(Query(text="")),
    "get_state": lambda worker: worker.get_state(Query(text="")),
    "get_worker_state": lambda worker: worker.get_worker_state((("a", 1),)),
    "watch": lambda worker: worker.watch((("a", 1),)),
    "unwatch": lambda worker: worker.unwatch((("a", 1),)),
    "trace": lambda worker: worker.trace((("a", 1),)),
    "print": lambda worker: worker.print("hello"),
}


@pytest.mark.parametrize("name", CALLS)
def test_calls_outside_a_run_say_what_to_do(name):
    """In no graph, and in one that doesn't run."""
    worker = Planner()
    with pytest.raises(NotAttachedError, match=rf"Planner.{name}\(\) was called, but .*add it to"):
        CALLS[name](worker)
    Graph(name="plans").add_worker(worker)
    with pytest.raises(NotAttachedError, match=rf"Planner.{name}\(\) .*; run graph 'plans' first"):
        CALLS[name](worker)


async def test_user_input_outside_a_run_says_what_to_do():
    """As the other calls do."""
    with pytest.raises(NotAttachedError, match=r"request_user_input\(\) was called"):
        await Planner().request_user_input(Query(text=""), "Well?")


def test_building_outside_a_graph_says_what_to_do():
    """Add the worker first."""
    with pytest.raises(NotAttachedError, match=r"is in no graph; call graph.add_workers\(\)"):
        Planner().next(Planner())
    with pytest.raises(NotAttachedError, match=r"Planner.sink\(\) was called"):
        Planner().sink(Plan)


@pytest.mark.parametrize("prefix", [(), [("a", 1)], "a", None, ("a", 1), (("a", 1), "b")])
def test_prefix_must_be_a_path(prefix):
    """A tuple, and not empty."""
    for call in (Planner().watch, Planner().unwatch, Planner().get_worker_state, Planner().trace):
        with pytest.raises(ValueError, match="a prefix is a tuple of"):
            call(prefix)


def test_calls_go_to_the_run():
    """With the worker and what it was given."""
    calls = []

    class Run:
        def __getattr__(self, name):
            return lambda *args: calls.append((name, *args))

    worker, task, prefix = Planner(), Plan(), (("a", 1),)
    worker._run = Run()
    worker.publish_work(task, input_task=None, consumer=worker)
    worker.notify_status(task, "m", object=3)
    worker.get_metadata(task)
    worker.get_state(task)
    worker.get_worker_state(prefix)
    worker.watch(prefix, print)
    worker.unwatch(prefix)
    worker.trace(prefix)
    worker.print("a", 1)
    assert calls == [
        ("publish", worker, task, None, worker),
        ("notify_status", worker, task, "m", 3),
        ("get_metadata", worker, task),
        ("get_state", worker, task),
        ("get_worker_state", worker, prefix),
        ("watch", worker, prefix, print),
        ("unwatch", worker, prefix, None),
        ("trace", worker, prefix),
        ("print", worker, "a 1"),
    ]


# -- Handlers that come from elsewhere -----------------------------------------


def test_init_of_ones_own_is_refused():
    """It would stand in for the one that sets the fields, and defaults would be lost."""
    with pytest.raises(
        TypeError, match=r"Mine.__init__: .*`client: Any = None`.* goes into init\("
    ):

        class Mine(TaskWorker):
            num_retries: int = 3

            def __init__(self, client=None, **data):
                super().__init__(**data)
                self.client = client

            async def consume_work(self, task: Query): ...


def test_handler_of_a_mixin_says_what_is_taken():
    """And not that of the base class whose handler it replaces."""

    class Base(TaskWorker):
        async def consume_work(self, task: Query): ...

    class Mixin:
        async def consume_work(self, task: Plan): ...

    class Lists:
        async def consume_work_joined(self, tasks: list[Plan]): ...

    class Mixed(Mixin, Base):
        pass

    class Further(Mixed):
        pass

    class Join(JoinedTaskWorker):
        join_type = InitialTaskWorker

        async def consume_work_joined(self, tasks: list[Query]): ...

    class MixedJoin(Lists, Join):
        pass

    for cls in (Mixed, Further, MixedJoin):
        assert cls().get_task_class() is Plan
    assert (Base().get_task_class(), Join().get_task_class()) == (Query, Query)


T = TypeVar("T", bound=Task)
S = TypeVar("S", bound=Task)


class Step(TaskWorker, Generic[T]):
    async def consume_work(self, task: T): ...


class Steps(JoinedTaskWorker, Generic[T, S]):
    join_type = InitialTaskWorker

    async def consume_work_joined(self, tasks: Joined[T | S]): ...


class Turned(Steps[S, T], Generic[T, S]):
    pass


class Fixed(Step[Plan], Generic[T]):
    pass


@pytest.mark.parametrize(
    ("bases", "taken"),
    [
        ((Step[Query],), [Query]),
        ((Step[Query | Plan],), [Query, Plan]),
        ((Steps[Query, Plan],), [Query, Plan]),
        ((Turned[Query, Plan],), [Plan, Query]),
        ((Fixed[Query],), [Plan]),
    ],
)
def test_generic_workers_take_what_the_subclass_says(bases, taken):
    """Also of a subclass of that, and through several generic classes."""
    cls = types.new_class("Mine", bases)
    assert cls().get_task_classes() == taken
    assert type("More", (cls,), {})().get_task_classes() == taken
    assert Fixed().get_task_classes() == [Plan]


def test_generic_worker_in_a_function():
    """Names in it are known when the subclass is made."""
    X = TypeVar("X", bound=Task)

    class Local(TaskWorker, Generic[X]):
        async def consume_work(self, task: "X | SubPlan"): ...

    class Mine(Local[Query]):
        pass

    assert Mine().get_task_classes() == [Query, SubPlan]


def test_generic_worker_without_a_class_is_told_so():
    """In brackets."""
    for worker in (Step(), Steps(), type("Mine", (Step,), {})()):
        with pytest.raises(TypeError, match=r"takes ~T, and nobody .*`class Sorter\(Step\[Query"):
            worker.get_task_classes()


def test_callable_object_is_no_handler():
    """It would get no ``self``."""

    class Call:
        def __call__(self, task): ...

    for handler in (Call(), print, property(print), int):
        with pytest.raises(TypeError, match=r"Bad.consume_work must be a method, not <"):
            type("Bad", (TaskWorker,), {"consume_work": handler})


async def test_plain_function_that_returns_a_coroutine_fails():
    """As a sync decorator makes one of an async handler."""

    def decorated(function):
        @functools.wraps(function)
        def call(*args):
            return function(*args)

        return call

    class Mine(TaskWorker):
        @decorated
        async def consume_work(self, task: Query): ...

    worker = Mine()
    graph = Graph().add_worker(worker).set_entry(worker)
    (failure,) = await graph.run([Query(text="")], on_failure="collect")
    assert re.search(
        r"Mine.consume_work is a plain `def`, .* returned a coroutine. Make", str(failure.error)
    )


async def test_consumer_must_be_a_worker():
    """What is none is told so, hashable or not."""

    class Mine(Planner):
        async def consume_work(self, task: Query):
            for consumer in (task, [self], type(self), "Mine"):
                with pytest.raises(TypeError, match="consumer= is the worker of this graph that"):
                    self.publish_work(Plan(), consumer=consumer)

    worker = Mine()
    graph = Graph().add_worker(worker).set_entry(worker)
    worker.sink(Plan)
    await graph.run([Query(text="")])
