"""What an attached worker is made of: lanes, hooks, and its two halves."""

from collections.abc import Awaitable, Callable
from contextvars import copy_context
from functools import partial
from typing import Any

import trio
from trio.lowlevel import disable_ki_protection, enable_ki_protection

from ..bus import (
    BusJobCancelMessage,
    BusJobCreditMessage,
    BusJobRequestMessage,
    BusJobResponseMessage,
    BusMessage,
    BusSubscriber,
    Hook,
    JobFailure,
    JobStatus,
    Lanes,
    WorkerBus,
)
from ..errors import LaneFull
from ..jobs import REQUESTER_MESSAGES, Intake, JobHandler, Requester, current_job
from ._events import EventHandlers
from ._hooks import WorkerHooks
from ._registry import ReadyHandler, WorkerRegistry
from ._statistics import WorkerStatistics
from ._types import WorkerReadyData


def _raise(error: Exception) -> None:
    raise error


@disable_ki_protection
async def _handle_request(worker: Any, message: BusJobRequestMessage) -> object:
    return await worker._engine.hooks.run("on_job_request", message)


#: Serves the jobs that no `@job` handler is for.
_FALLBACK = JobHandler(None, _handle_request)


class Engine:
    """The working parts of an attached worker.

    Before `begin`, messages for the responder's half are kept; the
    requester's half works from the start.

    Attributes:
      make_responder: Makes the responder's half when the worker begins, instead of
        the worker itself; takes the arguments of `Responder`.
      responder: The responder's half; None before `begin`.
    """

    __slots__ = (
        "_early",
        "_watched",
        "bus",
        "hooks",
        "lanes",
        "make_responder",
        "registry",
        "requester",
        "responder",
    )

    def __init__(
        self,
        worker: BusSubscriber,
        name: str,
        bus: WorkerBus,
        registry: WorkerRegistry,
        overridden: frozenset[str],
        handlers: EventHandlers,
    ) -> None:
        self.bus = bus
        self.registry = registry
        self.lanes = Lanes(bus.lane_capacity, _raise)
        self.hooks = WorkerHooks(worker, overridden, handlers, self.lanes, self._event_done)
        self.requester = Requester(name, bus, registry, self.hooks)
        self.make_responder: Callable[..., Intake] | None = None
        self.responder: Intake | None = None
        self._early: list[BusMessage] | None = None
        self._watched: dict[tuple[str, ReadyHandler], None] | None = None

    # Watching other workers

    def watch(self, name: str) -> None:
        """Run `on_worker_ready` whenever worker ``name`` gets ready."""
        self._watch(name, self._worker_ready)

    def watch_with(self, name: str, method: Callable[[WorkerReadyData], Awaitable[object]]) -> None:
        """Run ``method`` whenever worker ``name`` gets ready."""
        self._watch(name, partial(self.hooks.post_call, method))

    def _watch(self, name: str, handler: ReadyHandler) -> None:
        self._watched = self._watched or {}
        self._watched[name, handler] = None
        self.registry.watch(name, handler)

    def watch_roots(self) -> None:
        """Run `on_worker_ready` for local root workers, if anything would run."""
        if self.hooks.wants("on_worker_ready"):
            self.registry.watch_roots(self._worker_ready)

    def _worker_ready(self, data: WorkerReadyData) -> None:
        if data.worker_name != self.requester.name:
            self.hooks.post("on_worker_ready", data)

    # Life

    def _event_done(self, message: object) -> None:
        self.requester.hook_done(message)  # type: ignore[arg-type]

    def join(self, subscriber: BusSubscriber) -> None:
        """Enter bus and registry, until `release`.

        Raises:
          DuplicateWorkerError: The bus has another subscriber of that name.
        """
        self.bus.subscribe_nowait(subscriber, lanes=self.lanes)
        self.registry.watch_departures(self.remote_workers_departed, self.remote_workers_fading)

    def begin(
        self,
        worker: object,
        make_responder: Callable[..., Intake],
        handlers: dict[str, JobHandler],
        nursery: trio.Nursery,
    ) -> None:
        """Make the responder's half; hooks and handlers run in ``nursery`` from now on."""
        context = copy_context()
        if current_job.get() is not None:  # a handler has added the worker
            context.run(current_job.set, None)
        self.responder = (self.make_responder or make_responder)(
            name=self.requester.name,
            bus=self.bus,
            nursery=nursery,
            worker=worker,
            hooks=self.hooks,
            handlers=handlers,
            fallback=_FALLBACK,
            context=context,
        )
        self.lanes.start(nursery, context)

    def keep(self, message: BusMessage) -> None:
        """Keep a message that came before `begin`.

        Raises:
          LaneFull: There are as many as a lane would hold.
        """
        self._early = self._early or []
        if len(self._early) >= self.bus.lane_capacity:
            raise LaneFull((self.requester.name,))
        self._early.append(message)

    def take_early(self) -> list[BusMessage]:
        """Return what was kept, in order, and keep it no longer."""
        early, self._early = self._early or [], None
        return early

    def begin_ending(self) -> None:
        """Refuse new jobs, but for those of running handlers; wait for no worker."""
        if self.responder is not None:
            self.responder.ending = True
        self.requester.stop_waiting()

    def close(self, status: JobStatus, why: str) -> None:
        """From now on answer all requests, and interrupted jobs, with ``status``."""
        self.lanes.stop()  # their nursery takes no new Trio task once it has closed
        if self.responder is not None:
            self.responder.close(status, why)

    async def leave_groups(self, reason: str) -> None:
        """Fail the groups that others' Trio tasks have opened, and wait for them."""
        self.requester.stop(reason)
        await self.requester.wait_idle()

    @enable_ki_protection
    def release(self, subscriber: BusSubscriber) -> None:
        """Leave bus and registry, and leave nobody waiting."""
        self.close(JobStatus.LOST, "has left")
        self.lanes.close()
        self.requester.stop(f"worker {self.requester.name!r} has stopped")
        self.requester.settle_all(JobStatus.LOST, "RequesterLost", "its requester has stopped")
        for name, handler in self._watched or ():
            self.registry.unwatch(name, handler)
        self._watched = None
        self.registry.unwatch_roots(self._worker_ready)
        self.registry.unwatch_departures(self.remote_workers_departed)
        self.registry.unregister(self.requester.name, self.registry.runner_name)
        self.bus.unsubscribe_nowait(subscriber)
        for message in self.take_early():
            if isinstance(message, BusJobRequestMessage | BusJobCancelMessage):
                self._answer_lost(message)

    def _answer_lost(self, message: BusJobRequestMessage | BusJobCancelMessage) -> None:
        name = self.requester.name
        why = JobFailure("WorkerLost", f"worker {name!r} left before it started")
        self.bus.post(
            BusJobResponseMessage(
                message.job_id, JobStatus.LOST, error=why, source=name, target=message.source
            )
        )

    def remote_workers_departed(self, names: tuple[str, ...]) -> None:
        """End what depends on workers of other runners that have gone."""
        self.requester.workers_departed(names)
        self.remote_workers_fading(names)

    def remote_workers_fading(self, names: tuple[str, ...]) -> None:
        """Cancel what workers of other runners have asked for, of whom nothing is heard."""
        gone = frozenset(names)
        if self.responder is not None:
            self.responder.requesters_departed(gone)
        elif self._early:
            early = self._early
            self._early = [message for message in early if message.source not in gone]
            for message in early:
                if message.source in gone and isinstance(message, BusJobRequestMessage):
                    self._answer_lost(message)

    async def wait_idle(self) -> None:
        """Wait until no job, group or hook is in flight. Always a checkpoint."""
        while True:
            if self.responder is not None:
                await self.responder.wait_idle()
            await self.requester.wait_idle()
            await self.lanes.wait_idle()
            if self.is_idle:
                return

    @property
    def is_idle(self) -> bool:
        """Whether no job, group or hook is in flight."""
        jobs = self.responder.job_count if self.responder is not None else 0
        return not jobs and not self.requester.groups and self.lanes.is_idle

    def statistics(self) -> WorkerStatistics:
        """Return a snapshot."""
        responder, requester = self.responder, self.requester
        return WorkerStatistics(
            active_jobs=responder.job_count if responder else 0,
            waiting_jobs=responder.waiting if responder else 0,
            job_groups=len(requester.groups),
            detached_groups=requester.detached,
            waiting_for=dict(requester.waiting),
            early_cancels=responder.early_cancels if responder else 0,
            early_messages=len(self._early or ()),
            lanes=self.lanes.statistics(),
            late_messages=requester.late,
            duplicate_requests=responder.duplicates if responder else 0,
            discarded_events=requester.discarded,
            hook_errors=self.hooks.errors,
        )


