"""Tests of how tasks become dicts, JSON and XML, and come back."""

import concurrent.futures
import datetime
import decimal
import enum
import json
import subprocess
import sys
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Dict, Generic, List, Literal, TypeVar  # noqa: UP035 - as in older code

import attrs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trioworkers.graph import Task


class Color(enum.Enum):
    RED = "red"
    BLUE = 2


class Tone(enum.Enum):
    LOW = "low"
    HIGH = "high"


@attrs.frozen
class Point:
    x: int
    near: "list[Point]" = attrs.field(factory=list)


class Circle(Task):
    radius: float


class Square(Task):
    side: float = 1.0


class Simple(Task):
    text: str
    number: int = 0
    entry: str = ""


class Rich(Task):
    text: str = ""
    number: int = 0
    ratio: float = 0.0
    flag: bool = False
    data: bytes = b""
    color: Color = Color.RED
    kind: Literal["a", "b"] = "a"
    anything: Any = None
    names: list[str] = attrs.field(factory=list)
    numbers: dict[int, list[bool]] = attrs.field(factory=dict)
    by_tone: dict[Tone, int] = attrs.field(factory=dict)
    letters: frozenset[str] = frozenset()
    pair: tuple[int, str] = (0, "")
    row: tuple[float, ...] = ()
    sequence: Sequence[str] = attrs.field(factory=list)
    either: int | str | None = None
    point: Point | None = None
    shapes: list[Circle | Square] = attrs.field(factory=list)
    shape: Circle | Square | str | None = None
    when: datetime.datetime | None = None
    price: decimal.Decimal = decimal.Decimal(0)
    key: uuid.UUID = uuid.UUID(int=0)
    task: Simple | None = None
    hidden: int = attrs.field(default=7, init=False)


class Nested(Task):
    inner: "Nested | None" = None


