"""What a server is told when it is made."""

import ssl
from collections.abc import Iterable, Mapping

import attrs

from ...jobs import check_name
from ._gate import check_token, is_loopback
from ._http import Page


def check_number(value: object, name: str, low: float, *, integer: bool = False) -> None:
    """Check a limit.

    Raises:
      TypeError, ValueError: It is no number, or too small.
    """
    kinds: type | tuple[type, ...] = int if integer else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds):
        kind = "an int" if integer else "a number"
        raise TypeError(f"{name} must be {kind}, not {value!r}")
    assert isinstance(value, int | float)
    if not value >= low:
        raise ValueError(f"{name} must be at least {low}, not {value!r}")


@attrs.frozen
class Settings:
    """Where a server listens, and for whom. See `RTVIServer`."""

    host: str
    port: int
    token: str | None = attrs.field(repr=False)
    ssl_context: ssl.SSLContext | None
    allowed_hosts: tuple[str, ...]
    allowed_origins: tuple[str, ...]
    shared: bool
    max_clients: int
    max_message_bytes: int
    messages_per_second: float
    stall_timeout: float

    def __attrs_post_init__(self) -> None:
        check_name(self.host, "host")
        check_number(self.port, "port", 0, integer=True)
        if self.port > 65_535:
            raise ValueError(f"port must be at most 65535, not {self.port}")
        if self.token is not None:
            check_token(self.token)
        elif not is_loopback(self.host):
            raise ValueError(
                f"host {self.host!r} can be reached by other machines: give the server a token, "
                "such as secrets.token_urlsafe(), or let it listen at 127.0.0.1"
            )
        if self.ssl_context is not None and not isinstance(self.ssl_context, ssl.SSLContext):
            raise TypeError(f"ssl_context must be an SSLContext or None, not {self.ssl_context!r}")
        for origin in self.allowed_origins:
            if "://" not in origin or origin.endswith("/"):
                raise ValueError(
                    f"an origin is like 'https://example.org:8443', without a path: {origin!r}"
                )
        for name in self.allowed_hosts:
            if not name or "/" in name:
                raise ValueError(f"a host is like 'example.org' or 'example.org:8443': {name!r}")
        check_number(self.max_clients, "max_clients", 1, integer=True)
        check_number(self.max_message_bytes, "max_message_bytes", 1024, integer=True)
        check_number(self.messages_per_second, "messages_per_second", 0.1)
        check_number(self.stall_timeout, "stall_timeout", 0.1)


def texts(values: Iterable[str], name: str) -> tuple[str, ...]:
    """Return ``values`` as a tuple.

    Raises:
      TypeError: They aren't several texts.
    """
    if isinstance(values, str):
        raise TypeError(f"{name} must be several texts, not one: ({values!r},)")
    found = tuple(values)
    for value in found:
        if not isinstance(value, str):
            raise TypeError(f"{name} must be texts, not {value!r}")
    return found


def check_pages(pages: Mapping[str, Page]) -> dict[str, Page]:
    """Return a copy of ``pages``.

    Raises:
      TypeError, ValueError: One has no path, or is none.
    """
    for path, page in pages.items():
        check_name(path, "the path of a page")
        if not path.startswith("/") or "?" in path:
            raise ValueError(f"the path of a page begins with '/' and has no '?': {path!r}")
        if not isinstance(page, Page):
            raise TypeError(f"page {path!r} must be a Page, not {page!r}")
    return dict(pages)
