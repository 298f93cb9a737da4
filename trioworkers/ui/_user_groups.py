"""Tells users what becomes of job groups."""

import logging
from collections.abc import Callable

import attrs

from ..bus import BusJobUpdateMessage, BusJobUpdateUrgentMessage, JobStatus
from ..jobs import EVENTS, EventMessage, JobGroup
from ._feeds import Feeds
from ._messages import (
    BusUIJobCompletedMessage,
    BusUIJobGroupCompletedMessage,
    BusUIJobGroupStartedMessage,
    BusUIJobUpdateMessage,
)
from ._reasons import is_unexpected, reason_for_users

logger = logging.getLogger("trioworkers.ui")

_UPDATES = (BusJobUpdateMessage, BusJobUpdateUrgentMessage)


@attrs.define(eq=False)
class UserGroupObserver:
    """Turns the life of a job group into messages for users: a `GroupObserver`.

    Each member gets exactly one `BusUIJobCompletedMessage`, before that of the group.

    Attributes:
      feeds: Who is told.
      source: The worker whose group it is.
      session: Whose group it is; None for everybody's.
      clock: Returns the Unix time in seconds.
    """

    feeds: Feeds
    source: str
    session: str | None
    clock: Callable[[], float]

    def begun(self, group: JobGroup) -> None:
        """Tell that the group is there."""
        request = group.request
        self.feeds.tell_of_group(
            BusUIJobGroupStartedMessage(
                group.job_id,
                request.worker_names,
                request.label,
                request.cancellable,
                at=self._now(),
                source=self.source,
                session=self.session,
            )
        )

    def received(self, group: JobGroup, message: EventMessage) -> None:
        """Tell of an update or a part of a stream."""
        is_update = isinstance(message, _UPDATES)
        data = message.data if is_update else {"type": EVENTS[type(message)], "data": message.data}
        self.feeds.tell_of_group(
            BusUIJobUpdateMessage(
                group.job_id,
                message.source,
                data,
                not is_update,
                at=self._now(),
                source=self.source,
                session=self.session,
            )
        )

    def settled(self, group: JobGroup, worker_name: str) -> None:
        """Tell how a member has ended; log what users are not told of it."""
        outcome = group.outcomes[worker_name]
        if outcome.error is not None and is_unexpected(outcome):
            traceback = outcome.error.traceback
            logger.error("worker %r failed in job %s:\n%s", worker_name, group.job_id, traceback)
        reason = reason_for_users(outcome)
        self._tell_end(group, worker_name, outcome.status, outcome.response, reason)

    def ended(self, group: JobGroup) -> None:
        """Tell that the group has ended, and before it what of its members nobody has told."""
        card = self.feeds.board.cards.get(group.job_id)
        for name in card.open_members if card is not None else ():
            self._tell_end(group, name, JobStatus.CANCELLED, None, "it was not asked")
        self.feeds.tell_of_group(
            BusUIJobGroupCompletedMessage(
                group.job_id, at=self._now(), source=self.source, session=self.session
            )
        )

    def _tell_end(
        self,
        group: JobGroup,
        worker_name: str,
        status: JobStatus,
        response: dict[str, object] | None,
        error: str | None,
    ) -> None:
        self.feeds.tell_of_group(
            BusUIJobCompletedMessage(
                group.job_id,
                worker_name,
                status,
                response,
                error,
                at=self._now(),
                source=self.source,
                session=self.session,
            )
        )

    def _now(self) -> int:
        return int(self.clock() * 1000)