TEXTS = st.text(st.characters(codec="utf-8"))
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
POINTS = st.recursive(
    st.builds(Point, st.integers()),
    lambda inner: st.builds(Point, st.integers(), st.lists(inner, max_size=2)),
    max_leaves=4,
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | FLOATS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
SHAPES = st.builds(Circle, radius=FLOATS) | st.builds(Square, side=FLOATS)
RICH = st.builds(
    Rich,
    text=TEXTS,
    number=st.integers(),
    ratio=FLOATS | st.integers(-1000, 1000),
    flag=st.booleans(),
    data=st.binary(),
    color=st.sampled_from(Color),
    kind=st.sampled_from("ab"),
    anything=JSON,
    names=st.lists(TEXTS, max_size=3),
    numbers=st.dictionaries(st.integers(), st.lists(st.booleans(), max_size=2), max_size=3),
    by_tone=st.dictionaries(st.sampled_from(Tone), st.integers()),
    letters=st.frozensets(TEXTS, max_size=3),
    pair=st.tuples(st.integers(), TEXTS),
    row=st.lists(FLOATS, max_size=3).map(tuple),
    sequence=st.lists(TEXTS, max_size=2),
    either=st.none() | st.integers() | TEXTS,
    point=st.none() | POINTS,
    shapes=st.lists(SHAPES, max_size=3),
    shape=st.none() | TEXTS | SHAPES,
    when=st.none()
    | st.datetimes(timezones=st.none() | st.just(datetime.UTC)).map(lambda d: d.replace(fold=0)),
    price=st.decimals(allow_nan=False, allow_infinity=False),
    key=st.uuids(),
    task=st.none() | st.builds(Simple, text=TEXTS, entry=TEXTS),
)


def types_inside(value):
    if isinstance(value, dict):
        return [(type(key), types_inside(one)) for key, one in value.items()]
    if isinstance(value, list | tuple):
        return [type(value), *map(types_inside, value)]
    return type(value)


@given(RICH)
@example(
    Rich(
        text="\x00\x0b\r\n\t \ufffe]]>&<'\"\x7f\x85\u2028",
        anything={"": "", "a b": [{}], "\r\n\t": []},
    )
)
@example(
    Rich(number=-(10**400), ratio=1e308, anything={"xml": 1.0, "entry": {"key": "x"}, "$type": "y"})
)
@example(Rich(text="\r\n\t \r", anything={"\r \t": ""}))
def test_all_ways_lead_back(task):
    """Whatever the fields hold comes back equal and of the same type, from all three forms."""
    for other in (
        Rich.from_dict(task.to_dict()),
        Rich.from_json(task.to_json()),
        Rich.from_json(task.to_json().encode()),
        Rich.from_xml(task.to_xml()),
        Rich.from_xml(task.to_xml().encode()),
    ):
        assert other == task
        for field in attrs.fields(Rich):
            ours, theirs = getattr(task, field.name), getattr(other, field.name)
            assert types_inside(ours) == types_inside(theirs)


def test_dump_has_every_parameter_and_nothing_else():
    """Defaults too, so that a dump means the same when they change."""
    assert Simple(text="x").to_dict() == {"text": "x", "number": 0, "entry": ""}
    assert Simple(text="x").to_json() == '{"text":"x","number":0,"entry":""}'
    assert "hidden" not in Rich().to_dict()


def test_xml_is_readable():
    """Texts are elements; other types say what they are."""
    task = Rich(text="a<b", names=["x", "y"], numbers={1: []}, flag=True)
    lines = task.to_xml().splitlines()
    assert lines[0] == "<Rich>"
    assert "  <text>a&lt;b</text>" in lines
    assert '  <number type="int">0</number>' in lines
    assert '  <flag type="bool">true</flag>' in lines
    assert lines[lines.index('  <names type="list">') + 1] == "    <item>x</item>"
    assert '    <entry key="1" type="list"/>' in lines


def test_task_without_fields_goes_and_comes_back():
    """There is nothing in it."""

    class Empty(Task):
        pass

    assert Empty.from_xml(Empty().to_xml()) == Empty.from_json(Empty().to_json()) == Empty()


def test_sets_are_dumped_in_one_order():
    """In every process, whatever the hashes."""
    code = (
        "from trioworkers.graph import Task\n"
        "class S(Task):\n    s: set[str]\n"
        "print(S(s=set('abcdefgh')).to_json())"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": "."},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert outputs == {b'{"s":["a","b","c","d","e","f","g","h"]}\n'}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "text: is missing"),
        ({"text": 1}, "text: expected str, got 1"),
        ({"text": "", "more": 1}, "more: unknown field"),
        ({"text": "", "number": "1"}, "number: expected int, got '1'"),
        ({"text": "", "number": True}, "number: expected int, got True"),
        ([], "expected Simple, got list"),
        (None, "expected Simple, got None"),
        ({1: ""}, "'1': unknown field"),
    ],
)
def test_load_names_the_field_that_is_wrong(data, message):
    """Nothing is coerced, ignored or made up."""
    with pytest.raises(ValueError, match=r"^can't load Simple: ") as caught:
        Simple.from_dict(data)
    assert str(caught.value) == f"can't load Simple: {message}"
    with pytest.raises(ValueError, match="can't load Simple: "):
        Simple.from_json(json.dumps(data if data != {1: ""} else {"1": ""}))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"point": {"x": 1, "near": [{"x": 1}, {"x": "2"}]}}, "point.near[1].x: expected int"),
        ({"numbers": {"01": []}}, "numbers['01']: expected a key: int, got '01'"),
        ({"numbers": {"x": []}}, "numbers.x: expected a key: int, got 'x'"),
        ({"numbers": {"1": [0]}}, "numbers['1'][0]: expected bool, got 0"),
        ({"shapes": [{"side": 1.0}]}, "shapes[0]['$type']: expected one of Circle or Square"),
        ({"shapes": [{"$type": "Point"}]}, "shapes[0]['$type']: expected one of"),
        ({"shapes": [{"$type": "Circle"}]}, "shapes[0].radius: is missing"),
        ({"color": "green"}, "color: expected one of 'red', 2, got 'green'"),
        ({"data": "?"}, "data: expected bytes"),
        ({"when": "yesterday"}, "when: expected datetime"),
        ({"pair": [1]}, "pair: expected 2 items, got 1"),
        ({"hidden": 8}, "hidden: unknown field"),
    ],
)
def test_load_names_the_path_inside(data, message):
    """Down to the value."""
    with pytest.raises(ValueError, match=r"^can't load Rich: ") as caught:
        Rich.from_dict(data)
    assert str(caught.value).startswith(f"can't load Rich: {message}")


