"""`BaseWorker`: a named participant on a bus, with a life cycle."""

import itertools
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar

import trio
from trio.lowlevel import enable_ki_protection

from ..bus import (
    BusAddWorkerMessage,
    BusJobRequestMessage,
    BusMessage,
    Hook,
    WorkerBus,
)
from ..errors import DuplicateWorkerError, NotAttachedError
from ..jobs import (
    Intake,
    JobGroup,
    JobHandler,
    Requester,
    Responder,
    check_count,
    check_name,
    collect_handlers,
    resolve_payload_type,
)
from ._attaching import attach_all, check_all
from ._background import BackgroundRequesting
from ._engine import JOB_MESSAGES, Engine
from ._events import EventHandler, EventHandlers, EventSource
from ._faces import HookFace, RespondingFace
from ._hooks import HOOK_NAMES
from ._life import Life, LifeState
from ._life_cycle import LIFE_BROADCASTS, LifeCycle, Living
from ._messaging import Messaging
from ._ready import collect_ready_handlers
from ._registry import WorkerRegistry
from ._statistics import WorkerStatistics
from ._types import WorkerParams

_numbers = itertools.count()


class BaseWorker(HookFace, Living, RespondingFace, BackgroundRequesting, Messaging, EventSource):
    """A named participant on a bus, that does jobs and asks for them.

    Subclass it: give it `@job` handlers, override hooks. Add it to a
    `WorkerRunner`, which attaches and runs it. A worker runs once.

    Jobs run as Trio tasks in `nursery`, each in a copy of the worker's own
    context. When the worker stops, they have stopped.

    Args:
      name: Unique on the bus; made up if None.
      active: Whether it is activated when it starts.
      max_jobs: How many handlers may run at once, >= 1, or None for any number.
        Further jobs wait, in order of arrival, and are active, too. A job that
        could only wait for its own ancestors fails at once.

    Raises:
      TypeError, ValueError: The name isn't a non-empty str, ``max_jobs`` isn't an
        integer >= 1, or a handler's payload type isn't an attrs class.
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

    def __init__(
        self, name: str | None = None, *, active: bool = True, max_jobs: int | None = None
    ) -> None:
        if name is not None:
            check_name(name, "a worker name")
        if max_jobs is not None:
            check_count(max_jobs, "max_jobs")
        for handler in self._job_handlers.values():
            resolve_payload_type(handler)
        self._name = name or f"{type(self).__name__}#{next(_numbers)}"
        self._has_own_name = name is not None
        self._max_jobs = max_jobs
        self._life = Life(self._name, active)
        self._children: list[BaseWorker] = []
        self._events = EventHandlers(HOOK_NAMES)
        self._cycle: LifeCycle | None = None

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
        return self._engine.bus

    @property
    def registry(self) -> WorkerRegistry:
        """The registry that it shares with its runner.

        Raises:
          NotAttachedError: A RuntimeError: it isn't attached yet.
        """
        return self._engine.registry

    @property
    def nursery(self) -> trio.Nursery:
        """The worker's own nursery, also for background work of yours.

        What runs there is cancelled once the worker has finished its jobs.

        Raises:
          NotAttachedError: The worker does not run yet.
          StoppedError: It has stopped.
        """
        nursery = self._responder().nursery
        self._life.check_open()
        return nursery

    async def wait_running(self) -> trio.Nursery:
        """Wait until the worker runs; return its `nursery`. Always a checkpoint.

        Raises:
          StoppedError: It has stopped.
        """
        await self._life.wait_while(LifeState.ATTACHED)
        return self.nursery

    @property
    def children(self) -> list["BaseWorker"]:
        """The workers that it has added and that have not ended."""
        return list(self._children)

    @property
    def bridged(self) -> bool:
        """Whether it exchanges pipeline frames over the bus. Subclasses override it."""
        return False

    @property
    def active_jobs(self) -> dict[str, BusJobRequestMessage]:
        """The jobs it works on and has not answered, by job id."""
        responder = self._cycle.engine.responder if self._cycle is not None else None
        return responder.jobs if responder is not None else {}

    @property
    def job_groups(self) -> dict[str, JobGroup]:
        """The jobs and job groups it has requested and that have not ended, by job id."""
        return dict(self._cycle.engine.requester.groups) if self._cycle is not None else {}

    def statistics(self) -> WorkerStatistics:
        """Return a snapshot."""
        return self._engine.statistics()

    # Life

    @enable_ki_protection
    async def attach(self, *, registry: WorkerRegistry, bus: WorkerBus) -> None:
        """Connect to a runner's registry and bus. Always a checkpoint.

        From now on messages are kept for it, until it runs. Runners do this.

        Raises:
          DuplicateWorkerError: The bus has another worker of that name.
          RuntimeError: It is attached already.
        """
        await trio.lowlevel.checkpoint()
        self._life.check_new()
        async with bus.claiming(self._name):
            self._attach_nowait(registry, bus)

    @enable_ki_protection
    def _attach_nowait(self, registry: WorkerRegistry, bus: WorkerBus) -> None:
        self._life.attach()
        engine = Engine(self, self._name, bus, registry, self._overridden_hooks, self._events)
        self._cycle = LifeCycle(self, self._life, engine, self._children)
        try:
            engine.join(self)
        except DuplicateWorkerError:
            self._cycle = None
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
        await self._attached.run(params, self._job_handlers)

    async def start(self) -> None:
        """Announce the worker as ready, and activate it if it starts active.

        Called by `run`. An override calls ``super().start()`` when it is ready.
        """
        await self._attached.start(
            {name: getattr(self, method) for name, method in self._ready_handlers.items()}
        )

    async def cleanup(self) -> None:
        """Hook: release resources. Called once after the worker's tasks have ended.

        It is shielded, for at most 5 seconds.
        """

    # Other workers

    @enable_ki_protection
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
        engine = self._engine
        await trio.lowlevel.checkpoint()
        self._life.check_open()
        self._responder()  # raises if it does not run yet
        async with self._claiming(workers):
            self._add_nowait(workers)
        if watch:
            for worker in workers:
                engine.watch(worker.name)

    def _claiming(self, workers: Sequence["BaseWorker"]) -> AbstractAsyncContextManager[None]:
        """Have the names of ``workers`` claimed for a block that adds them."""
        bus = self._engine.bus
        return bus.claiming(*check_all(workers, bus))

    @enable_ki_protection
    def _add_nowait(self, workers: Sequence["BaseWorker"]) -> None:
        """Attach ``workers`` as children, all or none, and ask the runner to run them."""
        engine = self._engine
        self._life.check_open()  # while their names were claimed, it may have stopped
        attach_all(workers, engine.registry, engine.bus, parent=self._name)
        self._children.extend(workers)
        for worker in workers:
            # Not `send`: cancelled half-way, some would be attached and never run.
            engine.bus.post(
                BusAddWorkerMessage(worker, source=self._name, target=engine.registry.runner_name)
            )

    async def watch_workers(self, *worker_names: str) -> None:
        """Call `on_worker_ready` whenever one of these gets ready; at once if it is."""
        for name in worker_names:
            check_name(name, "a worker name")
        engine = self._engine
        await trio.lowlevel.checkpoint()
        for name in worker_names:
            engine.watch(name)

    async def send_bus_message(self, message: BusMessage) -> None:
        """Send any message; see `WorkerBus.send`."""
        await self._engine.bus.send(message)

    # Events

    def add_event_handler(self, event: str, handler: EventHandler) -> None:
        """Call ``handler`` as `event_handler` says."""
        self._events.add(event, handler)
        if self._cycle is not None:
            self._cycle.use_event(event)

    # For the bus

    @property
    def interests(self) -> tuple[type[BusMessage], ...]:
        """Broadcasts about its own life; all others only if `on_bus_message` is used."""
        if self._cycle is not None and self._cycle.engine.hooks.wants("on_bus_message"):
            return (BusMessage,)
        return LIFE_BROADCASTS

    def on_delivery(self, message: BusMessage) -> Hook | None:
        """Do the book-keeping for a message; see `BusSubscriber.on_delivery`."""
        cycle = self._cycle or self._attached  # a property would be a further call
        for_job = JOB_MESSAGES.get(type(message))
        if for_job is not None:
            return for_job(cycle.engine, message)
        return cycle.receive(message)

    def on_unsubscribed(self) -> None:
        """Stop: nobody could cancel its jobs any more, and it hears no outcomes."""
        if self._life.is_running:
            self._attached.cancel("was unsubscribed")
            self._engine.requester.abandon(f"worker {self._name!r} was unsubscribed")

    # Behind the scenes

    @property
    def _attached(self) -> LifeCycle:
        if self._cycle is None:
            raise NotAttachedError(
                f"worker {self._name!r} is not attached to a bus",
                "add it to a WorkerRunner first",
            )
        return self._cycle

    @property
    def _engine(self) -> Engine:
        return self._attached.engine

    def _requester(self) -> Requester:
        requester = self._engine.requester
        self._life.check_open()
        return requester

    def _responder(self) -> Intake:
        cycle = self._cycle
        if cycle is None or cycle.engine.responder is None:
            raise NotAttachedError(
                f"worker {self._name!r} does not run yet",
                "add it to a WorkerRunner, and wait until it is ready",
            )
        return cycle.engine.responder

    def _make_responder(self, **parts: Any) -> Intake:
        """Return the responder's half, of `Engine.begin`'s ``parts``."""
        return Responder(**parts, max_jobs=self._max_jobs)

    def _names(self) -> tuple[str, ...]:
        return (self._name,)

    def _be_called(self, name: str) -> None:
        """Take ``name`` in place of one that was made up. Before anybody adds it."""
        self._name = self._life.name = name
        self._has_own_name = True

    # For the runner

    def begin_ending(self) -> None:
        """Refuse new jobs from now on, but for those of running handlers; children too."""
        if self._cycle is not None:
            self._cycle.engine.begin_ending()
        for child in self._children:
            child.begin_ending()

    async def wait_idle(self) -> None:
        """Wait until no job, group or hook is in flight. Always a checkpoint."""
        await self._engine.wait_idle()

    @property
    def is_idle(self) -> bool:
        """Whether no job, group or hook is in flight."""
        return self._cycle is None or self._cycle.engine.is_idle

    def forget_child(self, child: "BaseWorker") -> None:
        """Note that a child has ended."""
        if child in self._children:
            self._children.remove(child)

    def abandon(self) -> None:
        """Leave the bus if the worker was attached but never ran."""
        if self._cycle is not None:
            self._cycle.abandon()
