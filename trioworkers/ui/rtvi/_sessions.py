"""Sessions: which clients belong together, and what they have missed."""

import hashlib
import re
import secrets
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator

import attrs

from .._messages import BusUIGroupMessage

#: Sessions without clients and groups that are remembered.
MAX_IDLE = 1_000
#: Groups that ended while nobody was there, which a session keeps, and for how many seconds.
MAX_MISSED, MISSED_SECONDS = 20, 300.0
_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")


@attrs.define(eq=False)
class Session:
    """Clients of one person: tabs of one browser, or one client before and after a reconnect.

    Attributes:
      id: What it is called on the bus. No secret, and of no use to a client.
      secret: By which clients join it; None if none can.
      clients: How many are connected.
      groups: The job ids of its groups in flight.
      used: Whether it has ever had a client.
    """

    id: str
    secret: str | None = attrs.field(repr=False)
    clients: int = 0
    groups: set[str] = attrs.field(factory=set, repr=False)
    used: bool = False
    _missed: deque[tuple[float, tuple[BusUIGroupMessage, ...]]] = attrs.field(
        init=False, repr=False, factory=lambda: deque(maxlen=MAX_MISSED)
    )

    @property
    def is_idle(self) -> bool:
        """Whether it has neither clients nor groups."""
        return not self.clients and not self.groups

    def miss(self, now: float, messages: Iterable[BusUIGroupMessage]) -> None:
        """Keep what became of a group, for the next client."""
        self._missed.append((now, tuple(messages)))

    def take_missed(self, now: float) -> Iterator[BusUIGroupMessage]:
        """Yield what was missed and isn't too old; it is kept no longer."""
        missed = list(self._missed)
        self._missed.clear()
        for at, messages in missed:
            if now - at <= MISSED_SECONDS:
                yield from messages


@attrs.define(eq=False)
class Sessions:
    """All sessions of a server.

    Of those without clients and groups the ones that were used last are remembered.

    Args:
      forgotten: Called with the id of a session that is forgotten.
      max_idle: How many of those.
    """

    forgotten: Callable[[str], object] = lambda _: None
    max_idle: int = MAX_IDLE
    _by_id: OrderedDict[str, Session] = attrs.field(init=False, factory=OrderedDict)
    _by_secret: dict[str, Session] = attrs.field(init=False, factory=dict, repr=False)
    _idle: OrderedDict[str, Session] = attrs.field(init=False, factory=OrderedDict)

    def __len__(self) -> int:
        return len(self._by_id)

    def open(self, *, lasting: bool) -> Session:
        """Return a new session.

        Args:
          lasting: Whether it has a secret by which later clients can join it.
        """
        if lasting:
            return self.recall(secrets.token_urlsafe(32))
        return self._add(Session(secrets.token_hex(16), None))

    def recall(self, secret: str) -> Session:
        """Return the session with a secret, though it may be forgotten, or of another server.

        Its name follows from the secret, so the groups that it has begun are still its own.

        Args:
          secret: One that `is_secret`. Whoever knows it is taken for a client of the session.
        """
        return self.find(secret) or self._add(Session(_id_of(secret), secret))

    def _add(self, session: Session) -> Session:
        self._by_id[session.id] = session
        if session.secret is not None:
            self._by_secret[session.secret] = session
        self._note(session)
        return session

    def find(self, secret: str | None) -> Session | None:
        """Return the session whose secret that is, if there is one."""
        session = self._by_secret.get(secret) if secret is not None else None
        if session is not None:
            self._note(session)
        return session

    def with_id(self, session_id: str | None) -> Session | None:
        """Return the session with that id, if there is one."""
        return self._by_id.get(session_id) if session_id is not None else None

    def joined(self, session: Session) -> None:
        """Note that a client has come."""
        session.clients += 1
        session.used = True
        self._add(session)  # it may have been forgotten during the handshake

    def left(self, session: Session) -> None:
        """Note that a client has gone."""
        session.clients -= 1
        self._note(session)

    def group_began(self, session: Session, job_id: str) -> None:
        """Note that a group of its own is in flight."""
        session.groups.add(job_id)
        self._note(session)

    def group_ended(self, session: Session, job_id: str) -> None:
        """Note that a group of its own has ended."""
        session.groups.discard(job_id)
        self._note(session)

    def _note(self, session: Session) -> None:
        self._idle.pop(session.id, None)
        if not session.is_idle or session.id not in self._by_id:
            return
        self._idle[session.id] = session
        if session.secret is None and session.used:
            self._forget(session)  # nobody can join it any more
        while len(self._idle) > self.max_idle:
            self._forget(next(iter(self._idle.values())))

    def _forget(self, session: Session) -> None:
        self._idle.pop(session.id, None)
        self._by_id.pop(session.id, None)
        if session.secret is not None:
            self._by_secret.pop(session.secret, None)
        self.forgotten(session.id)


def is_secret(value: str) -> bool:
    """Whether ``value`` looks like the secret of a session."""
    return _SECRET.fullmatch(value) is not None


def _id_of(secret: str) -> str:
    return hashlib.sha256(b"trioworkers session " + secret.encode()).hexdigest()[:32]
