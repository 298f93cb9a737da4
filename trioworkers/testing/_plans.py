"""What a requester does with one group, played and held against the promises."""

from collections.abc import Callable, Iterable, Iterator

import attrs
import trio

from ..bus import JobStatus
from ..errors import JobGroupError
from ..errors import PromiseBroken as PromiseBroken
from ..jobs import JobGroupContext, JobGroupEvent, JobOutcome
from ..workers import BaseWorker, WorkerRunner
from ._job_scripts import JobScript, NeverAnswer, Respond, job_name
from ._scripted import ScriptedWorker
from ._watching_groups import watch_outcomes


class PlannedError(Exception):
    """What the body of a block raises because its plan says so."""


@attrs.frozen
class GroupPlan:
    """A group of scripted workers, and how its requester treats it.

    The body takes events, then stays, then raises; each only if told to.

    Attributes:
      members: Whom it asks; distinct.
      script: What they do.
      timeout: Seconds, or None.
      cancel_on_error: Whether a member that fails cancels the others.
      in_turn: Whether it asks for the sequential job.
      reads: How many events the body takes; None takes all there are.
      pause: Seconds that the body sleeps after each event.
      stays: Seconds that the body sleeps after that.
      raises: Whether the body then raises `PlannedError`.
      cancel_after: Seconds until the block is cancelled from outside, or None.
    """

    members: tuple[str, ...]
    script: JobScript = attrs.field(factory=JobScript)
    timeout: float | None = None
    cancel_on_error: bool = True
    in_turn: bool = False
    reads: int | None = 0
    pause: float = 0.0
    stays: float = 0.0
    raises: bool = False
    cancel_after: float | None = None

    @property
    def is_bounded(self) -> bool:
        """Whether it ends by itself: it has a time limit, or no step waits for ever."""
        if self.timeout is not None or self.cancel_after is not None:
            return True
        return not any(isinstance(step, NeverAnswer) for step in self.script.all_steps())


@attrs.define(eq=False)
class PlanResult:
    """What was seen of a `GroupPlan` that was played.

    Attributes:
      plan: What was played.
      job_id: The id of its group.
      outcomes: How each member ended, by name.
      events: What the body took, in that order.
      read_to_end: Whether iteration ended by itself.
      raised: What left the block, other than cancellation.
      cancelled: Whether it was cancelled by the plan, and nothing else left it.
      began: When the block was entered, on Trio's clock.
      left: When it had been left.
    """

    plan: GroupPlan
    job_id: str = ""
    outcomes: dict[str, JobOutcome] = attrs.field(factory=dict)
    events: list[JobGroupEvent] = attrs.field(factory=list)
    read_to_end: bool = False
    raised: JobGroupError | PlannedError | None = None
    cancelled: bool = False
    began: float = 0.0
    left: float = 0.0

    def events_of(self, worker_name: str) -> list[JobGroupEvent]:
        """Return what the body took of one member, in order."""
        return [event for event in self.events if event.worker_name == worker_name]


async def play(
    plan: GroupPlan, requester: BaseWorker | WorkerRunner, workers: Iterable[ScriptedWorker]
) -> PlanResult:
    """Play ``plan`` and check P1, P2, P3, P6, and of P7 that the body's error leaves.

    P1 and P2 are checked at the moment when the block has been left, also when
    the caller's own scope is cancelled. Always a checkpoint.

    Args:
      plan: What to do; see `GroupPlan.is_bounded` for whether it ends.
      requester: Who asks.
      workers: All scripted workers of this process, whose handlers are looked at.

    Returns:
      What was seen. Failures of members are part of it, and not raised.

    Raises:
      PromiseBroken: An AssertionError; it says which promise, and how.
      StoppedError: The requester has stopped.
    """
    workers = tuple(workers)
    result = PlanResult(plan, began=trio.current_time())
    context = requester.job_group(
        *plan.members,
        name=job_name(in_turn=plan.in_turn),
        payload=plan.script,
        timeout=plan.timeout,
        cancel_on_error=plan.cancel_on_error,
    )
    with trio.CancelScope() as scope:
        if plan.cancel_after is not None:
            scope.deadline = result.began + plan.cancel_after
        await _block(result, context, workers)
    result.cancelled = scope.cancelled_caught
    _refuse(result, _lost_events, _hidden_failures)
    return result


