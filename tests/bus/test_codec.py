"""Messages become bytes and come back exactly; all else is a `CodecError`."""

import math

import attrs
import orjson
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from trioworkers.bus import (
    BusActivateWorkerMessage,
    BusAddWorkerMessage,
    BusJobCreditMessage,
    BusJobRequestMessage,
    BusJobResponseMessage,
    BusJobUpdateMessage,
    BusWorkerLocalErrorMessage,
    BusWorkerRegistryMessage,
    JobFailure,
    JobStatus,
    MessageCodec,
    WorkerRegistryEntry,
    tagged_messages,
)
from trioworkers.errors import CodecError
from trioworkers.testing import messages

#: Those of the library: other tests of the same run register their own.
OURS = [cls for cls in tagged_messages().values() if cls.__module__.startswith("trioworkers.")]

CODEC = MessageCodec(now=lambda: 0.0)


def update(value, **rest):
    return BusJobUpdateMessage("j", {"v": value}, source="a", **rest)


def raw(tag="job.update", **fields):
    return orjson.dumps({"$": tag, "source": "a", "job_id": "j", **fields})


def assert_comes_back(message, codec=CODEC):
    """Equal, and with the same types inside: ``1`` isn't ``1.0``, nor ``True``."""
    back = codec.decode(codec.encode(message))
    assert back == message
    assert repr(back) == repr(message)
    assert type(back) is type(message)


# Exact


@given(messages(*OURS))
def test_every_message_comes_back_exactly(message):
    """All classes of the library, with any values that fit their fields."""
    assert_comes_back(message)


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.sampled_from([0, 1, -1, 0.0, -0.0, 1.0, 5e-324, 1e308, 2.0**63, 2.0**64, 1e22, 1e23])
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=30
)


@given(json_values)
def test_every_payload_comes_back_exactly(value):
    """Up to the ends of 64 bits, and with every float and text."""
    assert_comes_back(BusActivateWorkerMessage({"v": value}, source="a"))


