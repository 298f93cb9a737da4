"""Tests of `Task`: fields, types, and where it comes from."""

import copy
import enum
import functools
import pickle
from collections.abc import Callable, Mapping, Sequence
from typing import (  # noqa: UP035 - as in older code
    Annotated,
    Any,
    ClassVar,
    Dict,
    Generic,
    List,
    Literal,
    NewType,
    Optional,
    Protocol,
    Tuple,
    TypedDict,
    TypeVar,
)

import attrs
import pytest

from trioworkers.graph import InitialTaskWorker, Task, TaskWorker

T = TypeVar("T")


class Query(Task):
    text: str
    count: int = 3


class Tagged(Query):
    tags: list[str] = []
    weight: float | None = None


class Color(enum.Enum):
    RED = "red"


@attrs.frozen
class Point:
    x: int
    y: int = 0


class Tree(Task):
    children: "list[Tree]" = attrs.field(factory=list)
    later: "Later | None" = None


class Later(Task):
    point: Point


class Splitter(TaskWorker):
    output_types = [Query]

    async def consume_work(self, task: Task): ...


class LoudSplitter(Splitter):
    pass


class Other(TaskWorker):
    async def consume_work(self, task: Task): ...


# -- Fields --------------------------------------------------------------------


def test_subclass_takes_its_fields_as_keywords():
    """Annotations are enough, also in subclasses of subclasses."""
    task = Tagged(text="why", tags=["a"])
    assert (task.text, task.count, task.tags, task.weight) == ("why", 3, ["a"], None)
    assert repr(Query(text="x")) == "Query(text='x', count=3)"


def test_fields_are_keywords_only():
    """A positional argument is refused, also where attrs.field is used."""

    class Plain(Task):
        text: str = attrs.field()

    with pytest.raises(TypeError, match="positional"):
        Plain("x")


def test_tasks_are_equal_by_class_and_fields():
    """Private state and provenance don't count."""
    one, other = Query(text="x"), Query(text="x")
    one.add_private_state("a", 1)
    assert one == other
    assert one != Query(text="y")
    assert Tagged(text="x") != one


def test_mutable_defaults_are_not_shared():
    """Each task has its own list."""
    one, other = Tagged(text=""), Tagged(text="")
    one.tags.append("x")
    assert other.tags == []


def test_mutable_defaults_are_not_shared_deep_inside():
    """What is in them may be mutable, too."""

    class Deep(Task):
        table: dict[str, list[int]] = {"a": [1]}

    one, other = Deep(), Deep()
    one.table["a"].append(2)
    assert other.table == {"a": [1]}


def test_plain_value_changes_an_inherited_default():
    """An override needs no annotation."""

    class More(Query):
        count = 5

    assert More(text="").count == 5
    with pytest.raises(TypeError, match=r"More.count: expected int, got 'x'"):
        More(text="", count="x")


def test_field_may_be_called_name():
    """Then it is the field that counts; else it is the class's name."""

    class Person(Task):
        name: str

    assert Person(name="Eve").name == "Eve"
    assert Query(text="").name == "Query"


@pytest.mark.parametrize("name", ["provenance", "prefix", "to_json", "retry_count", "_pair"])
def test_field_with_a_name_of_ours_is_refused(name):
    """It would break the engine."""
    with pytest.raises(TypeError, match=f"Bad.{name}: Task uses this name itself"):
        type("Bad", (Task,), {"__annotations__": {name: int}})


def test_private_field_is_refused():
    """Fields are what is dumped; for the rest there is private state."""
    with pytest.raises(TypeError, match=r"Bad._secret: .*add_private_state"):
        type("Bad", (Task,), {"__annotations__": {"_secret": int}})


def test_decorated_subclass_is_refused():
    """The decorator would make another class of it, without its defaults."""
    with pytest.raises(TypeError, match="Bad is an attrs class already: take the decorator away"):

        @attrs.define
        class Bad(Task):
            text: str


def test_method_in_place_of_a_field_is_refused():
    """It could not be set."""
    with pytest.raises(TypeError, match=r"Bad.text is a field, and can't be a method"):

        class Bad(Query):
            @property
            def text(self): ...


def test_class_variables_are_no_fields():
    """As in attrs."""

    class Counted(Task):
        made: ClassVar[int] = 0

    assert Counted() == Counted()
    with pytest.raises(TypeError):
        Counted(made=1)