async def _block(
    result: PlanResult, context: JobGroupContext, workers: tuple[ScriptedWorker, ...]
) -> None:
    try:
        async with context:
            watch_outcomes(context.group)
            await _body(result, context)
    except trio.Cancelled:
        _leave(result, context, workers)
        raise
    except (JobGroupError, PlannedError) as error:
        result.raised = error
    _leave(result, context, workers)


async def _body(result: PlanResult, context: JobGroupContext) -> None:
    plan = result.plan
    if plan.reads != 0:
        async for event in context:
            result.events.append(event)
            if len(result.events) == plan.reads:
                break
            if plan.pause:
                await trio.sleep(plan.pause)
        else:
            result.read_to_end = True
    if plan.stays:
        await trio.sleep(plan.stays)
    if plan.raises:
        raise PlannedError


def _leave(
    result: PlanResult, context: JobGroupContext, workers: tuple[ScriptedWorker, ...]
) -> None:
    """Note how the members ended; check P1 and P2."""
    result.left = trio.current_time()
    result.job_id = context.job_id
    outcomes = watch_outcomes(context.group)
    result.outcomes = dict(outcomes)
    again = outcomes.again
    _refuse(
        result,
        lambda result: _orphans(result, workers),
        lambda result: _wrong_outcomes(result, workers, again),
    )


def _refuse(result: PlanResult, *checks: Callable[[PlanResult], Iterator[str]]) -> None:
    faults = tuple(fault for check in checks for fault in check(result))
    if faults:
        raise PromiseBroken(faults, result)


def _orphans(result: PlanResult, workers: tuple[ScriptedWorker, ...]) -> Iterator[str]:
    for worker in workers:
        for request in worker.working_for(result.job_id):
            nested = "" if request.job_id == result.job_id else f", for nested job {request.job_id}"
            yield f"P2: a handler of {worker.name!r} still runs after the block{nested}"


def _wrong_outcomes(
    result: PlanResult, workers: tuple[ScriptedWorker, ...], again: list[str]
) -> Iterator[str]:
    members = set(result.plan.members)
    for name in sorted(members - set(result.outcomes)):
        yield f"P1: {name!r} has no outcome after the block"
    for name in sorted(set(result.outcomes) - members):
        yield f"P1: {name!r} has an outcome, but was not asked"
    for name in again:
        yield f"P1: {name!r} got a further outcome"
    for worker in workers:
        if worker.begun[result.job_id] > 1:
            yield f"P1: {worker.name!r} was called {worker.begun[result.job_id]} times"
    told = result.raised
    if isinstance(told, JobGroupError) and dict(told.outcomes) != result.outcomes:
        yield "P1: the error names other outcomes than the group"


def _lost_events(result: PlanResult) -> Iterator[str]:
    for name in result.plan.members:
        seen: set[int] = set()
        for event in result.events_of(name):
            data = event.data or {}
            number = data["number"]
            if number in seen:
                yield f"P3: event {number} of {name!r} came twice"
            missing = set(range(number)) - seen
            if missing and "urgent" not in data:
                yield f"P3: event {number} of {name!r} came before {sorted(missing)}"
            seen.add(number)
        outcome = result.outcomes[name]
        if not result.read_to_end or outcome.status is not JobStatus.COMPLETED:
            continue
        if Respond(urgent=True) in result.plan.script.steps_of(name):
            continue  # such an outcome may overtake events
        missing = set(range((outcome.response or {})["sent"])) - seen
        if missing:
            yield f"P3: events {sorted(missing)} of {name!r} never came"


def _hidden_failures(result: PlanResult) -> Iterator[str]:
    if result.raised is not None or result.cancelled:
        return
    if result.plan.raises:
        yield "P7: the body's own error did not leave the block"
    if result.plan.cancel_on_error:
        for name, outcome in result.outcomes.items():
            if outcome.status is not JobStatus.COMPLETED:
                yield f"P6: {name!r} ended as {outcome.status}, but the block did not raise"
