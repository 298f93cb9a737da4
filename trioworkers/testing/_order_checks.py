"""Checks of P4, P5, and of P8 for lanes: in which order hooks and handlers run."""

from collections import deque
from typing import Any

import attrs

from ..bus import (
    CREDIT_WINDOW,
    BusJobRequestMessage,
    BusJobResponseMessage,
    BusJobResponseUrgentMessage,
    BusMessage,
)
from ..jobs import EVENTS, JobHandler
from ._findings import Findings
from ._members import Members
from ._situations import Situation
from ._watching import Watched

#: A subscriber's channel: its name, source, target, and whether in the system lane.
_Lane = tuple[str, str, str | None, bool]

#: They are put in order by their numbers, per job, and not by their arrival.
_NUMBERED = (*EVENTS, BusJobResponseMessage, BusJobResponseUrgentMessage)

#: Hooks that one job causes besides those of its events.
_HOOKS_PER_JOB = 4


@attrs.define(eq=False)
class _Turn:
    """One sequential handler of one worker."""

    running: str | None = None
    place: int = 0


@attrs.define(eq=False)
class _Excess:
    """A lane that is full, and by how much it may become fuller."""

    allowed: int = 0
    requests: int = 0


@attrs.define(eq=False)
class OrderChecks:
    """Follows the order of arrival.

    Attributes:
      findings: Where to tell what is wrong.
      seen: What was seen so far.
      shuffled: Senders and targets of messages that may overtake each other, on purpose.
      under_way: Messages that lanes may hold beyond their capacity, since a bus has let
        them go before it knew.
    """

    findings: Findings
    seen: Members
    shuffled: set[tuple[str, str | None]] = attrs.field(factory=set)
    under_way: int = 0
    _arrived: dict[_Lane, deque[BusMessage]] = attrs.field(factory=dict)
    _last: dict[Any, BusMessage] = attrs.field(factory=dict)
    _turns: dict[tuple[int, str | None], _Turn] = attrs.field(factory=dict)
    _full: dict[tuple[str, bool], _Excess] = attrs.field(factory=dict)

    # Hooks

    def arrived(self, worker: Watched, message: BusMessage) -> None:
        """Note a message whose hook must run after those before it."""
        if type(message) in _NUMBERED or not worker.wants_message(type(message)):
            return
        lane = (worker.name, message.source, message.target, message.is_system)
        self._arrived.setdefault(lane, deque()).append(message)

    def hook_begins(self, worker: Watched, message: BusMessage) -> None:
        """Check that a hook runs in its turn."""
        if not worker.is_in_lane:
            return  # called by the user
        lane = (worker.name, message.is_system)
        further = self._last.get(lane) is message
        if not message.is_system and worker.queued()[0] and not further:
            what = f"a hook of {worker.name!r} for data runs before one for a system message"
            self.findings.broke("P4", what)
        self._last[lane] = message
        if type(message) in _NUMBERED:
            self._numbered_hook(worker, message)
        else:
            self._hook(worker, message)

    def _hook(self, worker: Watched, message: BusMessage) -> None:
        lane = (worker.name, message.source, message.target, message.is_system)
        if self._last.get(lane) is message:
            return  # a further hook for it
        self._last[lane] = message
        waiting = self._arrived.get(lane, deque())
        while waiting:
            if waiting.popleft() is message:
                return  # those before it had no hook, or theirs will be late
        self._broke(worker, message)

    def _numbered_hook(self, worker: Watched, message: Any) -> None:
        if message.seq is None or message.is_system:
            return  # urgent ones may come in any order
        key = (worker.name, message.source, message.job_id)
        last = self._last.get(key)
        if last is not None and last is not message and last.seq >= message.seq:  # type: ignore[attr-defined]
            self._broke(worker, message)
        self._last[key] = message

    def _broke(self, worker: Watched, message: BusMessage) -> None:
        if (message.source, message.target) in self.shuffled:
            return
        what = f"for {type(message).__name__} from {message.source!r} runs out of order"
        self.findings.broke("P5", f"a hook of {worker.name!r} {what}")

    # Sequential handlers

    def begins(self, worker: Watched, handler: JobHandler, request: BusJobRequestMessage) -> None:
        """Check that a sequential handler is called in its turn."""
        if not handler.sequential:
            return
        turn = self._turns.setdefault((id(worker), handler.name), _Turn())
        what = f"sequential handler {handler.name!r} of {worker.name!r}"
        if turn.running is not None and not worker.crashed:
            also = f"runs for jobs {turn.running} and {request.job_id} at once"
            self.findings.broke("P5", f"{what} {also}")
        if request.target == worker.name:
            place = self.seen.member(request.job_id, worker.name).place
            if place < turn.place:
                self.findings.broke("P5", f"{what} takes job {request.job_id} out of turn")
            turn.place = place
        turn.running = request.job_id

    def ended(self, worker: Watched, handler: JobHandler) -> None:
        """Note that it is the next one's turn."""
        if handler.sequential:
            self._turns[id(worker), handler.name].running = None

    # Lanes

    def look_at_lanes(self, worker: Watched) -> None:
        """Check, before a delivery, that lanes hold no more than jobs and credit allow."""
        if worker.engine is None or not worker.engine.hooks.used:
            return
        for system, queued in zip((True, False), worker.queued(), strict=True):
            capacity = worker.engine.bus.lane_capacity
            if queued < capacity:
                self._full.pop((worker.name, system), None)
                continue
            excess = self._full.get((worker.name, system))
            if excess is None:
                self.findings.met(Situation.LANE_FULL)
                allowed = worker.jobs_in_flight * (CREDIT_WINDOW + _HOOKS_PER_JOB)
                excess = self._full[worker.name, system] = _Excess(allowed, worker.requests)
            further = _HOOKS_PER_JOB * (worker.requests - excess.requests)
            if queued > capacity + excess.allowed + further + self.under_way:
                what = f"a lane of {worker.name!r} holds {queued} entries, capacity {capacity}"
                self.findings.broke("P8", what)