# -- Types ---------------------------------------------------------------------

UserId = NewType("UserId", int)
N = TypeVar("N", bound=int)


class Movie(TypedDict, total=False):
    title: str


class Whole(TypedDict):
    title: str


class Quacks(Protocol):
    def quack(self): ...


class Box(Task, Generic[T]):
    item: T


class Limited(Task, Generic[N]):
    item: N


class Everything(Task):
    text: str = ""
    number: int = 0
    ratio: float = 0.0
    flag: bool = False
    data: bytes = b""
    nothing: None = None
    anything: Any = None
    thing: object = None
    color: Color = Color.RED
    user: UserId = UserId(1)
    kind: Literal["a", 1] = "a"
    items: list[int] = []
    bare: list = []
    pair: tuple[int, str] = (1, "")
    row: tuple[int, ...] = ()
    names: set[str] = set()
    frozen: frozenset[int] = frozenset()
    table: dict[str, list[int]] = {}
    sequence: Sequence[str] = ()
    mapping: Mapping[str, int] = {}
    either: int | str | None = None
    point: Point | None = None
    deep: dict[str, dict[int, tuple[str, ...]]] = {}
    call: Callable[[int], int] | None = None
    cls: type[Task] = Task
    note: Annotated[str, "a note"] = ""
    movie: Movie = {}
    query: Query | None = None
    boxes: list[Box[int]] = []


GOOD = [
    {"ratio": 1},
    {"number": 2**100},
    {"anything": [object()]},
    {"kind": 1},
    {"pair": (3, "x")},
    {"row": (1, 2, 3)},
    {"sequence": ["a"]},
    {"sequence": ("a",)},
    {"mapping": {"a": 1}},
    {"either": "x"},
    {"point": Point(1)},
    {"deep": {"a": {1: ("x",)}}},
    {"call": abs},
    {"cls": Query},
    {"movie": {"title": "x"}},
    {"query": Tagged(text="")},
    {"boxes": [Box(item=1)]},
    {"bare": [1, "x"]},
]

BAD = [
    ({"text": 1}, "text: expected str, got 1 (int)"),
    ({"number": True}, "number: expected int, got True (bool)"),
    ({"number": 1.0}, "number: expected int, got 1.0 (float)"),
    ({"ratio": True}, "ratio: expected float, got True (bool)"),
    ({"flag": 1}, "flag: expected bool, got 1 (int)"),
    ({"data": "x"}, "data: expected bytes, got 'x' (str)"),
    ({"nothing": 0}, "nothing: expected None, got 0 (int)"),
    ({"color": "red"}, "color: expected Color, got 'red' (str)"),
    ({"user": "x"}, "user: expected int, got 'x' (str)"),
    ({"kind": True}, "kind: expected one of 'a', 1, got True (bool)"),
    ({"items": (1,)}, "items: expected list, got tuple"),
    ({"items": [1, "x"]}, "items[1]: expected int, got 'x' (str)"),
    ({"items": [True]}, "items[0]: expected int, got True (bool)"),
    ({"pair": (1,)}, "pair: expected 2 items, got 1"),
    ({"pair": ("x", "")}, "pair[0]: expected int, got 'x' (str)"),
    ({"row": (1, None)}, "row[1]: expected int, got None"),
    ({"names": {1}}, "names[0]: expected str, got 1 (int)"),
    ({"table": {1: []}}, "table: a key: expected str, got 1 (int)"),
    ({"table": {"a": ["x"]}}, "table.a[0]: expected int, got 'x' (str)"),
    ({"sequence": "abc"}, "sequence: expected a collection, got 'abc' (str)"),
    ({"sequence": [1]}, "sequence[0]: expected str, got 1 (int)"),
    ({"mapping": [1]}, "mapping: expected Mapping, got list"),
    ({"either": 1.5}, "either: expected int or str or None, got 1.5 (float)"),
    ({"point": {"x": 1}}, "point: expected Point or None, got dict"),
    ({"deep": {"a": {1: ("x", 2)}}}, "deep.a[1][1]: expected str, got 2 (int)"),
    ({"cls": int}, "cls: expected a subclass of Task, got int"),
    ({"note": 1}, "note: expected str, got 1 (int)"),
    ({"movie": {"title": 1}}, "movie.title: expected str, got 1 (int)"),
    ({"movie": {"name": ""}}, "movie.name: unknown key"),
    ({"query": Box(item=1)}, "query: expected Query or None, got Box"),
    ({"call": 1}, "got 1 (int)"),
]


