"""What happens in a worker's life, and in which order: from attached to stopped."""

import logging
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import trio
from trio.lowlevel import enable_ki_protection

from ..bus import (
    BusActivateWorkerMessage,
    BusCancelWorkerMessage,
    BusDeactivateWorkerMessage,
    BusEndWorkerMessage,
    BusMessage,
    BusSubscriber,
    BusWorkerDepartedMessage,
    BusWorkerLocalErrorMessage,
    BusWorkerReadyMessage,
    Hook,
    JobStatus,
    WorkerBus,
    call_interruptible,
)
from ..jobs import Intake, JobHandler
from ._engine import Engine
from ._life import Life, LifeFace, LifeState
from ._registry import WorkerRegistry
from ._types import WorkerErrorData, WorkerParams, WorkerReadyData

logger = logging.getLogger("trioworkers.workers")

#: Seconds that a worker's clean-up may take.
CLEANUP_SECONDS = 5.0


class Living(LifeFace, BusSubscriber):
    """What a life cycle needs of its worker, and of the worker's children.

    `BaseWorker` says what each of these does.
    """

    @property
    @abstractmethod
    def bridged(self) -> bool:
        """Whether it exchanges pipeline frames over the bus."""

    @abstractmethod
    def _names(self) -> tuple[str, ...]:
        """Return the names that it will have on the bus: its own, and of those that it brings."""

    @abstractmethod
    def _attach_nowait(self, registry: WorkerRegistry, bus: WorkerBus) -> None:
        """Connect to a runner's registry and bus; all of it, or nothing."""

    @abstractmethod
    def _make_responder(self, **parts: Any) -> Intake:
        """Return the responder's half, of `Engine.begin`'s ``parts``."""

    @abstractmethod
    async def start(self) -> None:
        """Announce the worker as ready; ends up in `LifeCycle.start`."""

    @abstractmethod
    def begin_ending(self) -> None:
        """Refuse new jobs."""

    @abstractmethod
    async def cleanup(self) -> None:
        """Release resources."""


