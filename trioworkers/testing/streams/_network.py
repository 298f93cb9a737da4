"""Several runners, each on a `RedisBus` of its own, over a model of one server."""

import random
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Self

import trio
import trio.testing

from ...bus import MessageCodec
from ...bus.redis._peers import Peer
from ...errors import BusDisconnected, DuplicateWorkerError
from ...workers import BaseWorker
from .._decisions import Decisions
from .._everywhere import MakeWorkers
from .._hosts import RunnerNetwork
from .._logged import SERVER_LOGGERS, logged_to
from .._monitor import Monitor
from .._node import Node
from .._timeline import Timeline
from .._trouble import make_trouble
from .._watching import requests_of
from ._bus import StreamBus
from ._faults import OperationFault, StreamFault, check_stream_faults
from ._keys import Keys
from ._link import StreamLink
from ._path import Obstacle
from ._server import StreamServer
from ._trouble import let_happen

#: Seconds, after all faults have healed, in which everybody is in touch again who still
#: has a lease: for what was on its way, and the longest pause before connecting anew.
RECOVERY = 3.0
#: Operations that a message needs at most, one after the other.
HOPS = 8
#: Seconds after the end of a lease in which all know it.
NOTICE = 1.0
#: Seconds in which all is quiet once nothing goes wrong.
QUIET = 60.0
#: Seconds between two looks whether all is quiet.
GLANCE = 0.1


