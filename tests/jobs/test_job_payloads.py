"""Payloads: attrs classes at the edges, plain dicts between, and strict in what is taken."""

import enum
from typing import Literal

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import hosting, on_schedules

from trioworkers import BaseWorker, JobError, JobStatus, job
from trioworkers.jobs import to_dict
from trioworkers.jobs._payload import from_dict


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@attrs.define
class Place:
    lat: float
    lon: float


@attrs.frozen
class Order:
    name: str
    count: int = attrs.field(default=1, validator=attrs.validators.ge(1))
    tags: list[str] = attrs.field(factory=list)
    place: Place | None = None
    urgent: bool = False


@attrs.frozen
class Mixed:
    colour: Colour = Colour.RED
    size: Literal["s", "l"] = "s"
    pair: tuple[int, str] = (0, "")
    numbers: tuple[int, ...] = ()
    table: dict[str, int] = attrs.field(factory=dict)
    unique: frozenset[int] = frozenset()
    raw: bytes = b""
    number: float = 0.0
    texts: tuple[str, ...] = ()
    words: set[str] = attrs.field(factory=set)
    nested: list[list[str]] = attrs.field(factory=list)


class Shop(BaseWorker):
    """Takes orders."""

    got: object = None

    @job(name="order")
    async def order(self, message, order: Order):
        self.got = order
        return order

    @job(name="plain")
    async def plain(self, message):
        self.got = message.payload
        return message.payload


@on_schedules(5)
async def test_a_typed_payload_is_structured():
    """The handler gets an instance; a dict or an instance can be sent."""
    shop = Shop("shop")
    async with hosting(shop) as runner:
        order = Order("tea", 2, ["hot"], Place(1.0, 2.0), True)
        for payload in (order, to_dict(order, "it")):
            got = await runner.call("shop", name="order", payload=payload)
            assert shop.got == order
            assert got == {
                "name": "tea",
                "count": 2,
                "tags": ["hot"],
                "place": {"lat": 1.0, "lon": 2.0},
                "urgent": True,
            }


@on_schedules(3)
async def test_a_bad_payload_is_failed_and_names_the_field():
    """The handler isn't called."""
    shop = Shop("shop")
    async with hosting(shop) as runner:
        for payload, text in (
            ({"name": 1}, "expected str, not 1 @ payload.name"),
            ({}, "required field missing @ payload.name"),
            (None, "required field missing @ payload.name"),
            ({"name": "tea", "colour": "red"}, "extra fields found (colour) @ payload"),
            ({"name": "tea", "tags": ["a", 2]}, "expected str, not 2 @ payload.tags[1]"),
            ({"name": "tea", "place": {"lat": "x", "lon": 1}}, "payload.place.lat"),
        ):
            context = runner.job("shop", name="order", payload=payload)
            with pytest.raises(JobError) as caught:
                async with context:
                    pass
            assert context.outcomes["shop"].status is JobStatus.FAILED
            assert "bad payload for Order: " in str(caught.value)
            assert text in str(caught.value)
        assert shop.got is None


@on_schedules(3)
async def test_an_instance_for_an_untyped_handler_arrives_as_a_dict():
    """The requester doesn't know what the handler declares."""
    shop = Shop("shop")
    async with hosting(shop) as runner:
        await runner.call("shop", name="plain", payload=Place(1.0, 2.0))
        assert shop.got == {"lat": 1.0, "lon": 2.0}


@pytest.mark.parametrize(
    ("payload", "where"),
    [
        ({"name": "tea", "count": "2"}, "count"),
        ({"name": "tea", "count": 2.0}, "count"),
        ({"name": "tea", "count": True}, "count"),
        ({"name": "tea", "count": 0}, "count"),
        ({"name": "tea", "urgent": 1}, "urgent"),
        ({"name": "tea", "tags": "hot"}, "tags"),
        ({"name": "tea", "tags": {"hot": 1}}, "tags"),
        ({"name": "tea", "tags": 5}, "tags"),
        ({"name": "tea", "place": 5}, "place"),
        ({"name": "tea", "place": []}, "place"),
        ({"name": b"tea"}, "name"),
        ({"name": None}, "name"),
    ],
)
def test_nothing_is_coerced(payload, where):
    """A value of another type is refused, and the field named."""
    with pytest.raises(JobError, match=rf"bad payload for Order: .*{where}"):
        from_dict(payload, Order)