@pytest.mark.parametrize("values", GOOD, ids=str)
def test_values_of_the_declared_type_are_taken_as_they_are(values):
    """Nothing is converted or copied."""
    task = Everything(**values)
    for name, value in values.items():
        assert getattr(task, name) is value


@pytest.mark.parametrize(("values", "message"), BAD, ids=str)
def test_values_of_other_types_are_refused_and_the_field_named(values, message):
    """Nor is anything coerced, also deep inside."""
    with pytest.raises(TypeError) as caught:
        Everything(**values)
    assert str(caught.value).startswith("Everything.")
    assert message in str(caught.value)


def test_all_wrong_fields_are_named():
    """Not just the first one."""
    with pytest.raises(TypeError, match=r"^Query.text: .*; Query.count: "):
        Query(text=1, count="")


def test_long_values_are_cut_in_messages():
    """A message stays readable whatever the value."""
    with pytest.raises(TypeError) as caught:
        Query(text="", count="x" * 10**6)
    assert len(str(caught.value)) < 200


def test_types_are_checked_before_validators_run():
    """A validator can rely on the type; converters come first."""

    class Checked(Task):
        first: int = attrs.field(default=1, validator=attrs.validators.gt(0))
        number: int = attrs.field(default=1, converter=abs, validator=attrs.validators.gt(0))

    assert Checked(number=-3).number == 3
    with pytest.raises(TypeError, match=r"Checked.first: expected int, got 'x'"):
        Checked(first="x")
    with pytest.raises(ValueError, match="'number' must be > 0"):
        Checked(number=0)


def test_redefined_first_field_is_checked():
    """Also if the field that had the check comes last now."""

    class Moved(Query):
        text: int

    with pytest.raises(TypeError, match=r"Moved.text: expected int, got 'x'"):
        Moved(text="x")
    with pytest.raises(TypeError, match=r"Moved.count: expected int, got 'x'"):
        Moved(text=1, count="x")


def test_forward_references_are_found_when_they_are_needed():
    """A class that is defined later, or the class itself."""
    assert Tree(children=[Tree()], later=Later(point=Point(1))).later.point.x == 1
    with pytest.raises(TypeError, match=r"Tree.later: expected Later or None, got Query"):
        Tree(later=Query(text=""))


def test_local_classes_are_found_in_annotations_that_are_texts():
    """As they are all where ``annotations`` is imported from ``__future__``."""

    class Inner(Task):
        text: "str"

    class Outer(Task):
        inner: "Inner"
        others: "list[Outer]" = []

    outer = Outer(inner=Inner(text=""), others=[Outer(inner=Inner(text=""))])
    assert Outer.from_json(outer.to_json()) == outer
    with pytest.raises(TypeError, match="expected Inner"):
        Outer(inner=Outer)


def test_unknown_name_in_an_annotation_is_told():
    """Where it is used, with what to do."""

    class Lost(Task):
        other: "Nowhere"  # noqa: F821

    with pytest.raises(TypeError, match=r"Lost.other: its type 'Nowhere' can't be evaluated"):
        Lost(other=1)


def test_type_that_cannot_be_checked_is_told():
    """Rather than not checked."""

    class Odd(Task):
        value: 3 = 3

    with pytest.raises(TypeError, match=r"Odd.value: .*declare it as Any"):
        Odd()


def test_bound_of_a_type_variable_is_checked():
    """An unbound one takes anything."""
    assert Limited(item=3).item == 3
    assert Box(item="x").item == "x"
    with pytest.raises(TypeError, match=r"Limited.item: expected int, got 'x'"):
        Limited(item="x")


CHOICE = TypeVar("CHOICE", int, str)


