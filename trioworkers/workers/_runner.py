"""`WorkerRunner`: hosts workers in one process."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self

import trio
from trio.lowlevel import enable_ki_protection

from ..bus import (
    BackgroundNursery,
    BusAddWorkerMessage,
    BusCancelMessage,
    BusCancelWorkerMessage,
    BusEndMessage,
    BusEndWorkerMessage,
    BusMessage,
    BusSubscriber,
    BusWorkerErrorMessage,
    Hook,
    JobStatus,
    MemoryChannelBus,
    WorkerBus,
)
from ..errors import NotAttachedError, StoppedError
from ..jobs import REQUESTER_MESSAGES, NoHooks, Requester, check_name
from ._attaching import attach_all, check_all
from ._events import EventHandler, EventSource
from ._gossip import GOSSIP_MESSAGES, RegistryGossip
from ._life_cycle import CLEANUP_SECONDS
from ._registry import WorkerRegistry
from ._reports import Reports
from ._requesting import Requesting
from ._statistics import RunnerStatistics
from ._types import WorkerErrorData, WorkerParams
from ._worker import BaseWorker

#: Seconds that a runner takes at most to tell others that it leaves; they would find out.
GOODBYE_SECONDS = 1.0


class WorkerRunner(Requesting, EventSource, BusSubscriber):
    """Hosts workers: a nursery, a bus and a registry.

    Use it as ``async with WorkerRunner() as runner:``. Leaving normally ends
    the workers gracefully: they finish what they have accepted. Leaving by an
    exception cancels them. Or let it run by itself: ``await runner.run()``, or
    ``await nursery.start(runner.run)``. Either way all its Trio tasks have
    ended then. A runner runs once.

    App code asks workers through `job`, `job_group` and `call`.

    Args:
      name: Unique among the runners of a bus; made up if None.
      bus: The bus to use; a `MemoryChannelBus` of its own if None. One that
        is not running is run by the runner.
      strict: Whether what a hook raises, and what crashes a worker, ends the
        runner, as an `ExceptionGroup`. If not, it is logged and counted, and
        told to `on_error` handlers and to the parent's `on_worker_failed`.

    Events: ``on_ready(runner)`` when the workers added before the start run;
    ``on_error(runner, data: WorkerErrorData)`` when an error was reported.
    """

    def __init__(
        self, *, name: str | None = None, bus: WorkerBus | None = None, strict: bool = True
    ) -> None:
        if name is not None:
            check_name(name, "a runner name")
        if bus is not None and not isinstance(bus, WorkerBus):
            raise TypeError(f"bus must be a WorkerBus or None, not {bus!r}")
        self._bus = MemoryChannelBus() if bus is None else bus
        self._name = name or self._bus.new_runner_name()
        self._registry = WorkerRegistry(self._name)
        self._asking = Requester(self._name, self._bus, self._registry, NoHooks())
        self._registry.watch_departures(self._asking.workers_departed)
        self._gossip = RegistryGossip(self._registry, self._bus)
        self._strict = strict
        self._reports = Reports(self, self._bus, self._open_nursery, strict=strict)
        self._workers: dict[str, BaseWorker] = {}
        self._had_workers = False
        self._nursery: trio.Nursery | None = None
        self._stack: AsyncExitStack | None = None
        self._left = False
        self._end_requested = trio.Event()
        self._ending = False
        self._changed = trio.lowlevel.ParkingLot()

    def __repr__(self) -> str:
        return f"<WorkerRunner {self._name!r} of {len(self._workers)} workers>"

    # What it has

    @property
    def name(self) -> str:
        """Its name on the bus."""
        return self._name

    @property
    def bus(self) -> WorkerBus:
        """The bus that it and its workers use."""
        return self._bus

    @property
    def registry(self) -> WorkerRegistry:
        """The workers that are ready, here and at other runners of the bus."""
        return self._registry

    @property
    def workers(self) -> tuple[BaseWorker, ...]:
        """Its workers, root workers and children, that have not ended."""
        return tuple(self._workers.values())

    def get_worker(self, name: str) -> BaseWorker | None:
        """Return its worker of that name, or None."""
        return self._workers.get(name)

    def statistics(self) -> RunnerStatistics:
        """Return a snapshot."""
        return RunnerStatistics(
            workers={name: worker.statistics() for name, worker in self._workers.items()},
            bus=self._bus.statistics(),
            job_groups=len(self._asking.groups),
            waiting_for=dict(self._asking.waiting),
            remote_workers=len(self._registry.remote_workers),
            watches=self._registry.watch_count,
            errors=self._reports.errors,
        )

    @enable_ki_protection
    async def add_workers(self, *workers: BaseWorker) -> None:
        """Add root workers, before or while running. Always a checkpoint.

        When it returns, messages to them are kept; they may not be ready yet.

        Raises:
          DuplicateWorkerError: A name is taken, or there twice; none was added.
          StoppedError: The runner is ending, or a worker was added before.
        """
        await trio.lowlevel.checkpoint()
        self._check_open()
        async with self._bus.claiming(*check_all(workers, self._bus)):
            self._check_open()
            attach_all(workers, self._registry, self._bus)
            for worker in workers:
                self._adopt(worker)

    def _check_open(self) -> None:
        if self._left or self._ending:
            what = "has ended" if self._left else "is ending"
            raise StoppedError(f"runner {self._name!r} {what}", "make a new one")

    # Running

    @enable_ki_protection
    async def run(
        self,
        *,
        auto_end: bool = True,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Run the workers until they have ended.

        Args:
          auto_end: Whether to return once all root workers have ended; waits
            for the first one to be added if there is none. If not, runs until
            `end` or `cancel`.
          task_status: For ``nursery.start``: started when the workers run.

        Raises:
          ExceptionGroup: Workers crashed, or hooks raised (``strict=True``).
        """
        async with self:
            task_status.started()
            while not self._end_requested.is_set():
                if auto_end and self._had_workers and not self._workers:
                    break
                await self._changed.park()

    @enable_ki_protection
    async def __aenter__(self) -> Self:
        if self._stack is not None:
            raise StoppedError(f"runner {self._name!r} was run before", "make a new one")
        stack = self._stack = AsyncExitStack()
        try:
            if not self._bus.is_running:
                await stack.enter_async_context(self._bus)
            self._nursery = await stack.enter_async_context(BackgroundNursery())
            await self._bus.subscribe(self)
            for worker in self._workers.values():
                self._nursery.start_soon(self._run_worker, worker, name=worker.name)
            await self._gossip.announce()
        except BaseException as error:
            self._left = True
            try:
                await stack.__aexit__(type(error), error, error.__traceback__)
            finally:
                self._abandon()
            raise
        self._reports.fire("on_ready")
        return self

    @enable_ki_protection
    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        stack = self._stack
        assert stack is not None
        body_done = exc is None
        if exc is None:
            try:
                self.end_nowait()
                while self._workers:
                    await self._changed.park()
                with trio.move_on_after(GOODBYE_SECONDS):
                    await self._gossip.tell_departure()
            except BaseException as error:  # noqa: BLE001 - handed to the nursery
                exc = error
        self._left = True
        if exc is not None and self._nursery is not None:
            # First, so that the workers' own requests end by this, not as failed.
            self._nursery.cancel_scope.cancel()
        self._asking.stop(f"runner {self._name!r} has ended")
        with trio.move_on_after(CLEANUP_SECONDS, shield=True):
            await self._asking.wait_idle()
        try:
            swallowed = await stack.__aexit__(
                None if exc is None else type(exc), exc, None if exc is None else exc.__traceback__
            )
        finally:
            self._abandon()
        if body_done and exc is not None and not swallowed:
            raise exc
        return bool(swallowed) and not body_done

    async def end(self, *, reason: str | None = None) -> None:
        """End all workers gracefully: they finish what they have accepted. Only asks."""
        await trio.lowlevel.checkpoint()
        self.end_nowait(reason)

    @enable_ki_protection
    def end_nowait(self, reason: str | None = None) -> None:
        """Do what `end` does, without a checkpoint."""
        self._end_requested.set()
        self._changed.unpark_all()
        if self._nursery is not None and not self._ending and not self._left:
            self._ending = True
            self._nursery.start_soon(self._end_workers, reason)

    async def cancel(self, *, reason: str | None = None) -> None:
        """Cancel all workers. Only asks; leave the block, or wait for `run`."""
        await trio.lowlevel.checkpoint()
        self.cancel_nowait(reason)

    @enable_ki_protection
    def cancel_nowait(self, reason: str | None = None) -> None:
        """Do what `cancel` does, without a checkpoint."""
        self._end_requested.set()
        self._changed.unpark_all()
        for worker in list(self._workers.values()):
            self._bus.post(BusCancelWorkerMessage(reason, source=self._name, target=worker.name))

    # Events

    def add_event_handler(self, event: str, handler: EventHandler) -> None:
        """Call ``handler``, sync or async, with the runner and the event's data.

        Raises:
          ValueError: There is no such event.
        """
        self._reports.handlers.add(event, handler)

    # For the bus

    @property
    def interests(self) -> tuple[type[BusMessage], ...]:
        """The broadcasts that a runner acts on."""
        return (BusEndMessage, BusCancelMessage, BusWorkerErrorMessage, *GOSSIP_MESSAGES)

    def on_delivery(self, message: BusMessage) -> Hook | None:
        """Do the book-keeping for a message; a runner has no hooks."""
        kind = type(message)
        if (for_job := REQUESTER_MESSAGES.get(kind)) is not None:
            for_job(self._asking, message)
        elif (for_runner := _RUNNER_MESSAGES.get(kind)) is not None:
            for_runner(self, message)
        elif (for_registry := GOSSIP_MESSAGES.get(kind)) is not None:
            for_registry(self._gossip, message)
        return None

    def _receive_add(self, message: BusAddWorkerMessage) -> None:
        if isinstance(message.worker, BaseWorker):
            self._adopt(message.worker)

    def _receive_end(self, message: BusEndMessage) -> None:
        if message.source in self._workers:
            self.end_nowait(message.reason)

    def _receive_cancel(self, message: BusCancelMessage) -> None:
        if message.source in self._workers:
            self.cancel_nowait(message.reason)

    def _receive_error(self, message: BusWorkerErrorMessage) -> None:
        self._reports.fire("on_error", WorkerErrorData(message.source, message.error))

    # Behind the scenes

    def _open_nursery(self) -> trio.Nursery | None:
        return None if self._left else self._nursery

    def _requester(self) -> Requester:
        if self._left:
            raise StoppedError(f"runner {self._name!r} has ended", "make a new one")
        if self._nursery is None:
            raise NotAttachedError(
                f"runner {self._name!r} does not run yet", "use `async with runner:` or `run`"
            )
        return self._asking

    @enable_ki_protection
    def _adopt(self, worker: BaseWorker) -> None:
        self._workers[worker.name] = worker
        self._had_workers = True
        if self._nursery is not None:
            self._nursery.start_soon(self._run_worker, worker, name=worker.name)
        self._changed.unpark_all()

    @enable_ki_protection
    async def _run_worker(self, worker: BaseWorker) -> None:
        assert self._nursery is not None
        try:
            await worker.run(WorkerParams(self._nursery, self._reports.on_error(worker)))
        except Exception as error:
            if self._strict:
                raise
            self._reports.report(worker, error)
        finally:
            self._forget(worker)

    @enable_ki_protection
    def _forget(self, worker: BaseWorker) -> None:
        if self._workers.get(worker.name) is worker:  # its name may have a new owner
            del self._workers[worker.name]
        parent = self._workers.get(worker.parent) if worker.parent is not None else None
        if parent is not None:
            parent.forget_child(worker)
        worker.abandon()
        self._changed.unpark_all()

    @enable_ki_protection
    async def _end_workers(self, reason: str | None) -> None:
        """End in two steps, so that a handler can still ask a worker that is idle."""
        for worker in self._workers.values():
            worker.begin_ending()
        busy = list(self._workers.values())
        while busy:
            await busy[0].wait_idle()
            busy = [worker for worker in self._workers.values() if not worker.is_idle]
        for worker in list(self._workers.values()):
            if worker.parent is None:
                self._bus.post(BusEndWorkerMessage(reason, source=self._name, target=worker.name))

    @enable_ki_protection
    def _abandon(self) -> None:
        """Leave the bus, whatever the workers did."""
        self._left = True
        for worker in list(self._workers.values()):
            worker.abandon()
        self._workers.clear()
        self._asking.stop(f"runner {self._name!r} has ended")
        self._registry.unwatch_departures(self._asking.workers_departed)
        self._bus.unsubscribe_nowait(self)
        self._asking.settle_all(JobStatus.LOST, "RequesterLost", "its requester has ended")


_RUNNER_MESSAGES: dict[type[BusMessage], Callable[[WorkerRunner, Any], None]] = {
    BusAddWorkerMessage: WorkerRunner._receive_add,
    BusEndMessage: WorkerRunner._receive_end,
    BusCancelMessage: WorkerRunner._receive_cancel,
    BusWorkerErrorMessage: WorkerRunner._receive_error,
}
