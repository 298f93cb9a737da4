"""Watches a simulated run, and says which promise it breaks."""

import math
from collections.abc import Callable, Iterable
from typing import Any

from ..bus import (
    BusJobCancelMessage,
    BusJobCreditMessage,
    BusJobRequestMessage,
    BusJobResponseMessage,
    BusJobResponseUrgentMessage,
    BusMessage,
    BusSubscriber,
)
from ..jobs import EVENTS, EventMessage, JobGroup, JobHandler, JobOutcome
from ..jobs._streams import ResponseMessage
from ..workers import BaseWorker
from ._event_checks import EventChecks
from ._findings import Findings
from ._invariants import Checks, Invariant, ReferenceModel
from ._job_checks import JobChecks
from ._members import Members
from ._order_checks import OrderChecks
from ._timeline import Timeline
from ._watching import Watched, look_inside, watch
from ._watching_groups import watch_buffer


class Monitor:
    """Sees every message, handler and job group of one run, and checks the promises.

    It looks from outside: at what is sent and delivered, at when handler functions
    begin and return, at what enters and leaves a group. It never changes what
    happens or when. One monitor serves all buses of a run.

    What it checks, of ``docs/promises.md``:

    - P1: one outcome for each member when its block ends, no second one, one call of
      a handler and one answer for each request.
    - P2: no handler runs when its group ends; none when its answer is sent; cancels
      are acknowledged in time.
    - P3: what was sent before a normal outcome has come, in order, and leaves the
      buffer in order, once.
    - P4, P5: hooks and sequential handlers run in order; an early cancel counts.
    - P6: what failed is not answered as completed, and cancels its group.
    - P7: handlers see nothing of their requester's context.
    - P8: no event without credit; buffers and lanes are bounded.

    Args:
      timeline: Where it notes what it sees.

    Attributes:
      broken: What is broken; each begins with the promise's number.
    """

    def __init__(self, timeline: Timeline) -> None:
        self.timeline = timeline
        self._checks: Checks | None = None
        self._findings = Findings(timeline)
        self.broken = self._findings.broken
        seen = Members()
        self._jobs = JobChecks(self._findings, seen)
        self._events = EventChecks(self._findings, seen)
        self._order = OrderChecks(self._findings, seen)
        self._watched: dict[int, Watched] = {}
        self._by_name: dict[str, Watched] = {}
        self._starting: list[Watched] = []
        self._runners: set[str] = set()

    @property
    def on_broken(self) -> Callable[[], object]:
        """Called when something is found."""
        return self._findings.on_broken

    @on_broken.setter
    def on_broken(self, callback: Callable[[], object]) -> None:
        self._findings.on_broken = callback

    def check(
        self, subject: object, invariants: Iterable[Invariant], model: ReferenceModel | None
    ) -> None:
        """Check what users know from now on, too; ``subject`` is what invariants are given."""
        self._checks = Checks(subject, tuple(invariants), model)

    @property
    def workers(self) -> tuple[BaseWorker, ...]:
        """All workers that have joined a bus so far, also those that have left."""
        found = (worker.subscriber for worker in self._watched.values())
        return tuple(worker for worker in found if isinstance(worker, BaseWorker))

    # What buses tell

    def watch(self, subscriber: BusSubscriber) -> None:
        """Watch what ``subscriber`` does; called as it joins its bus, before any message."""
        known = self._watched.get(id(subscriber))
        if known is not None and known.is_current:
            return  # it reads its interests again
        worker = watch(subscriber, self)
        self._watched[id(subscriber)] = self._by_name[worker.name] = worker
        if worker.runner_name not in self._runners and worker.runner_name is not None:
            self._runners.add(worker.runner_name)
            if len(self._runners) > 1:
                self.healed_at = math.inf
        if worker.engine is not None:
            self._starting.append(worker)

    def sent(self, message: BusMessage) -> None:
        """Note that ``message`` is under way."""
        check = _SENT.get(type(message))
        if check is not None:
            check(self, message)

    def arriving(self, message: BusMessage) -> None:
        """Note that ``message`` is about to be delivered."""
        if self._starting:
            for worker in self._starting:
                look_inside(worker, self)
            self._starting = [worker for worker in self._starting if worker.is_waiting_to_run]
        target = self._by_name.get(message.target or "")
        if target is not None:
            self._order.look_at_lanes(target)

    def delivered(self, message: BusMessage) -> None:
        """Note that the book-keeping for ``message`` has been done."""
        if self._checks is not None:
            self._complain(self._checks.after(message))

    def dropped(self, message: BusMessage) -> None:
        """Note that ``message`` will never be delivered; called before it bounces."""
        if type(message) is BusJobRequestMessage:
            self._jobs.request_dropped(message)

    def stop(self) -> None:
        """Check what waits for an answer in vain, then nothing: the run is ended by force."""
        self._jobs.at_end()
        self._findings.over = True

    def at_end(self) -> None:
        """Check what must hold when the run has ended. Nothing is checked after that."""
        self._jobs.at_end()
        if self._checks is not None and not self.broken:
            self._complain(self._checks.at_end())
        self._findings.over = True

    def _complain(self, complaints: Iterable[str]) -> None:
        for complaint in complaints:
            who, _, what = complaint.partition(": ")
            self._findings.broke(who, what)

    # What a simulated network tells

    @property
    def healed_at(self) -> float:
        """From when on there are no faults, on Trio's clock.

        Infinity while there may be some: by itself, as soon as there are two runners.
        """
        return self._jobs.prompt_from

    @healed_at.setter
    def healed_at(self, at: float) -> None:
        self._jobs.prompt_from = at

    @property
    def delay(self) -> float:
        """Seconds that any message takes at most, while there are no faults."""
        return self._jobs.delay

    @delay.setter
    def delay(self, seconds: float) -> None:
        self._jobs.delay = seconds

    def allow_under_way(self, count: int) -> None:
        """Let lanes hold ``count`` messages of users more than their capacity."""
        self._order.under_way = count

    def duplicated(self, message: BusMessage) -> None:
        """Note that ``message`` will be delivered twice, on purpose."""
        if isinstance(message, BusJobRequestMessage):
            self._jobs.request_duplicated(message)

    def reordered(self, message: BusMessage) -> None:
        """Note that ``message`` may overtake others of its channel, and they it."""
        self._order.shuffled.add((message.source, message.target))

    def departed(self, runner_name: str) -> None:
        """Note that some other runner takes this one for gone, from now on."""
        self._jobs.gone.add(runner_name)

    def crashed(self, names: Iterable[str]) -> None:
        """Note that these workers, and their runner, have vanished with their handlers."""
        names = frozenset(names)
        for worker in self._watched.values():
            if worker.name in names:
                worker.crashed = True

    def is_orphan(self, name: str, job_id: str) -> bool:
        """Whether a worker works on a job, uncancelled, whose outcome its requester has."""
        worker, known = self._by_name.get(name), self._jobs.seen.groups.get(job_id)
        if worker is None or worker.crashed or known is None:
            return False
        return name in known.group.outcomes and worker.goes_on_with(job_id)

    def complain(self, what: str) -> None:
        """Tell that a promise is broken; ``what`` begins with its number and a colon."""
        self._complain([what])

    # What subscribers and groups do: see `Watcher`

    def reached(self, worker: Watched, message: BusMessage) -> None:
        """See `Watcher`."""
        self._order.arrived(worker, message)
        check = _REACHED.get(type(message))
        if check is not None:
            check(self._jobs, worker, message)

    def acting(self, worker: Watched, message: BusMessage) -> None:
        """See `Watcher`."""
        check = _ACTING.get(type(message))
        if check is not None:
            check(self, worker, message)

    def acted(self, worker: Watched, message: BusMessage) -> None:
        """See `Watcher`."""
        self._jobs.acted()
        if type(message) in _FOR_GROUPS:
            self._look_at_group(message)
        elif isinstance(message, BusJobCancelMessage):
            self._jobs.cancelled(worker, message)

    def _look_at_group(self, message: Any) -> None:
        known = self._jobs.seen.groups.get(message.job_id)
        if known is not None and not known.closed:
            watch_buffer(known.group, self)
            self._jobs.answer_came(known, message)

    def begins(
        self, worker: Watched, handler: JobHandler, request: BusJobRequestMessage
    ) -> Callable[[BaseException | None], None]:
        """See `Watcher`."""
        self._order.begins(worker, handler, request)
        job_ended = self._jobs.begins(worker, handler, request)

        def ended(error: BaseException | None) -> None:
            self._order.ended(worker, handler)
            job_ended(error)

        return ended

    def hook_begins(self, worker: Watched, message: BusMessage) -> None:
        """See `Watcher`."""
        self._order.hook_begins(worker, message)

    def opened(self, requester: Watched, group: JobGroup) -> None:
        """See `Watcher`."""
        self._jobs.opened(requester, group)

    def settled(self, group: JobGroup, name: str, outcome: JobOutcome, *, again: bool) -> None:
        """See `Watcher`."""
        self._jobs.settled(group, name, outcome, again=again)
        self._events.settled(group, name, outcome)

    def closed(self, group: JobGroup) -> None:
        """See `Watcher`."""
        self._jobs.closed(group)
        self._events.closed(group)

    def entered(self, group: JobGroup, event: EventMessage) -> None:
        """See `Watcher`."""
        self._events.entered(event)

    def taken(self, group: JobGroup, event: EventMessage) -> None:
        """See `Watcher`."""
        self._events.taken(event)

    def discarded(self, group: JobGroup, events: list[EventMessage]) -> None:
        """See `Watcher`."""
        self._events.discarded(group, events)

    def _answer_sent(self, message: ResponseMessage) -> None:
        self._jobs.answer_sent(message, self._by_name.get(message.source))


