"""What all researchers do: search in blocks in a thread, and stream what they find."""

import math
import sys
import time
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TypeVar, TypeVarTuple, final

import attrs
import trio

from trioworkers import BaseWorker, BusJobRequestMessage, job

from ._query import Finding, ResearchQuery
from ._ranking import TopFindings

# How long a thread searches before it hands over what it has: short enough that
# findings and progress look live, long enough that the hop to it costs nothing.
BLOCK_SECONDS = 0.05

R = TypeVar("R")
Ts = TypeVarTuple("Ts")


@attrs.frozen
class Step:
    """One thing looked at: a file, a module, a distribution.

    Attributes:
      findings: What matched in it.
      skipped: Why it could not be searched, such as ``"binary"``; empty if it was.
    """

    findings: tuple[Finding, ...] = ()
    skipped: str = ""


@attrs.frozen
class Search:
    """A search about to begin.

    Attributes:
      total: How many steps there will be, as far as is known.
      steps: Does the work of one step each time it is advanced. It blocks, so it
        is advanced in a thread, and by one thread at a time.
    """

    total: int
    steps: Iterator[Step]


@attrs.frozen
class Manner:
    """How a researcher goes about its work, for those who watch.

    Attributes:
      best: If above 0, an update ``"summarizing"`` comes last, and the response has so many of
        the best findings as ``results``, the best one first.
      blocks: If above 0, no block is larger than that part of all there is to look at.
      pause: Seconds of rest after each block, >= 0; `LONG_PAUSE` times as long before the first
        one, and while it summarizes.
    """

    best: int = attrs.field(default=0, validator=attrs.validators.ge(0))
    blocks: int = attrs.field(default=0, validator=attrs.validators.ge(0))
    pause: float = attrs.field(default=0.0, validator=attrs.validators.ge(0))


#: As fast as it goes, and only what was streamed.
PLAIN = Manner()
#: How much longer than between blocks a researcher rests before them, and after them.
LONG_PAUSE = 4


@attrs.define
class _Tally:
    """The figures of one search so far."""

    top: TopFindings | None
    total: int = 0
    done: int = 0
    found: int = 0
    skipped: Counter[str] = attrs.field(factory=Counter)

    def add(self, step: Step) -> None:
        self.done += 1
        self.found += len(step.findings)
        if self.top is not None:
            self.top.add(step.findings)
        if step.skipped:
            self.skipped[step.skipped] += 1

    def update(self, stage: str) -> dict[str, object]:
        return {"stage": stage, "done": self.done, "total": self.total, "found": self.found}

    def response(self) -> dict[str, object]:
        searched = self.done - self.skipped.total()
        counts = {"found": self.found, "searched": searched, "skipped": dict(self.skipped)}
        if self.top is None:
            return counts
        return {**counts, "results": [attrs.asdict(finding) for finding in self.top.ranked()]}


class Researcher(BaseWorker):
    """A worker that answers ``research`` jobs, whose payload is a `ResearchQuery`.

    Each `Finding` is streamed, as a dict, when it is found and in no order of
    merit. Updates are dicts with ``stage`` (``"listing"``, ``"searching"``,
    ``"done"``) and the counts ``done``, ``total`` and ``found``. The response has
    the counts ``found``, ``searched`` and ``skipped``, the last a dict by reason.

    Any number of jobs may run at once. A cancelled job has left its thread, and
    so the file system, when its outcome is known.

    Args:
      name: The worker's name.
      limiter: Bounds the threads in use; one to be shared by several researchers,
        or None for two threads of this worker's own.
      manner: Whether it summarizes, and takes its time.
    """

    def __init__(
        self, name: str, *, limiter: trio.CapacityLimiter | None = None, manner: Manner = PLAIN
    ) -> None:
        super().__init__(name)
        self._manner = manner
        self._limiter = trio.CapacityLimiter(2) if limiter is None else limiter

    @abstractmethod
    def open_search(self, query: ResearchQuery, checkpoint: Callable[[], None]) -> Search:
        """Find out what there is to search. Runs in a thread.

        Args:
          query: What is asked.
          checkpoint: To be called every few milliseconds, here and by the steps;
            it raises if the job was cancelled.

        Raises:
          JobError: The search is impossible; says why.
        """

    @final
    @job(name="research")
    async def on_research(
        self, message: BusJobRequestMessage, query: ResearchQuery
    ) -> dict[str, object]:
        """Search for ``query`` and stream what is found."""
        job_id, manner = message.job_id, self._manner
        tally = _Tally(TopFindings(manner.best) if manner.best else None)
        await self.send_job_update(job_id, tally.update("listing"))
        check = trio.from_thread.check_cancelled
        search = await self._in_thread(self.open_search, query, check)
        tally.total = search.total
        await trio.sleep(LONG_PAUSE * manner.pause)
        most = math.ceil(search.total / manner.blocks) if manner.blocks else sys.maxsize
        while steps := await self._in_thread(_take_block, search.steps, most):
            for step in steps:
                tally.add(step)
                for finding in step.findings:
                    await self.send_job_stream_data(job_id, attrs.asdict(finding))
            await self.send_job_update(job_id, tally.update("searching"))
            await trio.sleep(manner.pause)
        await self.send_job_update(job_id, tally.update("summarizing" if manner.best else "done"))
        await trio.sleep(LONG_PAUSE * manner.pause)
        return tally.response()

    async def _in_thread(self, fn: Callable[[*Ts], R], *args: *Ts) -> R:
        return await trio.to_thread.run_sync(
            fn, *args, abandon_on_cancel=False, limiter=self._limiter
        )


def _take_block(steps: Iterator[Step], most: int) -> list[Step]:
    """Return the steps of the next `BLOCK_SECONDS`, ``most`` at most; none if there are no more."""
    ends = time.monotonic() + BLOCK_SECONDS
    block: list[Step] = []
    for step in steps:
        block.append(step)
        trio.from_thread.check_cancelled()
        if len(block) >= most or time.monotonic() >= ends:
            break
    return block