class LifeCycle:
    """Takes one attached worker through its life.

    It runs (`run`, `start`), is told things by messages (`receive`), ends or is
    stopped, cleans up, and leaves the bus and the registry (`release`).

    Args:
      worker: Whose life it is. Its `start`, `stop` and `cleanup` are called,
        which a subclass may override.
      life: Where it is in its life.
      engine: Its working parts.
      children: The workers that end with it; a live view.
    """

    __slots__ = ("_children", "_worker", "engine", "life")

    def __init__(
        self, worker: Living, life: Life, engine: Engine, children: Sequence[Living]
    ) -> None:
        self._worker = worker
        self._children = children
        self.life = life
        self.engine = engine

    # From running to stopped

    @enable_ki_protection
    async def run(self, params: WorkerParams, handlers: dict[str, JobHandler]) -> None:
        """Run until the stop is requested; see `BaseWorker.run`.

        Args:
          params: What it is run with.
          handlers: Its `@job` handlers, by job name.
        """
        engine, life = self.engine, self.life
        life.begin()
        try:
            async with trio.open_nursery() as nursery:
                try:
                    self._begin(nursery, params, handlers)
                    await call_interruptible(self._worker.start)
                    await life.wait_stop()
                except BaseException as error:
                    # A hook that crashes cancels the nursery, too.
                    has_crashed = nursery.cancel_scope.cancel_called
                    is_cancelled = isinstance(error, trio.Cancelled) and not has_crashed
                    engine.close(JobStatus.LOST, "was cancelled" if is_cancelled else "crashed")
                    raise
                finally:
                    engine.lanes.close()  # before the nursery refuses new Trio tasks
                engine.close(JobStatus.CANCELLED, "has stopped")
                nursery.cancel_scope.cancel()
        except BaseException as crash:
            try:
                await self._finish()
            except Exception as error:  # noqa: BLE001 - raised in the group
                raise BaseExceptionGroup(
                    f"worker {life.name!r} crashed, and its clean-up failed", [crash, error]
                ) from None
            raise
        else:
            await self._finish()

    @enable_ki_protection
    def _begin(
        self, nursery: trio.Nursery, params: WorkerParams, handlers: dict[str, JobHandler]
    ) -> None:
        """Begin to do jobs and run hooks, first for what came early."""
        engine = self.engine
        engine.hooks.on_error = params.on_error
        engine.begin(self._worker, self._worker._make_responder, handlers, nursery)
        for message in engine.take_early():
            hook = self._worker.on_delivery(message)
            if hook is not None:
                engine.lanes.put(hook, message, system=message.is_system)

    async def start(
        self,
        ready_handlers: Mapping[str, Callable[[WorkerReadyData], Awaitable[object]]],
    ) -> None:
        """Announce the worker as ready, and activate it if it starts active.

        Args:
          ready_handlers: What to run when others get ready, by their names.
        """
        engine, life = self.engine, self.life
        life.started_at = engine.bus.clock()
        engine.watch_roots()
        for worker_name, handler in ready_handlers.items():
            engine.watch_with(worker_name, handler)
        if life.starts_active:
            self._activate(None)
        data = WorkerReadyData(
            life.name,
            engine.registry.runner_name,
            life.parent,
            life.active,
            self._worker.bridged,
            life.started_at,
        )
        engine.registry.register(data)
        await self._announce(data)

    @enable_ki_protection
    async def _announce(self, data: WorkerReadyData) -> None:
        """Tell other runners that the worker is ready.

        Posted: a network that is away for a while is no reason not to start.
        """
        await trio.lowlevel.checkpoint()
        self.engine.bus.post(
            BusWorkerReadyMessage(
                data.runner,
                data.parent,
                data.active,
                data.bridged,
                data.started_at,
                source=data.worker_name,
            )
        )

    def cancel(self, why: str) -> None:
        """Stop now, and answer all open jobs with CANCELLED."""
        self.engine.close(JobStatus.CANCELLED, why)
        self.life.request_stop()

    def use_event(self, event: str) -> None:
        """Note that ``event`` has an event handler from now on."""
        engine = self.engine
        engine.hooks.use(event)
        if self.life.is_running:
            engine.watch_roots()
        if event == "on_bus_message" and self.life.state is not LifeState.STOPPED:
            engine.bus.subscribe_nowait(self._worker, lanes=engine.lanes)

    def abandon(self) -> None:
        """Leave the bus and the registry if the worker was attached but never ran."""
        if self.life.state is LifeState.ATTACHED:
            self.release()

    @enable_ki_protection
    async def _end(self) -> None:
        """Finish what was accepted, then end the children, then stop.

        While it has jobs it may need its children. What they still finish may
        need it, since only then it has no more jobs for good.
        """
        await self.engine.wait_idle()
        children = list(self._children)
        for child in children:
            self.engine.bus.post(BusEndWorkerMessage(source=self.life.name, target=child.name))
        for child in children:
            await child.wait()
        await self.engine.wait_idle()
        await self._worker.stop()

    async def _finish(self) -> None:
        """Clean up, bounded in time; then leave bus and registry, whatever happens."""
        try:
            with trio.move_on_after(CLEANUP_SECONDS, shield=True) as scope:
                await self.engine.leave_groups(f"worker {self.life.name!r} has stopped")
                await call_interruptible(self._worker.cleanup)
            if scope.cancelled_caught:
                logger.error("%r: clean-up took over %s s", self._worker, CLEANUP_SECONDS)
        finally:
            self.release()

    @enable_ki_protection
    def release(self) -> None:
        """Leave the bus and the registry, cancel the children, and tell the other runners."""
        engine, life = self.engine, self.life
        life.finish()
        for child in self._children:
            engine.bus.post(
                BusCancelWorkerMessage(
                    "its parent has stopped", source=life.name, target=child.name
                )
            )
        engine.release(self._worker)
        if life.started_at is not None:
            engine.bus.post(
                BusWorkerDepartedMessage(
                    engine.registry.runner_name, life.started_at, source=life.name
                )
            )

    # Messages that are not about jobs: book-keeping at delivery

    def receive(self, message: BusMessage) -> Hook | None:
        """Do the book-keeping for ``message``; return the hook to run, or None.

        What is about the worker's life is kept for later if it doesn't run yet.

        Raises:
          LaneFull: More is kept than a lane would hold.
        """
        receive = _LIFE_MESSAGES.get(type(message))
        if receive is not None:
            if self.engine.responder is None and not self.life.is_running:
                self.engine.keep(message)
                return None
            receive(self, message)
        return self.engine.hooks.hook_for(message)

    def _receive_activate(self, message: BusActivateWorkerMessage) -> None:
        self._activate(message.args)

    def _receive_deactivate(self, _: BusDeactivateWorkerMessage) -> None:
        self.life.deactivate()
        self.engine.hooks.post("on_deactivated")

    def _receive_end(self, _: BusEndWorkerMessage) -> None:
        responder = self.engine.responder
        if responder is not None and responder.closed is None and not self.life.ending:
            self.life.ending = True
            responder.nursery.start_soon(self._end)
            self._worker.begin_ending()  # last: it may be a user's, and raise

    def _receive_cancel(self, message: BusCancelWorkerMessage) -> None:
        self.cancel(f"was cancelled: {message.reason}" if message.reason else "was cancelled")

    def _receive_child_error(self, message: BusWorkerLocalErrorMessage) -> None:
        data = WorkerErrorData(message.source, message.error)
        self.engine.hooks.post("on_worker_failed", data, system=True)

    def _activate(self, args: dict[str, Any] | None) -> None:
        self.life.activate(args)
        self.engine.hooks.post("on_activated", args)


#: Exactly these classes; a user's subclass of one is a user's message.
_LIFE_MESSAGES: dict[type[BusMessage], Callable[[LifeCycle, Any], None]] = {
    BusActivateWorkerMessage: LifeCycle._receive_activate,
    BusDeactivateWorkerMessage: LifeCycle._receive_deactivate,
    BusEndWorkerMessage: LifeCycle._receive_end,
    BusCancelWorkerMessage: LifeCycle._receive_cancel,
    BusWorkerLocalErrorMessage: LifeCycle._receive_child_error,
}

#: Those that also come as broadcasts.
LIFE_BROADCASTS: tuple[type[BusMessage], ...] = (
    BusActivateWorkerMessage,
    BusDeactivateWorkerMessage,
    BusEndWorkerMessage,
    BusCancelWorkerMessage,
)
