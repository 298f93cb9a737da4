"""Which groups are in flight, for those who come late."""

from collections.abc import Iterator

import attrs

from ..bus import JobStatus
from ._messages import (
    BusUIGroupMessage,
    BusUIJobCompletedMessage,
    BusUIJobGroupCompletedMessage,
    BusUIJobGroupStartedMessage,
    BusUIJobUpdateMessage,
)
from ._recent import Recent
from ._sizes import size_of

#: Groups that have ended of which news is known to be late.
MAX_ENDED = 10_000


@attrs.define(eq=False)
class _Member:
    update: BusUIJobUpdateMessage | None = None
    chunks: Recent[BusUIJobUpdateMessage] = attrs.field(factory=Recent)
    completed: BusUIJobCompletedMessage | None = None


@attrs.define(eq=False)
class GroupCard:
    """What is known of a group.

    Attributes:
      started: How it began.
      members: By worker name.
    """

    started: BusUIJobGroupStartedMessage
    members: dict[str, _Member]

    @property
    def open_members(self) -> list[str]:
        """Those that have not ended, in the order asked."""
        return [name for name, member in self.members.items() if member.completed is None]

    def replay(self) -> Iterator[BusUIGroupMessage]:
        """Yield what somebody must be told who knows nothing of it."""
        yield self.started
        for member in self.members.values():
            yield from member.chunks
            if member.update is not None:
                yield member.update
            if member.completed is not None:
                yield member.completed


@attrs.define(eq=False)
class GroupBoard:
    """The groups in flight, by job id, the oldest first.

    Each group is told once: what comes of a group that has ended, or of a member that has, is
    not taken.
    """

    cards: dict[str, GroupCard] = attrs.field(factory=dict)
    _ended: dict[str, None] = attrs.field(factory=dict)

    def take(self, message: BusUIGroupMessage) -> bool:
        """Take news in; return whether it was news."""
        if isinstance(message, BusUIJobGroupStartedMessage):
            if message.job_id in self.cards or message.job_id in self._ended:
                return False
            members = {name: _Member() for name in message.workers}
            self.cards[message.job_id] = GroupCard(message, members)
            return True
        card = self.cards.get(message.job_id)
        if card is None:
            return False
        if isinstance(message, BusUIJobGroupCompletedMessage):
            del self.cards[message.job_id]
            self._ended[message.job_id] = None
            if len(self._ended) > MAX_ENDED:
                del self._ended[next(iter(self._ended))]
            return True
        assert isinstance(message, BusUIJobUpdateMessage | BusUIJobCompletedMessage)
        member = card.members.get(message.worker_name)
        if member is None or member.completed is not None:
            return False
        if isinstance(message, BusUIJobCompletedMessage):
            member.completed = message
        elif message.is_chunk:
            member.chunks.add(message, size_of(message.data))
        else:
            member.update = message
        return True

    def news(self, message: BusUIGroupMessage) -> list[BusUIGroupMessage]:
        """Take in what was heard from afar; return what there is to tell of it, in order.

        The end of a group comes with the ends of its members that were not heard.
        """
        unheard: list[BusUIGroupMessage] = []
        if isinstance(message, BusUIJobGroupCompletedMessage):
            unheard = self._lost_members(message.job_id, "its end was not heard", at=message.at)
        return [news for news in (*unheard, message) if self.take(news)]

    def give_up(self, job_id: str, why: str, *, at: int) -> list[BusUIGroupMessage]:
        """End a group of which nothing more will be heard; return what to tell of it."""
        ends = self._lost_members(job_id, why, at=at)
        if job_id in self.cards:
            started = self.cards[job_id].started
            ends.append(
                BusUIJobGroupCompletedMessage(
                    job_id, at=at, source=started.source, session=started.session
                )
            )
        return [end for end in ends if self.take(end)]

    def _lost_members(self, job_id: str, why: str, *, at: int) -> list[BusUIGroupMessage]:
        """Return the ends of the members of a group that have none."""
        card = self.cards.get(job_id)
        if card is None:
            return []
        source, session = card.started.source, card.started.session
        return [
            BusUIJobCompletedMessage(
                job_id, name, JobStatus.LOST, error=why, at=at, source=source, session=session
            )
            for name in card.open_members
        ]
