"""What the tests of pools share: members that are counted together."""

from collections.abc import Awaitable, Callable
from typing import Any

import trio
from support import Doer

from trioworkers import BaseWorker, JobOutcome, WorkerPool, WorkerRunner


async def sleep_as_asked(_worker: object, message: Any) -> dict[str, Any]:
    """Sleep for the payload's ``seconds``, and answer with the payload."""
    await trio.sleep(message.payload["seconds"])
    return message.payload


class Crew:
    """The members that a pool has had, and what they do together.

    Args:
      function: What a member does, as in `Doer`.
      make: Makes a member instead; given this crew.

    Attributes:
      members: In the order in which they were made.
      running: Handlers that run now.
      most_running: How many ran at once at most.
    """

    def __init__(
        self,
        function: Callable[[Any, Any], Awaitable[object]] = sleep_as_asked,
        make: Callable[["Crew"], BaseWorker] | None = None,
    ) -> None:
        self.function = function
        self.make = make
        self.members: list[Any] = []
        self.running = 0
        self.most_running = 0

    def __call__(self) -> BaseWorker:
        """Make a member."""
        member = Doer(None, self._run) if self.make is None else self.make(self)
        self.members.append(member)
        return member

    async def _run(self, worker: Any, message: Any) -> object:
        self.running += 1
        self.most_running = max(self.running, self.most_running)
        try:
            return await self.function(worker, message)
        finally:
            self.running -= 1

    @property
    def begun(self) -> list[str]:
        """The ids of the jobs that have begun, by member."""
        return [job_id for member in self.members for job_id in member.begun]


def pool_of(crew: Crew, size: int, name: str = "pool") -> WorkerPool:
    """Return a pool of that crew."""
    return WorkerPool(name, crew, size=size)


async def explode() -> None:
    """Crash the worker in whose nursery it runs."""
    raise OSError("on fire")


async def works_or_crashes(worker: Any, message: Any) -> object:
    """Sleep; if the payload says so, let the member crash meanwhile."""
    if message.payload.get("crash"):
        await trio.sleep(1)
        worker.nursery.start_soon(explode)
        await trio.sleep_forever()
    return await sleep_as_asked(worker, message)


async def outcome_of(
    runner: WorkerRunner, outcomes: dict[Any, JobOutcome], key: object, **payload: Any
) -> None:
    """Ask the pool, and note the outcome."""
    payload = {"seconds": 1, **payload}
    async with runner.job_group("pool", name="do", payload=payload, cancel_on_error=False) as group:
        pass
    outcomes[key] = group.outcomes["pool"]


def statuses(outcomes: dict[Any, JobOutcome]) -> dict[Any, str]:
    """Return what became of each, in words."""
    return {key: str(outcome.status) for key, outcome in outcomes.items()}
