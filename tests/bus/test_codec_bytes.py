"""Bytes from anywhere: within the limits, and exactly what a codec would have made."""

import orjson
import pytest

from trioworkers.bus import BusJobUpdateMessage, MessageCodec
from trioworkers.errors import CodecError, TrioWorkersError

CODEC = MessageCodec(now=lambda: 0.0)


def update(value):
    return BusJobUpdateMessage("j", {"v": value}, source="a")


def raw(tag="job.update", **fields):
    return orjson.dumps({"$": tag, "source": "a", "job_id": "j", **fields})


# Limits


def nested(depth):
    value = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("limit", [3, 20, 100, 250])
def test_a_message_may_be_as_deep_as_the_limit(limit):
    """The message itself is one level, its payload another."""
    codec = MessageCodec(max_depth=limit)
    padding = {"padding": "[" * 2 * limit}
    data = codec.encode(BusJobUpdateMessage("j", {"v": nested(limit - 2), **padding}, source="a"))
    assert codec.decode(data).update == {"v": nested(limit - 2), **padding}
    with pytest.raises(
        CodecError, match=rf"update\.v\[0\].*: nested (deeper than {limit}|too deep)"
    ):
        codec.encode(update(nested(limit - 1)))
    with pytest.raises(CodecError, match=rf"update\.v\[0\].*: nested deeper than {limit}$"):
        codec.decode(raw(update={"v": nested(limit - 1)}))


def test_a_message_may_be_as_long_as_the_limit():
    """One byte more is refused, by both."""
    codec = MessageCodec(max_bytes=100)
    text = "x" * (100 - len(CODEC.encode(update(""))))
    data = codec.encode(update(text))
    assert len(data) == 100
    assert codec.decode(data) == update(text)
    with pytest.raises(CodecError, match=r"101 bytes long; the limit is 100 \(max_bytes\)"):
        codec.encode(update(text + "x"))
    with pytest.raises(CodecError, match="decode a message: 101 bytes long; the limit is 100"):
        codec.decode(data + b" ")


@pytest.mark.parametrize(
    "limits", [{"max_bytes": 0}, {"max_depth": 0}, {"max_depth": 251}], ids=str
)
def test_limits_are_checked(limits):
    """orjson can't write what is nested deeper than 254."""
    ((name, value),) = limits.items()
    with pytest.raises(ValueError, match=f"{name} must be .*, not {value}"):
        MessageCodec(**limits)


