"""A responder that goes by rules. `plan_reply` is pure."""

import re

import trio

from ..research import printable
from ._responder import Reply

#: Characters that a person may type at once.
MAX_TEXT = 2_000
#: Characters of a topic: what is longer stands in no line of any text.
MAX_TOPIC = 120
#: Topics of one request.
MAX_TOPICS = 4

_BREAK = r"(?:^|\n|[.!?;,:] ?| (?=and |then ))"
_MANNERS = (
    r"(?:(?:please|hello|hi|hey|ok|okay|now|and|then|also|first|finally|let's"
    r"|(?:can|could|would|will) you|i(?:'d like| would like| want) you to)[,.:!]* )*"
)
_VERB = r"(?:research|look up|look into|search for|investigate|find out about)(?!\w)"
#: Where a request begins, up to its topic. That it must follow a break leaves
#: "research salt and pepper" and "I like research" alone.
_REQUEST = re.compile(_BREAK + _MANNERS + _VERB, re.IGNORECASE)
#: Where a sentence ends; after a short word the point may be that of an abbreviation.
_SENTENCE_END = re.compile(r"\n|(?:[!?;]|(?<=\w{4})\.)(?: |$)")
_FILLER = re.compile(r"(?:^|[ ,]+)(?:please|for me|and|then|too|as well)$", re.IGNORECASE)
_ARTICLE = re.compile(r"(?:the|an?) (?=.)", re.IGNORECASE)
_AROUND = " .,;:!?…"
_QUOTES = ('""', "''", "``", "“”", "\u2018\u2019", "«»")

_HINT = "Try “Research cancellation”, or “Look up threads, then look up sockets”."
_SMALL_TALK = tuple(
    (re.compile(rf"(?:{words})(?!\w)", re.IGNORECASE), answer)
    for words, answer in (
        ("how (?:are|is|do)", "All is well here, thank you. What shall I research?"),
        ("thanks|thank you|cheers", "You are welcome."),
        ("stop|cancel", "Each search has a Cancel button of its own: press that one."),
        ("bye|goodbye|good night", "Goodbye. What is in flight goes on."),
        ("hello|hi|hey|good (?:morning|day|evening)", f"Hello. {_HINT}"),
    )
)


class RuleResponder:
    """Knows "Research ..." and "Look up ...", also several in a row, and little else."""

    async def respond(self, text: str) -> Reply:
        """Return `plan_reply` of ``text``."""
        await trio.lowlevel.checkpoint()
        return plan_reply(text)


def plan_reply(text: str) -> Reply:
    """Return the reply to whatever a person has typed; never raises."""
    if len(text) > MAX_TEXT:
        return Reply(f"That is too long for me: say it in {MAX_TEXT:,} characters at most.")
    lines = (" ".join(printable(line).split()) for line in text.splitlines())
    plain = "\n".join(line for line in lines if line)
    if re.search(r"\w", plain) is None:
        return Reply(f"I did not catch that. {_HINT}")
    requests = list(_REQUEST.finditer(plain))
    if not requests:
        return Reply(_small_talk(plain))
    ends = [request.start() for request in requests[1:]] + [len(plain)]
    phrases = [
        _phrase(plain[request.end() : end]) for request, end in zip(requests, ends, strict=True)
    ]
    return _research([(topic, said) for topic, said in phrases if topic])


def _phrase(text: str) -> tuple[str, str]:
    """Return the topic that ``text``, which follows a verb, names, and how to say it.

    The topic may be empty. What is in quotes is left alone.
    """
    text = text.strip(_AROUND)
    end = _SENTENCE_END.search(text)
    text = _FILLER.sub("", text[: end.start()] if end else text).strip(_AROUND)
    if re.search(r"\w", text) is None:
        return "", ""
    if text[0] + text[-1] in _QUOTES and not {*text[1:-1]} & {text[0], text[-1]}:
        return text[1:-1].strip(), text
    return _ARTICLE.sub("", text, count=1), text


def _research(phrases: list[tuple[str, str]]) -> Reply:
    """Return the reply to requests for topics, of which each has words to say it by."""
    if not phrases:
        return Reply(f"What shall I research? {_HINT}")
    words: dict[str, tuple[str, str]] = {}
    for topic, said in phrases:
        words.setdefault(topic.casefold(), (topic, said))
    chosen = list(words.values())[:MAX_TOPICS]
    for topic, _ in chosen:
        if len(topic) > MAX_TOPIC:
            return Reply(
                f"“{topic[:30]}…” is too long to be found anywhere: "
                f"name it in {MAX_TOPIC} characters at most."
            )
    text = f"Researching {_listed([said for _, said in chosen])} now."
    if len(words) > len(chosen):
        text += f" {MAX_TOPICS} at once are enough: ask for the rest afterwards."
    return Reply(text, tuple(topic for topic, _ in chosen))


def _listed(phrases: list[str]) -> str:
    """Return "a", "a and b", or "a, b and c"."""
    return " and ".join(filter(None, (", ".join(phrases[:-1]), phrases[-1])))


def _small_talk(text: str) -> str:
    for pattern, answer in _SMALL_TALK:
        if pattern.match(text):
            return answer
    return f"I only know how to research things. {_HINT}"
