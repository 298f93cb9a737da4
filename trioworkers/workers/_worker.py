"""`BaseWorker`: a named participant on a bus, with a life cycle."""

import itertools
import logging
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, TypeVar

import trio
from trio.lowlevel import disable_ki_protection, enable_ki_protection

from ..bus import (
    BusActivateWorkerMessage,
    BusAddWorkerMessage,
    BusCancelMessage,
    BusCancelWorkerMessage,
    BusDeactivateWorkerMessage,
    BusEndMessage,
    BusEndWorkerMessage,
    BusJobRequestMessage,
    BusMessage,
    BusSubscriber,
    BusWorkerDepartedMessage,
    BusWorkerErrorMessage,
    BusWorkerLocalErrorMessage,
    BusWorkerReadyMessage,
    Hook,
    JobStatus,
    WorkerBus,
    call_interruptible,
)
from ..errors import DuplicateWorkerError, NotAttachedError
from ..jobs import (
    JobGroup,
    JobHandler,
    Requester,
    Responder,
    check_name,
    collect_handlers,
    resolve_payload_type,
)
from ._background import BackgroundRequesting
from ._engine import JOB_MESSAGES, Engine, WorkerStatistics
from ._events import EventHandler, EventHandlers
from ._faces import HookFace, RespondingFace
from ._hooks import HOOK_NAMES
from ._life import Life, LifeState
from ._ready import collect_ready_handlers
from ._registry import WorkerRegistry
from ._types import WorkerActivationArgs, WorkerErrorData, WorkerParams, WorkerReadyData

H = TypeVar("H", bound=EventHandler)

logger = logging.getLogger("trioworkers.workers")

#: Seconds that a worker's clean-up may take.
CLEANUP_SECONDS = 5.0

_numbers = itertools.count()


