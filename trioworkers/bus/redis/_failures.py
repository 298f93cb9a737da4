"""What an error of the server, or of the way to it, means for a session."""

import re
import ssl
from collections.abc import Iterator

from coredis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    ClusterDownError,
    InvalidResponse,
    MovedError,
    ProtocolError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
    UnblockedError,
    UnknownCommandError,
    WrongTypeError,
)

from ._store import StoreDeniedError, StoreRefusesError, StoreUnavailableError

NEEDS = "Redis >= 7.0 or Valkey >= 7.2 is needed"

_DENIED = (AuthenticationError, AuthorizationError, InvalidResponse, ProtocolError)
_PASSING = (
    BusyLoadingError,
    ClusterDownError,
    MovedError,
    ReadOnlyError,
    TryAgainError,
    UnblockedError,
)
#: First words of errors that coredis has no class for.
_REFUSED_WORDS = frozenset({"OOM", "MISCONF", "NOREPLICAS"})
_DENIED_WORDS = frozenset({"DENIED", "NOPERM"})
#: What a script is told that does what its user may not, by Valkey and by Redis.
_DENIED_SCRIPTS = ("ACL failure in script", "The user executing the script")
#: Behind an error in a script: where in the script.
_WHERE = re.compile(r"\.? script: ([0-9a-f]{40}, )?on @.*")

StoreError = StoreUnavailableError | StoreDeniedError | StoreRefusesError


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, what it consists of, and what it came from."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        found = waiting.pop()
        if id(found) in seen:
            continue
        seen.add(id(found))
        yield found
        if isinstance(found, BaseExceptionGroup):
            waiting += found.exceptions
        waiting += [e for e in (found.__context__, found.__cause__) if e is not None]


def _describe(error: BaseException) -> str:
    """Return what went wrong in the end, as far as it is known."""
    text = str(error) or type(error).__name__
    for found in _chain(error):
        if isinstance(found, TimeoutError):
            return "the server didn't answer in time"
        if isinstance(found, OSError) and found.strerror:
            text = found.strerror
    return text


def translate(
    error: BaseException, address: str, secret: str | None, *, handshake: bool = False
) -> StoreError:
    """Return what to raise for an error that coredis has raised.

    Args:
      error: Any.
      address: Of the server, as it may be shown.
      secret: The password, which is kept out of the text.
      handshake: Whether nothing has worked yet: what the server refuses then, it
        will refuse again.
    """
    for found in _chain(error):
        if isinstance(found, ssl.SSLCertVerificationError):
            return StoreDeniedError(
                f"{address}: the server's certificate is not accepted: {found.verify_message}"
            )
    text = _describe(error)
    if secret and secret in text:
        text = "the server's answer has the password in it, and isn't shown"
    text = _WHERE.sub("", text)
    told = f"{address}: {text}"
    word = text.partition(" ")[0]
    if isinstance(error, UnknownCommandError):
        # The server repeats the command there, with the password.
        return StoreDeniedError(f"{address}: {NEEDS}: the server doesn't know a command")
    if isinstance(error, WrongTypeError):
        return StoreDeniedError(
            f"{address}: keys of the namespace hold what isn't ours; use another one: {text}"
        )
    if isinstance(error, _DENIED) or word in _DENIED_WORDS or text.startswith(_DENIED_SCRIPTS):
        return StoreDeniedError(told)
    if isinstance(error, _PASSING):
        return StoreUnavailableError(told)
    if word in _REFUSED_WORDS:
        return StoreRefusesError(told)
    if handshake and isinstance(error, ResponseError) and word not in ("BUSY", "MASTERDOWN"):
        return StoreDeniedError(told)
    if isinstance(error, RedisError | OSError):
        return StoreUnavailableError(told)
    return StoreUnavailableError(f"{address}: {type(error).__name__}: {text}")
