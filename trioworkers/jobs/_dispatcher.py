"""A pool's jobs: which member does which, and which wait until one is free."""

from collections import deque
from collections.abc import Callable, Container

import attrs
import trio
from trio.lowlevel import enable_ki_protection

from ..bus import (
    BusJobCancelMessage,
    BusJobRequestMessage,
    JobFailure,
    JobStatus,
)
from ..errors import WaitingCircleError
from ._active import ActiveJob
from ._answers import Answer, failure_of
from ._circles import Holders
from ._intake import ABANDONED, Intake
from ._responder import Responder
from ._waiting_line import WaitingLine


@attrs.define(eq=False)
class Dispatcher(Intake):
    """The jobs of a pool: each is done by one of its members, the first that is free.

    A job that finds none free waits in a line; that costs an entry, and no Trio
    task. Members are handed a job, and say that one has ended, synchronously: so
    there are never more jobs at members than ``size``, and never a job that
    waits beside a member that could do it.

    Attributes:
      size: How many members the pool has when it is complete, >= 1.
    """

    size: int
    _line: WaitingLine = attrs.field(init=False, factory=WaitingLine)
    _holders: Holders = attrs.field(init=False)
    _doing: dict[str, "MemberResponder"] = attrs.field(init=False, factory=dict)
    _free: deque["MemberResponder"] = attrs.field(init=False, factory=deque)
    _alarm: trio.CancelScope = attrs.field(init=False, factory=trio.CancelScope)

    def __attrs_post_init__(self) -> None:
        self._holders = Holders(f"one of the {self.size} places of pool {self.name!r}", self.size)

    # Book-keeping at delivery

    def request(self, message: BusJobRequestMessage) -> None:
        """Accept a request, or answer at once why not."""
        if message.job_id in self._line:
            self.duplicates += 1
        else:
            super().request(message)

    def _accept(self, message: BusJobRequestMessage) -> None:
        """Hand a request to a member, or let it wait."""
        while self._free:
            member = self._free.popleft()
            if member.is_available:
                self._employ(member, message)
                return
        try:
            self._holders.check_circle(message)
        except WaitingCircleError as error:
            self._refuse(message, Answer(JobStatus.FAILED, error=failure_of(error)))
            return
        self._holders.begin_wait(message)
        self._line.join(message)
        if message.deadline < self._alarm.deadline:
            self._alarm.deadline = message.deadline

    def cancel(self, message: BusJobCancelMessage) -> None:
        """Cancel a job. One that waits is answered at once: no handler will be called."""
        request = self._line.leave(message.job_id)
        if request is None:
            super().cancel(message)
        else:
            self._cancel_waiting(request, message.reason or "cancelled by the requester")

    def requesters_departed(self, names: Container[str]) -> None:
        """Cancel what requesters that have gone were waiting for."""
        super().requesters_departed(names)
        for job_id, request in self._line.requests.items():
            if request.source in names:
                self._line.leave(job_id)
                failure = JobFailure("RequesterLost", ABANDONED)
                self._give_up(request, Answer(JobStatus.LOST, error=failure))

    def close(self, status: JobStatus, why: str) -> None:
        """Answer with ``status`` what waits and what comes, and what members are interrupted in."""
        super().close(status, why)
        assert self.closed is not None
        for request in self._line.clear():
            self._give_up(request, self.closed)
        for member in self._doing.values():
            member.closed = member.closed or self.closed

    def _cancel_waiting(self, request: BusJobRequestMessage, why: str) -> None:
        failure = JobFailure("Cancelled", why)
        self._give_up(request, Answer(JobStatus.CANCELLED, error=failure))

    def _give_up(self, request: BusJobRequestMessage, answer: Answer) -> None:
        """Answer for a request that has left the line, and that no member will get."""
        self._holders.end_wait(request)
        self._remember(request.job_id)
        self._refuse(request, answer)
        self._wake_if_idle()

    # Members

    def welcome(self, member: "MemberResponder") -> None:
        """Give work to a member that has none: what waits first, or what comes next."""
        while self._line and member.is_available:
            request = self._line.pop()
            self._holders.end_wait(request)
            if self._begin(member, request):
                return
            self._wake_if_idle()
        self._free.append(member)

    def ended(self, member: "MemberResponder", job_id: str) -> None:
        """Note that ``member`` has ended a job, and has sent the outcome."""
        self._end(job_id)
        del self._doing[job_id]
        self._holders.give_back(job_id)
        self.welcome(member)
        self._wake_if_idle()

    def departed(self, member: "MemberResponder") -> None:
        """Forget a member, which has ended all its jobs."""
        if member in self._free:
            self._free.remove(member)

    def member_doing(self, job_id: str) -> "MemberResponder | None":
        """Return the member that does a job, or None if none does."""
        return self._doing.get(job_id)

    def _employ(self, member: "MemberResponder", request: BusJobRequestMessage) -> None:
        if not self._begin(member, request):
            self._free.appendleft(member)

    def _begin(self, member: "MemberResponder", request: BusJobRequestMessage) -> bool:
        """Hand ``request`` to ``member``; return False if that has answered it already."""
        job = member.take(request)
        if job is None:
            return False
        self.active[request.job_id] = job
        self._doing[request.job_id] = member
        self._holders.take(job)
        return True

    # Time limits

    @enable_ki_protection
    async def watch_deadlines(self) -> None:
        """End what waits when its time is up. Runs until it is cancelled."""
        while True:
            with self._alarm:
                await trio.sleep_forever()
            for request in self._line.pop_due(trio.current_time()):
                failure = JobFailure("TimedOut", "time is up")
                self._give_up(request, Answer(JobStatus.TIMED_OUT, error=failure))
            self._alarm = trio.CancelScope(deadline=self._line.next_deadline)

    # How it stands

    @property
    def jobs(self) -> dict[str, BusJobRequestMessage]:
        """What members work on and have not answered, then what waits; by job id."""
        return super().jobs | self._line.requests

    @property
    def waiting(self) -> int:
        """How many jobs wait for a member."""
        return len(self._line)

    @property
    def job_count(self) -> int:
        """How many jobs it has whose outcome has not gone out."""
        return len(self.active) + len(self._line)

    @property
    def busy_members(self) -> int:
        """How many members do a job."""
        return len(self._doing)

    @property
    def free_members(self) -> int:
        """How many members could do a job at once."""
        return sum(member.is_available for member in self._free)

    def _wake_if_idle(self) -> None:
        if self._idle is not None and not self.job_count:
            self._idle.unpark_all()