class Loose(Task, Generic[CHOICE]):
    """Fields of types with little in them, or much."""

    anys: list[Any] = []
    table: dict[Any, Any] = {}
    keys: dict[str, Any] = {}
    old: List = []  # noqa: UP006
    old_pair: Tuple = ()  # noqa: UP006
    old_table: Dict = {}  # noqa: UP006
    old_call: Callable = print
    none: Literal[None] = None
    choice: CHOICE | None = None
    any_class: type[Any] = int
    bare_class: type = int
    movie: Whole | None = None
    duck: Quacks | None = None
    box: Optional[Box[int]] = None  # noqa: UP045
    classes: type[Query | Point] = Query
    any_of: int | Any = None


@pytest.mark.parametrize(
    "values",
    [
        {"anys": [1, "x"]},
        {"table": {1: 2}},
        {"keys": {"a": object()}},
        {"old": [1]},
        {"old_pair": (1, "x")},
        {"old_table": {1: 1}},
        {"choice": "x"},
        {"any_class": str},
        {"movie": {"title": ""}},
        {"duck": "anything"},
        {"classes": Point},
        {"any_of": "x"},
    ],
    ids=str,
)
def test_loose_types_are_taken(values):
    """Where nothing is said, nothing is asked."""
    Loose(**values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"anys": ()}, "anys: expected list, got tuple"),
        ({"table": []}, "table: expected dict, got list"),
        ({"keys": {1: 1}}, "keys: a key: expected str, got 1 (int)"),
        ({"old": ()}, "old: expected list"),
        ({"old_pair": []}, "old_pair: expected tuple"),
        ({"old_call": 1}, "old_call: expected Callable, got 1 (int)"),
        ({"choice": 1.5}, "choice: expected ~CHOICE or None, got 1.5"),
        ({"any_class": 1}, "any_class: expected type, got 1"),
        ({"bare_class": 1}, "bare_class: expected type, got 1"),
        ({"movie": {}}, "movie.title: is missing"),
        ({"box": 1}, "box: expected "),
        ({"classes": int}, "classes: expected a subclass of Query or Point, got int"),
        ({"classes": 1}, "classes: expected a subclass of Query or Point, got 1"),
    ],
    ids=str,
)
def test_what_loose_types_do_say_is_asked_for(values, message):
    """Also of what typing has from older days."""
    with pytest.raises(TypeError) as caught:
        Loose(**values)
    assert str(caught.value).startswith(f"Loose.{message}")


def test_annotation_that_contains_itself_is_told():
    """Python has no end of it, so neither has the check."""
    endless = NewType("endless", int)
    endless.__supertype__ = list[endless]

    class Endless(Task):
        value: endless

    with pytest.raises(TypeError, match=r"Endless.value: its type contains itself: use Any"):
        Endless(value=[])


# -- Where it comes from -------------------------------------------------------


def publish(task, *inputs, pair, by=Splitter, base=None):
    """Do what the engine does when a task is published."""
    task._inputs, task._pair, task._worker, task._base = inputs, pair, by, base
    task._published = True
    return task


def chain():
    first = publish(Query(text="first"), pair=("InitialTaskWorker", 1), by=InitialTaskWorker)
    second = publish(Tagged(text="second"), first, pair=("Splitter", 1))
    return first, second, publish(Later(point=Point(1)), second, pair=("Loud", 1), by=LoudSplitter)


def joined():
    """Return the output of a join of two tasks that came from one, and what it came from."""
    first, second, _ = chain()
    left = publish(Box(item=1), second, pair=("Other", 1), by=Other)
    right = publish(Box(item=2), second, pair=("Other", 2), by=Other)
    return first, second, left, right, publish(
        Tree(), left, right, pair=("Join", 1), by=Other, base=second.provenance()
    )  # fmt: skip


def test_new_task_comes_from_nowhere():
    """Until it is published."""
    task = Query(text="")
    assert task.provenance() == ()
    assert task.prefix(1) == ()
    assert task.previous_input_task() is None
    assert task.find_input_task(Task) is None
    assert task.find_input_tasks(Task) == []
    assert task.prefix_for_input_task(InitialTaskWorker) is None
    assert task.retry_count == 0


def test_provenance_is_the_path():
    """And prefixes are where it begins."""
    first, _, third = chain()
    path = (("InitialTaskWorker", 1), ("Splitter", 1), ("Loud", 1))
    assert third.provenance() == path
    assert [third.prefix(n) for n in range(5)] == [(), path[:1], path[:2], path, path]
    assert first.provenance() == path[:1]
    with pytest.raises(ValueError, match="length must be >= 0, not -1"):
        third.prefix(-1)


