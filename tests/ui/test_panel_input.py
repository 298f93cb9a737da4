"""What clients send along is read strictly, and errors say what is wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioworkers.ui.panel._input import Input, clip
from trioworkers.ui.panel._traces import MAX_PROVENANCE, provenance_text, read_provenance

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (None, "x: d must be an object, not None"),
        ([1], "x: d must be an object, not an array"),
        ("hello" * 100, "x: d must be an object, not 'hellohello"),
        (True, "x: d must be an object, not True"),
        (10**1000, "x: d must be an object, not a number of very many digits"),
        (("name",), "x: d must be an object, not tuple"),
        ({}, "x: name is missing"),
        ({"name": None}, "x: name must be a text, not None"),
        ({"name": {"a": 1}}, "x: name must be a text, not an object"),
        ({"name": "abcdef"}, "x: name may have 5 characters, not 6"),
        ({"name": "a"}, "x: count is missing"),
        ({"name": "a", "count": -1}, "x: count must be a whole number >= 0, not -1"),
        ({"name": "a", "count": True}, "x: count must be a whole number >= 0, not True"),
        ({"name": "a", "count": 1.0}, r"x: count must be a whole number >= 0, not 1\.0"),
        ({"name": "a", "count": "1"}, "x: count must be a whole number >= 0, not '1'"),
        ({"name": "a", "count": float("nan")}, "x: count must be a whole number >= 0, not nan"),
        ({"name": "a", "count": 1, "more": 1}, "x: more must be a text, not 1"),
    ],
)
def test_wrong_input_is_named(data, error):
    """The service, the field, what it must be, and what it is, shortly."""
    with pytest.raises(ValueError, match=error) as caught:
        read(data)
    assert len(str(caught.value)) < 200


def read(data):
    asked = Input.of("x", data)
    return asked.text("name", 5), asked.whole("count"), asked.optional_text("more", 5)


def test_right_input_is_read():
    """What may be left away is None then; what nobody asks for is left alone."""
    assert read({"name": "a", "count": 3, "else": [1]}) == ("a", 3, None)
    assert read({"name": "", "count": 0, "more": None}) == ("", 0, None)
    assert read({"name": "a", "count": 10**30, "more": "m"}) == ("a", 10**30, "m")


@given(JSON)
def test_any_json_is_read_or_refused(data):
    """With a `ValueError`, whatever it is."""
    text = ""
    try:
        read(data)
    except ValueError as error:
        text = str(error)
    assert not text or (text.startswith("x: ") and len(text) < 200)


def test_long_texts_are_cut():
    """To the limit, with a sign that something is missing."""
    assert clip("a" * 200) == "a" * 200
    assert clip("a" * 201) == "a" * 199 + "…"
    assert clip("abc", 2) == "a…"


@pytest.mark.parametrize(
    ("text", "chain"),
    [
        ("InitialTaskWorker:1", (("InitialTaskWorker", 1),)),
        ("  A:1   B:22 ", (("A", 1), ("B", 22))),
        ("my worker:3 a:b:4", (("my worker", 3), ("a:b", 4))),
        ("Splitter-2:0", (("Splitter-2", 0),)),
        ("<b>:1", (("<b>", 1),)),
    ],
)
def test_provenance_is_read_as_it_is_written(text, chain):
    """Names may have spaces and colons in them."""
    assert read_provenance(text) == chain
    assert read_provenance(provenance_text(chain)) == chain


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "A",
        "A:",
        ":1",
        "A:1 B",
        "A:x",
        "A:1:",
        "A:" + "1" * 19,
        "A:-1",
        "A:1.5",
        "A:\u0661",
    ],
)
def test_what_is_no_provenance_is_refused(text):
    """It says how one is written."""
    with pytest.raises(ValueError, match="names and numbers, such as InitialTaskWorker:1"):
        read_provenance(text)


@given(st.lists(st.tuples(st.from_regex(r"\A[^\s:0-9]+\Z"), st.integers(0, 10**9)), min_size=1))
def test_provenance_comes_back(pairs):
    """As long as it is short enough to be shown in full."""
    text = provenance_text(tuple(pairs))
    assert len(text) <= MAX_PROVENANCE
    if not text.endswith("…"):
        assert read_provenance(text) == tuple(pairs)


@given(st.text(max_size=MAX_PROVENANCE))
def test_any_text_is_a_provenance_or_refused(text):
    """With a `ValueError`."""
    try:
        chain = read_provenance(text)
    except ValueError:
        return
    assert all(name for name, _ in chain)
