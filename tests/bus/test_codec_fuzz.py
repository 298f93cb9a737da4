"""Whatever bytes come in, a message comes out or a `CodecError`: nothing else.

``CODEC_FUZZ=1000000 pytest tests/bus/test_codec_fuzz.py`` tries a million;
``CODEC_FUZZ_SEED=N`` tries others. An input that fails is in the error.
"""

import datetime
import json
import os
import random
import time
import tracemalloc
from collections import Counter

import attrs
import orjson
import pytest
from tags import own_tags

from trioworkers.bus import (
    BusActivateWorkerMessage,
    BusDataMessage,
    BusJobCancelMessage,
    BusJobCreditMessage,
    BusJobRequestMessage,
    BusJobResponseMessage,
    BusJobUpdateMessage,
    BusMessage,
    BusWorkerReadyMessage,
    BusWorkerRegistryMessage,
    JobFailure,
    JobStatus,
    MessageCodec,
    WorkerRegistryEntry,
)
from trioworkers.errors import CodecError

TRIES = int(os.environ.get("CODEC_FUZZ", "5000"))
SEED = int(os.environ.get("CODEC_FUZZ_SEED", "0"))

#: Small limits, so that inputs meet them.
CODEC = MessageCodec(max_bytes=4096, max_depth=20, now=lambda: 1000.0)


@attrs.frozen
class Leaf:
    name: str
    leaves: "tuple[Leaf, ...]" = ()


@attrs.define
class Parcel(BusDataMessage):
    """A user's message, with fields of many kinds."""

    root: Leaf
    numbers: set[float] = attrs.field(factory=set)
    by_name: dict[str, Leaf] = attrs.field(factory=dict)
    either: int | str | Leaf | None = None
    at: datetime.datetime | None = None
    blob: bytes = b""
    some: object = attrs.field(default=0, validator=attrs.validators.instance_of(int), init=False)
    share: float = attrs.field(default=0.5, validator=attrs.validators.le(1))


VALID = [
    BusJobRequestMessage(
        "0a1b-17",
        "ask",
        {"text": 'say "ä\n\U0001f600"', "n": [1, -2.5e-7, True, None, {"deep": [[]]}], "": {}},
        source="a",
        target="b",
        deadline=1030.5,
        parent_job_id="0a1b-3",
        ancestors=("0a1b-1", "0a1b-2"),
        awaited=False,
        attempt=3,
        trace={"traceparent": "00-ab-cd-01"},
        credit=0,
    ),
    BusJobResponseMessage("j", JobStatus.COMPLETED, {"total": 2**64 - 1}, source="b", seq=5),
    BusJobResponseMessage(
        "j", JobStatus.ERROR, source="b", error=JobFailure("ValueError", "no", "Traceback: ...")
    ),
    BusJobUpdateMessage("j", {"done": 0.25, "rows": list(range(40))}, source="b", seq=1),
    BusJobCancelMessage("j", "enough", source="a"),
    BusJobCreditMessage("j", None, source="a"),
    BusActivateWorkerMessage({"metadata": {"x": "y" * 100}}, source="a", target="b"),
    BusWorkerReadyMessage("runner", "parent", True, False, 1.75e9, source="b"),
    BusWorkerRegistryMessage(
        "r", (WorkerRegistryEntry("a"), WorkerRegistryEntry("b", "a", True, True, 1.5)), source="r"
    ),
    Parcel(
        Leaf("root", (Leaf("a"), Leaf("b", (Leaf("c"),)))),
        {1.5, 2.0},
        {"x": Leaf("x")},
        Leaf("z"),
        datetime.datetime(2026, 2, 3, 4, 5, tzinfo=datetime.UTC),
        b"\0\1",
        source="a",
    ),
]

