"""What clients have asked the UI worker, and is not answered yet."""

from typing import Protocol

import attrs

from .._messages import BusUIResponseMessage
from ._conversation import Ask, Say, error_about
from ._errors import Denied

#: Requests that one client may have open.
MAX_OPEN = 100


class Asker(Protocol):
    """A client, as far as it gets answers."""

    @property
    def id(self) -> str:
        """Which one it is."""

    def say(self, say: Say) -> None:
        """Have it sent when there is time; never waits."""


@attrs.define(eq=False)
class Requests:
    """Open requests, by the id that they have on the bus."""

    _open: dict[str, tuple[Asker, Ask]] = attrs.field(init=False, factory=dict)
    _of_services: set[str] = attrs.field(init=False, factory=set)
    _of_client: dict[str, set[str]] = attrs.field(init=False, factory=dict)
    _number: int = attrs.field(init=False, default=0)

    def __len__(self) -> int:
        return len(self._open)

    def open(self, asker: Asker, ask: Ask, *, of_service: bool = False) -> str:
        """Return the id of a new request.

        Args:
          asker: Who gets the answer.
          ask: What was asked.
          of_service: Whether it is not the UI worker that answers.

        Raises:
          Denied: Its client has too many open.
        """
        of_client = self._of_client.setdefault(asker.id, set())
        if len(of_client) >= MAX_OPEN:
            raise Denied(f"busy: {MAX_OPEN} requests of this client are not answered yet")
        self._number += 1
        request_id = f"{asker.id}-{self._number}"
        of_client.add(request_id)
        self._open[request_id] = asker, ask
        if of_service:
            self._of_services.add(request_id)
        return request_id

    def answer(self, message: BusUIResponseMessage) -> None:
        """Pass an answer on. One that nobody waits for is passed over."""
        found = self._take(message.request_id)
        if found is None:
            return
        asker, ask = found
        if message.error is not None:
            asker.say(error_about(ask.id, message.error))
        elif ask.t is not None:
            asker.say(Say("server-response", {"t": ask.t, "d": message.data}, ask.id))

    def refuse(self, request_id: str, why: str) -> None:
        """Answer a request with an error."""
        found = self._take(request_id)
        if found is not None:
            asker, ask = found
            asker.say(error_about(ask.id, why))

    def refuse_all(self, why: str) -> None:
        """Answer all requests to the UI worker with an error."""
        for request_id in list(self._open):
            if request_id not in self._of_services:
                self.refuse(request_id, why)

    def forget(self, client: str) -> None:
        """Forget what a client has asked: it has gone."""
        for request_id in self._of_client.pop(client, ()):
            self._open.pop(request_id, None)
            self._of_services.discard(request_id)

    def _take(self, request_id: str) -> tuple[Asker, Ask] | None:
        found = self._open.pop(request_id, None)
        self._of_services.discard(request_id)
        if found is not None:
            self._of_client.get(found[0].id, set()).discard(request_id)
        return found