class BaseWorker(HookFace, RespondingFace, BackgroundRequesting, BusSubscriber):
    """A named participant on a bus, that does jobs and asks for them.

    Subclass it: give it `@job` handlers, override hooks. Add it to a
    `WorkerRunner`, which attaches and runs it. A worker runs once.

    Jobs run as Trio tasks in `nursery`, each in a copy of the worker's own
    context. When the worker stops, they have stopped.

    Args:
      name: Unique on the bus; made up if None.
      active: Whether it is activated when it starts.

    Raises:
      TypeError, ValueError: The name isn't a non-empty str, or a handler's
        payload type isn't an attrs class.
    """

    _job_handlers: ClassVar[dict[str, JobHandler]] = {}
    _ready_handlers: ClassVar[dict[str, str]] = {}
    _overridden_hooks: ClassVar[frozenset[str]] = frozenset()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Collect the handlers of a subclass; two for one name are refused."""
        super().__init_subclass__(**kwargs)
        cls._job_handlers = collect_handlers(cls)
        cls._ready_handlers = collect_ready_handlers(cls)
        cls._overridden_hooks = frozenset(
            name for name in HOOK_NAMES if getattr(cls, name) is not getattr(HookFace, name)
        )

    def __init__(self, name: str | None = None, *, active: bool = True) -> None:
        if name is not None:
            check_name(name, "a worker name")
        for handler in self._job_handlers.values():
            resolve_payload_type(handler)
        self._name = name or f"{type(self).__name__}#{next(_numbers)}"
        self._starts_active = active
        self._active = False
        self._activation_args: dict[str, Any] | None = None
        self._parent: str | None = None
        self._children: list[BaseWorker] = []
        self._started_at: float | None = None
        self._events = EventHandlers(HOOK_NAMES)
        self._life = Life()
        self._engine: Engine | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._name!r}, {self._life.state}>"

    # Who it is

    @property
    def name(self) -> str:
        """Its unique name on the bus."""
        return self._name

    @property
    def bus(self) -> WorkerBus:
        """The bus that it is attached to.

        Raises:
          NotAttachedError: A RuntimeError: it isn't yet.
        """
        return self._attached.bus

    @property
    def registry(self) -> WorkerRegistry:
        """The registry that it shares with its runner.

        Raises:
          NotAttachedError: A RuntimeError: it isn't attached yet.
        """
        return self._attached.registry

    @property
    def nursery(self) -> trio.Nursery:
        """The worker's own nursery, also for background work of yours.

        What runs there is cancelled once the worker has finished its jobs.

        Raises:
          NotAttachedError: The worker does not run yet.
          StoppedError: It has stopped.
        """
        nursery = self._responder().nursery
        self._life.check_open(self._name)
        return nursery

    async def wait_running(self) -> trio.Nursery:
        """Wait until the worker runs; return its `nursery`. Always a checkpoint.

        Raises:
          StoppedError: It has stopped.
        """
        await trio.lowlevel.checkpoint()
        if self._life.state is LifeState.ATTACHED:
            await self._life.begun.wait()
        return self.nursery

    @property
    def active(self) -> bool:
        """Whether it is active now."""
        return self._active

    @property
    def activation_args(self) -> dict[str, Any] | None:
        """What it was last activated with, or None while it is inactive."""
        return self._activation_args

    @property
    def parent(self) -> str | None:
        """The name of its parent, or None for a root worker."""
        return self._parent

    @property
    def children(self) -> list["BaseWorker"]:
        """The workers that it has added and that have not ended."""
        return list(self._children)

    @property
    def started_at(self) -> float | None:
        """Unix time in seconds when it became ready, or None."""
        return self._started_at

    @property
    def bridged(self) -> bool:
        """Whether it exchanges pipeline frames over the bus. Subclasses override it."""
        return False

    @property
    def active_jobs(self) -> dict[str, BusJobRequestMessage]:
        """The jobs it works on and has not answered, by job id."""
        responder = self._engine.responder if self._engine is not None else None
        if responder is None:
            return {}
        return {i: job.request for i, job in responder.active.items() if job.answer is None}

    @property
    def job_groups(self) -> dict[str, JobGroup]:
        """The jobs and job groups it has requested and that have not ended, by job id."""
        return dict(self._engine.requester.groups) if self._engine is not None else {}

    def statistics(self) -> WorkerStatistics:
        """Return a snapshot."""
        return self._attached.statistics()

    # Life

    async def attach(self, *, registry: WorkerRegistry, bus: WorkerBus) -> None:
        """Connect to a runner's registry and bus. Always a checkpoint.

        From now on messages are kept for it, until it runs. Runners do this.

        Raises:
          DuplicateWorkerError: The bus has another worker of that name.
          RuntimeError: It is attached already.
        """
        await trio.lowlevel.checkpoint()
        self._attach_nowait(registry, bus)

    @enable_ki_protection
    def _attach_nowait(self, registry: WorkerRegistry, bus: WorkerBus) -> None:
        self._life.attach(self._name)
        engine = Engine(self, self._name, bus, registry, self._overridden_hooks, self._events)
        self._engine = engine
        try:
            bus.subscribe_nowait(self, lanes=engine.lanes)
        except DuplicateWorkerError:
            self._engine = None
            self._life.detach()
            raise

    @enable_ki_protection
    async def run(self, params: WorkerParams) -> None:
        """Run until `stop`, `end` or cancellation. Subclasses with a runtime override it.

        When it returns or raises, all its Trio tasks have ended, and it has
        left the bus and the registry.

        Raises:
          StoppedError: It was run before.
          ExceptionGroup: What crashed it.
        """
        engine = self._attached
        self._life.begin(self._name)
        try:
            async with trio.open_nursery() as nursery:
                try:
                    self._begin(engine, nursery, params)
                    await call_interruptible(self.start)
                    await self._life.stop_requested.wait()
                except BaseException:
                    engine.close(JobStatus.LOST, "crashed")
                    raise
                finally:
                    engine.lanes.close()  # before the nursery refuses new Trio tasks
                engine.close(JobStatus.CANCELLED, "has stopped")
                nursery.cancel_scope.cancel()
        except BaseException as crash:
            try:
                await self._finish(engine)
            except Exception as error:  # noqa: BLE001 - raised in the group
                raise BaseExceptionGroup(
                    f"worker {self._name!r} crashed, and its clean-up failed", [crash, error]
                ) from None
            raise
        else:
            await self._finish(engine)

    async def start(self) -> None:
        """Announce the worker as ready, and activate it if it starts active.

        Called by `run`. An override calls ``super().start()`` when it is ready.
        """
        engine = self._attached
        self._started_at = engine.bus.clock()
        engine.watch_roots()
        for worker_name, method in self._ready_handlers.items():
            engine.watch_with(worker_name, getattr(self, method))
        if self._starts_active:
            self._set_active(None)
        data = WorkerReadyData(
            self._name,
            engine.registry.runner_name,
            self._parent,
            self._active,
            self.bridged,
            self._started_at,
        )
        engine.registry.register(data)
        await engine.bus.send(
            BusWorkerReadyMessage(
                data.runner,
                data.parent,
                data.active,
                data.bridged,
                data.started_at,
                source=self._name,
            )
        )

    async def stop(self) -> None:
        """Stop now: cancel its jobs and the groups it has requested.

        Requesters are told CANCELLED. Returns when it has stopped; called from
        one of its own Trio tasks it only asks for it.
        """
        self._life.stop_requested.set()
        await trio.lowlevel.checkpoint()
        if self._life.state is LifeState.RUNNING and not self._life.hosts_current_task():
            await self._life.finished.wait()

    async def wait(self) -> None:
        """Wait until it has stopped. Always a checkpoint.

        Raises:
          RuntimeError: The caller is one of its own Trio tasks.
        """
        if self._life.hosts_current_task():
            raise RuntimeError(
                f"worker {self._name!r} can't wait for its own end in one of its own tasks"
            )
        await self._life.finished.wait()

    async def cleanup(self) -> None:
        """Hook: release resources. Called once after the worker's tasks have ended.

        It is shielded, for at most 5 seconds.
        """

    async def end(self, *, reason: str | None = None) -> None:
        """Ask the runner to end the session: all its workers finish, then leave."""
        await self.send_bus_message(BusEndMessage(reason, source=self._name))

    async def cancel(self, *, reason: str | None = None) -> None:
        """Ask the runner to cancel the session: all its workers stop now."""
        await self.send_bus_message(BusCancelMessage(reason, source=self._name))

    # Other workers

    async def add_workers(self, *workers: "BaseWorker", watch: bool = True) -> None:
        """Run ``workers`` as children: they end with this one.

        Args:
          workers: Workers that nobody has added yet.
          watch: Whether `on_worker_ready` is called for each.

        Raises:
          DuplicateWorkerError: A name is taken, or there twice; none was added.
          RuntimeError: A worker was added elsewhere, or this one does not run;
            none was added.
        """
        engine = self._attached
        await trio.lowlevel.checkpoint()
        self._life.check_open(self._name)
        self._responder()  # raises if it does not run yet
        attach_all(workers, engine.registry, engine.bus, parent=self._name)
        for worker in workers:
            self._children.append(worker)
            if watch:
                engine.watch(worker.name)
        for worker in workers:
            # Not `send`: cancelled half-way, some would be attached and never run.
            engine.bus.post(
                BusAddWorkerMessage(worker, source=self._name, target=engine.registry.runner_name)
            )

    async def watch_workers(self, *worker_names: str) -> None:
        """Call `on_worker_ready` whenever one of these gets ready; at once if it is."""
        for name in worker_names:
            check_name(name, "a worker name")
        engine = self._attached
        await trio.lowlevel.checkpoint()
        for name in worker_names:
            engine.watch(name)

    async def activate_worker(
        self,
        worker_name: str,
        *,
        args: WorkerActivationArgs | None = None,
        deactivate_self: bool = False,
    ) -> None:
        """Activate a worker; its `on_activated` gets ``args`` as a dict.

        Args:
          worker_name: Whom to activate.
          args: What to tell it.
          deactivate_self: Whether this worker is deactivated first, so that
            the two are never active at once.
        """
        check_name(worker_name, "a worker name")
        if deactivate_self:
            await self.deactivate_worker(self._name)
        data = args.to_dict() if args is not None else None
        await self.send_bus_message(
            BusActivateWorkerMessage(data, source=self._name, target=worker_name)
        )

    async def deactivate_worker(self, worker_name: str) -> None:
        """Deactivate a worker; its `on_deactivated` is called."""
        check_name(worker_name, "a worker name")
        await self.send_bus_message(
            BusDeactivateWorkerMessage(source=self._name, target=worker_name)
        )

    async def send_bus_message(self, message: BusMessage) -> None:
        """Send any message; see `WorkerBus.send`."""
        await self._attached.bus.send(message)

    async def send_bus_error_message(self, error: str) -> None:
        """Report an error: a child to its parent, a root worker to everyone."""
        if not isinstance(error, str):
            raise TypeError(f"error must be a str, not {error!r}")
        await self.send_bus_message(self.error_message(error))

    # Events

    def event_handler(self, event: str) -> Callable[[H], H]:
        """Decorate a function to be called with the worker and what the hook gets.

        It may be sync or async. Handlers run after the hook, in the order added.

        Raises:
          ValueError: There is no such event.
        """

        def add(handler: H) -> H:
            self.add_event_handler(event, handler)
            return handler

        return add

    def add_event_handler(self, event: str, handler: EventHandler) -> None:
        """Call ``handler`` as `event_handler` says."""
        self._events.add(event, handler)
        engine = self._engine
        if engine is not None:
            engine.hooks.use(event)
            if self._life.state is LifeState.RUNNING:
                engine.watch_roots()
            if event == "on_bus_message" and self._life.state is not LifeState.STOPPED:
                engine.bus.subscribe_nowait(self, lanes=engine.lanes)

    # For the bus

    @property
    def interests(self) -> tuple[type[BusMessage], ...]:
        """Broadcasts about its own life; all others only if `on_bus_message` is used."""
        if self._engine is not None and self._engine.hooks.wants("on_bus_message"):
            return (BusMessage,)
        return (
            BusActivateWorkerMessage,
            BusDeactivateWorkerMessage,
            BusEndWorkerMessage,
            BusCancelWorkerMessage,
        )

    def on_delivery(self, message: BusMessage) -> Hook | None:
        """Do the book-keeping for a message; see `BusSubscriber.on_delivery`."""
        engine = self._attached
        for_job = JOB_MESSAGES.get(type(message))
        if for_job is not None:
            return for_job(engine, message)
        for_life = _LIFE_MESSAGES.get(type(message))
        if for_life is not None:
            if engine.responder is None and self._life.state is not LifeState.RUNNING:
                engine.keep(message)
                return None
            for_life(self, message)
        return engine.hooks.hook_for(message)

    def on_unsubscribed(self) -> None:
        """Stop: nobody could cancel its jobs any more."""
        if self._life.state is LifeState.RUNNING:
            self._attached.close(JobStatus.CANCELLED, "was unsubscribed")
            self._life.stop_requested.set()

    # Behind the scenes

    @property
    def _attached(self) -> Engine:
        if self._engine is None:
            raise NotAttachedError(
                f"worker {self._name!r} is not attached to a bus",
                "add it to a WorkerRunner first",
            )
        return self._engine

    def _requester(self) -> Requester:
        engine = self._attached
        self._life.check_open(self._name)
        return engine.requester

    def _responder(self) -> Responder:
        engine = self._engine
        if engine is None or engine.responder is None:
            raise NotAttachedError(
                f"worker {self._name!r} does not run yet",
                "add it to a WorkerRunner, and wait until it is ready",
            )
        return engine.responder

    # For the runner

    def error_message(self, error: str) -> BusMessage:
        """Return the message that reports ``error`` to whom it concerns."""
        if self._parent is None:
            return BusWorkerErrorMessage(error, source=self._name)
        return BusWorkerLocalErrorMessage(error, source=self._name, target=self._parent)

    def begin_ending(self) -> None:
        """Refuse new jobs from now on, but for those of running handlers."""
        if self._engine is not None:
            self._engine.begin_ending()

    async def wait_idle(self) -> None:
        """Wait until no job, group or hook is in flight. Always a checkpoint."""
        await self._attached.wait_idle()

    @property
    def is_idle(self) -> bool:
        """Whether no job, group or hook is in flight."""
        return self._engine is None or self._engine.is_idle

    def forget_child(self, child: "BaseWorker") -> None:
        """Note that a child has ended."""
        if child in self._children:
            self._children.remove(child)

    def abandon(self) -> None:
        """Leave the bus if the worker was attached but never ran."""
        if self._engine is not None and self._life.state is LifeState.ATTACHED:
            self._release(self._engine)

    # Behind the scenes

    @enable_ki_protection
    def _begin(self, engine: Engine, nursery: trio.Nursery, params: WorkerParams) -> None:
        engine.hooks.on_error = params.on_error
        fallback = JobHandler(None, _handle_request)
        engine.begin(self, self._job_handlers, fallback, nursery)
        self._life.begun.set()
        early, engine.early = engine.early, []
        for message in early:
            hook = self.on_delivery(message)
            if hook is not None:
                engine.lanes.put(hook, message, system=message.is_system)

    async def _finish(self, engine: Engine) -> None:
        """Leave the bus and the registry, whatever happens. Bounded in time."""
        try:
            with trio.move_on_after(CLEANUP_SECONDS, shield=True) as scope:
                await engine.leave_groups(f"worker {self._name!r} has stopped")
                await call_interruptible(self.cleanup)
            if scope.cancelled_caught:
                logger.error("%r: clean-up took over %s s", self, CLEANUP_SECONDS)
        finally:
            self._release(engine)

    @enable_ki_protection
    def _release(self, engine: Engine) -> None:
        self._life.finish()
        self._active = False
        for child in self._children:
            engine.bus.post(
                BusCancelWorkerMessage(
                    "its parent has stopped", source=self._name, target=child.name
                )
            )
        engine.release(self)
        if self._started_at is not None:
            engine.bus.post(
                BusWorkerDepartedMessage(engine.registry.runner_name, source=self._name)
            )

    # Messages about its life: book-keeping at delivery

    def _receive_activate(self, message: BusActivateWorkerMessage) -> None:
        self._starts_active = False  # one that came before `start` counts instead
        self._set_active(message.args)

    def _receive_deactivate(self, _: BusDeactivateWorkerMessage) -> None:
        self._starts_active = False
        self._active = False
        self._activation_args = None
        self._attached.hooks.post("on_deactivated")

    def _set_active(self, args: dict[str, Any] | None) -> None:
        self._active = True
        self._activation_args = args
        self._attached.hooks.post("on_activated", args)

    def _receive_end(self, _: BusEndWorkerMessage) -> None:
        responder = self._attached.responder
        if responder is not None and responder.closed is None and not self._life.ending:
            self._life.ending = True
            self._attached.begin_ending()
            responder.nursery.start_soon(self._end)

    @enable_ki_protection
    async def _end(self) -> None:
        """Finish what was accepted, children first, then stop."""
        engine = self._attached
        children = list(self._children)
        for child in children:
            engine.bus.post(BusEndWorkerMessage(source=self._name, target=child.name))
        for child in children:
            await child.wait()
        await engine.wait_idle()
        await self.stop()

    def _receive_cancel(self, message: BusCancelWorkerMessage) -> None:
        reason = f"was cancelled: {message.reason}" if message.reason else "was cancelled"
        self._attached.close(JobStatus.CANCELLED, reason)
        self._life.stop_requested.set()

    def _receive_child_error(self, message: BusWorkerLocalErrorMessage) -> None:
        data = WorkerErrorData(message.source, message.error)
        self._attached.hooks.post("on_worker_failed", data, system=True)


@disable_ki_protection
async def _handle_request(worker: BaseWorker, message: BusJobRequestMessage) -> object:
    return await worker._attached.hooks.run("on_job_request", message)


_LIFE_MESSAGES: dict[type[BusMessage], Callable[[BaseWorker, Any], None]] = {
    BusActivateWorkerMessage: BaseWorker._receive_activate,
    BusDeactivateWorkerMessage: BaseWorker._receive_deactivate,
    BusEndWorkerMessage: BaseWorker._receive_end,
    BusCancelWorkerMessage: BaseWorker._receive_cancel,
    BusWorkerLocalErrorMessage: BaseWorker._receive_child_error,
}


def attach_all(
    workers: Iterable[BaseWorker],
    registry: WorkerRegistry,
    bus: WorkerBus,
    *,
    parent: str | None = None,
) -> None:
    """Attach all of ``workers``, or none."""
    workers = list(workers)
    seen: set[str] = set()
    for worker in workers:
        if not isinstance(worker, BaseWorker):
            raise TypeError(f"expected a BaseWorker, not {worker!r}")
        if worker.name in seen or worker.name in bus.names:
            raise DuplicateWorkerError(
                worker.name, "this call" if worker.name in seen else "the bus"
            )
        if worker._life.state is not LifeState.NEW:
            worker._life.attach(worker.name)  # raises, and says why
        seen.add(worker.name)
    for worker in workers:
        worker._parent = parent
        worker._attach_nowait(registry, bus)
