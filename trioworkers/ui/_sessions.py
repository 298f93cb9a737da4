"""Whose client is served: the session."""

from contextvars import ContextVar
from enum import Enum
from typing import Literal

#: The session of the client whose event is handled; None outside of such handlers.
current_session: ContextVar[str | None] = ContextVar("trioworkers_current_session", default=None)


class Whose(Enum):
    """The default of ``session`` arguments."""

    CURRENT = "the session of the client whose event is handled, if any"


#: A session, None for all of them, or that of the client whose event is handled.
SessionChoice = str | Literal[Whose.CURRENT] | None


def chosen_session(session: SessionChoice) -> str | None:
    """Return the session that is meant.

    Raises:
      TypeError: It is none.
    """
    if session is Whose.CURRENT:
        return current_session.get()
    if session is not None and not isinstance(session, str):
        raise TypeError(f"session must be a str, or None for all, not {session!r}")
    return session


def may_see(session: str | None, owner: str | None) -> bool:
    """Whether ``session`` sees, and may cancel, what belongs to ``owner``; None is anybody."""
    return owner is None or session is None or owner == session
