"""Running workers until they have ended, or somebody says so by a signal."""

import signal
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable

import attrs
import trio

from trioworkers import (
    BusDeniedError,
    BusDisconnected,
    DuplicateWorkerError,
    WorkerReadyData,
    WorkerRunner,
)

#: Exit status: a worker has crashed.
CRASHED = 1


@attrs.define(eq=False)
class Hosting:
    """Obeys signals: the first one drains, the second one cancels, a third one kills.

    Before the workers run, the first one leaves, and the second one kills.

    Attributes:
      grace: Seconds that draining may take; then the workers are cancelled.
      say: Tells a person something.
      runner: What is drained, once it runs.
      cancelled_by: The signal that has cut work off; None if none has.
    """

    grace: float
    say: Callable[[str], None]
    runner: WorkerRunner | None = None
    cancelled_by: signal.Signals | None = None
    _first: signal.Signals | None = None
    _scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)

    async def run(self, work: Callable[[], Awaitable[int]]) -> int:
        """Do ``work``; return its exit status, or that of the signal that has cut it off."""
        status = 0
        failure: Exception | None = None
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._obey, signals, nursery)
                try:
                    with self._scope:
                        status = await work()
                except Exception as error:  # noqa: BLE001 - raised below, in no group
                    failure = error
                nursery.cancel_scope.cancel()
        if failure is not None:
            raise failure
        if self.cancelled_by is not None and status == 0:
            return 128 + self.cancelled_by
        return status

    async def _obey(self, signals: AsyncIterator[int], nursery: trio.Nursery) -> None:
        async for number in signals:
            caught = signal.Signals(number)
            if self.cancelled_by is not None:
                signal.signal(caught, signal.SIG_DFL)
                signal.raise_signal(caught)
            elif self.runner is None:
                self.cancelled_by = caught
                self._scope.cancel(reason=caught.name)
            elif self._first is None and self.grace > 0:
                self._first = caught
                self.say(
                    f"{caught.name}: finishing what was accepted, for {self.grace:g} s at most; "
                    "another signal cancels it"
                )
                self.runner.end_nowait(caught.name)
                nursery.start_soon(self._limit, caught)
            else:
                self._cancel(caught, caught.name)

    async def _limit(self, caught: signal.Signals) -> None:
        await trio.sleep(self.grace)
        if self.cancelled_by is None:
            self._cancel(caught, f"not finished within {self.grace:g} s")

    def _cancel(self, caught: signal.Signals, why: str) -> None:
        assert self.runner is not None
        self.cancelled_by = caught
        jobs = sum(len(worker.active_jobs) for worker in self.runner.workers)
        self.say(f"{why}: cancelling {_count(jobs, 'job')}")
        self.runner.cancel_nowait(why)

    async def host(self, runner: WorkerRunner) -> int:
        """Run ``runner``, to which workers were added, until all have ended.

        Returns:
          0, or `CRASHED` once the traceback of the crash has been told.

        Raises:
          BusDisconnected, BusDeniedError: The bus can't be used; nothing was started.
          DuplicateWorkerError: A name is taken; nothing was started.
        """
        missing = {worker.name for worker in runner.workers}

        def note_ready(data: WorkerReadyData) -> None:
            self.say(f"worker {data.worker_name!r} is ready")
            missing.discard(data.worker_name)
            if not missing:
                self.say("ready")

        def note_running(_: WorkerRunner) -> None:
            self.runner = runner

        for name in sorted(missing):
            runner.registry.watch(name, note_ready)
        runner.add_event_handler("on_ready", note_running)
        try:
            await runner.run()
        except (BusDisconnected, BusDeniedError, DuplicateWorkerError):
            raise
        except Exception as error:  # noqa: BLE001 - told
            self.say("".join(traceback.format_exception(error)).rstrip())
            self.say("crashed")
            return CRASHED
        self.say("ended" if self.cancelled_by is None else "cancelled")
        return 0


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
