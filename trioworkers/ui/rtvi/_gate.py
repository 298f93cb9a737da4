"""Who may come in: what is checked of a request before anything else is done with it.

A page of a stranger can make a browser connect to us. It can't choose the headers ``Host`` and
``Origin``, which say what name it used for us (DNS rebinding) and where the page is from.
"""

import hmac
from collections.abc import Collection, Sequence
from http import HTTPStatus
from ipaddress import ip_address
from typing import Protocol
from urllib.parse import parse_qsl

import attrs

#: Names of this machine for itself.
_OWN_NAMES = ("localhost", "127.0.0.1", "[::1]")
_MAX_TOKEN = 1000


class HeaderMap(Protocol):
    """HTTP headers, of which one may be there several times."""

    def get_all(self, key: str) -> list[str]:
        """Return all values of a header."""


@attrs.frozen
class Refused(Exception):
    """A request is not answered.

    Attributes:
      status: The HTTP status.
      why: For a person to read.
    """

    status: HTTPStatus
    why: str


def is_loopback(host: str) -> bool:
    """Whether only this machine can connect to what listens at ``host``."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def in_url(host: str) -> str:
    """Return ``host`` as it is written in a URL, and in ``Host``."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host.lower()


def check_token(token: str) -> str:
    """Return ``token``, if a header can carry it.

    Raises:
      TypeError, ValueError: It can't.
    """
    if not isinstance(token, str):
        raise TypeError(f"token must be a str or None, not {type(token).__name__}")
    printable = token.isascii() and token.isprintable() and " " not in token
    if not token or len(token) > _MAX_TOKEN or not printable:
        raise ValueError(
            f"token must be 1 to {_MAX_TOKEN} visible ASCII characters without spaces: make one "
            "with secrets.token_urlsafe()"
        )
    return token


@attrs.frozen
class Gate:
    """Checks requests to a server that listens.

    Args:
      host: Where it listens.
      port: Where it listens.
      token: What clients have to know; None if nothing.
      is_tls: Whether it speaks TLS.
      allowed_hosts: Further names by which it may be called, as in ``Host``: with a port, or
        without one, for its own port and the usual one.
      allowed_origins: Where pages may be from besides the server itself, as in ``Origin``.
    """

    host: str
    port: int
    token: str | None = attrs.field(default=None, repr=False)
    is_tls: bool = False
    allowed_hosts: Sequence[str] = ()
    allowed_origins: Collection[str] = ()
    _names: frozenset[str] = attrs.field(init=False)

    @_names.default
    def _make_names(self) -> frozenset[str]:
        names: set[str] = set()
        for name in (*_OWN_NAMES, in_url(self.host)):
            names |= self._with_port(name)
        for name in self.allowed_hosts:
            names |= {name.lower(), *self._with_port(name.lower())}
        return frozenset(names)

    def _with_port(self, name: str) -> set[str]:
        usual = 443 if self.is_tls else 80
        return {f"{name}:{self.port}", *([name] if self.port == usual else [])}

    # Checks

    def check(self, path: str, headers: HeaderMap, *, address: str | None = None) -> None:
        """Check where a request is from, and by which name we were called.

        Args:
          path: As in the request, with the query.
          headers: Of the request.
          address: The address of ours that it came to.

        Raises:
          Refused: It isn't to be answered.
        """
        self._check_query(path)
        host = self._check_host(headers, address)
        self._check_origin(headers, host)

    def _check_query(self, path: str) -> None:
        _, _, query = path.partition("?")
        if any("token" in key.lower() for key, _ in parse_qsl(query, keep_blank_values=True)):
            raise Refused(
                HTTPStatus.BAD_REQUEST,
                "A token in a URL ends up in logs and histories: it is not looked at. Give it "
                "to GET /session in the header `Authorization: Bearer TOKEN`, or open "
                "/#token=TOKEN in a browser. And make a new token: this one is known now.",
            )

    def _check_host(self, headers: HeaderMap, address: str | None) -> str:
        hosts = headers.get_all("Host")
        if len(hosts) != 1:
            raise Refused(
                HTTPStatus.BAD_REQUEST, f"There must be one Host header, not {len(hosts)}."
            )
        host = hosts[0].strip().lower()
        # A stranger's page needs a name of its own for us: an address can't be rebound.
        if host not in self._names and not (address and host in self._with_port(in_url(address))):
            raise Refused(
                HTTPStatus.MISDIRECTED_REQUEST,
                "This server does not know itself by the name in the Host header. If it should, "
                "give the name to the server as one of allowed_hosts.",
            )
        return host

    def _check_origin(self, headers: HeaderMap, host: str) -> None:
        origins = headers.get_all("Origin")
        if not origins:
            return
        schemes = ("https",) if self.is_tls else ("http", "https")  # https: behind a proxy
        ours = {f"{scheme}://{host}" for scheme in schemes}
        if len(origins) > 1 or (
            origins[0].lower() not in ours and origins[0] not in self.allowed_origins
        ):
            raise Refused(
                HTTPStatus.FORBIDDEN,
                "Pages from elsewhere may not connect to this server. If yours should, give its "
                "origin to the server as one of allowed_origins.",
            )

    def knows_token(self, headers: HeaderMap) -> bool:
        """Whether a request proves by ``Authorization`` that its sender knows the token.

        Raises:
          Refused: It says what is not the token.
        """
        values = headers.get_all("Authorization")
        if not values or self.token is None:
            return False
        scheme, _, given = values[0].partition(" ")
        if len(values) > 1 or scheme.lower() != "bearer" or not self.is_token(given.strip()):
            raise Refused(
                HTTPStatus.UNAUTHORIZED, "That is not the token: `Authorization: Bearer TOKEN`."
            )
        return True

    def is_token(self, given: object) -> bool:
        """Compare what was given with the token, in a time that tells nothing of it."""
        if self.token is None or not isinstance(given, str) or len(given) > _MAX_TOKEN:
            return False
        return hmac.compare_digest(given.encode(errors="replace"), self.token.encode())