class StreamNetwork(RunnerNetwork[StreamBus]):
    """Runners in one process that meet only through a server of streams.

    Scenarios get one from `simulate` with a `StreamLink`, running.

    Args:
      runners: By each runner's name, what makes its workers, also after a crash.
      decisions: Who decides how long operations take.
      timeline: Where all is noted.
      monitor: Who watches.
      link: What server and buses are like.
      faults: What goes wrong by itself, once the runners are up.

    Attributes:
      server: The server.
      parted: Pairs of lives of runners of which one has taken the other for gone.

    Raises:
      TypeError, ValueError: A fault is none, or of a runner that there isn't.
    """

    def __init__(
        self,
        runners: Mapping[str, MakeWorkers],
        decisions: Decisions,
        timeline: Timeline,
        monitor: Monitor,
        *,
        link: StreamLink,
        faults: Iterable[StreamFault] = (),
    ) -> None:
        super().__init__(runners, timeline, monitor)
        self._faults = tuple(faults)
        check_stream_faults(self._faults, runners)
        self._link = link
        self.server = StreamServer(
            latency=link.latency, command_timeout=link.command_timeout, decisions=decisions
        )
        self.parted: set[frozenset[str]] = set()
        self._lives: dict[str, StreamBus] = {}
        self._codec = MessageCodec()
        self._troubles = trio.CancelScope()
        self._losses = 0
        self._returning: set[str] = set()
        monitor.delay = HOPS * link.latency
        # Each of the others may have a window to a worker, and one to all.
        monitor.allow_under_way(2 * link.window * len(self._nodes))

    def bus(self, name: str) -> StreamBus:
        """Return the bus of a runner, as it is now."""
        return self._node(name).bus

    # Running

    async def __aenter__(self) -> Self:
        with ExitStack() as setting:
            setting.enter_context(logged_to(self._timeline, [], SERVER_LOGGERS))
            setting.enter_context(_same_jitter())
            await super().__aenter__()
            self._setting = setting.pop_all()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        try:
            return await super().__aexit__(exc_type, exc, traceback)
        finally:
            self._setting.close()
            for what, count in self.server.exercised.items():
                if what.startswith("fault"):
                    self._timeline.exercised[what] += count

    async def _begin(self) -> None:
        await trio.lowlevel.checkpoint()

    async def _ready(self) -> None:
        operations = [fault for fault in self._faults if isinstance(fault, OperationFault)]
        for name in self:
            self.server.path(name).plan(operations)
        timed = [fault for fault in self._faults if not isinstance(fault, OperationFault)]
        self._nursery.start_soon(
            make_trouble, let_happen, self, timed, self._troubles, self._nursery
        )

    async def _start(self, node: Node[StreamBus]) -> None:
        if not await self._try_start(node):
            # Its last life has a lease still, or the server is down: nothing tells when not.
            await trio.sleep(self._link.lease / 5)
            await self._start(node)

    async def restart(self, name: str) -> None:
        """See `RunnerNetwork.restart`; nothing if it is coming back already."""
        if name not in self._returning:
            self._returning.add(name)
            try:
                await super().restart(name)
            finally:
                self._returning.remove(name)

    async def _try_start(self, node: Node[StreamBus]) -> bool:
        bus = self._make_bus(node)
        node.begin(bus)
        try:
            await self._nursery.start(node.run)
        except (DuplicateWorkerError, BusDisconnected):
            return False
        except RuntimeError:
            if bus.is_heard:
                raise  # else it has crashed before it was ready
        return True

    def _make_bus(self, node: Node[StreamBus]) -> StreamBus:
        bus = StreamBus(
            node.name,
            next(node.lives),
            self.server.client(node.name),
            self._link,
            self._codec,
            self._timeline,
            self._monitor,
            self._part,
        )
        self._lives[bus.life_name] = bus
        return bus

    async def _wait_quiet(self) -> None:
        limit = trio.current_time() + QUIET
        await trio.testing.wait_all_tasks_blocked()
        while busy := [node.bus for node in self._up() if not node.bus.is_quiet]:
            assert trio.current_time() < limit, f"P14: {busy[0]} is never quiet"
            await trio.sleep(GLANCE)
            await trio.testing.wait_all_tasks_blocked()
        await trio.sleep(HOPS * self._link.latency)
        await trio.testing.wait_all_tasks_blocked()

    # What can happen to runners, and between them and the server

    async def pause(self, name: str, seconds: float) -> None:
        """See `RunnerNetwork.pause`; its time limits don't pass meanwhile."""
        await self._obstruct("paused", name, seconds, Obstacle(stops_clock=True))

    async def mute(self, name: str, seconds: float, *, deaf: bool = False) -> None:
        """Let a runner get no replies for ``seconds``; then return."""
        await self._obstruct("muted", name, seconds, Obstacle(stops_requests=deaf))

    async def cut_off(self, name: str, seconds: float) -> None:
        """Cut a runner's sessions, and let it open no more for ``seconds``; then return."""
        self.server.cut(name)
        await self._obstruct("cut off", name, seconds, Obstacle(refuses=True))

    async def _obstruct(self, what: str, name: str, seconds: float, obstacle: Obstacle) -> None:
        path = self.server.path(self._node(name).name)
        self._note(what, name)
        path.obstruct(obstacle)
        try:
            await trio.sleep(seconds)
        finally:
            self._note("reachable", name)
            path.free(obstacle)

    def _vanish(self, node: Node[StreamBus]) -> None:
        pass  # its bus has fallen silent, and that is all that others see

    def _return(self, node: Node[StreamBus]) -> None:
        pass  # it takes a lease of its own

    # What can happen to the server

    async def restart_server(self, seconds: float, keys: Keys | None = None) -> None:
        """Let the server be down for ``seconds``, and come back with ``keys``, or what it had."""
        self._note("server down", "")
        self.server.shut_down()
        try:
            await trio.sleep(seconds)
        finally:
            if keys is not None:
                self._note("server lost data", "")
                self._losses += 1
            self._note("server back", "")
            self.server.come_back(keys)

    async def fill_memory(self, seconds: float) -> None:
        """Let the server take nothing new for ``seconds``; then return."""
        self._note("out of memory", "")
        self.server.model.out_of_memory = True
        try:
            await trio.sleep(seconds)
        finally:
            self.server.model.out_of_memory = False
            self._note("memory free", "")

    def put_foreign(self, name: str, lane: int, fields: Iterable[bytes]) -> None:
        """Put an entry that no bus has sent into a lane of a runner, if that has one."""
        incarnation = self._node(name).bus.incarnation
        if self.server.model.keys.lives(incarnation, self.server.now):
            self._note("foreign entry", name)
            self.server.model.keys.add((incarnation, lane), self.server.now, *fields)
            self.server.wrote()

    def heal(self) -> None:
        """See `RunnerNetwork.heal`."""
        self._troubles.cancel()
        for path in self.server.paths:
            path.faults.clear()
            for obstacle in list(path.obstacles):
                path.free(obstacle)
        late = RECOVERY + HOPS * self._link.latency
        self._monitor.healed_at = trio.current_time() + late

    # Who takes whom for gone

    def _part(self, bus: StreamBus, peer: Peer) -> None:
        """Note it; see that what was asked of the other one has been cancelled soon."""
        other = self._lives.get(peer.incarnation.rpartition(".")[0])
        if other is None:
            return
        self.parted.add(frozenset((bus.life_name, other.life_name)))
        if bus.is_heard and other.is_heard:
            # If its lease is over, it knows by its own clock, unless the server forgets.
            by_clock = bus.is_member and not self._losses
            self._nursery.start_soon(self._check_orphans, bus, other, bus.job_count, by_clock)

    async def _check_orphans(
        self, asker: StreamBus, host: StreamBus, before: int, by_clock: bool
    ) -> None:
        """See that a runner has stopped what was asked of it by one that took it for gone."""
        # If it is the asker's lease that is over, the other one must be told, or lose its own.
        grace = 0.0 if by_clock else self._link.lease + self._link.command_timeout
        await trio.sleep(NOTICE + grace)
        for worker in self._hosted(host):
            for request in requests_of(worker):
                if (
                    asker.made_job_id(request.job_id)
                    and int(request.job_id.rpartition("-")[2]) <= before
                    and self._monitor.is_orphan(worker.name, request.job_id)
                ):
                    self._monitor.complain(
                        f"P2: job {request.job_id} of {worker.name!r} is lost, and goes on"
                    )

    def _hosted(self, bus: StreamBus) -> list[BaseWorker]:
        node = self._node(bus.runner_name)
        return list(node.runner.workers) if node.bus is bus and node.is_up else []


@contextmanager
def _same_jitter() -> Iterator[None]:
    """Let pauses before connecting anew be the same in each run."""
    state = random.getstate()
    random.seed(0)
    try:
        yield
    finally:
        random.setstate(state)