anything = st.recursive(
    scalars
    | st.floats()
    | st.integers()
    | st.binary()
    | st.sampled_from([JobStatus.LOST, JobFailure("a", "b"), math.nan, object, 1j]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner)
        | st.dictionaries(st.text(max_size=2) | st.integers(), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(anything)
def test_a_payload_comes_back_exactly_or_is_refused_before_it_is_sent(value):
    """There is no third way, whatever is put into it."""
    message = update(value)
    try:
        data = CODEC.encode(message)
    except CodecError as error:
        assert error.path.startswith("update")  # noqa: PT017 - one of two good ends
    else:
        assert repr(CODEC.decode(data)) == repr(message)


def test_the_wire_form_is_compact_json():
    """The tag first, then the fields that differ from their defaults."""
    assert CODEC.encode(update(1.5, seq=3)) == (
        b'{"$":"job.update","source":"a","job_id":"j","update":{"v":1.5},"seq":3}'
    )
    assert CODEC.encode(BusJobRequestMessage("j", source="a", target="b")) == (
        b'{"$":"job.request","source":"a","target":"b","job_id":"j"}'
    )


def test_a_value_that_only_equals_the_default_is_sent():
    """``attempt`` is 1 by default; 1.0 equals it, but is no int."""
    request = BusJobRequestMessage("j", source="a", attempt=1.0)
    with pytest.raises(CodecError, match=r"^can't encode BusJobRequestMessage: attempt: expected"):
        CODEC.encode(request)
    assert_comes_back(BusJobRequestMessage("j", source="a", attempt=2))


def test_an_int_where_a_float_is_declared_stays_an_int():
    """As Python has it: an int will do for a float. It is not converted."""
    assert_comes_back(
        BusWorkerRegistryMessage("r", (WorkerRegistryEntry("w", started_at=1),), source="r")
    )


def test_other_ways_to_write_the_same_json_are_read():
    """Spaces, order and escapes don't matter; of two equal keys the last one counts."""
    data = b' {"job_id": "\\u006a",\n "update":{"v":1,"v":2}, "source":"a", "$":"job.update"} '
    assert CODEC.decode(data) == update(2)


# Deadlines


def test_a_deadline_travels_as_the_seconds_that_remain():
    """Each side reads its own clock."""
    sender, receiver = MessageCodec(now=lambda: 1000.0), MessageCodec(now=lambda: 7.0)
    data = sender.encode(BusJobRequestMessage("j", source="a", deadline=1030.0))
    assert orjson.loads(data)["deadline"] == 30.0
    assert receiver.decode(data).deadline == 37.0


def test_a_deadline_that_has_passed_stays_in_the_past():
    """The receiver sees that it comes too late, and by how much."""
    codec = MessageCodec(now=lambda: 50.0)
    for deadline, there in [(45.0, 45.0), (50, 50.0), (-math.inf, 50.0)]:
        data = codec.encode(BusJobRequestMessage("j", source="a", deadline=deadline))
        assert codec.decode(data).deadline == there


def test_without_a_deadline_no_clock_is_needed():
    """Neither to encode nor to decode, inside Trio or outside."""
    codec = MessageCodec()
    message = BusJobRequestMessage("j", source="a", deadline=float("1e999"))
    data = codec.encode(message)
    assert codec.decode(data) == message
    assert codec.decode(raw("job.request", deadline=None)) == message


async def test_the_clock_is_trios(autojump_clock):
    """By default, time on the way is time lost for the receiver's own deadline."""
    codec = MessageCodec()
    data = codec.encode(BusJobRequestMessage("j", source="a", deadline=trio.current_time() + 5))
    await trio.sleep(3)
    assert codec.decode(data).deadline == pytest.approx(trio.current_time() + 5)


@pytest.mark.parametrize("deadline", [math.nan, "5", True, None, 10**400])
def test_a_deadline_is_a_time(deadline):
    """NaN would never come."""
    with pytest.raises(
        CodecError, match=r"^can't encode BusJobRequestMessage: deadline: expected "
    ):
        CODEC.encode(BusJobRequestMessage("j", source="a", deadline=deadline))


@pytest.mark.parametrize("deadline", ["5", True, [5]])
def test_a_received_deadline_is_a_number(deadline):
    """Null stands for none."""
    with pytest.raises(CodecError, match=r"deadline: expected float or None, got "):
        CODEC.decode(raw("job.request", deadline=deadline))


# What can't be sent


class Texts(str):
    """A str that is more than a str."""

    __slots__ = ()


SELF = []
SELF.append([SELF, SELF])


@pytest.mark.parametrize(
    ("value", "path", "problem"),
    [
        ({"items": [1, {"when": {1, 2}}]}, "v.items[1].when", "set is not JSON; send a list"),
        ((1, 2), "v", "tuple is not JSON; send a list"),
        ({"a": math.nan}, "v.a", "JSON has no nan; send None or a text"),
        ([1.5, math.inf], "v[1]", "JSON has no inf"),
        ([1.0] * 20 + [-math.inf], "v[20]", "JSON has no -inf"),
        (2**64, "v", "whole number beyond 64 bits; send it as a text"),
        ([-(2**63) - 1], "v[0]", "whole number beyond 64 bits"),
        ({1: 2}, "v", "key 1 of a dict is not a str"),
        ({JobStatus.LOST: 2}, "v", "key JobStatus of a dict is not a str"),
        ({"a b": "\ud800"}, "v['a b']", r"'\\ud800' has a lone surrogate"),
        ({"\udfff": 1}, "v", r"key '\\udfff' of a dict has a lone surrogate"),
        (JobStatus.LOST, "v", "JobStatus is not JSON; send a plain str"),
        (Texts("x"), "v", "Texts is not JSON; send a plain str"),
        (JobFailure("a", "b"), "v", "JobFailure is not JSON; send None, bool, int"),
        (b"bytes", "v", "bytes is not JSON"),
        (object, "v", "type is not JSON"),
        (SELF, "v[0][0][0]", "nested too deep, or inside itself"),
    ],
)
def test_a_payload_that_json_can_not_hold_is_refused_by_its_path(value, path, problem):
    """Before anything is sent. orjson alone would send some of them as something else."""
    with pytest.raises(CodecError, match=problem) as caught:
        CODEC.encode(update(value))
    assert caught.value.path.startswith(f"update.{path}")
    assert str(caught.value).startswith("can't encode BusJobUpdateMessage: update.v")


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        (BusJobUpdateMessage(5, source="a"), "job_id: expected str, got 5"),
        (BusJobUpdateMessage("j", source=None), "source: expected str, got None"),
        (BusJobUpdateMessage("j", source="a", target=5), "target: expected str or None, got 5"),
        (BusJobUpdateMessage("\ud800", source="a"), r"job_id: '\\ud800' has a lone surrogate"),
        (BusJobUpdateMessage("j", [1], source="a"), "update: expected dict or None, got list"),
        (BusJobUpdateMessage("j", source="a", seq=True), "seq: expected int, got True"),
        (BusJobCreditMessage("j", 2**64, source="a"), "credit: a whole number beyond 64 bits"),
        (
            BusJobRequestMessage("j", source="a", ancestors=["k"]),
            "ancestors: expected tuple, got list",
        ),
        (
            BusJobRequestMessage("j", source="a", ancestors=("k", 5)),
            r"ancestors\[1\]: expected str",
        ),
        (
            BusJobRequestMessage("j", source="a", trace={"s": "", "t": 5}),
            "trace.t: expected str, got 5",
        ),
        (BusJobRequestMessage("j", source="a", trace={5: 6}), r"trace\['5'\]: expected str, got 6"),
        (BusJobRequestMessage("j", source="a", trace={5: ""}), "trace: key 5 of a dict is not"),
        (BusJobResponseMessage("j", "failed", source="a"), "status: expected one of 'completed'"),
        (
            BusJobResponseMessage("j", JobStatus.LOST, source="a", error=JobFailure("x", None)),
            "error.message: expected str, got None",
        ),
    ],
)
def test_a_field_of_the_wrong_type_is_refused_before_it_is_sent(message, problem):
    """attrs doesn't look at types; the receiver would have to refuse it."""
    with pytest.raises(CodecError, match=problem):
        CODEC.encode(message)


def test_an_instance_of_a_subclass_is_refused_where_its_base_is_declared():
    """It would arrive without what the subclass adds."""

    @attrs.frozen
    class Detailed(JobFailure):
        detail: str = ""

    message = BusJobResponseMessage("j", JobStatus.LOST, source="a", error=Detailed("x", "y"))
    with pytest.raises(CodecError, match="error: expected exactly JobFailure, got Detailed"):
        CODEC.encode(message)


@pytest.mark.parametrize(
    "message",
    [BusAddWorkerMessage(None, source="a"), BusWorkerLocalErrorMessage("e", source="a")],
    ids=lambda message: type(message).__name__,
)
def test_a_local_message_is_not_encoded(message):
    """It means something in its own process only."""
    with pytest.raises(CodecError, match="Message: a local message stays in its process"):
        CODEC.encode(message)


def test_what_is_no_message_is_a_mistake_of_the_caller():
    """Not of the message: a `TypeError`."""
    with pytest.raises(TypeError, match="only messages can be encoded, not type"):
        CODEC.encode({"source": "a"})
    with pytest.raises(TypeError, match=r"data must be bytes, not '\{\}'"):
        CODEC.decode("{}")