# What is done at delivery, by message class. The requester's half posts its
# hooks itself, since what was held back or came too late has none (yet).


def _to_requester(receive: Callable[[Requester, Any], None]) -> Callable[[Engine, Any], None]:
    def deliver(engine: Engine, message: Any) -> None:
        receive(engine.requester, message)

    return deliver


def _to_responder_request(engine: Engine, message: Any) -> Hook | None:
    if engine.responder is None:
        engine.keep(message)
        return None
    engine.responder.request(message)
    return engine.hooks.hook_for(message) if engine.hooks.used else None


def _to_responder_cancel(engine: Engine, message: Any) -> Hook | None:
    if engine.responder is None:
        engine.keep(message)
        return None
    engine.responder.cancel(message)
    return engine.hooks.hook_for(message)


def _to_responder_credit(engine: Engine, message: Any) -> Hook | None:
    if engine.responder is not None:
        engine.responder.credit(message)
    return None


#: Exactly these classes; a user's subclass of one is a user's message.
JOB_MESSAGES: dict[type[BusMessage], Callable[[Engine, Any], Hook | None]] = {
    BusJobRequestMessage: _to_responder_request,
    BusJobCancelMessage: _to_responder_cancel,
    BusJobCreditMessage: _to_responder_credit,
    **{cls: _to_requester(receive) for cls, receive in REQUESTER_MESSAGES.items()},
}