TOKENS = [
    *(b'{"$":"', b'"$"', b"job.update", b'"job_id":"j"', b'"source":"a"', b'"update":{', b'"seq":'),
    *(b"[", b"]", b"{", b"}", b":", b",", b'"', b"\\", b"\\ud800", b"\\u0000", b"null", b"true"),
    *(b"1e308", b"1e309", b"-0", b"0.1", b"9" * 19, b"9" * 20, b"-" * 20, b"NaN", b"Infinity"),
    *(b"\0", b"\xff", b"\xef\xbb\xbf", b"\xed\xa0\x80", b" " * 40, b"[" * 40, b'{"a":' * 30),
]
VALUES = [
    *(None, True, False, 0, 1, -1, 1.0, -0.0, 1e300, 2**63, 2**64 - 1, 2**64, -(2**64), 10**400),
    *("", "1", "a", "null", "j" * 300, "\ud800", "\0", "2026-02-03T04:05:00", "AA==", "lost"),
    *([], {}, [[]], [1, "a", None], {"a": 1}, {"name": "x"}, {"type": "E", "message": "m"}, ["a"]),
]


def mutate_bytes(rng: random.Random, data: bytes) -> bytes:
    """Flip, cut, repeat, insert or splice."""
    here, there = sorted(rng.choices(range(len(data) + 1), k=2))
    match rng.randrange(6):
        case 0 if data:
            place = rng.randrange(len(data))
            return data[:place] + bytes([data[place] ^ 1 << rng.randrange(8)]) + data[place + 1 :]
        case 1:
            return data[:here]
        case 2:
            return data[:here] + data[there:]
        case 3:
            return data[:there] + data[here:there] * rng.choice((1, 2, 50)) + data[there:]
        case 4:
            return data[:here] + rng.choice(TOKENS) + data[here:]
        case _:
            other = rng.choice(ENCODED)
            return data[:here] + other[rng.randrange(len(other)) :]


def mutate_json(rng: random.Random, data: bytes) -> bytes:
    """Give some place in it another value, another key, or none."""
    try:
        whole = json.loads(data)
    except (ValueError, RecursionError):
        return data
    places = [(holder, key) for holder in containers(whole) for key in keys(holder)]
    if not places:
        return data
    holder, key = rng.choice(places)
    match rng.randrange(6):
        case 0 | 1:
            holder[key] = rng.choice(VALUES)
        case 2:
            other, other_key = rng.choice(places)
            holder[key] = json.loads(json.dumps(other[other_key]))
        case 3:
            del holder[key]
        case 4 if isinstance(holder, dict):
            holder[rng.choice(("extra", "$", "update", "job_id", str(key) + "x"))] = holder.pop(key)
        case _:
            for _ in range(rng.choice((1, 17, 30, 100))):
                holder[key] = {"a": holder[key]} if rng.random() < 0.3 else [holder[key]]
    return json.dumps(whole).encode()


def containers(value):
    """Return the dicts and lists in ``value``, itself included."""
    found, inside = [], [value]
    while inside:
        item = inside.pop()
        if isinstance(item, dict | list):
            found.append(item)
            inside += item.values() if isinstance(item, dict) else item
    return found


def keys(holder):
    return list(holder) if isinstance(holder, dict) else list(range(len(holder)))


def an_input(rng: random.Random) -> bytes:
    """Return bytes: rarely random ones, mostly a message that was changed a little."""
    kind = rng.random()
    if kind < 0.03:
        return rng.randbytes(rng.randrange(200))
    if kind < 0.08:
        return b"".join(rng.choices(TOKENS, k=rng.randrange(1, 20)))
    data = rng.choice(ENCODED)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        data = (mutate_json if rng.random() < 0.6 else mutate_bytes)(rng, data)
    return data


def checked(error: CodecError) -> str:
    """Return in a word what it is about; what it says is short and fit for a log."""
    text = str(error)
    assert len(text) < 600
    assert text.isprintable()
    assert error.__cause__ is None
    return "the whole" if not error.path else "a field"


def outcome(data: bytes) -> str:
    """Decode ``data``; return which of the good ends it came to."""
    try:
        message = CODEC.decode(data)
    except CodecError as error:
        return f"refused: {checked(error)}"
    assert isinstance(message, BusMessage)
    # What is accepted is a message that can be sent on, and means the same.
    again = CODEC.encode(message)
    assert CODEC.decode(again) == message
    assert CODEC.encode(CODEC.decode(again)) == again or isinstance(message, Parcel)
    return "accepted"


