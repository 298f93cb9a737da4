"""Protobuf frames, by their bytes."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioworkers.ui.rtvi._errors import BadMessage
from trioworkers.ui.rtvi._frames import unwrap, wrap


def test_bytes_are_those_of_the_stock_client():
    """``0x22 len 0x0a len json``; lengths above 127 have two bytes."""
    assert wrap(b"{}") == b"\x22\x04\x0a\x02{}"
    assert wrap(b"x" * 200) == b"\x22\xcb\x01\x0a\xc8\x01" + b"x" * 200


@given(st.binary(max_size=70_000))
def test_what_is_wrapped_comes_out(data):
    """Of any length."""
    assert unwrap(wrap(data)) == data


def test_unknown_fields_are_passed_over():
    """Of each wire type, in the frame and in the message; of a field twice, the last counts."""
    unknown = b"\x48\x96\x01" + b"\x49" + b"8" * 8 + b"\x4a\x02xx" + b"\x4d" + b"4" * 4
    message = unknown + b"\x0a\x01a" + b"\x0a\x02{}" + unknown
    assert unwrap(unknown + b"\x22" + bytes([len(message)]) + message + unknown) == b"{}"


@pytest.mark.parametrize(
    ("frame", "match"),
    [
        (b"", "is empty: send a Frame with a message"),
        (b"\x0a\x02hi", "takes no text frames"),
        (b"\x12\x02hi", "takes no audio frames"),
        (b"\x1a\x02hi", "takes no transcription frames"),
        (b"\x22\x00", "the message in the protobuf frame has no data"),
        (b"\x22\x05\x0a\x02{}", "cut off: field 4 says it has 5 bytes, and 4 follow"),
        (b"\x22\x04\x0a\x03{}", "the protobuf message is cut off"),
        (b"\x22", "ends in the middle of a number"),
        (b"\x22\x80", "ends in the middle of a number"),
        (b"\xff" * 11, "a number of more than 10 bytes"),
        (b"\x22" + b"\xff" * 9 + b"\x01", "is cut off"),
        (b"\x00\x00", "a field with number 0"),
        (b"\x4b", "wire type 3"),
        (b"\x25abcd", "field 4 is no message"),
        (b"\x22\x04\x0a\x02{}\x0a\x01x", "takes no text frames"),
        (b"{}", "protobuf frame has a field of wire type 3"),
    ],
)
def test_what_is_no_frame_is_named(frame, match):
    """The error says what is wrong with it."""
    with pytest.raises(BadMessage, match=match):
        unwrap(frame)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_frame_or_refused(frame):
    """Nothing else is raised."""
    with suppress(BadMessage):
        assert isinstance(unwrap(frame), bytes)
