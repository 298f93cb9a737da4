"""Message classes of users that can't be sent, and how a converter helps some of them."""

import enum
import typing
from collections import deque
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Literal

import attrs
import orjson
import pytest
from tags import own_tags

from trioworkers.bus import (
    BusDataMessage,
    BusJobUpdateMessage,
    BusLocalMessage,
    Deadline,
    MessageCodec,
    wire_converter,
    wire_tag,
)
from trioworkers.errors import CodecError

CODEC = MessageCodec(now=lambda: 0.0)


@attrs.define
class Special(BusJobUpdateMessage):
    """A message of the job protocol with more to it."""

    detail: str = attrs.field(default="", kw_only=True)


class Size(enum.Enum):
    SMALL = "s"
    LARGE = 2


@attrs.frozen
class Item:
    sku: str


@attrs.frozen
class Tree:
    name: str


class Texts(str):
    __slots__ = ()


class Celsius:
    def __init__(self, degrees):
        self.degrees = degrees

    def __eq__(self, other):
        return isinstance(other, Celsius) and other.degrees == self.degrees


@attrs.define
class Weather(BusDataMessage):
    air: Celsius
    price: Decimal = Decimal(0)
    file: Path | None = None


@pytest.fixture(autouse=True, scope="module")
def tags():
    with own_tags(Special, Weather):
        yield


def decode(tag):
    return CODEC.decode(orjson.dumps({"$": tag, "source": "a"}))


def test_a_message_without_a_tag_is_refused():
    """The error says how to register it."""

    @attrs.define
    class Untagged(BusDataMessage):
        text: str

    with pytest.raises(CodecError, match=r"encode Untagged: .* put @wire_tag\(\.\.\.\) above it"):
        CODEC.encode(Untagged("x", source="a"))


def test_an_untagged_subclass_of_a_tagged_message_is_refused():
    """It would arrive as its base, without what it adds; even if it adds nothing."""

    @attrs.define
    class Longer(Special):
        more: str = ""

    class Same(Special):
        pass

    for cls in (Longer, Same):
        with pytest.raises(
            CodecError, match=f"encode {cls.__name__}: the class has no wire tag of"
        ):
            CODEC.encode(cls("j", source="a"))


def test_a_local_message_is_refused_also_with_a_tag():
    """Both ways."""

    @wire_tag("test.local")
    @attrs.define
    class Local(BusLocalMessage, BusDataMessage):
        pass

    with pytest.raises(CodecError, match="encode Local: a local message stays in its process"):
        CODEC.encode(Local(source="a"))
    with pytest.raises(CodecError, match=r"'test\.local': a local message stays"):
        decode("test.local")


def test_a_tag_below_define_is_refused():
    """It names the class that `attrs.define` replaced."""

    @attrs.define
    @wire_tag("test.upside-down")
    class UpsideDown(BusDataMessage):
        pass

    with pytest.raises(CodecError, match=r"'test.upside-down' names another class; put @wire"):
        CODEC.encode(UpsideDown(source="a"))


def test_a_class_without_define_is_refused_if_it_has_fields():
    """They would be class attributes, and never sent."""

    @wire_tag("test.undecorated")
    class Undecorated(BusDataMessage):
        text: str = ""

    with pytest.raises(
        CodecError, match="Undecorated has fields, but is not decorated with @attrs"
    ):
        CODEC.encode(Undecorated(source="a"))


class Point(typing.NamedTuple):
    x: int


class Movie(typing.TypedDict):
    title: str


class Heavy(enum.Enum):
    A = [1, 2]


@attrs.define
class Hidden:
    value: complex


@pytest.mark.parametrize(
    ("hint", "problem"),
    [
        (complex, "type complex has no wire form; use what JSON has"),
        (object, "type object has no wire form"),
        (Movie, "type .*Movie.* has no wire form"),
        (Sequence[str], r"type collections.abc.Sequence\[str\] has no wire form"),
        (dict[int, str], r"type dict\[int, str\] has no wire form"),
        (typing.TypeVar("T"), "type ~T has no wire form"),
        (deque[str], r"type collections.deque\[str\] has no wire form"),
        (
            Item | Tree,
            "types of Item or Tree can't be told apart on the wire; use a field for each",
        ),
        (str | Size, "types of str or one of 's', 2 can't be told apart"),
        (Deadline | None, "types of Deadline or None can't be told apart"),
        (Literal[b"x"], "value of an enum or literal is bytes, which is no JSON scalar"),
        (Heavy, "value of an enum or literal is list, which is no JSON scalar"),
        (Hidden, "bad.value: type complex has no wire form"),
        (list[Hidden], "bad.value: type complex has no wire form"),
        (
            "Nowhere",
            "the types of its fields are not there at run time .*'Nowhere' is not def",
        ),
    ],
    ids=str,
)
def test_a_field_whose_type_has_no_wire_form_is_refused(hint, problem):
    """At the first message of the class, by the path of the field."""
    fields = {"__annotations__": {"bad": hint}, "__module__": __name__}
    bad = attrs.define(type("Bad", (BusDataMessage,), fields))
    with own_tags(bad):
        codec = MessageCodec()
        for _ in range(2):
            with pytest.raises(CodecError, match=problem):
                codec.encode(bad(None, source="a"))
        with pytest.raises(CodecError, match=problem):
            codec.decode(b'{"$":"test.bad","source":"a","bad":null}')


# Types of a user's own


def test_a_converter_teaches_the_codec_a_type():
    """What its hooks make of a value is sent, if it leads back to that value."""
    converter = wire_converter()
    converter.register_unstructure_hook(Celsius, lambda value: value.degrees)
    converter.register_structure_hook(Celsius, lambda value, _: Celsius(value))
    codec = MessageCodec(converter=converter)
    message = Weather(Celsius(21.5), Decimal("1.50"), Path("/tmp"), source="a")
    assert codec.decode(codec.encode(message)) == message
    for degrees, problem in [
        ([1], "air: Celsius, as the converter has it, is list, which is no JSON scalar"),
        (float("inf"), "air: Celsius, as the converter has it, is inf, which is no JSON scalar"),
        (10**400, "air: Celsius, as the converter has it, is int, which is no JSON scalar"),
        (Texts("21"), "air: Celsius, as the converter has it, is Texts, which is no JSON scalar"),
    ]:
        with pytest.raises(CodecError, match=problem):
            codec.encode(Weather(Celsius(degrees), source="a"))
    with pytest.raises(CodecError, match="price: this Decimal would come back as another value"):
        codec.encode(Weather(Celsius(1), Decimal("nan"), source="a"))
    with pytest.raises(CodecError, match="air: expected Celsius, got list"):
        codec.decode(b'{"$":"test.weather","source":"a","air":[]}')


def test_without_the_hooks_the_type_is_refused():
    """The error says where to put them."""
    with pytest.raises(CodecError, match=r"air: type Celsius .* give MessageCodec a converter"):
        CODEC.encode(Weather(Celsius(1), source="a"))
