"""Keys of cached results: what makes them differ, and what must not."""

import dataclasses
import datetime
import decimal
import enum
import fractions
import os
import pathlib
import subprocess
import sys
import uuid
from collections import OrderedDict, namedtuple
from typing import Any
from zoneinfo import ZoneInfo

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

import trioworkers
from trioworkers.graph._cache import cache_key, worker_text
from trioworkers.graph._canonical import canonical_text


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Level(enum.IntEnum):
    LOW = 1


class Rights(enum.Flag):
    READ = 1
    WRITE = 2


@attrs.define
class Inner:
    number: int
    _private: str = "hidden"


@attrs.define
class Query:
    """Stands for a task: an attrs class with fields."""

    value: Any = None
    tags: frozenset[str] = frozenset()
    _secret: str = ""


@attrs.define
class Answer:
    text: str


@attrs.define
class OtherQuery:
    value: Any = None
    tags: frozenset[str] = frozenset()


@dataclasses.dataclass
class Data:
    number: int


Pair = namedtuple("Pair", "left right")

DIFFERENT = [
    None,
    True,
    False,
    1,
    0,
    1.0,
    0.0,
    -0.0,
    -1,
    10**400,
    10**5000,
    -(10**5000),
    float("inf"),
    float("-inf"),
    float("nan"),
    1j,
    "",
    "1",
    "1.0",
    "null",
    "nan",
    'a"b',
    "\ud800",
    b"",
    b"1",
    bytearray(b"1"),
    [],
    [1],
    [[1]],
    [1, 2],
    [2, 1],
    ["1,2"],
    (),
    (1,),
    Pair(1, 2),
    (1, 2),
    set(),
    {1},
    {1.0},
    frozenset({1}),
    {},
    {1: 2},
    {"1": 2},
    {"dict": []},
    {"float": "nan"},
    [("dict", [])],
    OrderedDict({1: 2}),
    datetime.datetime(2024, 1, 1),
    datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC),
    datetime.datetime(2024, 1, 1, tzinfo=ZoneInfo("Europe/London")),
    datetime.datetime(2024, 1, 1, fold=1),
    datetime.date(2024, 1, 1),
    datetime.time(1),
    datetime.timedelta(1),
    "2024-01-01",
    decimal.Decimal("1"),
    decimal.Decimal("1.0"),
    fractions.Fraction(1, 2),
    uuid.UUID(int=1),
    str(uuid.UUID(int=1)),
    pathlib.PurePosixPath("a"),
    Colour.RED,
    Colour.BLUE,
    Level.LOW,
    Rights.READ,
    Rights.READ | Rights.WRITE,
    int,
    str,
    Inner(1),
    Inner(2),
    Inner(1, "other"),
    Data(1),
    {"number": 1},
]


def key_of(value, **others):
    return cache_key(worker_text("W", Query, [Answer]), Query(value), **others)


def test_values_that_differ_in_content_or_type_have_different_keys():
    """1, 1.0, True and "1" are four inputs, and so on through all that a field can hold."""
    keys = [key_of(value) for value in DIFFERENT]
    assert len(set(keys)) == len(DIFFERENT)
    assert all(len(key) == 64 and int(key, 16) >= 0 for key in keys)


def test_equal_values_have_equal_keys_whatever_their_order():
    """Dicts and sets have no order that counts, at any depth."""
    words = [f"word {number}" for number in range(50)]
    backwards = words[::-1]
    there, back = dict.fromkeys(words, 1), dict.fromkeys(backwards, 1)
    assert key_of([there]) == key_of([back])
    assert key_of(set(words)) == key_of(set(backwards))
    assert key_of({frozenset(words): 1}) == key_of({frozenset(backwards): 1})
    assert key_of({1: 2, "a": 3, None: 4}) == key_of({None: 4, "a": 3, 1: 2})
    assert key_of(float("nan")) == key_of(-float("nan"))


def test_worker_types_extra_and_class_count():
    """What another worker, or the same for another type, makes of equal content is not the same."""
    base = worker_text("W", Query, [Answer])
    keys = {
        cache_key(base, Query(1)),
        cache_key(base, Query(1), "extra"),
        cache_key(base, OtherQuery(1)),
        cache_key(worker_text("V", Query, [Answer]), Query(1)),
        cache_key(worker_text("W", OtherQuery, [Answer]), Query(1)),
        cache_key(worker_text("W", Query, [Answer, Inner]), Query(1)),
        cache_key(worker_text("W", Query, []), Query(1)),
    }
    assert len(keys) == 7
    assert worker_text("W", Query, [Answer, Inner]) == worker_text("W", Query, [Inner, Answer])


