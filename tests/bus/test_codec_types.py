"""Message classes of users: what their fields may hold, and which classes are refused."""

import datetime
import enum
import inspect
import sys
import typing
import uuid
from typing import Annotated, Any, Literal, NewType

import attrs
import orjson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tags import own_tags

from trioworkers.bus import (
    BusDataMessage,
    BusJobUpdateMessage,
    BusSystemMessage,
    MessageCodec,
)
from trioworkers.errors import CodecError
from trioworkers.testing import messages

CODEC = MessageCodec(now=lambda: 0.0)

Sku = NewType("Sku", str)
Finite = NewType("Finite", float)
Small = NewType("Small", int)
st.register_type_strategy(Finite, st.floats(allow_nan=False, allow_infinity=False).map(Finite))
st.register_type_strategy(Small, st.integers(-(2**63), 2**64 - 1).map(Small))


# What the statement ``type Words = tuple[str, ...]`` makes, where there is one.
Words = tuple[str, ...]
if sys.version_info >= (3, 12):
    Words = typing.TypeAliasType("Words", Words)


class Size(enum.Enum):
    SMALL = "s"
    LARGE = 2


@attrs.frozen
class Item:
    sku: Sku
    size: Size = Size.SMALL
    note: str | None = None


@attrs.define
class Order(BusDataMessage):
    """One field of each kind of type."""

    items: tuple[Item, ...]
    first: Item | None = None
    by_name: dict[str, Item] = attrs.field(factory=dict)
    counts: dict[str, int] = attrs.field(factory=dict)
    rows: list[list[Finite]] = attrs.field(factory=list)
    pair: tuple[Small, str] = (0, "")
    tags: frozenset[str] = frozenset()
    words: Words = ()
    things: set = attrs.field(factory=set)
    numbers: set[Small] = attrs.field(factory=set)
    number: int | str | bool | None = None
    amount: int | float = 0
    ratio: float = 0.0
    kind: Literal["new", "old", 1, True] = "new"
    extra: Any = None
    other: Any | None = None
    more: dict = attrs.field(factory=dict)
    rest: list = attrs.field(factory=list)
    checked: Annotated[bool, "by a person"] = False
    _secret: str = ""
    at: datetime.datetime | None = None
    day: datetime.date | None = None
    key: uuid.UUID | None = None
    blob: bytes = b""
    size: Size | None = None


@attrs.define
class Tree:
    name: str
    children: "tuple[Tree, ...]" = ()


@attrs.define
class Forest(BusSystemMessage):
    root: Tree


@attrs.define
class Checked(BusDataMessage):
    share: float = attrs.field(validator=[attrs.validators.ge(0), attrs.validators.le(1)])
    text: str = attrs.field(
        default="", converter=str.strip, validator=attrs.validators.matches_re("[a-z]{0,9}")
    )
    length: int = attrs.field(init=False)

    def __attrs_post_init__(self):
        self.length = len(self.text)


@attrs.define
class Special(BusJobUpdateMessage):
    """A message of the job protocol with more to it."""

    detail: str = attrs.field(default="", kw_only=True)


class Berlin(datetime.tzinfo):
    """A time zone that is more than an offset."""

    def utcoffset(self, _):
        return datetime.timedelta(hours=1)


@pytest.fixture(autouse=True, scope="module")
def tags():
    with own_tags(Order, Forest, Checked, Special):
        yield


def assert_comes_back(message, codec=CODEC):
    """Equal, and with the same types inside; the order in sets may change."""
    back = codec.decode(codec.encode(message))
    assert type(back) is type(message)
    for field in attrs.fields(type(message)):
        there, here = getattr(back, field.name), getattr(message, field.name)
        assert there == here
        assert type(there) is type(here)
        if not isinstance(here, set | frozenset):
            assert repr(there) == repr(here)


def decode(tag, **fields):
    return CODEC.decode(orjson.dumps({"$": tag, "source": "a", **fields}))


# What comes back


@given(messages(Order))
def test_every_kind_of_field_comes_back_exactly(order):
    """Nested attrs classes, options, collections, enums, literals, dates and bytes."""
    assume(not (order.at and order.at.fold))
    assert_comes_back(order)


