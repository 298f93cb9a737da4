"""Outputs as bytes, and back: nothing comes back but what was put, and of declared types."""

import datetime
import enum
import json

import attrs
import pytest

from trioworkers.graph import Task
from trioworkers.graph._cache import cache_key, worker_text
from trioworkers.graph._cached_outputs import (
    CachedOutput,
    decode_outputs,
    encode_outputs,
    types_by_name,
)


class Colour(enum.Enum):
    RED = "red"


@attrs.frozen
class Place:
    line: int
    column: float = 0.0


class Note(Task):
    text: str
    tags: set[str] = attrs.field(factory=set)
    pair: tuple[int, str] = (1, "a")
    when: datetime.datetime = datetime.datetime(2024, 1, 1)
    data: bytes = b"\x00\xff"
    place: Place | None = None
    colour: Colour = Colour.RED
    counts: dict[str, list[int]] = attrs.field(factory=dict)


class Count(Task):
    number: int


class Secret(Task):
    number: int


TYPES = types_by_name([Note, Count])
NAME = f"{Note.__module__}.Note"


def test_outputs_come_back_equal_and_new():
    """With who consumes them, in order; of all that a task can hold."""
    outputs = [
        CachedOutput(Note(text='ü"\n', tags={"a", "b"}, place=Place(1, 2.5)), "Reader"),
        CachedOutput(Count(number=-(2**62)), ""),
        CachedOutput(Note(text="", counts={"": [], "a": [1]}), "Other"),
    ]
    back = decode_outputs(encode_outputs(outputs), TYPES)
    assert list(back) == outputs
    assert all(one.task is not other.task for one, other in zip(back, outputs, strict=True))
    assert type(back[0].task.place) is Place
    assert type(back[0].task.tags) is set
    assert decode_outputs(encode_outputs([]), TYPES) == []


def test_equal_outputs_are_equal_bytes_of_json():
    """So they can be looked at."""
    document = json.loads(encode_outputs([CachedOutput(Count(number=3), "Reader")]))
    assert document == {
        "format": 1,
        "outputs": [
            {"type": f"{Count.__module__}.Count", "consumer": "Reader", "task": {"number": 3}}
        ],
    }


def document(**changes):
    """Return a value with one output, changed."""
    output = {"type": f"{Count.__module__}.Count", "consumer": "", "task": {"number": 1}}
    return json.dumps({"format": 1, "outputs": [{**output, **changes}]}).encode()


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (b"", "it is no JSON"),
        (b"\x80\x04\x95", "it is no JSON"),
        (b"[" * 100_000, "it is no JSON"),
        (b"[]", "it is not of format 1"),
        (b'{"format": 2, "outputs": []}', "it is not of format 1"),
        (b'{"format": 1}', "it has no outputs"),
        (b'{"format": 1, "outputs": [3]}', "an output is no object"),
        (document(type=f"{Secret.__module__}.Secret"), "which is not one of output_types"),
        (document(type="subprocess.Popen"), "which is not one of output_types"),
        (document(type=["a"]), "which is not one of output_types"),
        (document(type="x" * 10_000), "which is not one of output_types"),
        (document(consumer=None), "lacks its consumer or its task"),
        (document(task=[1]), "lacks its consumer or its task"),
        (document(task={}), "number"),
        (document(task={"number": "1"}), "number"),
        (document(task={"number": 1, "more": 2}), "more"),
    ],
)
def test_what_is_something_else_is_refused(value, problem):
    """Nothing is made of it, and the message is short."""
    with pytest.raises(ValueError, match=problem) as caught:
        decode_outputs(value, TYPES)
    assert len(str(caught.value)) < 400


def test_two_types_of_one_name_are_refused():
    """They could not be told apart."""
    with pytest.raises(TypeError, match=r"two output_types are both named .*Twin"):
        types_by_name([_twin(), _twin()])
    assert len(types_by_name([Count, Count])) == 1


def _twin():
    class Twin(Task):
        number: int

    return Twin


def test_keys_are_made_of_fields_alone():
    """Not of private state, injected inputs, or where a task comes from."""
    worker = worker_text("W", Note, [Count])
    one, other = Note(text="a", tags={"x", "y"}), Note(text="a", tags={"y", "x"})
    other.add_private_state("secret", 1)
    other.inject_input(Count(number=1))
    assert cache_key(worker, one) == cache_key(worker, other)
    assert cache_key(worker, one) != cache_key(worker, Note(text="b"))


def test_tasks_inside_tasks_count():
    """By their class and fields."""

    class Outer(Task):
        inner: Count | Secret

    worker = worker_text("W", Note, [])
    keys = {
        cache_key(worker, Outer(inner=cls(number=n))) for cls in (Count, Secret) for n in (1, 2)
    }
    assert len(keys) == 4
