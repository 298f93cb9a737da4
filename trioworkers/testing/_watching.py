"""Looks behind the faces of workers and runners, without changing what they do.

This and `_watching_groups` alone know their insides. Functions are shadowed on
the instance. Nothing here waits, so that schedules stay the same.
"""

from collections.abc import Awaitable, Callable, Iterable
from contextvars import Context
from typing import Any, Protocol

import attrs

from ..bus import BusJobCancelMessage, BusJobRequestMessage, BusMessage, BusSubscriber, Hook
from ..jobs import JobHandler, Responder
from ..workers import BaseWorker, WorkerRunner
from ..workers._engine import Engine
from ._watching_groups import GroupWatcher, watch_groups

#: Hooks that get a message, in a lane.
MESSAGE_HOOKS = (
    "on_job_response",
    "on_job_update",
    "on_job_update_requested",
    "on_job_stream_start",
    "on_job_stream_data",
    "on_job_stream_end",
    "on_bus_message",
)
#: What a worker that does not run yet keeps for later, of what matters here.
_KEPT = (BusJobRequestMessage, BusJobCancelMessage)


@attrs.define(eq=False)
class Watched:
    """A subscriber that is watched.

    Attributes:
      subscriber: Who it is.
      runner_name: Its runner, or None for one that is neither worker nor runner.
      engine: What a worker is made of, or None.
      crashed: Whether it has vanished.
      context: What its handlers start in; None before it runs.
      kept: What came before it ran.
      requests: How many requests have come.
    """

    subscriber: BusSubscriber
    runner_name: str | None = None
    engine: Engine | None = None
    crashed: bool = False
    context: Context | None = None
    kept: list[BusMessage] = attrs.field(factory=list)
    requests: int = 0
    _watches_hooks: bool = False

    @property
    def name(self) -> str:
        """Its name on the bus."""
        return self.subscriber.name

    def take_kept(self, message: BusMessage) -> bool:
        """Whether ``message`` was kept before it ran; not any more."""
        for index, kept in enumerate(self.kept):
            if kept is message:
                del self.kept[index]
                return True
        return False

    @property
    def is_current(self) -> bool:
        """Whether it has not been attached anew: a bus that refuses a worker detaches it."""
        subscriber = self.subscriber
        if not isinstance(subscriber, BaseWorker) or subscriber._cycle is None:
            return True
        return subscriber._cycle.engine is self.engine

    @property
    def is_waiting_to_run(self) -> bool:
        """Whether it is a worker that does not run yet."""
        return self.engine is not None and self.engine.responder is None

    @property
    def owes_nothing(self) -> bool:
        """Whether it need not answer: it is no worker, has crashed, or does not run yet."""
        return self.engine is None or self.crashed or self.is_waiting_to_run

    def knows(self, job_id: str) -> bool:
        """Whether a job runs or waits at it, as it says itself."""
        return any(request.job_id == job_id for request in requests_at(self.engine))

    def goes_on_with(self, job_id: str) -> bool:
        """Whether it works on a job as if nobody had cancelled it."""
        responder = self.engine.responder if self.engine is not None else None
        job = responder.active.get(job_id) if responder is not None else None
        return job is not None and not job.scope.cancel_called

    def wants(self, hook: str) -> bool:
        """Whether it is a worker for which anything would run for that hook."""
        return self.engine is not None and self.engine.hooks.wants(hook)

    def wants_message(self, kind: type[BusMessage]) -> bool:
        """Whether anything may run in a lane for a message of that class."""
        if self.engine is None:
            return not isinstance(self.subscriber, WorkerRunner)
        return self.engine.hooks.wants_message(kind)

    @property
    def is_in_lane(self) -> bool:
        """Whether the current Trio task runs its hooks, as far as that can be known."""
        return self.engine is None or self.engine.lanes.hosts_current_task()

    def is_sequential(self, job_name: str | None) -> bool:
        """Whether it does jobs of that name one at a time."""
        responder = self.engine.responder if self.engine is not None else None
        if not isinstance(responder, Responder) or job_name is None:
            return False
        handler = responder.handlers.get(job_name)
        return handler is not None and handler.sequential

    def queued(self) -> tuple[int, int]:
        """Return how many entries wait in its system lane and in its data lane."""
        if self.engine is None:
            return 0, 0
        lanes = self.engine.lanes.statistics()
        return lanes.system_queued, lanes.data_queued

    @property
    def jobs_in_flight(self) -> int:
        """How many jobs it does, and how many members of its groups are open."""
        engine = self.engine
        if engine is None:
            return 0
        served = len(engine.responder.active) if engine.responder is not None else 0
        asked = sum(len(group.open_members) for group in engine.requester.groups.values())
        return served + asked


