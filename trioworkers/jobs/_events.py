"""A group's events between arrival and iteration, and the credit that bounds them."""

from collections import Counter, deque
from collections.abc import Callable, Mapping

import attrs
from trio.lowlevel import Abort, RaiseCancelT, Task, current_task, reschedule, wait_task_rescheduled

from ..bus import CREDIT_WINDOW
from ._outcomes import EVENTS, JobEvent, JobGroupEvent
from ._ports import Hooks
from ._streams import EventMessage, MemberStream, ResponseMessage

#: Events that a reader is given at once: as many as it takes to give credit back.
BATCH = CREDIT_WINDOW // 2


@attrs.define(eq=False)
class EventBuffer:
    """Holds at most one credit window of events per member.

    A reader is given them in batches, so that what each event costs is little
    more than to be popped from a list. An event's credit goes back to its member
    when the reader has popped the last of its batch and its hooks have run,
    whichever is last. Allocated at a group's first event.

    Attributes:
      keeping: Whether events are kept for a reader. Without one they only
        pass through the hooks.
      items: Unread events that are in no batch yet, oldest first.
      batch: What the reader has been given and hasn't popped yet, oldest last.
    """

    hooks: Hooks
    single: bool
    post_credit: Callable[[str, int | None], None]
    keeping: bool = True
    items: deque[EventMessage] = attrs.field(factory=deque)
    batch: list[JobEvent | JobGroupEvent] = attrs.field(factory=list)
    streams: dict[str, MemberStream] = attrs.field(factory=dict)
    _given: Mapping[str, int] = attrs.field(factory=dict)
    _reader: Task | None = None

    def receive(self, message: EventMessage) -> ResponseMessage | None:
        """Take one arrival; return the outcome that was held for it, if any."""
        stream = self.streams.get(message.source) or self._stream(message.source)
        if message.seq == stream.expected and not stream.ahead:
            stream.expected += 1
            self._enter(stream, message)
        else:
            for due in stream.accept(message):
                self._enter(stream, due)
        return stream.due_outcome() if stream.held is not None else None

    def _enter(self, stream: MemberStream, message: EventMessage) -> None:
        if self.keeping:
            self.items.append(message)
            if self._reader is not None:
                self.wake_reader()
        else:
            stream.taken += 1
        if not (self.hooks.used and self.hooks.post_message(message)):
            stream.hooked += 1
        if not self.keeping:
            self._return_credit(stream)

    def hold(self, outcome: ResponseMessage) -> bool:
        """Keep ``outcome`` if events that were sent before it are missing."""
        return self._stream(outcome.source).hold(outcome)

    def hook_done(self, worker_name: str) -> None:
        """Note that the hooks of one event have run."""
        stream = self._stream(worker_name)
        stream.hooked += 1
        self._return_credit(stream)

    def end_batch(self) -> None:
        """Give credit for the batch, of which the reader has popped the last event."""
        for stream in self._count_given():
            self._return_credit(stream)

    def fill_batch(self) -> int:
        """Give the reader the oldest unread events; return how many: at least one.

        The batch must be empty, and there must be items.
        """
        items = self.items
        given = [items.popleft() for _ in range(min(len(items), BATCH))]
        given.reverse()
        if self.single:
            self._given = {given[0].source: len(given)}
            self.batch += [JobEvent(EVENTS[type(m)], m.data) for m in given]
        else:
            self._given = Counter([m.source for m in given])
            self.batch += [JobGroupEvent(EVENTS[type(m)], m.source, m.data) for m in given]
        return len(given)

    def stop_keeping(self) -> int:
        """Discard unread events, now and later; return how many there were."""
        self.keeping = False
        self.wake_reader()
        self._count_given()
        for message in self.items:
            self.streams[message.source].taken += 1
        discarded = len(self.batch) + len(self.items)
        self.batch.clear()
        self.items.clear()
        for stream in self.streams.values():
            self._return_credit(stream)
        return discarded

    def _count_given(self) -> list[MemberStream]:
        """Count the last batch as taken; return the streams that it came from."""
        streams = [self.streams[name] for name in self._given]
        for stream in streams:
            stream.taken += self._given[stream.worker_name]
        self._given = {}
        return streams

    @property
    def has_reader(self) -> bool:
        """Whether a Trio task waits in `wait_change`."""
        return self._reader is not None

    async def wait_change(self) -> None:
        """Wait for an event, or for `wake_reader`. For one Trio task at a time."""

        def abort(_: RaiseCancelT) -> Abort:
            self._reader = None
            return Abort.SUCCEEDED

        self._reader = current_task()
        await wait_task_rescheduled(abort)

    def wake_reader(self) -> None:
        """Wake the reader, if one waits."""
        if self._reader is not None:
            reader, self._reader = self._reader, None
            reschedule(reader)

    def _stream(self, worker_name: str) -> MemberStream:
        stream = self.streams.get(worker_name)
        if stream is None:
            stream = self.streams[worker_name] = MemberStream(worker_name)
        return stream

    def _return_credit(self, stream: MemberStream) -> None:
        if not self.keeping and not stream.unlimited and not self._any_hook():
            stream.unlimited = True
            self.post_credit(stream.worker_name, None)
        else:
            credit = stream.due_credit()
            if credit:
                self.post_credit(stream.worker_name, credit)

    def _any_hook(self) -> bool:
        return any(map(self.hooks.wants_message, EVENTS))