def test_an_output_type_whose_fields_changed_has_other_keys():
    """Else an old result would be given out with defaults in place of what is new."""
    old = attrs.make_class("Result", {"a": attrs.field(type=int)})
    new = attrs.make_class("Result", {"a": attrs.field(type=int), "b": attrs.field(default=0)})
    other = attrs.make_class("Result", {"a": attrs.field(type=list[int])})
    texts = {worker_text("W", Query, [cls]) for cls in (old, new, other)}
    assert len(texts) == 3


def test_private_fields_do_not_count():
    """They are no content."""
    worker = worker_text("W", Query, [Answer])
    assert cache_key(worker, Query(1, secret="a")) == cache_key(worker, Query(1, secret="b"))


def test_no_part_runs_into_the_next():
    """Neighbouring parts can't be shifted to look alike."""
    assert key_of(["a", "b"]) != key_of(['a","b'])
    assert key_of("a", extra="b") != key_of("ab")
    assert worker_text('W","x', Query, []) != worker_text("W", Query, [])


@pytest.mark.parametrize("value", [object(), lambda: None, range(3), iter(())])
def test_what_has_no_text_is_refused_by_field(value):
    """An address in memory would make a key that is never found again."""
    with pytest.raises(TypeError, match=r"value: .*has no canonical text.*extra_cache_key"):
        key_of([{"a": value}])


def test_what_contains_itself_is_refused():
    """It has no text at all."""
    value: list[Any] = []
    value.append(value)
    with pytest.raises(ValueError, match="value is nested too deeply, or contains itself"):
        key_of(value)
    with pytest.raises(ValueError, match="nested too deeply"):
        canonical_text(value)


def test_the_extra_key_is_a_text():
    """Whatever else it returns would count as something that it is not."""
    with pytest.raises(TypeError, match="extra_cache_key must return a str, not NoneType"):
        key_of(1, extra=None)


SCRIPT = """
import attrs, datetime, decimal, enum, sys, uuid
from trioworkers.graph._cache import cache_key, worker_text

class Colour(enum.Enum):
    RED = 1

@attrs.define
class Query:
    words: set[str]
    counts: dict[frozenset[str], float]
    things: list[object]

words = {f"word {number}" for number in range(100)}
things = [Colour.RED, b"x", float("nan"), datetime.datetime(2024, 1, 1), words, int, (1, 2.5)]
query = Query(words, {frozenset(words): 1.5, frozenset(): 0.1}, things)
print(hash("a"), cache_key(worker_text("W", Query, [Query]), query))
"""


def test_keys_are_the_same_in_every_process():
    """Whatever PYTHONHASHSEED is."""
    home = str(pathlib.Path(trioworkers.__file__).parents[1])
    hashes, keys = set(), set()
    for seed in ("0", "1", "2", "random"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": home}
        output = subprocess.run(
            [sys.executable, "-c", SCRIPT], env=environment, check=True, capture_output=True
        ).stdout.split()
        hashes.add(output[0])
        keys.add(output[1])
    assert len(hashes) > 1
    assert len(keys) == 1


ATOMS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(max_size=5)
    | st.decimals(allow_nan=False)
    | st.datetimes()
)
HASHABLES = st.recursive(
    ATOMS, lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3), max_leaves=5
)
VALUES = st.recursive(
    HASHABLES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(HASHABLES, inner, max_size=4),
    max_leaves=10,
)


def same(one, other):
    """Whether two values are equal, and of equal types all through."""
    if type(one) is not type(other):
        return False
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return sorted(map(repr, one)) == sorted(map(repr, other)) and all(
            same(value, other[key]) for key, value in one.items()
        )
    return repr(one) == repr(other)


@given(VALUES, VALUES)
def test_texts_are_equal_exactly_if_values_are(one, other):
    """Over random values; sets are compared only with themselves, through their text."""
    if same(one, other):
        assert canonical_text(one) == canonical_text(other)
    elif "frozenset" not in repr(one):
        assert canonical_text(one) != canonical_text(other)
