"""Reading what a client has sent along, and cutting what goes to it."""

from typing import Any, Self

import attrs

#: Characters of a name or a short text that are shown.
MAX_NAME = 200


def clip(text: str, limit: int = MAX_NAME) -> str:
    """Return ``text``, cut to ``limit`` characters."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def number_text(value: int) -> str:
    """Return a number as it is written, unless it has very many digits."""
    return f"{value:,}" if -(10**18) < value < 10**18 else "a number of very many digits"


def _shown(value: object) -> str:
    """Return what is sent instead, short: nobody knows what a client sends."""
    match value:
        case None | bool() | float():
            return repr(value)
        case int():
            return number_text(value)
        case str():
            return repr(clip(value, 40))
        case dict():
            return "an object"
        case list():
            return "an array"
    return type(value).__name__


@attrs.frozen
class Input:
    """What a client has sent along with a request, read strictly.

    Attributes:
      service: What it asks for, for messages.
      fields: What it has sent.
    """

    service: str
    fields: dict[str, Any]

    @classmethod
    def of(cls, service: str, data: object) -> Self:
        """Return the input of a request.

        Raises:
          ValueError: It is no object.
        """
        if not isinstance(data, dict):
            raise ValueError(f"{service}: d must be an object, not {_shown(data)}")
        return cls(service, data)

    def text(self, name: str, limit: int) -> str:
        """Return a text that must be there.

        Raises:
          ValueError: It isn't, is no text, or has more than ``limit`` characters.
        """
        value = self._required(name)
        if not isinstance(value, str):
            raise ValueError(f"{self.service}: {name} must be a text, not {_shown(value)}")
        if len(value) > limit:
            raise ValueError(
                f"{self.service}: {name} may have {limit:,} characters, not {len(value):,}"
            )
        return value

    def optional_text(self, name: str, limit: int) -> str | None:
        """Return a text, or None if there is none. Raises as `text` does."""
        return None if self.fields.get(name) is None else self.text(name, limit)

    def whole(self, name: str) -> int:
        """Return a whole number that must be there, >= 0.

        Raises:
          ValueError: It isn't, or is something else.
        """
        value = self._required(name)
        if type(value) is not int or value < 0:
            raise ValueError(
                f"{self.service}: {name} must be a whole number >= 0, not {_shown(value)}"
            )
        return value

    def _required(self, name: str) -> Any:
        if name not in self.fields:
            raise ValueError(f"{self.service}: {name} is missing")
        return self.fields[name]