def test_the_wire_form_of_a_users_message():
    """Enums by value, tuples and sets as lists, bytes as base64; no defaults."""
    order = Order(
        (Item(Sku("x"), Size.LARGE), Item(Sku("y"), note="")),
        source="a",
        target="b",
        tags=frozenset({"t"}),
        pair=(1, "one"),
        secret="s",
        day=datetime.date(2026, 2, 3),
        blob=b"\0",
        kind=True,
    )
    assert orjson.loads(CODEC.encode(order)) == {
        "$": "test.order",
        "source": "a",
        "target": "b",
        "items": [{"sku": "x", "size": 2}, {"sku": "y", "note": ""}],
        "by_name": {},
        "counts": {},
        "rows": [],
        "pair": [1, "one"],
        "tags": ["t"],
        "things": [],
        "numbers": [],
        "kind": True,
        "more": {},
        "rest": [],
        "secret": "s",
        "day": "2026-02-03",
        "blob": "AA==",
    }
    assert_comes_back(order)


def test_a_class_may_contain_itself():
    """To the depth that the codec allows."""
    tree = Tree("leaf")
    for number in range(40):
        tree = Tree(str(number), (tree, Tree("")))
    assert_comes_back(Forest(tree, source="a"))
    with pytest.raises(CodecError, match=r"root.*children.*: nested deeper than 10$"):
        MessageCodec(max_depth=10).encode(Forest(tree, source="a"))


def test_what_contains_itself_without_end_is_refused():
    """Not with a `RecursionError`."""
    tree = Tree("endless")
    tree.children = (tree,)
    with pytest.raises(CodecError, match="encode Forest: nested too deep, or inside itself"):
        CODEC.encode(Forest(tree, source="a"))


def test_a_stack_that_is_nearly_full_is_told_too():
    """Where the caller's own depth leaves no room to decode."""
    tree = Tree("leaf")
    for _ in range(100):
        tree = Tree("", (tree,))
    codec = MessageCodec(max_depth=250)
    data = codec.encode(Forest(tree, source="a"))

    def deeper(levels):
        return deeper(levels - 1) if levels else codec.decode(data)

    assert deeper(0) == Forest(tree, source="a")
    with pytest.raises(CodecError, match=r"RecursionError|nested too deep"):
        deeper(sys.getrecursionlimit() - len(inspect.stack()) - 200)


def test_a_deep_path_is_cut_in_the_middle():
    """It shows where it starts and where it ends."""
    wire = {"name": 5}
    for _ in range(40):
        wire = {"name": "", "children": [wire]}
    with pytest.raises(CodecError, match=r"root\.children.*\.\.\..*\.name: expected str, got 5"):
        decode("test.forest", root=wire)


def test_a_subclass_with_a_tag_of_its_own_comes_back_as_itself():
    """With the fields of both."""
    assert_comes_back(Special("j", {"a": 1}, seq=3, detail="d", source="a"))


def test_fields_that_are_no_parameters_are_not_sent():
    """The receiver works them out; converters and validators run there too."""
    message = Checked(0.5, " text ", source="a")
    assert b"length" not in CODEC.encode(message)
    assert CODEC.decode(CODEC.encode(message)) == message
    with pytest.raises(CodecError, match="length: unknown field"):
        decode("test.checked", share=0.5, length=7)


def test_what_a_converter_or_a_class_raises_is_cut():
    """It often holds the whole value."""
    for tag, fields in [
        ("test.order", {"items": [], "at": "x" * 9999}),
        ("test.checked", {"share": 1, "text": "x" * 9999}),
    ]:
        with pytest.raises(CodecError, match=r"x{40}.*\.\.\.$") as caught:
            decode(tag, **fields)
        assert len(str(caught.value)) < 500


def test_a_class_may_refuse_values():
    """Whatever its validators or converters raise becomes the reason."""
    with pytest.raises(CodecError, match=r"'test\.checked': ValueError: 'share' must be <= 1"):
        decode("test.checked", share=2)
    with pytest.raises(CodecError, match=r"'test\.checked': share: is missing"):
        decode("test.checked", text="")


