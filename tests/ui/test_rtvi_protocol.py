"""What clients say, without sockets."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioworkers.ui.rtvi._conversation import Ask, Cancel, Close, Conversation, Say, Welcome
from trioworkers.ui.rtvi._frames import wrap


def told(kind, data=None, **fields):
    return json.dumps({"id": "1", "label": "rtvi-ai", "type": kind, "data": data} | fields)


def ready():
    conversation = Conversation(lambda _: False)
    assert conversation.receive(told("client-ready", {"version": "2.0.0"})) == [Welcome("1")]
    return conversation


@pytest.mark.parametrize(
    ("text", "action"),
    [
        (told("ui-event", {"event": "a", "payload": [1]}), Ask("a", [1], "1")),
        (told("ui-event", {"event": "a"}, id=None), Ask("a", None, None)),
        (told("ui-snapshot", {"tree": None}), Ask("__ui_snapshot", None, "1")),
        (told("client-message", {"t": "a", "d": 5}, id=7), Ask("a", 5, 7, "a")),
        (
            told("send-text", {"content": ""}),
            Ask("__send_text", {"content": "", "options": {}}, "1"),
        ),
        (told("ui-cancel-task", {"task_id": "j"}), Cancel("j", None, "1")),
        (told("ui-cancel-job-group", {"job_id": "j", "reason": "r"}), Cancel("j", "r", "1")),
        (told("disconnect-bot"), Close(1000, "the client wished so")),
        (told("authenticate", {"token": "x"}), Say("authenticated", {}, "1")),
    ],
)
def test_good_messages(text, action):
    """Each is one thing to do; in a protobuf frame, it is the same."""
    assert ready().receive(text) == [action]
    assert ready().receive(wrap(text.encode())) == [action]


@pytest.mark.parametrize(
    ("text", "match", "message_id"),
    [
        ("", "not JSON", None),
        ("[]", "an RTVI message is a JSON object, not an array", None),
        ("5", "is a JSON object, not a number", None),
        ('{"label":"rtvi-ai","type":"x","data":NaN}', "not JSON", None),
        ("{}", '"label" must be "rtvi-ai"', None),
        (told("x", label="other"), '"label" must be "rtvi-ai"', "1"),
        (told("x", id={}), '"id" must be a string or an integer, not an object', None),
        (told("x", id=True), '"id" must be a string or an integer, not true', None),
        (told("x", id=1.5), '"id" must be a string or an integer, not a number', None),
        (told("x", id="x" * 201), '"id" may have 200 characters, not 201', None),
        (told(None), 'the message: "type" must be a text that is not empty; it is null', "1"),
        (told("x" * 201), '"type" may have 200 characters', "1"),
        (told("dtmf"), "this server has no media and no model", "1"),
        (told("bot-ready"), "is of no use here; known are authenticate, client-message", "1"),
        (told("ui-event"), 'ui-event: "data" must be an object, not null', "1"),
        (told("ui-event", {}), '"event" must be a text that is not empty; it is missing', "1"),
        (told("ui-event", {"event": "__cancel_task"}), "are reserved. To cancel, send ui-", "1"),
        (told("client-message", {"t": "__x"}), "are reserved", "1"),
        (told("ui-snapshot", {}), '"tree" is missing', "1"),
        (told("ui-cancel-task", {"task_id": 5}), '"task_id" must be a text .* is a number', "1"),
        (told("ui-cancel-task", {"task_id": "j", "reason": 5}), '"reason" must be a text', "1"),
        (told("send-text", {"content": 5}), '"content" must be a text, not a number', "1"),
        (told("send-text", {"content": "", "options": 5}), '"options" must be an object', "1"),
        (told("client-ready", {"version": "1.3"}), "a connection can't change its version", "1"),
        (told("ui-event", {"event": "a", "payload": "["}), None, None),
    ],
)
def test_bad_messages_are_named(text, match, message_id):
    """By an error-response with the id, if that could be made out, else by an error."""
    (action,) = ready().receive(text)
    if match is None:
        assert isinstance(action, Ask)
        return
    assert isinstance(action, Say)
    assert re.search(match, action.data["error"])
    assert (action.kind, action.id) == (
        ("error-response", message_id) if message_id is not None else ("error", None)
    )


def test_deep_nesting_is_refused_and_wide_is_not():
    """At a bound of our own, before anything recurses."""
    for depth, good in ((99, True), (100, False), (1000, False), (100_000, False)):
        text = told("ui-event", {"event": "a", "payload": 5})
        text = text.replace("5", "[" * depth + "]" * depth)
        assert isinstance(ready().receive(text)[0], Ask) is good
    assert isinstance(
        ready().receive(told("ui-event", {"event": "a", "payload": [[]] * 9999}))[0], Ask
    )


def test_last_of_two_keys_counts():
    """As JSON parsers do."""
    text = told("ui-event", {"event": "a"})[:-1] + ', "type": "client-message"}'
    (action,) = ready().receive(text)
    assert action.data["error"].startswith("client-message")


def test_first_frame_decides_the_kind():
    """Later ones don't change it."""
    conversation = Conversation(lambda _: False)
    conversation.receive(wrap(b"{}"))
    conversation.receive("{}")
    assert conversation.binary is True
    assert conversation.refused == 2


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4)
    ),
    max_leaves=8,
)
CANCELS = "ui-cancel-task", "ui-cancel-job-group"
OTHERS = "client-ready", "ui-event", "ui-snapshot", "client-message", "send-text", "authenticate"
kinds = st.sampled_from(CANCELS + OTHERS)


@given(st.text() | st.binary() | st.builds(told, kinds, json_values, id=json_values))
def test_whatever_comes_there_is_one_thing_to_do(frame):
    """Nothing is raised, and nothing is passed over in silence."""
    assert len(ready().receive(frame)) == 1
