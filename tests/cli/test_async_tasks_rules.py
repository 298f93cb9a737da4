"""What the demo's desk makes of what people type."""

import time

import pytest
import trio
import trio.testing
from hypothesis import example, given
from hypothesis import strategies as st

from trioworkers.cli.async_tasks import Responder, RuleResponder, plan_reply
from trioworkers.cli.async_tasks._rules import MAX_TEXT, MAX_TOPIC, MAX_TOPICS
from trioworkers.cli.research import ResearchQuery


@pytest.mark.parametrize(
    ("text", "topics", "said"),
    [
        (
            "Research the Mariana Trench.",
            ["Mariana Trench"],
            "Researching the Mariana Trench now.",
        ),
        ("Look up octopus cognition.", ["octopus cognition"], "octopus cognition"),
        ("Research the moon, then research Mars.", ["moon", "Mars"], "the moon and Mars"),
        ("research the moon and look up Mars", ["moon", "Mars"], "the moon and Mars"),
        ("Research salt; search for pepper; investigate tea", ["salt", "pepper", "tea"], "and tea"),
        ("Hi! Research snow.\n\n  look up   ice\n", ["snow", "ice"], "snow and ice"),
        ("Could you please look up tea for me?", ["tea"], "tea"),
        ("I'd like you to find out about tea, please!", ["tea"], "tea"),
        ("RESEARCH ß", ["ß"], "ß"),
    ],
)
def test_what_is_to_be_researched_becomes_topics(text, topics, said):
    """Each verb begins one, whatever stands around; the answer repeats them."""
    reply = plan_reply(text)
    assert list(reply.topics) == topics
    assert said in reply.text


@pytest.mark.parametrize(
    ("text", "topic"),
    [
        ("Research salt and pepper", "salt and pepper"),
        ("Research the moon, then Mars", "moon, then Mars"),
        ("Research trio.Cancelled.", "trio.Cancelled"),
        ("Research __init__.py", "__init__.py"),
        ("Research C++", "C++"),
        ("Research Dr. Who", "Dr. Who"),
        ("Research octopuses. Thank you!", "octopuses"),
        ('Look up "the who", please', "the who"),
        ("Look up 'a' or 'b'", "'a' or 'b'"),
        ("Research research", "research"),
        ("Research\tthe   full  moon", "full moon"),
        ("Research moon\x1b[2Jlight", "moon?[2Jlight"),
        ("Research \ud800 moon", "moon"),
    ],
)
def test_a_topic_is_what_was_meant(text, topic):
    """Nothing that belongs to it goes, and what doesn't belong to it goes."""
    assert plan_reply(text).topics == (topic,)


def test_a_topic_that_is_named_twice_is_researched_once():
    """In any case, with an article or without."""
    assert plan_reply("Research Mars, research the moon, look up the MARS").topics == (
        "Mars",
        "moon",
    )


def test_many_topics_are_cut_down():
    """And it is said."""
    reply = plan_reply(", ".join(f"research {number}" for number in range(9)))
    assert reply.topics == ("0", "1", "2", "3")
    assert len(reply.topics) == MAX_TOPICS
    assert "ask for the rest afterwards" in reply.text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("How are you?", "What shall I research?"),
        ("Thanks!", "welcome"),
        ("hello", "Try “Research"),
        ("goodbye", "Goodbye"),
        ("cancel that", "Cancel button"),
        ("I like research.", "I only know how to research"),
        ("Researching is fun", "I only know how to research"),
        ("Research", "What shall I research?"),
        ("Look up ... please", "What shall I research?"),
        ("", "did not catch that"),
        ("?!... —", "did not catch that"),
        ("\n \n", "did not catch that"),
        ("Research " + "x" * (MAX_TOPIC + 1), "too long to be found"),
        ("x" * (MAX_TEXT + 1), "too long for me"),
    ],
)
def test_all_else_is_answered_quickly(text, said):
    """No group is started."""
    reply = plan_reply(text)
    assert reply.topics == ()
    assert said in reply.text


@given(
    st.text(max_size=60)
    | st.lists(
        st.sampled_from(["research ", "look up ", "then ", "and ", ", ", ". ", "\n", "the ", '"'])
        | st.text(max_size=5)
    ).map("".join)
)
@example("research the ")
@example('research ""')
def test_any_text_has_a_reply(text):
    """Of topics that can be searched for, and of words that a terminal may show."""
    reply = plan_reply(text)
    assert reply.text
    assert len(reply.topics) <= MAX_TOPICS
    for topic in reply.topics:
        assert ResearchQuery(topic).text == topic == topic.strip()
        assert topic.isprintable()


@pytest.mark.parametrize("text", ["please ", "and ", ", ", "research ", "hi, then ", "x. "])
def test_no_text_takes_long(text):
    """Rules are tried at each place of a text, but its length is bounded."""
    began = time.process_time()
    plan_reply((text * MAX_TEXT)[:MAX_TEXT])
    assert time.process_time() - began < 1


async def test_it_is_a_responder():
    """Who waits lets others run."""
    responder: Responder = RuleResponder()
    with trio.testing.assert_checkpoints():
        reply = await responder.respond("Research tea")
    assert reply == plan_reply("Research tea")
