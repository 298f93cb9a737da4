"""The two lanes of a subscriber: where its hooks run, in order.

A lane is a memory channel and, from the first entry on, a Trio task. Each
entry is a hook and its argument. Data yields to system: no data hook starts
while a system entry is queued, and system entries never wait for a data hook.
"""

import math
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Any

import attrs
import trio
from trio.lowlevel import ParkingLot, Task, current_task, enable_ki_protection

from ._ki import call_interruptible
from ._subscriber import Hook


@attrs.frozen
class LaneStatistics:
    """A snapshot of one subscriber's lanes.

    Attributes:
      system_queued: Entries of the system lane whose hook has not begun.
      data_queued: Entries of the data lane whose hook has not begun.
      hooks_running: Hooks that are running, 0 to 2.
      senders_waiting: Trio tasks that wait for room.
    """

    system_queued: int
    data_queued: int
    hooks_running: int
    senders_waiting: int


class _Lane:
    __slots__ = ("_receive", "_send", "queued", "room", "running", "task")

    def __init__(self) -> None:
        # The buffer has no bound of its own: book-keeping may not wait, so
        # `Lanes` counts what is queued and makes senders and new jobs wait.
        self._send, self._receive = trio.open_memory_channel[tuple[Hook, Any]](math.inf)
        self.queued = 0
        self.running = False
        self.task: Task | None = None
        self.room = ParkingLot()

    def put(self, hook: Hook, argument: object) -> None:
        self.queued += 1
        self._send.send_nowait((hook, argument))

    async def take(self) -> tuple[Hook, Any]:
        return await self._receive.receive()


class Lanes:
    """The system lane and the data lane of one subscriber.

    Entries may be put before `start`; they are kept. Nothing is allocated for
    a lane that no entry has used.

    Args:
      capacity: Entries that a lane holds, >= 1, before `full` is true.
      on_error: Called with what a hook raised. When it returns, the lane goes
        on; when it raises, the lane's Trio task ends with that.
    """

    __slots__ = (
        "_capacity",
        "_closed",
        "_context",
        "_data",
        "_idle",
        "_nursery",
        "_on_error",
        "_system",
        "_yielding",
    )

    def __init__(self, capacity: int, on_error: Callable[[Exception], None]) -> None:
        self._capacity = capacity
        self._on_error = on_error
        self._nursery: trio.Nursery | None = None
        self._context: Context | None = None
        self._system: _Lane | None = None
        self._data: _Lane | None = None
        self._yielding: ParkingLot | None = None
        self._idle: ParkingLot | None = None
        self._closed = False

    @enable_ki_protection
    def put(self, hook: Hook, argument: object, *, system: bool) -> None:
        """Queue ``hook(argument)``. Never waits; see `full` for the bound."""
        lane = self._system if system else self._data
        if self._closed:
            return
        if lane is None:
            lane = self._open(system=system)
        lane.put(hook, argument)

    def full(self, *, system: bool) -> bool:
        """Whether a sender should wait before it puts more into that lane."""
        lane = self._system if system else self._data
        return lane is not None and lane.queued >= self._capacity

    async def wait_room(self, *, system: bool, puts: bool = True) -> None:
        """Wait until that lane isn't full. Always a checkpoint.

        Args:
          system: Which lane.
          puts: Whether the caller is going to use the room. If not, and the lane is
            empty, the next one that waits is woken, since nothing else would.
        """
        await trio.lowlevel.checkpoint()
        lane = self._system if system else self._data
        while lane is not None and lane.queued >= self._capacity:
            await lane.room.park()
            if not puts and not lane.queued:
                lane.room.unpark()

    def hosts_current_task(self) -> bool:
        """Whether a lane's Trio task is the calling one or an ancestor of it."""
        hosts = [lane.task for lane in (self._system, self._data) if lane is not None]
        task: Task | None = current_task()
        while task is not None:
            if task in hosts:
                return True
            task = task.parent_nursery.parent_task if task.parent_nursery else None
        return False

    @enable_ki_protection
    def start(self, nursery: trio.Nursery, context: Context | None = None) -> None:
        """Run the lanes in ``nursery``, now or when their first entry comes.

        Their hooks run in a copy of ``context``, whoever sends that entry; None is
        that of the caller as it is now.
        """
        self._nursery = nursery
        self._context = copy_context() if context is None else context
        for system, lane in ((True, self._system), (False, self._data)):
            if lane is not None:
                self._start(nursery, lane, system=system)

    def stop(self) -> None:
        """Keep what comes from now on: the nursery of `start` is closing."""
        self._nursery = None

    @enable_ki_protection
    def close(self) -> None:
        """Drop what is queued and what comes from now on: the subscriber has left.

        All who wait for room or idleness go on; hooks that run are not cancelled.
        """
        self._closed = True
        self._nursery = None
        for lane in (self._system, self._data):
            if lane is not None:
                lane.queued = 0
                lane.room.unpark_all()
        if self._idle is not None and self.is_idle:
            self._idle.unpark_all()

    async def wait_idle(self) -> None:
        """Wait until nothing is queued and no hook runs. Always a checkpoint."""
        await trio.lowlevel.checkpoint()
        while not self.is_idle:
            self._idle = self._idle or ParkingLot()
            await self._idle.park()

    @property
    def is_idle(self) -> bool:
        """Whether nothing is queued and no hook runs."""
        return not any(
            lane is not None and (lane.queued or lane.running)
            for lane in (self._system, self._data)
        )

    def statistics(self) -> LaneStatistics:
        """Return a snapshot."""
        lanes = [lane for lane in (self._system, self._data) if lane is not None]
        return LaneStatistics(
            system_queued=self._system.queued if self._system else 0,
            data_queued=self._data.queued if self._data else 0,
            hooks_running=sum(lane.running for lane in lanes),
            senders_waiting=sum(len(lane.room) for lane in lanes),
        )

    def _open(self, *, system: bool) -> _Lane:
        lane = _Lane()
        if system:
            self._system = lane
        else:
            self._data = lane
        if self._nursery is not None:
            self._start(self._nursery, lane, system=system)
        return lane

    def _start(self, nursery: trio.Nursery, lane: _Lane, *, system: bool) -> None:
        assert self._context is not None
        self._context.run(nursery.start_soon, self._run, lane, system)

    @enable_ki_protection
    async def _run(self, lane: _Lane, system: bool) -> None:
        lane.task = current_task()
        while True:
            hook, argument = await lane.take()
            while not system and self._system is not None and self._system.queued:
                self._yielding = self._yielding or ParkingLot()
                await self._yielding.park()
            if self._closed:
                return
            lane.queued -= 1
            lane.running = True
            lane.room.unpark()
            if system and not lane.queued and self._yielding is not None:
                self._yielding.unpark_all()
            try:
                await call_interruptible(hook, argument)
            except Exception as error:  # noqa: BLE001 - `on_error` decides
                self._on_error(error)
            finally:
                lane.running = False
                if self._idle is not None and self.is_idle:
                    self._idle.unpark_all()
