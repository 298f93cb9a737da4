"""Who is told what: groups in flight, sessions, and the clients that are connected."""

from collections.abc import Iterable, Iterator
from typing import Protocol

import attrs

from .._board import GroupBoard, GroupCard
from .._messages import (
    BusUIGroupMessage,
    BusUIJobGroupCompletedMessage,
    BusUIJobGroupStartedMessage,
    BusUIMessage,
)
from ._encoding import Parcel
from ._errors import Denied
from ._protocol import shown
from ._sessions import Session, Sessions


class Listener(Protocol):
    """A client, as far as it is told things."""

    @property
    def id(self) -> str:
        """Which one it is."""

    def tell(self, parcel: Parcel, *, limited: bool = True) -> None:
        """Have it sent when there is time; never waits."""


@attrs.define(eq=False)
class Hub:
    """Passes on what the UI worker says. All of it is synchronous.

    Args:
      sessions: All there are.
      shared: Whether clients see and cancel groups of all sessions.
    """

    sessions: Sessions
    shared: bool = False
    board: GroupBoard = attrs.field(factory=GroupBoard)
    _replays: dict[str, dict[int, Parcel]] = attrs.field(init=False, factory=dict)
    _listeners: dict[str, dict[str, Listener]] = attrs.field(init=False, factory=dict)

    # Clients

    def add(self, listener: Listener, session: Session, now: float) -> None:
        """Tell a client what its session has missed and what is in flight, and all from now on."""
        for message in session.take_missed(now):
            listener.tell(Parcel(message), limited=False)
        for card in list(self.board.cards.values()):
            if card.started.session == session.id:  # it may be recalled only now
                self.sessions.group_began(session, card.started.job_id)
            if self._sees(session, card.started):
                for parcel in self._replay(card):
                    listener.tell(parcel, limited=False)
        self._listeners.setdefault(session.id, {})[listener.id] = listener

    def _replay(self, card: GroupCard) -> Iterable[Parcel]:
        """Return what those are told who know nothing of a group: the same for all of them."""
        job_id = card.started.job_id
        known = self._replays.get(job_id, {})
        # The message in a parcel lives as long as this, so that nothing else has its `id`.
        parcels = {id(message): message for message in card.replay()}
        self._replays[job_id] = replay = {
            key: known.get(key) or Parcel(message) for key, message in parcels.items()
        }
        return replay.values()

    def remove(self, listener: Listener, session: Session) -> None:
        """Tell a client nothing any more, if it was told anything."""
        of_session = self._listeners.get(session.id, {})
        of_session.pop(listener.id, None)
        if not of_session:
            self._listeners.pop(session.id, None)

    def check_cancel(self, session: Session, job_id: str) -> None:
        """Check that a client of ``session`` may cancel a group.

        Raises:
          Denied: It may not. Groups that it doesn't see aren't there for it.
        """
        card = self.board.cards.get(job_id)
        if card is None or not self._sees(session, card.started):
            raise Denied(f"there is no job group {shown(job_id)} in flight: it may have ended")
        if not card.started.cancellable:
            raise Denied(f"job group {shown(job_id)} can't be cancelled")

    def _sees(self, session: Session, message: BusUIMessage) -> bool:
        return self.shared or message.session is None or message.session == session.id

    # News

    def take(self, message: BusUIMessage, now: float) -> None:
        """Tell the clients whom it concerns.

        Args:
          message: From the UI worker.
          now: Seconds on a clock that doesn't go back.
        """
        if not isinstance(message, BusUIGroupMessage):
            self._tell(Parcel(message), message.session, everybody=message.session is None)
            return
        card = self.board.cards.get(message.job_id)
        for news in self.board.news(message):
            self._pass_on(card or self.board.cards[message.job_id], news, now)

    def give_up(self, why: str, *, at: int, now: float) -> None:
        """End all groups: nothing more will be heard of them.

        Args:
          why: For a person to read.
          at: When, in milliseconds since 1970.
          now: Seconds on a clock that doesn't go back.
        """
        for job_id, card in list(self.board.cards.items()):
            for message in self.board.give_up(job_id, why, at=at):
                self._pass_on(card, message, now)

    def _pass_on(self, card: GroupCard, message: BusUIGroupMessage, now: float) -> None:
        owner = card.started.session
        self._tell(Parcel(message), owner, everybody=self.shared or owner is None)
        if isinstance(message, BusUIJobGroupCompletedMessage):
            self._replays.pop(message.job_id, None)
        session = self.sessions.with_id(owner)
        if session is None:
            return
        if isinstance(message, BusUIJobGroupStartedMessage):
            self.sessions.group_began(session, message.job_id)
        elif isinstance(message, BusUIJobGroupCompletedMessage):
            if session.id not in self._listeners:
                session.miss(now, (*card.replay(), message))
            self.sessions.group_ended(session, message.job_id)

    def _tell(self, parcel: Parcel, session_id: str | None, *, everybody: bool) -> None:
        for listener in self._whom(session_id, everybody=everybody):
            listener.tell(parcel)

    def _whom(self, session_id: str | None, *, everybody: bool) -> Iterator[Listener]:
        if everybody:
            for of_session in list(self._listeners.values()):
                yield from list(of_session.values())
        elif session_id is not None:
            yield from list(self._listeners.get(session_id, {}).values())