class Watcher(GroupWatcher, Protocol):
    """Told what a `Watched` does, at the moment it does it. Must not raise."""

    def reached(self, worker: Watched, message: BusMessage) -> None:
        """A message has come to a subscriber, or was kept for a worker that will run."""

    def acting(self, worker: Watched, message: BusMessage) -> None:
        """Its book-keeping begins."""

    def acted(self, worker: Watched, message: BusMessage) -> None:
        """Its book-keeping has been done."""

    def begins(
        self, worker: Watched, handler: JobHandler, request: BusJobRequestMessage
    ) -> Callable[[BaseException | None], None]:
        """A handler function is about to be called; return what to call when it has ended."""

    def hook_begins(self, worker: Watched, message: BusMessage) -> None:
        """A hook is about to run for a message."""


# Subscribers


def watch(subscriber: BusSubscriber, watcher: Watcher) -> Watched:
    """Watch ``subscriber``, which is about to join a bus."""
    worker = Watched(subscriber)
    if isinstance(subscriber, BaseWorker) and subscriber._cycle is not None:
        engine = worker.engine = subscriber._cycle.engine
        worker.runner_name = engine.registry.runner_name
        watch_groups(engine.requester, worker, watcher)
        vars(subscriber)["_job_handlers"] = {
            name: _watch_handler(handler, worker, watcher)
            for name, handler in subscriber._job_handlers.items()
        }
    elif isinstance(subscriber, WorkerRunner):
        worker.runner_name = subscriber.name
        watch_groups(subscriber._asking, worker, watcher)
    _watch_deliveries(worker, watcher)
    return worker


def _watch_deliveries(worker: Watched, watcher: Watcher) -> None:
    deliver = worker.subscriber.on_delivery

    def on_delivery(message: BusMessage) -> Hook | None:
        if type(message) in _KEPT and worker.is_waiting_to_run:
            hook = deliver(message)
            worker.kept.append(message)
            watcher.reached(worker, message)
            return hook
        if not worker.take_kept(message):
            watcher.reached(worker, message)
        if worker.engine is not None:
            look_inside(worker, watcher)
        watcher.acting(worker, message)
        hook = deliver(message)
        watcher.acted(worker, message)
        return _watch_hook(hook, worker, watcher) if hook and worker.engine is None else hook

    vars(worker.subscriber)["on_delivery"] = on_delivery


def look_inside(worker: Watched, watcher: Watcher) -> None:
    """Watch what a worker has only once it runs, and hooks once any is used."""
    engine = worker.engine
    if engine is None:
        return
    responder = engine.responder
    if worker.context is None and isinstance(responder, Responder):
        worker.context = responder.context
        responder.fallback = _watch_handler(responder.fallback, worker, watcher)
    if engine.hooks.used and not worker._watches_hooks:
        worker._watches_hooks = True
        for name in MESSAGE_HOOKS:
            hook = getattr(worker.subscriber, name)
            vars(worker.subscriber)[name] = _watch_hook(hook, worker, watcher)


def _watch_hook(hook: Hook, worker: Watched, watcher: Watcher) -> Hook:
    async def watched_hook(message: BusMessage) -> object:
        watcher.hook_begins(worker, message)
        return await hook(message)

    return watched_hook


def _watch_handler(handler: JobHandler, worker: Watched, watcher: Watcher) -> JobHandler:
    function: Callable[..., Awaitable[object]] = handler.function

    async def watched_handler(this: object, request: BusJobRequestMessage, *payload: Any) -> object:
        ended = watcher.begins(worker, handler, request)
        try:
            result = await function(this, request, *payload)
        except BaseException as error:
            ended(error)
            raise
        ended(None)
        return result

    return attrs.evolve(handler, function=watched_handler)


# What is left


def requests_of(worker: BaseWorker) -> list[BusJobRequestMessage]:
    """Return the requests that a worker has not answered, also where the answer is fixed."""
    return requests_at(worker._cycle.engine if worker._cycle is not None else None)


def requests_at(engine: Engine | None) -> list[BusJobRequestMessage]:
    """Return the requests that a worker has not answered, also where the answer is fixed."""
    responder = engine.responder if engine is not None else None
    if responder is None:
        return []
    begun = {job_id: job.request for job_id, job in responder.active.items()}
    return list((responder.jobs | begun).values())


def own_watches(runner: WorkerRunner) -> list[str]:
    """Return whom trioworkers itself, and not its user, watches in the registry of ``runner``."""
    registry = runner.registry
    watches: dict[str, Iterable[object]] = {
        "all root workers": registry._root_watches,
        "departures": registry._departure_watches,
        **registry._watches,
    }
    return [
        name
        for name, handlers in watches.items()
        if any(_is_own(getattr(handler, "func", handler)) for handler in handlers)
    ]


def _is_own(handler: object) -> bool:
    return str(getattr(handler, "__module__", "")).startswith("trioworkers.workers")


def abandon_requests(subscriber: BusSubscriber, why: str) -> None:
    """Settle as LOST all that a worker or runner has asked for: it hears nothing any more."""
    if isinstance(subscriber, BaseWorker) and subscriber._cycle is not None:
        subscriber._cycle.engine.requester.abandon(why)
    elif isinstance(subscriber, WorkerRunner):
        subscriber._asking.abandon(why)