def test_inputs_are_the_very_objects():
    """Shared, not copied."""
    first, second, third = chain()
    assert third.previous_input_task() is second
    assert third.find_input_task(Later) is None, "a task is no input of itself"
    assert third.find_input_task(Tagged) is second
    assert first.find_input_task(Query) is None


def test_inputs_are_found_by_class_and_subclass():
    """The nearest first; all of them in the order in which they came."""
    first, second, third = chain()
    assert third.find_input_task(Query) is second
    found = third.find_input_tasks(Query)
    assert [id(task) for task in found] == [id(first), id(second)]


def test_class_of_the_same_name_is_another_class():
    """What counts is the class, not its name."""
    _, _, third = chain()
    assert third.find_input_task(type("Tagged", (Task,), {})) is None
    assert third.prefix_for_input_task(type("Splitter", (Other,), {})) is None
    assert not third.is_type(type("Later", (Task,), {}))
    assert third.is_type(Later)
    assert third.is_type(Task)


def test_prefix_is_found_by_worker_class_name_and_worker():
    """The nearest worker that is an instance counts."""
    *_, third = chain()
    path = third.provenance()
    assert third.prefix_for_input_task(Splitter) == path, "a subclass of it is nearest"
    assert third.prefix_for_input_task(InitialTaskWorker) == path[:1]
    assert third.prefix_for_input_task("Splitter") == path[:2]
    assert third.prefix_for_input_task(Splitter(name="Splitter")) == path[:2]
    assert third.prefix_for_input_task("Nobody") is None
    assert third.prefix_for_input_task(Other) is None


def test_output_of_a_join_has_the_path_of_the_group():
    """And all joined tasks as inputs, the first one first."""
    first, second, left, right, out = joined()
    assert out.provenance() == (*second.provenance(), ("Join", 1))
    assert out.previous_input_task() is left
    assert out.find_input_task(Box) is left
    assert out.find_input_task(Tagged) is second
    found = out.find_input_tasks(Task)
    assert [id(task) for task in found] == [id(one) for one in (first, second, left, right)]
    assert out.prefix_for_input_task(Splitter) == second.provenance()
    assert out.prefix_for_input_task(InitialTaskWorker) == first.provenance()


def test_joins_of_joins_have_a_path():
    """Which skips what was joined, at each of them."""
    first, second, *_, out = joined()
    after = publish(Box(item=3), out, pair=("Other", 3), by=Other)
    outer = publish(Tree(), after, pair=("Outer", 1), base=first.provenance())
    last = publish(Tree(), outer, pair=("Other", 4), by=Other)
    assert last.provenance() == (*first.provenance(), ("Outer", 1), ("Other", 4))
    assert last.prefix_for_input_task("Other") == last.provenance()
    assert last.prefix_for_input_task("Join") is None
    assert last.prefix_for_input_task(InitialTaskWorker) == first.provenance()
    assert last.find_input_task(Tagged) is second


def test_joined_path_is_found_below_other_joins():
    """The group's path may itself go through a join."""
    *_, out = joined()
    next_ = publish(Box(item=4), out, pair=("Other", 5), by=Other)
    deeper = publish(Tree(), next_, pair=("Inner", 1), by=Other, base=out.provenance())
    assert deeper.provenance() == (*out.provenance(), ("Inner", 1))
    assert deeper.prefix_for_input_task(Splitter) == out.provenance()[:2]


def test_long_paths_are_walked_without_recursion():
    """A cycle may go round many times, also through joins."""
    task = publish(Query(text=""), pair=("InitialTaskWorker", 1), by=InitialTaskWorker)
    for number in range(5000):
        base = task.provenance() if number % 100 == 0 else None
        task = publish(Tree(), task, pair=("Other", number), by=Other, base=base)
    assert len(task.provenance()) == 5001
    assert task.find_input_task(Query) is not None
    assert len(task.find_input_tasks(Task)) == 5000
    assert task.prefix_for_input_task(InitialTaskWorker) == (("InitialTaskWorker", 1),)