_RESPONSES = (BusJobResponseMessage, BusJobResponseUrgentMessage)
_FOR_GROUPS = frozenset((*EVENTS, *_RESPONSES))

#: What is checked as a message is sent, by its class.
_SENT: dict[type[BusMessage], Callable[[Monitor, Any], None]] = {
    BusJobRequestMessage: lambda monitor, message: monitor._jobs.request_sent(message),
    BusJobCancelMessage: lambda monitor, message: monitor._jobs.cancel_sent(message),
    **dict.fromkeys(_RESPONSES, Monitor._answer_sent),
    **dict.fromkeys(EVENTS, lambda monitor, message: monitor._events.sent(message)),
}

#: What is checked as a message comes to its target.
_REACHED: dict[type[BusMessage], Callable[[JobChecks, Watched, Any], None]] = {
    BusJobRequestMessage: JobChecks.request_reached,
    BusJobCancelMessage: JobChecks.cancel_reached,
}

#: What is checked before its target acts on it.
_ACTING: dict[type[BusMessage], Callable[[Monitor, Watched, Any], None]] = {
    BusJobCancelMessage: lambda monitor, worker, message: monitor._jobs.cancelling(worker, message),
    BusJobCreditMessage: lambda monitor, _, message: monitor._events.credit_came(message),
    **dict.fromkeys(EVENTS, lambda monitor, _, message: monitor._events.came(message)),
}