def test_what_a_validator_says_is_told():
    """With the class that it is about."""

    class Positive(Task):
        number: int = attrs.field(validator=attrs.validators.gt(0))

    with pytest.raises(ValueError, match="can't load Positive: ValueError: 'number' must be > 0"):
        Positive.from_dict({"number": 0})


def test_dump_refuses_what_would_not_come_back():
    """With the field, and what to do."""
    with pytest.raises(TypeError, match=r"can't dump Rich: text: '\\ud800' has a lone surrogate"):
        Rich(text="\ud800").to_json()
    with pytest.raises(TypeError, match=r"can't dump Rich: anything.a\[1\]: JSON has no nan"):
        Rich(anything={"a": [1, float("nan")]}).to_json()
    with pytest.raises(TypeError, match="can't dump Rich: ratio: JSON has no inf"):
        Rich(ratio=float("inf")).to_dict()

    class Holder(Task):
        shape: Simple

    class MoreSimple(Simple):
        more: int = 0

    with pytest.raises(TypeError, match="shape: a MoreSimple where Simple is declared would come"):
        Holder(shape=MoreSimple(text="")).to_dict()
    task = Simple(text="")
    task.text = 3
    holder = Holder(shape=task)
    holder.shape = 4
    with pytest.raises(TypeError, match="can't dump Holder: shape: expected Simple, got 4"):
        holder.to_dict()
    with pytest.raises(TypeError, match="can't dump Simple: text: expected str, got 3"):
        task.to_json()


def test_type_without_a_form_is_told():
    """Both ways, and at each field only when it is asked for."""

    class Odd(Task):
        value: complex = 1j

    with pytest.raises(
        TypeError, match=r"can't dump Odd: value: type complex has no wire form; .* attrs class$"
    ):
        Odd().to_json()
    with pytest.raises(TypeError, match="can't load Odd: value: type complex has no wire form"):
        Odd.from_json("{}")


T = TypeVar("T")
N = TypeVar("N", bound=int)


class Box(Task, Generic[T]):
    item: T


class Odd(Task, Generic[N]):
    thing: object = None
    number: N = 0
    box: Box[int] | None = None
    mapping: Mapping[str, int] = attrs.field(factory=dict)
    keyed: Mapping[int, str] = attrs.field(factory=dict)
    old: List = attrs.field(factory=list)  # noqa: UP006
    old_table: Dict = attrs.field(factory=dict)  # noqa: UP006
    bare: Sequence = attrs.field(factory=list)
    bare_mapping: Mapping = attrs.field(factory=dict)
    own_set: set = attrs.field(factory=set)
    either: Circle | Square | list[int] | None = None


@pytest.mark.parametrize(
    "values",
    [
        {"thing": [1, {"a": None}]},
        {"number": 3},
        {"box": Box(item=[1])},
        {"mapping": {"a": 1}},
        {"keyed": {-1: "a"}},
        {"old": [1, "a"]},
        {"old_table": {"a": 1}},
        {"bare": [1]},
        {"bare_mapping": {"a": 1}},
        {"own_set": {1, "a", None}},
        {"either": [1]},
        {"either": Square()},
    ],
    ids=str,
)
def test_odd_types_lead_back_too(values):
    """Generic classes, bare containers, unions of classes and others."""
    task = Odd(**values)
    assert Odd.from_json(task.to_json()) == task
    assert Odd.from_xml(task.to_xml()) == task


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"keyed": []}, "keyed: expected dict, got list"),
        ({"keyed": {1: ""}}, "keyed['1']: expected a text, got 1"),
        ({"either": "x"}, "either: expected Circle or Square, got 'x'"),
        ({"box": 1}, "box: "),
    ],
)
def test_load_of_odd_types_names_what_is_wrong(data, message):
    """As of others."""
    with pytest.raises(ValueError, match=r"^can't load Odd: ") as caught:
        Odd.from_dict(data)
    assert str(caught.value).startswith(f"can't load Odd: {message}")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("keyed", [], "keyed: expected dict, got list"),
        ("keyed", {1: 2}, r"keyed\['1'\]: expected str, got 2"),
        ("keyed", {"a": ""}, r"keyed\[\"'a'\"\]: expected int, got 'a'"),
        ("either", 5, "either: expected Circle or Square, got 5"),
        ("box", 5, "box: expected "),
    ],
)
def test_dump_of_a_changed_task_is_checked(name, value, message):
    """A field may have been set to anything since."""
    task = Odd()
    setattr(task, name, value)
    with pytest.raises(TypeError, match=f"can't dump Odd: {message}"):
        task.to_dict()


