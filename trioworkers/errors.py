"""Every exception that trioworkers raises, in one tree.

::

    TrioWorkersError
    ├── JobError                a job did not complete; raised in a handler: it FAILED
    │   └── JobGroupError       a group of jobs did not complete
    ├── InactiveJobError        (RuntimeError) a send for a job that is not active here
    ├── NotAttachedError        (RuntimeError) a worker or bus used before it was attached
    ├── StoppedError            (RuntimeError) a worker, runner or bus used after its end
    ├── UnknownWorkerError      (LookupError) a message for a name that nobody has
    ├── UnknownJobError         (LookupError) a job id that its requester has not open
    ├── DuplicateWorkerError    (ValueError) two workers of one name
    ├── WaitingCircleError      a job that could only wait for itself
    ├── BusDisconnected         (ConnectionError) a bus can't be reached, for too long
    ├── BusDeniedError          a bus can be reached, and refuses us
    ├── CodecError              (ValueError) bytes that are no message, or the reverse
    ├── PoolFailedError         a pool whose members go before they are of use
    ├── LaneFull                (trio.WouldBlock) no room, and waiting would never end
    ├── MissingExtraError       (ImportError) an optional part is not installed
    ├── GraphFaultsError        (ValueError) a graph that can't be run as it is built
    ├── GraphError              tasks of a graph have failed for good
    ├── JoinError               a join lacks inputs that its policy asks for
    ├── TaskAbortedError        a task was aborted, so a join lacks it
    ├── GraphWindowFull         (trio.WouldBlock) no room, and waiting would never end
    ├── HeldTasksError          (RuntimeError) joins hold more than they may
    ├── GraphInvariantError     (RuntimeError) the book-keeping of a graph is wrong
    ├── NoAnswerError           (trio.TooSlowError) a person was asked, and did not answer
    ├── CacheError              (OSError) a cache of results can't be where it should
    ├── SimulationError         a simulated run broke a promise, or did not end
    ├── PromiseBroken           (AssertionError) in a test, a group has broken a promise
    ├── LeftoverError           (AssertionError) in a test, work has left something behind
    ├── BrokenContractError     (AssertionError) a bus or worker is not what it must be
    ├── StuckError              (AssertionError) in a state machine, something does not end
    └── OutsideError            (RuntimeError) a simulated run used a thread or a socket

A caller's mistake in an argument is a plain `TypeError` or `ValueError`.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs
import trio


def known_names(names: Iterable[str]) -> str:
    """Return ``names`` sorted, quoted and cut to twenty, for a message."""
    shown = sorted(names)
    if not shown:
        return "none"
    text = ", ".join(repr(name) for name in shown[:20])
    return text if len(shown) <= 20 else f"{text} and {len(shown) - 20} more"


def path_text(pairs: Sequence[tuple[str, int]]) -> str:
    """Return a provenance for a message: all of it up to twelve pairs, else both ends."""
    shown = [f"{name}:{number}" for name, number in pairs[:6]]
    left_out = len(pairs) - 12
    if left_out > 0:
        shown.append(f"... {left_out} more ...")
    shown += [f"{name}:{number}" for name, number in pairs[max(6, len(pairs) - 6) :]]
    return " ".join(shown)


def _how_many(items: Sequence[object]) -> str:
    return f"<{len(items)}>"


class TrioWorkersError(Exception):
    """The root: whatever this library raises on purpose is one of these."""


@attrs.define
class JobError(TrioWorkersError):
    """One job did not complete. See `JobGroupError` for several.

    Raised by ``async with worker.job(...)`` and `BaseWorker.call` at the
    requester. Raised by a handler, it is that job's response: FAILED, with
    ``reason``; any other exception would make it ERROR.

    Attributes:
      reason: What happened, for a person to read.
      job_id: The job, or None where a handler raised it.
      outcomes: Worker name to `JobOutcome`, of all that have one.
    """

    reason: str = "the job failed"
    job_id: str | None = None
    outcomes: Mapping[str, Any] = attrs.field(factory=dict)

    def __str__(self) -> str:
        return self.reason if self.job_id is None else f"job {self.job_id}: {self.reason}"


@attrs.define
class JobGroupError(JobError):
    """A job group did not complete. See `JobError` for a single job.

    ``outcomes`` holds every member's outcome. ``__cause__`` is an
    `ExceptionGroup` with one `JobError` for each member that failed of its
    own; the remote traceback is a note on it.
    """

    def __str__(self) -> str:
        return self.reason if self.job_id is None else f"job group {self.job_id}: {self.reason}"


@attrs.define
class InactiveJobError(TrioWorkersError, RuntimeError):
    """An update, chunk or response was sent for a job that isn't active here."""

    job_id: str
    worker_name: str

    def __str__(self) -> str:
        return (
            f"worker {self.worker_name!r} has no active job {self.job_id!r}: it was answered "
            "already, has ended, or was never asked of this worker. Send before the response, "
            "with the `job_id` of the request."
        )


