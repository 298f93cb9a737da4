"""Checks of P1, P2, P6, P7 and of cancels: what becomes of each job at each worker."""

import math
from collections.abc import Callable
from contextvars import copy_context

import attrs
import trio

from ..bus import BusJobCancelMessage, BusJobRequestMessage, BusJobResponseMessage, JobStatus
from ..jobs import (
    EventMessage,
    JobGroup,
    JobHandler,
    JobOutcome,
    current_job,
)
from ..jobs._streams import ResponseMessage
from ..jobs._tombstones import MAX_TOMBSTONES, TOMBSTONE_LIFE
from ._findings import Findings
from ._members import Call, Group, Member, Members
from ._situations import Situation
from ._watching import Watched

#: Virtual seconds, beyond what the network takes, in which a cancel is acknowledged
#: once its handler has returned.
PROMPT = 1.0

_MISSING = object()


@attrs.define(eq=False)
class JobChecks:
    """Follows each job from request to outcome.

    Attributes:
      findings: Where to tell what is wrong.
      seen: What was seen so far.
      gone: Runners that another one takes for gone.
      prompt_from: From when on outcomes must come in time; infinity while faults last.
      delay: What the network takes for one message at most, in seconds.
    """

    findings: Findings
    seen: Members
    gone: set[str] = attrs.field(factory=set)
    prompt_from: float = 0.0
    delay: float = 0.0
    _failed: list[Group] = attrs.field(factory=list)

    # Messages

    def request_sent(self, message: BusJobRequestMessage) -> None:
        """Note that a worker is asked."""
        member = self.seen.member(message.job_id, message.target or "")
        member.asked = True
        member.nested = message.parent_job_id is not None

    def cancel_sent(self, message: BusJobCancelMessage) -> None:
        """Note that a group takes its request back."""
        self.seen.member(message.job_id, message.target or "").cancel_sent = True
        group = self.seen.groups.get(message.job_id)
        if group is not None:
            group.closing = True

    def request_reached(self, worker: Watched, message: BusJobRequestMessage) -> None:
        """Note that a request has come."""
        member = self.seen.member(message.job_id, message.target or worker.name)
        member.worker = worker
        member.job_name = message.job_name
        member.requests += 1
        member.terminable += 1
        worker.requests += 1
        if member.requests == 1 or not member.is_running:
            member.place = worker.requests
        member.window = message.credit
        if member.requests > 1:
            self.findings.met(Situation.REQUEST_CAME_TWICE)

    def request_duplicated(self, message: BusJobRequestMessage) -> None:
        """Note that a request comes twice, so that its handler may be called again."""
        self.seen.member(message.job_id, message.target or "").doubled = True

    def request_dropped(self, message: BusJobRequestMessage) -> None:
        """Note that a request came too late; it is answered as lost, perhaps."""
        self.seen.member(message.job_id, message.target or "").terminable += 1
        self.findings.met(Situation.WORKER_LEFT)

    def cancel_reached(self, worker: Watched, message: BusJobCancelMessage) -> None:
        """Note that a cancel has come."""
        member = self.seen.member(message.job_id, message.target or worker.name)
        member.worker = worker
        member.terminable += 1

    def cancelling(self, worker: Watched, message: BusJobCancelMessage) -> None:
        """Note that a cancel takes effect."""
        member = self.seen.member(message.job_id, message.target or worker.name)
        if member.cancelled_at is None:
            member.cancelled_at = trio.current_time()
            member.cancelled_first = not member.requests
        if member.answers:
            self.findings.met(Situation.CANCEL_MET_RESPONSE)
        elif member.cancelled_first:
            self.findings.met(Situation.CANCEL_CAME_FIRST)
        elif member.nested:
            self.findings.met(Situation.CANCELLED_NESTED)

    def cancelled(self, worker: Watched, message: BusJobCancelMessage) -> None:
        """Check that a cancel has taken effect."""
        if worker.goes_on_with(message.job_id):
            where = f"job {message.job_id} of {message.target!r}"
            self.findings.broke("P2", f"the cancel of {where} did not reach its handler")

    def answer_sent(self, message: ResponseMessage, worker: Watched | None) -> None:
        """Check an answer as it is sent; ``worker`` is who has sent it, if known."""
        member = self.seen.member(message.job_id, message.source)
        worker = member.worker or worker
        if worker is not None and worker.crashed:
            return
        where = f"job {member.job_id} of {member.name!r}"
        member.answers.append(message.status)
        if member.is_running:
            self.findings.broke("P2", f"{where} was answered while its handler ran")
        if len(member.answers) > member.terminable and worker is not None:
            self.findings.broke("P1", f"{where} was answered {len(member.answers)} times")
        if member.raised and message.status is JobStatus.COMPLETED:
            self.findings.broke("P6", f"{where} was answered as completed, but its handler raised")
        if len(member.answers) == 1:
            member.answered_at = trio.current_time()
            member.urgent = message.is_system
            self._check_prompt(member, worker, where)

    def _check_prompt(self, member: Member, worker: Watched | None, where: str) -> None:
        if member.cancelled_at is None:
            return
        waited = not member.calls and not member.cancelled_first
        if waited and worker is not None and worker.is_sequential(member.job_name):
            self.findings.met(Situation.CANCELLED_IN_QUEUE)
        if member.answers[0] is JobStatus.COMPLETED:
            self.findings.met(Situation.COMPLETED_THOUGH_CANCELLED)
        if worker is None or worker.wants("on_job_cancelled"):
            return  # that hook may take its time
        late = member.answered_at - max(member.cancelled_at, member.returned_at)
        if late > PROMPT:
            self.findings.broke("P2", f"the cancel of {where} was acknowledged {late:g} s late")

    def answer_came(self, known: Group, message: EventMessage | ResponseMessage) -> None:
        """Note that the outcome of an open member waits for what was sent before it."""
        waits = isinstance(message, BusJobResponseMessage)
        if waits and message.source in known.group.open_members:
            self.findings.met(Situation.OUTCOME_HELD)

    # Handlers

    def begins(
        self, worker: Watched, handler: JobHandler, request: BusJobRequestMessage
    ) -> Callable[[BaseException | None], None]:
        """Check that a handler may be called; return what to call when it has ended."""
        member = self.seen.member(request.job_id, request.target or worker.name)
        where = f"job {member.job_id} of {member.name!r}"
        call = Call(worker, handler.name)
        name = handler.name or "on_job_request"
        self.findings.note("begins", worker.name, f"{name} {member.job_id}")
        lost = sum(c.cut_off and c.worker is not worker for c in member.calls)
        if len(member.calls) - lost >= member.requests:
            calls = len(member.calls) + 1
            self.findings.broke("P1", f"the handler of {where} was called {calls} times")
        if self._is_cancelled_early(member):
            self.findings.broke("P5", f"the handler of {where} was called after its cancel")
        self._check_context(worker, where)
        member.calls.append(call)
        member.raised = False

        def ended(error: BaseException | None) -> None:
            call.running = False
            call.cut_off = error is not None and not isinstance(error, Exception)
            member.raised = isinstance(error, Exception)
            member.returned_at = trio.current_time()
            what = "returns" if error is None else "raises"
            detail = "" if error is None else f" {type(error).__name__}"
            self.findings.note(what, worker.name, f"{name} {member.job_id}{detail}")

        return ended

    def _is_cancelled_early(self, member: Member) -> bool:
        """Whether a cancel came first that must be remembered still."""
        if not member.cancelled_first or member.cancelled_at is None or self.gone:
            return False
        young = trio.current_time() - member.cancelled_at < TOMBSTONE_LIFE
        return young and len(self.seen.members) < MAX_TOMBSTONES

    def _check_context(self, worker: Watched, where: str) -> None:
        if worker.context is None:
            return
        for variable, value in copy_context().items():
            own = worker.context.get(variable, _MISSING)
            if own is not value and variable is not current_job:
                what = f"sees {variable.name!r}, which is not of its worker's context"
                self.findings.broke("P7", f"the handler of {where} {what}")

    # Groups

    def opened(self, requester: Watched, group: JobGroup) -> None:
        """Note a group."""
        self.seen.groups[group.job_id] = Group(group, requester, awaited=group.keeps_events)

    def settled(self, group: JobGroup, name: str, outcome: JobOutcome, *, again: bool) -> None:
        """Check an outcome as it enters the group."""
        member = self.seen.member(group.job_id, name)
        known = self.seen.groups[group.job_id]
        where = f"job {group.job_id} of {name!r}"
        if known.requester.crashed:
            return
        if again:
            self.findings.broke("P1", f"{where} got a further outcome")
        if outcome.status is JobStatus.COMPLETED:
            if JobStatus.COMPLETED not in member.answers:
                self.findings.broke("P6", f"{where} counts as completed, but was not answered so")
        else:
            self._note_failure(known, member)
        now = trio.current_time()
        if member.answers:
            if group.scope.deadline <= now and outcome.status is JobStatus.COMPLETED:
                self.findings.met(Situation.DEADLINE_MET_OUTCOME)
            late = now - max(member.answered_at, self.prompt_from)
            lost = outcome.status is JobStatus.LOST  # that takes a lease
            if member.cancel_sent and late > self.delay + PROMPT and not lost:
                self.findings.broke("P2", f"the outcome of {where} took {late:g} s to come")

    def _note_failure(self, known: Group, member: Member) -> None:
        if known.closing:
            return
        others = [m for m in self.seen.of(known.group) if m is not member]
        if any(_fails(m) and m.name in known.group.open_members for m in others):
            self.findings.met(Situation.TWO_FAILED)
        if known.group.cancel_on_error:
            self._failed.append(known)

    def acted(self) -> None:
        """Check, after a delivery, that failures have cancelled their groups."""
        while self._failed:
            known = self._failed.pop()
            if not (known.group.scope.cancel_called or known.closing or known.closed):
                what = f"a member of job group {known.group.job_id} failed, and the others go on"
                self.findings.broke("P6", what)

    def closed(self, group: JobGroup) -> None:
        """Check that all is over when a block has been left, or a forgotten job has ended."""
        known = self.seen.groups[group.job_id]
        known.closed = True
        if known.requester.crashed:
            return
        self.findings.note("leaves", known.requester.name, group.job_id)
        members = self.seen.of(group)
        if known.awaited or any(member.asked for member in members):
            for name in group.worker_names:
                if name not in group.outcomes:
                    what = f"job {group.job_id} of {name!r} has no outcome after the block"
                    self.findings.broke("P1", what)
        for member in members:
            if member.is_running and not self._may_run_on(group, member):
                what = f"a handler of job {group.job_id} of {member.name!r} runs on after the block"
                self.findings.broke("P2", what)

    def _may_run_on(self, group: JobGroup, member: Member) -> bool:
        """Whether a handler may run: its job was done before, or is LOST for a reason."""
        if member.doubled:
            return True
        outcome = group.outcomes.get(member.name)
        if outcome is None or outcome.status is not JobStatus.LOST:
            return False
        if group.request.cancel_grace != math.inf:
            return True
        requester_lost = outcome.error is not None and outcome.error.type == "RequesterLost"
        return requester_lost or any(call.worker.runner_name in self.gone for call in member.calls)

    # The end

    def at_end(self) -> None:
        """Check that nothing waits for an answer that will never come."""
        for member in self.seen.members.values():
            worker = member.worker
            if member.answers or member.is_running or worker is None or worker.owes_nothing:
                continue
            where = f"job {member.job_id} of {member.name!r}"
            if member.cancelled_at is not None:
                if not worker.wants("on_job_cancelled"):
                    self.findings.broke("P2", f"the cancel of {where} was never acknowledged")
            elif member.calls or not worker.knows(member.job_id):
                self.findings.broke("P1", f"{where} was never answered")


def _fails(member: Member) -> bool:
    return bool(member.answers) and member.answers[0] is not JobStatus.COMPLETED