def test_types_that_cannot_be_told_apart_are_told():
    """With what to do."""
    same = type("Circle", (Task,), {})

    class Twins(Task):
        one: Circle | same | None = None

    class Mixed(Task):
        one: Circle | Square | dict[str, int] | None = None

    with pytest.raises(TypeError, match="one: two classes of Circle or Circle have one name"):
        Twins().to_dict()
    with pytest.raises(TypeError, match="one: classes and dicts in one union can't be told apart"):
        Mixed().to_dict()


def test_unknown_name_in_an_annotation_is_told():
    """Of a nested class, too."""

    @attrs.define
    class Lost:
        other: "Nowhere" = None  # noqa: F821

    class Holder(Task):
        lost: Lost

    with pytest.raises(TypeError, match=r"can't dump Holder: lost: Lost.other: .*'Nowhere' can't"):
        Holder(lost=Lost()).to_dict()


def test_forms_are_made_once_whatever_thread_asks_first():
    """No thread sees an unfinished one."""
    classes = [
        type(f"C{n}", (Task,), {"__annotations__": {f"f{i}": Nested | None for i in range(50)}})
        for n in range(20)
    ]
    tasks = [cls(**{f"f{i}": None for i in range(50)}) for cls in classes]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for dumps in pool.map(lambda _: [len(task.to_dict()) for task in tasks], range(16)):
            assert dumps == [50] * 20


# -- Hostile texts -------------------------------------------------------------

LAUGHS = (
    '<!DOCTYPE r [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">'
    '<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]><Simple><text>&c;</text></Simple>'
)

HOSTILE_XML = [
    (LAUGHS, "document types are refused"),
    ('<!DOCTYPE r SYSTEM "file:///etc/passwd"><Simple/>', "document types are refused"),
    ("<Simple><text>&xxe;</text></Simple>", "not XML: undefined entity"),
    ("<a>" * 100_000, "nested deeper than 100"),
    ("<Simple>" + "<a>" * 90 + "</a>" * 90 + "</Simple>", "a: unknown field"),
    ("<Simple>", "not XML: "),
    ("", "not XML: "),
    ("<Simple/><Simple/>", "not XML: "),
    ("<Other/>", "the root element is 'Other'"),
    ("<Simple>text</Simple>", "expected Simple, got 'text'"),
    ("<Simple><text>a</text><text>b</text></Simple>", "text: is there twice"),
    ("<Simple><text>a<b/></text></Simple>", "text: text between elements: 'a'"),
    ("<Simple><text type='str'>a</text></Simple>", "text: unknown type 'str'"),
    ("<Simple><text lang='en'>a</text></Simple>", "text: unknown attribute 'lang'"),
    ("<Simple><text escaped='true'>\\x</text></Simple>", "text: bad escapes in '\\\\x'"),
    ("<Simple><text escaped='true'>\"+\"</text></Simple>", "text: bad escapes"),
    ("<Simple><number>1</number></Simple>", "number: expected int, got '1'"),
    ("<Simple><number type='int'>1_0</number></Simple>", "number: expected int, got '1_0'"),
    ("<Simple><number type='int'>" + "1" * 5000 + "</number></Simple>", "number: expected int"),
    ("<Simple><number type='bool'>True</number></Simple>", "number: expected bool, got 'True'"),
    ("<Simple><number type='null'>0</number></Simple>", "number: expected null, got '0'"),
    ("<Simple><text type='int'><a/></text></Simple>", "text: elements in a value of type int"),
    ("<Simple><text type='list'><a/></text></Simple>", "text: expected <item> in a list, got 'a'"),
    (b"<?xml version='1.0' encoding='none'?><Simple/>", "not XML: unknown encoding"),
    (b"\xff\xfe<", "not XML: "),
    ("\ud800", "not XML: "),
]