@attrs.define
class NotAttachedError(TrioWorkersError, RuntimeError):
    """Something was used before the runner gave it what it needs."""

    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.what}; {self.remedy}"


@attrs.define
class StoppedError(TrioWorkersError, RuntimeError):
    """Something was used after its end. Workers and runners run once."""

    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.what}; {self.remedy}"


@attrs.define
class UnknownWorkerError(TrioWorkersError, LookupError):
    """A message was sent to a name that nobody on the bus has."""

    name: str
    known: tuple[str, ...] = ()

    def __str__(self) -> str:
        return (
            f"nobody on the bus is named {self.name!r}. "
            f"Names on the bus: {known_names(self.known)}. Add the worker first, or check the name."
        )


@attrs.define
class UnknownJobError(TrioWorkersError, LookupError):
    """A job id that its requester has no open job or job group for."""

    job_id: str
    requester: str
    known: tuple[str, ...] = ()

    def __str__(self) -> str:
        return (
            f"{self.requester!r} has no open job {self.job_id!r}: it has ended, or another "
            f"requester has it. Open: {known_names(self.known)}."
        )


@attrs.define
class DuplicateWorkerError(TrioWorkersError, ValueError):
    """Two workers of one name, or one worker twice."""

    name: str
    where: str

    def __str__(self) -> str:
        return (
            f"{self.name!r} is already in {self.where}. "
            "Names must be unique: give each worker its own."
        )


@attrs.define
class WaitingCircleError(TrioWorkersError):
    """A job could only have waited for itself, so it was not queued."""

    what: str
    chain: tuple[str, ...]

    def __str__(self) -> str:
        return (
            f"{self.what} is held by an ancestor of this request, which would wait for ever: "
            f"{' -> '.join(self.chain)}. Ask without waiting, or ask another worker."
        )


@attrs.define
class BusDisconnected(TrioWorkersError, ConnectionError):
    """A bus can't be reached, and the sender has waited as long as it may.

    What was on its way as the connection broke may have arrived; nothing else was sent.
    See `BusDeniedError` for one that refuses us, where waiting is of no use.

    Attributes:
      bus: Which one: where its server is, without passwords.
      state: How the bus stands to it, such as ``"disconnected"``.
      reason: What happened, for a person to read.
      waited: Seconds, or 0.0 if the sender did not wait.
    """

    bus: str
    state: str
    reason: str
    waited: float

    def __str__(self) -> str:
        return (
            f"the bus at {self.bus} can't be reached ({self.state}): {self.reason}. Nothing was "
            "sent, but for what was on its way as the connection broke; "
            f"waited {self.waited:g} s. Wait with `await bus.wait_connected()`, try again, "
            "or give the bus a longer send_timeout."
        )


@attrs.define
class BusDeniedError(TrioWorkersError):
    """A bus will never serve us as we are: a wrong password, say. See `BusDisconnected`.

    Attributes:
      bus: Which one: where its server is, without passwords.
      reason: What it refuses, for a person to read.
      remedy: What to do about it.
    """

    bus: str
    reason: str
    remedy: str

    def __str__(self) -> str:
        return f"the bus at {self.bus} refuses us: {self.reason}; {self.remedy}"


