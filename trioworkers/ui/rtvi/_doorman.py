"""What becomes of an HTTP request: a page, a session, a WebSocket, or a refusal."""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Protocol

import attrs
from websockets.http11 import Response

from ._gate import Gate, HeaderMap, Refused
from ._http import Page, refusal, response
from ._sessions import Session, Sessions, is_secret

SESSION_PATH = "/session"


class HTTPRequest(Protocol):
    """What is looked at of a request."""

    @property
    def path(self) -> str:
        """With the query."""

    @property
    def method(self) -> str:
        """Such as ``"GET"``."""

    @property
    def headers(self) -> HeaderMap:
        """Its headers."""


@attrs.frozen
class Entry:
    """A client may open a WebSocket.

    Attributes:
      session: The one it joins; None for one of its own.
      authenticated: Whether it needn't prove anything.
    """

    session: Session | None
    authenticated: bool


@attrs.define(eq=False)
class Doorman:
    """Decides on requests. All of it is synchronous.

    Args:
      gate: What has to be true of every request.
      sessions: All there are.
      pages: By path; nothing else is served.
      is_full: Says whether there is no room for another client.
    """

    gate: Gate
    sessions: Sessions
    pages: Mapping[str, Page]
    is_full: Callable[[], bool]

    def receive(self, request: HTTPRequest, address: str | None) -> Entry | Response:
        """Return what becomes of a request.

        Args:
          request: What came.
          address: The address of ours that it came to.

        Raises:
          Refused: It isn't to be answered.
        """
        if request.method not in ("GET", "HEAD"):
            raise Refused(HTTPStatus.METHOD_NOT_ALLOWED, "Only GET and HEAD are served.")
        self.gate.check(request.path, request.headers, address=address)
        path = request.path.partition("?")[0]
        if any("websocket" in value.lower() for value in request.headers.get_all("Upgrade")):
            return self._open_socket(path, request.headers)
        if path == SESSION_PATH:
            return self._open_session(request.headers)
        page = self.pages.get(path)
        if page is None:
            raise Refused(HTTPStatus.NOT_FOUND, "There is no such page.")
        cookies = self._page_cookies(request.headers) if path == "/" else []
        answer = response(HTTPStatus.OK, page.body, page.content_type, cookies)
        if request.method == "HEAD":
            answer.body = b""
        return answer

    def _open_socket(self, path: str, headers: HeaderMap) -> Entry:
        if path != "/":
            raise Refused(HTTPStatus.NOT_FOUND, "WebSockets are at /.")
        knows_token = self.gate.knows_token(headers)
        session = self._session_of(headers, recall=self.gate.token is None or knows_token)
        if self.is_full():
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "There are too many clients already.")
        # Where there is a token, only who knows it gets a cookie.
        is_known = self.gate.token is None or knows_token or session is not None
        return Entry(session, authenticated=is_known)

    def _open_session(self, headers: HeaderMap) -> Response:
        """Exchange the token for a cookie."""
        knows_token = self.gate.knows_token(headers)
        session = self._session_of(headers, recall=self.gate.token is None or knows_token)
        if self.gate.token is not None and not knows_token and session is None:
            raise Refused(
                HTTPStatus.UNAUTHORIZED, "This server wants a token: `Authorization: Bearer TOKEN`."
            )
        if session is None and not knows_token and _is_cross_site(headers):
            raise Refused(HTTPStatus.FORBIDDEN, "Pages from elsewhere get no sessions.")
        session = session or self.sessions.open(lasting=True)
        return response(HTTPStatus.NO_CONTENT, headers=[self._cookie(session)])

    def _page_cookies(self, headers: HeaderMap) -> list[tuple[str, str]]:
        """Return the cookie of a new session for a browser that has none."""
        if self.gate.token is not None or self._session_of(headers, recall=True):
            return []
        if _is_cross_site(headers):
            return []  # who follows a link from elsewhere may have a cookie, which isn't sent
        return [self._cookie(self.sessions.open(lasting=True))]

    @property
    def _cookie_name(self) -> str:
        # Cookies are for all ports of a host.
        return f"trioworkers-{self.gate.port}"

    def _cookie(self, session: Session) -> tuple[str, str]:
        secure = "; Secure" if self.gate.is_tls else ""
        value = f"{self._cookie_name}={session.secret}; HttpOnly; SameSite=Strict; Path=/{secure}"
        return "Set-Cookie", value

    def _session_of(self, headers: HeaderMap, *, recall: bool) -> Session | None:
        """Return the session of a cookie, if there is one.

        Args:
          headers: Of the request.
          recall: Whether that may be a session of which this server doesn't know.
        """
        pairs = [
            pair.strip().partition("=")[::2]
            for line in headers.get_all("Cookie")
            for pair in line.split(";")
        ]
        values = [value for name, value in pairs if name == self._cookie_name]
        for value in values:
            if session := self.sessions.find(value):
                return session
        if recall:
            for value in filter(is_secret, values):
                return self.sessions.recall(value)
        return None


def _is_cross_site(headers: HeaderMap) -> bool:
    """Whether a browser says that a page from elsewhere, or a link in one, is behind a request."""
    return any(value.lower() == "cross-site" for value in headers.get_all("Sec-Fetch-Site"))


def refuse(error: Refused) -> Response:
    """Return the response for a refusal."""
    extra = {
        HTTPStatus.METHOD_NOT_ALLOWED: [("Allow", "GET, HEAD")],
        HTTPStatus.UNAUTHORIZED: [("WWW-Authenticate", "Bearer")],
        HTTPStatus.SERVICE_UNAVAILABLE: [("Retry-After", "10")],
    }
    return refusal(error.status, error.why, extra.get(error.status, ()))
