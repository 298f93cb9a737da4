"""Which workers are known, here and at other runners."""

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Set

import trio
from trio.lowlevel import enable_ki_protection

from ..bus import WorkerRegistryEntry
from ..errors import DuplicateWorkerError
from ._types import WorkerReadyData

logger = logging.getLogger("trioworkers.workers")

#: Lives of remote workers that are remembered to have ended.
MAX_ENDED = 1000

#: Called with a worker that is ready; must not wait.
ReadyHandler = Callable[[WorkerReadyData], None]
#: Called with the names of remote workers that have left; must not wait.
DepartureHandler = Callable[[tuple[str, ...]], None]


class WorkerRegistry:
    """The workers that are ready, on this runner and on others.

    Iterating gives their names. A runner owns one; its workers share it.

    Args:
      runner_name: Whose registry it is; decides what is local.
    """

    def __init__(self, runner_name: str) -> None:
        self.runner_name = runner_name
        self._ready: dict[str, WorkerReadyData] = {}
        self._names = self._ready.keys()  # each requester keeps it
        #: Lives of remote workers that have ended, the oldest first: name, runner, start.
        self._ended: OrderedDict[tuple[str, str, float], None] = OrderedDict()
        #: Remote workers whose names others have, which must have left: one per name.
        self._heirs: dict[str, WorkerReadyData] = {}
        self._watches: dict[str, dict[ReadyHandler, None]] = {}
        self._root_watches: dict[ReadyHandler, None] = {}
        #: What is called when they fade, by what is called when they have left.
        self._departure_watches: dict[DepartureHandler, DepartureHandler | None] = {}

    def __contains__(self, name: object) -> bool:
        return name in self._ready

    def __iter__(self) -> Iterator[str]:
        return iter(self._ready)

    def __len__(self) -> int:
        return len(self._ready)

    @property
    def names(self) -> Set[str]:
        """The names of all workers that are ready; a live view."""
        return self._names

    def get(self, name: str) -> WorkerReadyData | None:
        """Return what is known of a worker, or None."""
        return self._ready.get(name)

    @property
    def local_workers(self) -> tuple[str, ...]:
        """Names of the ready workers of this runner."""
        return tuple(n for n, d in self._ready.items() if d.runner == self.runner_name)

    @property
    def remote_workers(self) -> tuple[str, ...]:
        """Names of the ready workers of other runners."""
        return tuple(n for n, d in self._ready.items() if d.runner != self.runner_name)

    @property
    def remote_runners(self) -> tuple[str, ...]:
        """Names of the other runners that have ready workers."""
        return tuple({d.runner: None for d in self._ready.values() if d.runner != self.runner_name})

    @property
    def watch_count(self) -> int:
        """How many watches there are."""
        watches = sum(map(len, self._watches.values()))
        return watches + len(self._root_watches) + len(self._departure_watches)

    def snapshot(self) -> tuple[WorkerRegistryEntry, ...]:
        """Return the ready workers of this runner, as they go to other runners."""
        return tuple(
            WorkerRegistryEntry(d.worker_name, d.parent, d.active, d.bridged, d.started_at)
            for d in self._ready.values()
            if d.runner == self.runner_name
        )

    @enable_ki_protection
    def register(self, data: WorkerReadyData) -> bool:
        """Note that a worker is ready; return whether that is news.

        It is not if that life of the worker is known to have ended: news that are sent
        at different times, or by different senders, can overtake one another. So if
        two other runners have told of one name, the second one has it once the first
        one's worker has left. Watches of its name run before it returns.

        Raises:
          DuplicateWorkerError: This runner and another one have a worker of that name.
        """
        if (data.worker_name, data.runner, data.started_at) in self._ended:
            return False
        known = self._ready.get(data.worker_name)
        if known is not None and known.runner != data.runner:
            if self.runner_name not in (known.runner, data.runner):
                self._heirs[data.worker_name] = data
                return False
            raise DuplicateWorkerError(data.worker_name, f"runner {known.runner!r}")
        self._ready[data.worker_name] = data
        if known is not None:
            return False
        handlers = dict(self._watches.get(data.worker_name, {}))
        if data.parent is None and data.runner == self.runner_name:
            handlers.update(self._root_watches)
        for handler in handlers:
            _call(handler, data)
        return True

    @enable_ki_protection
    def unregister(
        self, name: str, runner: str | None = None, started_at: float | None = None
    ) -> None:
        """Forget a worker that has left; unknown names are ignored.

        Given ``runner``, so is a name that another runner has. Given ``started_at``,
        too, late news of that life are refused from now on.
        """
        if runner is not None and started_at is not None:
            self._ended[name, runner, started_at] = None
            if len(self._ended) > MAX_ENDED:
                self._ended.popitem(last=False)
        data = self._ready.get(name)
        if data is None or runner not in (None, data.runner):
            heir = self._heirs.get(name)
            if heir is not None and heir.runner == runner:
                del self._heirs[name]
            return
        del self._ready[name]
        if data.runner != self.runner_name:
            self._tell_departed((name,))
            self._inherit(name)

    @enable_ki_protection
    def unregister_runner(self, runner: str) -> tuple[str, ...]:
        """Forget all workers of another runner that has gone; return their names.

        Watches of departures are told of the runner, too: it asks for jobs itself.
        """
        gone = self._workers_of(runner)
        for name in gone:
            del self._ready[name]
        for name in [name for name, heir in self._heirs.items() if heir.runner == runner]:
            del self._heirs[name]
        if runner != self.runner_name:
            self._tell_departed((*gone, runner))
            for name in gone:
                self._inherit(name)
        return gone

    def _inherit(self, name: str) -> None:
        """Let another runner's worker that has been told of have the name of one that has left."""
        heir = self._heirs.pop(name, None)
        if heir is not None:
            self.register(heir)

    @enable_ki_protection
    def fade_runner(self, runner: str, others: Iterable[str] = ()) -> None:
        """Note that nothing is heard of another runner; it may come back, or have gone.

        Args:
          runner: Its name.
          others: Further names that are with it: workers ask before they are ready.
        """
        names = tuple(dict.fromkeys((*self._workers_of(runner), runner, *others)))
        for handler in list(self._departure_watches.values()):
            if handler is not None:
                handler(names)

    def _workers_of(self, runner: str) -> tuple[str, ...]:
        return tuple(name for name, data in self._ready.items() if data.runner == runner)

    @enable_ki_protection
    def watch(self, name: str, handler: ReadyHandler) -> None:
        """Call ``handler`` whenever a worker of that name gets ready.

        At once, if one is. Doing it again with an equal handler changes
        nothing, but calls it again if one is ready.
        """
        self._watches.setdefault(name, {})[handler] = None
        data = self._ready.get(name)
        if data is not None:
            _call(handler, data)

    @enable_ki_protection
    def unwatch(self, name: str, handler: ReadyHandler) -> None:
        """Undo a `watch`; one that isn't there is ignored."""
        handlers = self._watches.get(name, {})
        handlers.pop(handler, None)
        if not handlers:
            self._watches.pop(name, None)

    @enable_ki_protection
    def watch_roots(self, handler: ReadyHandler) -> None:
        """Call ``handler`` for each root worker of this runner, present and future."""
        if handler not in self._root_watches:
            self._root_watches[handler] = None
            for data in list(self._ready.values()):
                if data.parent is None and data.runner == self.runner_name:
                    _call(handler, data)

    def unwatch_roots(self, handler: ReadyHandler) -> None:
        """Undo a `watch_roots`; one that isn't there is ignored."""
        self._root_watches.pop(handler, None)

    def watch_departures(
        self, handler: DepartureHandler, fading: DepartureHandler | None = None
    ) -> None:
        """Call ``handler`` with the names of workers of other runners that leave.

        A local worker answers all its jobs before it leaves, so that nobody
        needs to be told of it.

        Args:
          handler: Called when they have left. The runner's own name is among them,
            if that has.
          fading: Called, the same way, when nothing is heard of their runner, which
            will soon be taken for gone.
        """
        self._departure_watches[handler] = fading

    def unwatch_departures(self, handler: DepartureHandler) -> None:
        """Undo a `watch_departures`; one that isn't there is ignored."""
        self._departure_watches.pop(handler, None)

    @enable_ki_protection
    async def wait_ready(self, *names: str) -> None:
        """Wait until workers of all these names are ready at once. Always a checkpoint."""
        arrived = trio.Event()
        missing = set(names)

        def check(data: WorkerReadyData) -> None:
            missing.discard(data.worker_name)
            if not missing:
                # Some may have left meanwhile.
                missing.update(name for name in names if name not in self._ready)
            if not missing:
                arrived.set()

        try:
            for name in names:
                self.watch(name, check)
            if not names:
                arrived.set()
            await arrived.wait()
        finally:
            for name in names:
                self.unwatch(name, check)

    def _tell_departed(self, names: tuple[str, ...]) -> None:
        for handler in list(self._departure_watches):
            handler(names)


def _call(handler: ReadyHandler, data: WorkerReadyData) -> None:
    try:
        handler(data)
    except Exception:
        logger.exception("a watch of worker %r raised", data.worker_name)


def entries_of(runner: str, entries: Iterable[WorkerRegistryEntry]) -> tuple[WorkerReadyData, ...]:
    """Return the workers of another runner's snapshot."""
    return tuple(
        WorkerReadyData(e.name, runner, e.parent, e.active, e.bridged, e.started_at)
        for e in entries
    )