@attrs.define
class CodecError(TrioWorkersError, ValueError):
    """A message can't become bytes, or bytes are no message. See `MessageCodec`.

    Attributes:
      doing: What was tried, such as ``"encode Note"`` or ``"decode 'job.update'"``.
      path: The field it is about, such as ``payload.items[3]``; "" for the whole.
      problem: What is wrong, and what to do where that isn't plain. Bounded in
        length, whatever the bytes were.
    """

    doing: str
    path: str
    problem: str

    def __str__(self) -> str:
        return f"can't {self.doing}: {self.path + ': ' if self.path else ''}{self.problem}"


@attrs.define
class PoolFailedError(TrioWorkersError):
    """A pool can't keep its members: they go without having been of use."""

    pool: str
    workers: int

    def __str__(self) -> str:
        return (
            f"pool {self.pool!r} has given up: {self.workers} workers in a row have gone before "
            "they did a job. What they raised was reported before this: mend the workers, or "
            "the factory that makes them."
        )


@attrs.define
class LaneFull(TrioWorkersError, trio.WouldBlock):
    """A subscriber's lane has no room, and the sender may not or must not wait."""

    names: tuple[str, ...]

    def __str__(self) -> str:
        return (
            f"no room for another message to {known_names(self.names)}. A hook that waited for "
            "it could wait for itself: send from `worker.nursery`, or send less."
        )


@attrs.define
class MissingExtraError(TrioWorkersError, ImportError):
    """An optional part was asked for that is not installed."""

    feature: str
    extra: str

    def __str__(self) -> str:
        return (
            f"{self.feature} needs packages that are not installed. "
            f"Run: pip install 'trioworkers[{self.extra}]'"
        )


@attrs.define
class GraphFaultsError(TrioWorkersError, ValueError):
    """A graph can't be run as it is built. See `GraphError` for what fails in a run.

    Attributes:
      graph: The graph's name.
      faults: All that is wrong, a line each.
    """

    graph: str
    faults: tuple[str, ...]

    def __str__(self) -> str:
        one = len(self.faults) == 1
        faults = "".join(f"\n  {fault}" for fault in self.faults)
        count = "a fault" if one else f"{len(self.faults)} faults"
        return f"graph {self.graph!r} has {count}; nothing was started:{faults}"


@attrs.define
class GraphError(TrioWorkersError):
    """Tasks of a graph have failed for good; all others were done.

    Its ``__cause__`` is an `ExceptionGroup` of what they raised, a note on each
    saying which task it was.

    Attributes:
      graph: The graph's name.
      failures: The first of them, as `trioworkers.graph.TaskFailure`.
      count: How many there were.
      remedy: What to do, for the message.
    """

    graph: str
    failures: tuple[Any, ...] = attrs.field(repr=_how_many)
    count: int
    remedy: str = "; on_failure='collect' returns them instead"

    def __str__(self) -> str:
        shown = "\n".join(f"  {failure}" for failure in self.failures[:10])
        more = "" if self.count <= 10 else f"\n  and {self.count - 10} more"
        tasks = "1 task" if self.count == 1 else f"{self.count} tasks"
        return f"{tasks} of graph {self.graph!r} failed{self.remedy}:\n{shown}{more}"


@attrs.define
class JoinError(TrioWorkersError):
    """A join was not called: inputs are missing that its policy asks for.

    Attributes:
      worker: The join's name.
      provenance: The group: what all its inputs have in common.
      arrived: How many inputs there are.
      missing: The first of those that are not, as `trioworkers.graph.TaskFailure`.
      count: How many are not.
      policy: What the join asks for.
    """

    worker: str
    provenance: tuple[tuple[str, int], ...] = attrs.field(repr=path_text)
    arrived: int
    missing: tuple[Any, ...] = attrs.field(repr=_how_many)
    count: int
    policy: str

    def __str__(self) -> str:
        shown = "; ".join(str(failure) for failure in self.missing[:10])
        more = "" if self.count <= 10 else f"; and {self.count - 10} more"
        lacks = f" and lacks what should have come of {self.count}: {shown}{more}"
        return (
            f"join {self.worker!r} with policy {self.policy} has {self.arrived} inputs at "
            f"{path_text(self.provenance)}{lacks if self.count else ', which is too few'}. "
            "join_policy='settled' takes what there is."
        )