def test_many_paths_to_one_input_are_walked_once():
    """Joins of joins have two to the power of n paths."""
    tasks = [publish(Query(text=""), pair=("InitialTaskWorker", 1), by=InitialTaskWorker)]
    for number in range(60):
        left, right = (publish(Tree(), tasks[-1], pair=("a", number * 2 + i)) for i in (0, 1))
        tasks.append(publish(Tree(), left, right, pair=("j", number), base=tasks[0].provenance()))
    assert tasks[-1].find_input_task(Later) is None
    assert len(tasks[-1].find_input_tasks(Task)) == 180


def test_injected_input_is_found_first_and_by_what_comes_after():
    """It changes no provenance."""
    _, second, _ = chain()
    extra = Query(text="extra")
    task = Tree().inject_input(extra)
    assert task.previous_input_task() is extra
    publish(task, second, pair=("Other", 1), by=Other)
    after = publish(Tree(), task, pair=("Other", 2), by=Other)
    assert after.find_input_task(Query) is extra
    assert after.find_input_tasks(Query)[-1] is extra
    assert after.provenance() == (*second.provenance(), ("Other", 1), ("Other", 2))


def test_injected_input_must_be_another_task():
    """A circle would never end."""
    first, _, third = chain()
    with pytest.raises(ValueError, match="Query can't be its own input"):
        first.inject_input(third)
    with pytest.raises(ValueError, match="its own input"):
        first.inject_input(first)
    with pytest.raises(TypeError, match="takes a Task"):
        first.inject_input("x")


# -- Private state and copies --------------------------------------------------


def test_private_state_is_seen_downstream():
    """The nearest counts; it is not taken away by looking."""
    first, second, third = chain()
    first.add_private_state("key", 1)
    assert third.get_private_state("key") == 1
    assert third.get_private_state("key") == 1
    second.add_private_state("key", 2)
    assert third.get_private_state("key") == 2
    assert first.get_private_state("key") == 1
    assert third.get_private_state("other") is None
    assert third.get_private_state("other", 5) == 5


def test_private_state_is_not_dumped_copied_or_shown():
    """It is nobody else's."""
    task = Query(text="x")
    task.add_private_state("secret", "s3cret")
    assert "s3cret" not in task.to_json() + task.to_xml() + repr(task)
    assert task.copy_public().get_private_state("secret") is None


def test_public_copy_is_new_and_equal():
    """It comes from nowhere; what its fields hold is shared, or copied with deep."""
    _, second, _ = chain()
    second.tags.append("x")
    shallow, deep = second.copy_public(), second.copy_public(deep=True)
    assert shallow == deep == second
    assert shallow.provenance() == deep.provenance() == ()
    assert not shallow._published
    assert shallow.tags is second.tags
    assert deep.tags is not second.tags


def test_deep_copy_goes_through_tasks_in_fields():
    """And keeps what refers to one object referring to one."""
    inner = Tree()
    outer = Tree(children=[inner, inner])
    deep = outer.copy_public(deep=True)
    assert deep.children[0] is not inner
    assert deep.children[0] is deep.children[1]


def test_deepcopy_shares_tasks():
    """As a worker's state may hold tasks, and is copied."""
    task = Query(text="")
    assert copy.deepcopy({"a": [task]})["a"][0] is task


def test_task_can_be_pickled():
    """Also with what it came from."""
    _, _, third = chain()
    other = pickle.loads(pickle.dumps(third))
    assert other == third
    assert other.provenance() == third.provenance()
    assert other.find_input_task(Tagged).text == "second"


def test_init_of_ones_own_is_refused():
    """It would stand in for the one that sets the fields."""
    with pytest.raises(TypeError, match=r"Mine.__init__: every subclass of Task .*post_init__\(se"):

        class Mine(Task):
            text: str = "x"

            def __init__(self, text):
                super().__init__(text=text)

    class Later(Query):
        def __attrs_post_init__(self):
            self.text = self.text.lower()

    assert Later(text="A").text == "a"


def test_copies_are_without_what_properties_have_cached():
    """Fields may be changed in the copy; what else was set stays."""

    class Sized(Query):
        @functools.cached_property
        def size(self):
            return len(self.text)

        def __attrs_post_init__(self):
            self.more = 1

    class Longer(Sized):
        pass

    first = Longer(text="abc")
    assert first.size == 3
    for deep in (False, True):
        second = first.copy_public(deep=deep)
        assert (second.text, second.more, second) == ("abc", 1, first)
        second.text = "abcd"
        assert (second.size, first.size) == (4, 3)
