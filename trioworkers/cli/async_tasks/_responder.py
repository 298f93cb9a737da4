"""Who decides what comes of what a person has typed."""

from typing import Protocol

import attrs


@attrs.frozen
class Reply:
    """What is to be said and done.

    Attributes:
      text: One or two short sentences, as one would speak them.
      topics: Each is to be researched, all at once: lines of text that a `ResearchQuery` takes.
    """

    text: str
    topics: tuple[str, ...] = ()


class Responder(Protocol):
    """Understands people: by rules, or by a model."""

    async def respond(self, text: str) -> Reply:
        """Return the reply to ``text``, whatever it is: nobody has checked it."""
        ...