# What does not


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("items", [Item(Sku("a"))], "items: expected tuple, got list"),
        ("items", (Item(5),), r"items\[0\].sku: expected str, got 5"),
        ("items", ({"sku": "a"},), r"items\[0\]: expected exactly Item, got dict"),
        ("first", Tree("a"), "first: expected Item or None, got Tree"),
        ("by_name", {"a b": None}, r"by_name\['a b'\]: expected exactly Item, got None"),
        ("counts", {"a": True}, "counts.a: expected int, got True"),
        ("counts", {1: 2}, "counts: key 1 of a dict is not a str"),
        ("rows", [[1.0], [1.0, float("nan")]], r"rows\[1\]\[1\]: JSON has no nan"),
        ("rows", [(1.0,)], r"rows\[0\]: expected list, got tuple"),
        ("pair", (1, "a", 2), "pair: expected 2 items, got 3"),
        ("pair", (1, 2), r"pair\[1\]: expected str, got 2"),
        ("pair", [1, "a"], "pair: expected tuple, got list"),
        ("tags", {"a"}, "tags: expected frozenset, got set"),
        ("numbers", {1.0}, r"numbers\[0\]: expected int, got 1.0"),
        ("number", 1.5, "number: expected int or str or bool or None, got 1.5"),
        ("amount", True, "amount: expected float, got True"),
        ("amount", 10**400, "amount: a whole number beyond 64 bits"),
        ("kind", 1.0, r"kind: expected one of 'new', 'old', 1, True, got 1\.0"),
        ("kind", [], "kind: expected one of 'new', .*, got list"),
        ("extra", (1,), "extra: tuple is not JSON"),
        ("more", [1], "more: expected dict, got list"),
        ("more", {"a": object()}, "more.a: object is not JSON"),
        ("rest", [1, b""], r"rest\[1\]: bytes is not JSON"),
        ("size", "s", "size: expected one of 's', 2 or None, got 's'"),
        ("at", datetime.date(2026, 1, 1), "at: expected datetime or None, got date"),
        (
            "at",
            datetime.datetime(2026, 1, 1, fold=1),
            "at: expected datetime: a time zone would be",
        ),
        (
            "at",
            datetime.datetime(2026, 1, 1, tzinfo=Berlin()),
            "at: .*a time zone",
        ),
        ("day", datetime.datetime(2026, 1, 1), "day: this date would come back as another value"),
        ("blob", bytearray(b"x"), "blob: expected bytes, got bytearray"),
        ("secret", 5, "secret: expected str, got 5"),
    ],
)
def test_a_value_that_its_type_does_not_allow_is_not_sent(field, value, problem):
    """Nor one that would come back as another type."""
    with pytest.raises(CodecError, match=f"^can't encode Order: {problem}"):
        CODEC.encode(Order(**{"items": (), "source": "a", field: value}))


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("items", [{"sku": "a", "size": "m"}], r"items\[0\].size: expected one of 's', 2, got 'm'"),
        ("items", [{"sku": "a", "size": 2.0}], r"items\[0\].size: expected one of 's', 2, got 2.0"),
        ("items", [{"sku": "a", "price": 2}], r"items\[0\].price: unknown field"),
        ("items", [{}], r"items\[0\].sku: is missing"),
        ("items", None, "items: expected list, got None"),
        ("by_name", {"a": {}}, "by_name.a.sku: is missing"),
        ("by_name", [], "by_name: expected dict, got list"),
        ("rows", [[1], ["1"]], r"rows\[1\]\[0\]: expected float, got '1'"),
        ("pair", [1], "pair: expected 2 items, got 1"),
        ("pair", "ab", "pair: expected list, got 'ab'"),
        ("tags", ["a", "a"], "tags: an item of a set is there twice"),
        ("things", [1, []], "things: an item of a set can't be a list or dict"),
        ("numbers", [True], r"numbers\[0\]: expected int, got True"),
        ("number", 1.5, "number: expected int or str or bool or None, got 1.5"),
        ("kind", 1.0, "kind: expected one of 'new', .*, got 1.0"),
        ("more", [], "more: expected dict, got list"),
        ("rest", {}, "rest: expected list, got dict"),
        ("at", "2026-02-03", "at: expected datetime, got '2026-02-03'"),
        ("at", "soon", "at: expected datetime: Invalid isoformat string: 'soon'"),
        ("at", 5, "at: expected datetime: "),
        ("at", [5], "at: expected datetime or None, got list"),
        ("key", "{12345678-1234-5678-1234-567812345678}", "key: expected UUID, got '{1234"),
        ("blob", "AA", "blob: expected bytes: Incorrect padding"),
        ("blob", "AB==", "blob: expected bytes, got 'AB=='"),
        ("_secret", "", "_secret: unknown field"),
    ],
)
def test_a_received_value_that_does_not_fit_is_refused(field, value, problem):
    """Also where the converter would have made something of it."""
    with pytest.raises(CodecError, match=f"^can't decode 'test.order': {problem}"):
        decode("test.order", **{"items": [], field: value})
