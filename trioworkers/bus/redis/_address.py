"""Where a server is, from a URL. See `parse_addresses`."""

import ssl
from collections.abc import Sequence
from urllib.parse import parse_qsl, unquote, urlsplit

import attrs

_DEFAULT_PORT = 6379
_FORMS = (
    "redis://[user[:password]@]host[:port][/db], rediss://... for TLS, "
    "or unix://[user[:password]@]/path[?db=N]"
)
#: A host's name or number; what a URL can hold beyond that is a mistake.
_NOT_IN_HOSTS = frozenset(" \t\r\n\\^`{|}<>\"'%@#?/")


@attrs.frozen(repr=False)
class Address:
    """Where a server is, and who we are there. Shown without user and password.

    Attributes:
      host: Name or number; empty for a Unix socket.
      port: 1 to 65,535; 0 for a Unix socket.
      path: Of the Unix socket; empty for TCP.
      db: Which database, >= 0.
      user: None for the server's default user.
      password: None if there is none to give.
      tls: The context to use, which checks the server's name; None for plain TCP.
    """

    host: str = ""
    port: int = 0
    path: str = ""
    db: int = 0
    user: str | None = None
    password: str | None = None
    tls: ssl.SSLContext | None = attrs.field(default=None, eq=False)

    def __str__(self) -> str:
        if self.path:
            return f"unix://{self.path}" + (f"?db={self.db}" if self.db else "")
        host = f"[{self.host}]" if ":" in self.host else self.host
        scheme = "redis" if self.tls is None else "rediss"
        return f"{scheme}://{host}:{self.port}" + (f"/{self.db}" if self.db else "")

    def __repr__(self) -> str:
        return f"<Address {self}>"


def parse_addresses(
    urls: str | Sequence[str], ssl_context: ssl.SSLContext | None = None
) -> tuple[Address, ...]:
    """Return the addresses that URLs tell: one, or several in the order to try them.

    Args:
      urls: Such as ``redis://[user[:password]@]host[:port][/db]``, ``rediss://...`` for
        TLS, or ``unix://[user[:password]@]/path[?db=N]``. Characters with a meaning in
        URLs are percent-encoded in user and password.
      ssl_context: How ``rediss`` checks the server; by default, against the
        system's certificates. The name is checked either way.

    Raises:
      TypeError: It is no URL, nor a sequence of them; ``ssl_context`` is none.
      ValueError: A URL is wrong, or has no use for ``ssl_context``. Passwords, and
        what may be one, are not in the text.
    """
    given: object = [urls] if isinstance(urls, str) else urls
    if isinstance(given, bytes) or not isinstance(given, Sequence):
        raise TypeError(f"a URL or a sequence of URLs was expected, not {type(urls).__name__}")
    if not given:
        raise ValueError("at least one URL is needed")
    if ssl_context is not None:
        if not isinstance(ssl_context, ssl.SSLContext):
            raise TypeError(
                f"ssl_context must be an ssl.SSLContext, not {type(ssl_context).__name__}"
            )
        if not ssl_context.check_hostname:
            raise ValueError(
                "ssl_context doesn't check the server's name: set check_hostname, "
                "or anyone between can read and write all"
            )
    addresses = tuple(_parse(url, ssl_context) for url in given)
    if ssl_context is not None and all(address.tls is None for address in addresses):
        raise ValueError("ssl_context is of use with rediss:// alone")
    return addresses


def _parse(url: object, ssl_context: ssl.SSLContext | None) -> Address:
    if not isinstance(url, str):
        raise TypeError(f"a URL is a str, not {type(url).__name__}")
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in ("redis", "rediss", "unix"):
        # What stands there may be a password.
        raise ValueError(f"a server's URL looks like {_FORMS}")
    try:
        parts = urlsplit(f"//{rest}", allow_fragments=False)
        netloc, path, query = parts.netloc, parts.path, parts.query
    except ValueError:
        raise ValueError(f"a URL can't be read; it looks like {_FORMS}") from None
    user, password, host = _split_user(netloc)
    if scheme == "unix":
        if host or len(path) < 2:
            raise ValueError("a unix:// URL has no host, but an absolute path, as unix:///run/x")
        db = _database(_only_db(query))
        return Address(path=unquote(path), db=db, user=user, password=password)
    if query:
        raise ValueError(
            f"a {scheme}:// URL has nothing behind a '?'; "
            "in a password it is written as %3F, and the database as /N"
        )
    tls = None
    if scheme == "rediss":
        tls = ssl.create_default_context() if ssl_context is None else ssl_context
    name, port = _split_port(host)
    return Address(name, port, "", _database(path[1:]), user, password, tls)


def _split_user(netloc: str) -> tuple[str | None, str | None, str]:
    credentials, separator, host = netloc.rpartition("@")
    if "@" in credentials:
        raise ValueError("a URL has more than one '@'; in a password it is written as %40")
    if not separator:
        return None, None, host
    user, colon, password = credentials.partition(":")
    if ":" in password:
        raise ValueError("user and password have more than one ':'; in them it is written as %3A")
    return unquote(user) or None, unquote(password) if colon else None, host


def _split_port(host: str) -> tuple[str, int]:
    name, colon, port = host, "", ""
    if host.startswith("["):
        name, bracket, rest = host[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")) or ":" not in name:
            raise ValueError("in brackets there is an IPv6 address, as in redis://[::1]:6379")
        colon, port = rest[:1], rest[1:]
    elif ":" in host:
        name, colon, port = host.partition(":")
    if not name or not _NOT_IN_HOSTS.isdisjoint(name):
        raise ValueError(f"a URL has no valid host; it looks like {_FORMS}")
    if not colon:
        return name, _DEFAULT_PORT
    number = _number(port)
    if number is None or not 1 <= number <= 65535:
        raise ValueError(
            "a port is a number from 1 to 65535 "
            "(a '/', '#', '?' or '@' in a password must be percent-encoded)"
        )
    return name, number


def _only_db(query: str) -> str:
    pairs = parse_qsl(query, keep_blank_values=True)
    if any(name != "db" for name, _ in pairs) or len(pairs) > 1 or (query and not pairs):
        raise ValueError("a unix:// URL has nothing but db=N behind the '?'")
    return pairs[0][1] if pairs else ""


def _database(text: str) -> int:
    number = _number(text) if text else 0
    if number is None:
        raise ValueError(
            "a database is a number >= 0, as in redis://host/2 "
            "(a '/' in a password must be percent-encoded)"
        )
    return number


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None