# Bytes from anywhere


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "decode a message: not JSON: .*empty"),
        (b"\xff\xfe", "decode a message: not JSON: .*UTF-8"),
        (b'{"$":"job.update","source":"a"', "decode a message: not JSON: "),
        (b"\x80\x04K\x01.", "decode a message: not JSON"),
        (b'["job.update"]', "decode a message: expected a JSON object, got list"),
        (b"null", "expected a JSON object, got None"),
        (b"{}", "decode a message: there is no text under '\\$', where the wire tag belongs"),
        (b'{"$":["job.update"]}', "there is no text under '\\$'"),
        (b'{"$":"job.nope"}', "decode 'job.nope': unknown wire tag; import the module"),
        (b'{"$":"job.update"}', "decode 'job.update': source: is missing"),
        (raw(update={"v": 1e999}).replace(b"null", b"1e999"), "not JSON: .*infinity"),
        (b"[" * 100_000, "not JSON: "),
        (b'{"a":' * 100_000, "not JSON: "),
    ],
)
def test_bytes_that_are_no_message_are_refused(data, problem):
    """One kind of error for all of them."""
    with pytest.raises(CodecError, match=problem):
        CODEC.decode(data)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"job_id": 5}, "job_id: expected str, got 5"),
        ({"job_id": None}, "job_id: expected str, got None"),
        ({"target": ["a"]}, "target: expected str or None, got list"),
        ({"seq": "5"}, "seq: expected int or None, got '5'"),
        ({"seq": 5.0}, "seq: expected int or None, got 5.0"),
        ({"seq": True}, "seq: expected int or None, got True"),
        ({"update": "text"}, "update: expected dict or None, got 'text'"),
        ({"update": [["v", 1]]}, "update: expected dict or None, got list"),
        ({"extra": 1}, "extra: unknown field"),
        ({"wire_tag": "job.cancel"}, "wire_tag: unknown field"),
        ({"__class__": "os.system"}, "__class__: unknown field"),
        ({"tag": "job.request", "ancestors": {"a": "b"}}, "ancestors: expected list, got dict"),
        ({"tag": "job.request", "ancestors": "abc"}, "ancestors: expected list, got 'abc'"),
        (
            {"tag": "job.request", "ancestors": ["a", None]},
            r"ancestors\[1\]: expected str, got None",
        ),
        ({"tag": "job.request", "trace": {"b": "", "a": 1}}, "trace.a: expected str, got 1"),
        ({"tag": "job.request", "awaited": 1}, "awaited: expected bool, got 1"),
        ({"tag": "job.response"}, "status: is missing"),
        ({"tag": "job.response", "status": "COMPLETED"}, "status: expected one of 'completed', "),
        ({"tag": "job.response", "status": ["lost"]}, "status: expected one of .*, got list"),
        ({"tag": "job.response", "status": "lost", "error": {}}, "error.type: is missing"),
        (
            {"tag": "job.response", "status": "lost", "error": "e"},
            "error: expected JobFailure or None",
        ),
        (
            {"tag": "job.response", "status": "lost", "error": {"type": "", "message": "", "x": 1}},
            "error.x: unknown field",
        ),
    ],
)
def test_a_field_that_does_not_fit_is_refused_by_its_name(fields, problem):
    """Nothing is converted, filled in or left out."""
    with pytest.raises(CodecError, match=problem) as caught:
        CODEC.decode(raw(**fields))
    assert caught.value.doing == f"decode {fields.get('tag', 'job.update')!r}"


def test_a_deep_field_is_named_by_its_whole_path():
    """With the index in the list."""
    entry = {"name": "w"}
    data = orjson.dumps(
        {
            "$": "registry.snapshot",
            "source": "r",
            "runner": "r",
            "workers": [entry, {"name": "x", "active": 0}],
        }
    )
    with pytest.raises(CodecError) as caught:
        CODEC.decode(data)
    assert str(caught.value) == (
        "can't decode 'registry.snapshot': workers[1].active: expected bool, got 0"
    )
    assert isinstance(caught.value, TrioWorkersError | ValueError)


@pytest.mark.parametrize("number", [b"18446744073709551616", b"-9223372036854775809", b"9" * 5000])
def test_a_whole_number_beyond_64_bits_is_not_read_as_a_float(number):
    """Which orjson would do, and lose digits."""
    data = raw(update={"v": [0, 7]}).replace(b"7", number)
    with pytest.raises(CodecError, match=r"(update\.v\[1\]: a whole number beyond 64|infinity)"):
        CODEC.decode(data)


@pytest.mark.parametrize(
    "number", [b"18446744073709551615", b"-9223372036854775808", b"1.00000000000000000000001"]
)
def test_a_long_number_is_read(number):
    """To the ends of 64 bits, and with more digits than a float has."""
    data = raw(update={"v": [0, 7], "row": "-" * 40}).replace(b"7", number)
    assert repr(CODEC.decode(data).update["v"][1]) == repr(orjson.loads(number))


@pytest.mark.parametrize(
    "data",
    [
        raw(**{"x" * 100_000: 1}),
        raw(job_id=["x" * 100_000]),
        raw(seq="x" * 100_000),
        raw(update={"v": 1}, seq="\x1b[2J\r\n\u202e" * 10_000),
        raw("x" * 100_000),
        raw("job.response", status="x" * 100_000),
        raw("job.request", trace={"x" * 100_000: 1}),
        b"[" + b"x" * 100_000,
        b'{"' + b"\xff" * 100_000,
    ],
    ids=range(9),
)
def test_an_error_shows_little_of_what_was_sent(data):
    """So that logs can't be flooded, nor their lines and terminals abused."""
    with pytest.raises(CodecError) as caught:
        CODEC.decode(data)
    text = str(caught.value)
    assert len(text) < 500
    assert text.isprintable()
    assert caught.value.__cause__ is None