ENCODED: list[bytes] = []


@pytest.fixture(autouse=True, scope="module")
def encoded():
    with own_tags(Parcel):
        ENCODED[:] = map(CODEC.encode, VALID)
        yield


def test_any_bytes_give_a_message_or_a_codec_error():
    """Random ones, and messages with bits, bytes, values, keys and nesting changed."""
    rng = random.Random(SEED)
    outcomes: Counter[str] = Counter()
    begin = time.perf_counter()
    for number in range(TRIES):
        data = an_input(rng)
        try:
            outcomes[outcome(data)] += 1
        except BaseException as error:
            error.add_note(f"input {number} of seed {SEED}: {data!r}")
            raise
    print(f"{dict(outcomes)} in {time.perf_counter() - begin:.0f} s")  # noqa: T201 - with -s
    # A fuzz that is always refused at the door tries nothing.
    for kind in ("accepted", "refused: a field", "refused: the whole"):
        assert outcomes[kind] > TRIES / 20, outcomes


@pytest.mark.parametrize("message", VALID, ids=lambda message: type(message).__name__)
def test_every_part_of_a_message_cut_off_is_refused(message):
    """A message that isn't whole is none."""
    data = CODEC.encode(message)
    for size in range(len(data)):
        with pytest.raises(CodecError):
            CODEC.decode(data[:size])


def long_inputs(size: int) -> dict[str, bytes]:
    """Return inputs of about ``size`` bytes that are costly for their length."""

    def update(value: bytes, field: bytes = b'"update":{"v":') -> bytes:
        start = b'{"$":"job.update","source":"a","job_id":"j",' + field
        return start + value * ((size - 100) // len(value)) + b"0]}}"

    wrong = b'{"$":"job.request","source":"a","job_id":"j","ancestors":['
    parcel = b'{"$":"test.parcel","source":"a","root":{"name":"","leaves":['
    return {
        "empty lists": update(b"[],", b'"update":{"v":['),
        "empty dicts": update(b"{},", b'"update":{"v":['),
        "small numbers": update(b"1,", b'"update":{"v":['),
        "digits": update(b"9", b'"update":{"v":['),
        "long numbers": update(b"-922337203685477580.,".replace(b".", b"8"), b'"update":{"v":['),
        "brackets": b"[" * size,
        "keys": b'{"$":"job.update",%s"seq":0}'
        % b",".join(b'"%d":0' % number for number in range(size // 12)).join((b"", b",")),
        "wrong items": wrong + b"0," * (size // 2 - 50) + b"0]}",
        "many objects": parcel + b'{"name":""},' * (size // 12 - 50) + b'{"name":""}]}}',
        "escapes": b'{"$":"%s"}' % (b"\\u0041" * (size // 6 - 10)),
    }


@pytest.mark.parametrize("what", long_inputs(1000))
def test_no_input_takes_memory_out_of_proportion(what):
    """Empty lists and dicts take most, some forty times their length; errors don't add up."""
    size = 200_000
    data = long_inputs(size)[what]
    assert size / 2 < len(data) <= size
    codec = MessageCodec(max_bytes=size)
    tracemalloc.start()
    try:
        codec.decode(data)
    except CodecError as error:
        assert len(str(error)) < 600  # noqa: PT017 - one of two good ends
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 50 * size


def test_what_is_too_long_is_not_parsed():
    """Not even looked at: the limit is the first thing."""
    data = b"[" * 10_000_000
    tracemalloc.start()
    try:
        with pytest.raises(CodecError, match="10000000 bytes long; the limit is 4096"):
            CODEC.decode(data)
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 100_000


def test_valid_messages_are_what_the_fuzz_starts_from():
    """All of them, the user's too, come back."""
    assert [CODEC.decode(data) for data in ENCODED] == VALID
    assert orjson.loads(ENCODED[-1])["$"] == "test.parcel"