@attrs.define(eq=False)
class MemberResponder(Responder):
    """The jobs that one member of a pool does, one at a time, in the pool's name.

    Nobody else can ask it: requests that come to its own name are refused.

    Attributes:
      name: The pool's.
      member_name: The worker's own.
      pool: Whose jobs it does.
      is_leaving: Tells whether the worker has been told to go.
      has_worked: Whether it was ever given a job.
    """

    member_name: str = attrs.field(kw_only=True)
    pool: Dispatcher = attrs.field(kw_only=True)
    is_leaving: Callable[[], bool] = attrs.field(kw_only=True)
    has_worked: bool = attrs.field(init=False, default=False)

    def request(self, message: BusJobRequestMessage) -> None:
        """Refuse what comes over the bus to the member's own name."""
        why = f"worker {self.member_name!r} does the jobs of pool {self.name!r} alone: ask that"
        self._refuse(message, Answer(JobStatus.ERROR, error=JobFailure("PoolMember", why)))

    def take(self, request: BusJobRequestMessage) -> ActiveJob | None:
        """Begin a job of the pool; return None if it was answered at once instead."""
        self.has_worked = True
        self._accept(request)
        return self.active.get(request.job_id)

    @property
    def is_available(self) -> bool:
        """Whether a further job would not be lost with it."""
        nursery_lives = not self.nursery.cancel_scope.cancel_called
        return self.closed is None and nursery_lives and not self.is_leaving()

    def close(self, status: JobStatus, why: str) -> None:
        """From now on answer every interrupted job with ``status``."""
        super().close(status, f"has lost member {self.member_name!r}, which {why}")

    def _interrupted(self, job: ActiveJob, error: BaseException) -> BaseException:
        # The worker hears of the error only when this Trio task has ended.
        self.close(JobStatus.LOST, "crashed")
        return super()._interrupted(job, error)

    def _finish(self, job: ActiveJob) -> None:
        super()._finish(job)
        self.pool.ended(self, job.request.job_id)
