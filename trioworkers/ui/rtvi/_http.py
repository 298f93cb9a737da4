"""Responses to plain HTTP requests: pages, refusals, and the headers that all of them have."""

from collections.abc import Iterable
from http import HTTPStatus

import attrs
from websockets.datastructures import Headers
from websockets.http11 import Response

#: Only what this server serves is loaded, and nothing that a payload says is run.
SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cache-Control": "no-store",
}


@attrs.frozen
class Page:
    """A file that is served.

    Attributes:
      content_type: Such as ``"text/html; charset=utf-8"``.
      body: Its content.
    """

    content_type: str = attrs.field(validator=attrs.validators.matches_re(r"[\x20-\x7e]+"))
    body: bytes = attrs.field(validator=attrs.validators.instance_of(bytes), repr=False)


def response(
    status: HTTPStatus,
    body: bytes = b"",
    content_type: str = "text/plain; charset=utf-8",
    headers: Iterable[tuple[str, str]] = (),
) -> Response:
    """Return a response after which the connection is closed."""
    all_headers = Headers([("Connection", "close"), ("Content-Length", str(len(body)))])
    if body:
        all_headers["Content-Type"] = content_type
    for name, value in headers:
        all_headers[name] = value
    return Response(status.value, status.phrase, all_headers, body)


def refusal(status: HTTPStatus, why: str, headers: Iterable[tuple[str, str]] = ()) -> Response:
    """Return a response that says why not."""
    return response(status, why.encode() + b"\n", headers=headers)


def secure(answer: Response) -> Response:
    """Give a response the headers that all have; one that it has already stays."""
    for name, value in SECURITY_HEADERS.items():
        if name not in answer.headers:
            answer.headers[name] = value
    return answer
