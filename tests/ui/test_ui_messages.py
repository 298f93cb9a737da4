"""The messages between UI workers and servers cross processes unchanged."""

import pytest
from hypothesis import given

import trioworkers.ui as ui
from trioworkers.bus import BusDataMessage, BusSystemMessage, MessageCodec, tagged_messages
from trioworkers.errors import CodecError
from trioworkers.testing import messages

#: Wire tag, class, and its base. A tag never changes its meaning: see docs/wire.md.
TAGS = {
    "ui.event": (ui.BusUIEventMessage, BusSystemMessage),
    "ui.response": (ui.BusUIResponseMessage, ui.BusUIMessage),
    "ui.command": (ui.BusUICommandMessage, ui.BusUIMessage),
    "ui.text": (ui.BusUITextMessage, ui.BusUIMessage),
    "ui.group.started": (ui.BusUIJobGroupStartedMessage, ui.BusUIGroupMessage),
    "ui.job.update": (ui.BusUIJobUpdateMessage, ui.BusUIGroupMessage),
    "ui.job.completed": (ui.BusUIJobCompletedMessage, ui.BusUIGroupMessage),
    "ui.group.completed": (ui.BusUIJobGroupCompletedMessage, ui.BusUIGroupMessage),
}

CODEC = MessageCodec(now=lambda: 0.0)


@given(messages(*(cls for cls, _ in TAGS.values())))
def test_every_message_comes_back_exactly(message):
    """Equal, and with the same types inside."""
    back = CODEC.decode(CODEC.encode(message))
    assert back == message
    assert repr(back) == repr(message)


def test_each_message_has_its_tag_and_lane():
    """Those of users overtake data; what is told to them is data, in order."""
    tagged = {tag: cls for tag, cls in tagged_messages().items() if tag.startswith("ui.")}
    assert tagged == {tag: cls for tag, (cls, _) in TAGS.items()}
    for cls, base in TAGS.values():
        assert cls.__bases__ == (base,)
        assert cls.may_miss
    assert issubclass(ui.BusUIMessage, BusDataMessage)
    assert ui.BusUIMessage.wire_tag is None


@pytest.mark.parametrize(
    "fields",
    [
        b'"event_name": 5',
        b'"event_name": "x", "session": 5',
        b'"event_name": "x", "request_id": []',
        b'"event_name": "x", "more": 5',
        b'"payload": 5',
    ],
)
def test_what_is_no_event_is_refused_on_the_wire(fields):
    """With the field that is wrong."""
    with pytest.raises(CodecError):
        CODEC.decode(b'{"$": "ui.event", "source": "a", %s}' % fields)