@pytest.mark.parametrize(
    ("payload", "where"),
    [
        ({"colour": "green"}, "colour"),
        ({"size": "m"}, "size"),
        ({"pair": [1]}, "pair"),
        ({"pair": "ab"}, "pair"),
        ({"numbers": "12"}, "numbers"),
        ({"numbers": [1, "2"]}, r"numbers"),
        ({"numbers": {"1": 1}}, "numbers"),
        ({"table": [1]}, "table"),
        ({"table": {"a": "b"}}, "table"),
        ({"table": {1: 2}}, "table"),
        ({"unique": "12"}, "unique"),
        ({"texts": "ab"}, "texts"),
        ({"texts": {"a": 1}}, "texts"),
        ({"words": "ab"}, "words"),
        ({"nested": [["a"], "b"]}, r"nested\[1\]"),
        ({"raw": "text"}, "raw"),
        ({"number": "1.5"}, "number"),
        ({"number": True}, "number"),
    ],
)
def test_nothing_is_coerced_in_containers(payload, where):
    """Enums, literals, tuples, mappings and sets are checked, too."""
    with pytest.raises(JobError, match=rf"bad payload for Mixed: .*payload\.{where}"):
        from_dict(payload, Mixed)


def test_what_fits_is_taken():
    """JSON's lists serve for tuples and sets, its integers for floats."""
    mixed = from_dict(
        {
            "colour": "blue",
            "size": "l",
            "pair": [1, "a"],
            "numbers": [1, 2],
            "table": {"a": 1},
            "unique": [1, 2, 2],
            "raw": b"x",
            "number": 3,
        },
        Mixed,
    )
    assert mixed == Mixed(
        Colour.BLUE, "l", (1, "a"), (1, 2), {"a": 1}, frozenset({1, 2}), b"x", 3.0
    )
    assert type(mixed.number) is float
    assert from_dict(None, Mixed) == Mixed()


@attrs.frozen
class Odd:
    value: complex = 0j


def test_a_type_that_cannot_be_structured_is_told():
    """A field of a class that nobody can read is the worker's mistake, not a crash."""
    with pytest.raises(JobError, match="bad payload for Odd"):
        from_dict({"value": 1}, Odd)


def test_to_dict_takes_dicts_attrs_instances_and_none():
    """Dicts pass as they are, subclasses as plain dicts; the rest is refused."""

    class Sub(dict):
        pass

    plain = {"a": 1}
    assert to_dict(plain, "it") is plain
    assert to_dict(None, "it") is None
    assert to_dict(Place(1.0, 2.0), "it") == {"lat": 1.0, "lon": 2.0}
    copied = to_dict(Sub(a=1), "it")
    assert copied == plain
    assert type(copied) is dict
    for value in ([], "x", 1, Place, object()):
        with pytest.raises(TypeError, match="it must be a dict, an attrs instance or None"):
            to_dict(value, "it")


@settings(max_examples=100, deadline=None)
@given(
    st.builds(
        Order,
        st.text(),
        st.integers(1, 10**9),
        st.lists(st.text()),
        st.none() | st.builds(Place, st.floats(allow_nan=False), st.floats(allow_nan=False)),
        st.booleans(),
    )
)
def test_payloads_survive_the_way(order):
    """What goes in comes out equal."""
    assert from_dict(to_dict(order, "it"), Order) == order


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(st.sampled_from(["name", "count", "tags", "place", "urgent", "other"]), _json)
)
def test_any_payload_fits_or_fails_with_a_reason(payload):
    """Never another exception; and what is taken keeps the declared types."""
    try:
        order = from_dict(payload, Order)
    except JobError as error:
        reason = error.reason
    else:
        reason = "bad payload for Order: none"
        assert type(order.name) is str
        assert type(order.count) is int
        assert [type(tag) for tag in order.tags] == [str] * len(order.tags)
        assert order.tags == payload.get("tags", [])
        assert type(order.urgent) is bool
    assert reason.startswith("bad payload for Order: ")


@attrs.define
class Numbers:
    numbers: list[int]


def test_a_payload_with_many_faults_has_a_short_error():
    """The first ones are named, and long values cut."""
    with pytest.raises(JobError, match=r"payload\.numbers\[0\]; .*; and 980 more") as caught:
        from_dict({"numbers": ["x" * 1000] * 1000}, Numbers)
    assert len(str(caught.value)) < 2000