@attrs.define
class TaskAbortedError(TrioWorkersError):
    """A task was aborted, or one that it comes from."""

    def __str__(self) -> str:
        return "aborted"


@attrs.define
class GraphWindowFull(TrioWorkersError, trio.WouldBlock):
    """A graph takes no further work now, and the caller may not wait until it does."""

    graph: str
    window: int

    def __str__(self) -> str:
        return (
            f"graph {self.graph!r} has its window of {self.window} tasks in flight. A handler of "
            "the same graph that waited could wait for itself: publish tasks instead, or make "
            "the handler an async generator, which is asked for more only when there is room."
        )


@attrs.define
class HeldTasksError(TrioWorkersError, RuntimeError):
    """The joins of a graph hold more tasks than they may."""

    graph: str
    max_held: int
    worker: str

    def __str__(self) -> str:
        return (
            f"the joins of graph {self.graph!r} hold {self.max_held} tasks, as many as they may, "
            f"and there is one more for {self.worker!r}. Join nearer to the source of the tasks, "
            "or give Graph a larger max_held, in tasks."
        )


@attrs.define
class GraphInvariantError(TrioWorkersError, RuntimeError):
    """The book-keeping of a running graph contradicts itself: an error in this library."""

    what: str

    def __str__(self) -> str:
        return f"{self.what}. This is an error in trioworkers, not in the graph; please report it."


@attrs.define
class NoAnswerError(TrioWorkersError, trio.TooSlowError):
    """Nobody has answered what a graph's handler wanted to know."""

    worker: str
    why: str

    def __str__(self) -> str:
        return f"nobody has answered {self.worker} {self.why}"


@attrs.define
class CacheError(TrioWorkersError):
    """A cache of results can't be where it should. Raised when it is opened, not later."""

    path: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"the cache {self.path} {self.problem}; {self.remedy}"


@attrs.define
class SimulationError(TrioWorkersError):
    """A simulated run broke a promise, or did not end.

    Attributes:
      reason: What is wrong, for a person to read.
      timeline: The `trioworkers.testing.Timeline` of the run until then.
    """

    reason: str
    timeline: Any

    def __str__(self) -> str:
        return f"{self.reason}\n{self.timeline}"


@attrs.define
class PromiseBroken(TrioWorkersError, AssertionError):
    """A group was seen to break what ``docs/promises.md`` says.

    Attributes:
      faults: What is wrong; each begins with the promise's number.
      result: The `trioworkers.testing.PlanResult`; its ``plan`` plays it again.
    """

    faults: tuple[str, ...]
    result: Any

    def __str__(self) -> str:
        faults = "\n".join(f"  {fault}" for fault in self.faults)
        return f"job group {self.result.job_id} broke a promise:\n{faults}\n{self.result.plan}"


@attrs.define
class LeftoverError(TrioWorkersError, AssertionError):
    """Work had ended, and something of it was still there.

    Attributes:
      where: In which run, and how to repeat it.
      what: What was left, by whom.
    """

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


@attrs.define
class BrokenContractError(TrioWorkersError, AssertionError):
    """A bus or worker does not do what every one must.

    Attributes:
      contract: What was checked, as in ``"WorkerBus"``.
      clause: The clause's name, as `check_bus` and `check_worker` list them.
      promise: What the clause says.
      detail: What happened instead.
    """

    contract: str
    clause: str
    promise: str
    detail: str

    def __str__(self) -> str:
        return f"{self.contract} breaks the clause {self.clause!r}: {self.promise} {self.detail}"


@attrs.define
class StuckError(TrioWorkersError, AssertionError):
    """Something was to end, and waits for what will not happen.

    Attributes:
      what: What was to end, and when that was seen.
      where: Which Trio tasks wait, and in which lines.
    """

    what: str
    where: str

    def __str__(self) -> str:
        return f"{self.what}\n{self.where}"


class OutsideError(TrioWorkersError, RuntimeError):
    """A simulated run used something whose order nothing can decide or repeat."""