@pytest.mark.parametrize(("text", "message"), HOSTILE_XML, ids=lambda value: repr(value)[:40])
def test_bad_xml_gives_one_short_error(text, message):
    """Whatever it was."""
    with pytest.raises(ValueError, match=r"^can't load Simple: ") as caught:
        Simple.from_xml(text)
    assert message in str(caught.value)
    assert len(str(caught.value)) < 500


HOSTILE_JSON = [
    ("[" * 100_000, "depth"),
    ('{"anything":' + "[" * 400 + "]" * 400 + "}", "nested deeper than 250"),
    ('{"anything":' + "[" * 900 + "1" * 30 + "]" * 900 + "}", "nested too deep"),
    ('{"anything":' + "[" * 9000 + "1" * 30 + "]" * 9000 + "}", "nested too deep"),
    ('{"number":' + "1" * 5000 + "}", "not JSON: "),
    ('{"anything":[NaN]}', "not JSON: "),
    ('{"anything":[NaN,' + "1" * 30 + "]}", "anything[0]: JSON has no nan"),
    ('{"anything":["\\ud800",' + "1" * 30 + "]}", "anything[0]: '\\ud800' has a lone surrogate"),
    ('{"text":"' + "x" * 10**6, "not JSON: "),
    ('{"number":"' + "x" * 10**6 + '"}', "number: expected int, got 'xxxx"),
    ('{"' + "x" * 10**6 + '":1}', "unknown field"),
    ("", "not JSON: "),
    (b"\xff", "not JSON: "),
    ("\ud800", "not JSON: "),
]


@pytest.mark.parametrize(("text", "message"), HOSTILE_JSON, ids=lambda value: repr(value)[:40])
def test_bad_json_gives_one_short_error(text, message):
    """Whatever it was."""
    with pytest.raises(ValueError, match=r"^can't load Rich: ") as caught:
        Rich.from_json(text)
    assert message in str(caught.value)
    assert len(str(caught.value)) < 500


def test_depth_is_bounded_on_the_way_out_too():
    """One error, and no crash."""
    task = Nested()
    for _ in range(120):
        task = Nested(inner=task)
    assert Nested.from_json(task.to_json()) == task
    with pytest.raises(TypeError, match="nested deeper than 100, which XML is limited to"):
        task.to_xml()
    for _ in range(5000):
        task = Nested(inner=task)
    with pytest.raises(TypeError, match="can't dump Nested: nested too deep, or inside itself"):
        task.to_json()


def test_dict_inside_itself_is_refused():
    """It would never end."""
    data = {}
    data["inner"] = data
    with pytest.raises(ValueError, match="can't load Nested: nested too deep, or inside itself"):
        Nested.from_dict(data)


def test_long_texts_are_refused(monkeypatch):
    """Before they are read."""
    monkeypatch.setattr("trioworkers.graph._dump.MAX_TEXT", 10)
    with pytest.raises(ValueError, match="can't load Simple: longer than 10 characters"):
        Simple.from_json(" " * 11)
    with pytest.raises(ValueError, match="can't load Simple: longer than 10"):
        Simple.from_xml(" " * 11)
    with pytest.raises(ValueError, match="can't dump Simple: longer than 10"):
        Simple(text="").to_json()


def test_what_is_no_text_is_refused():
    """A dict, for instance."""
    with pytest.raises(TypeError, match="expected str or bytes, got dict"):
        Simple.from_json({})


def test_number_with_thousands_of_digits_is_refused():
    """Python itself would not read it."""
    with pytest.raises(TypeError, match="a number is too long"):
        Simple(text="", number=10**5000).to_json()
    with pytest.raises(TypeError, match="number of thousands of digits"):
        Simple(text="", number=10**5000).to_xml()
