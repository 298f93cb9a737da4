"""The way between one client and a server of streams, and what obstructs it."""

import math
from collections import defaultdict
from collections.abc import Iterable

import attrs
import trio
from trio.lowlevel import ParkingLot

from ...bus.redis._store import StoreUnavailableError
from ._faults import OperationFault, Stall


@attrs.define(eq=False)
class Obstacle:
    """Something that keeps a client from its server, until it is taken away.

    Attributes:
      refuses: Whether connecting fails at once.
      stops_requests: Whether what is asked does not get there.
      stops_clock: Whether the client does not see that its time limits have passed.
    """

    refuses: bool = False
    stops_requests: bool = True
    stops_clock: bool = False


@attrs.define(eq=False)
class Path:
    """Where the operations of one client travel.

    Attributes:
      client: Whose.
      operations: How many there were.
      faults: What will happen to which operation.
      obstacles: What keeps it shut now.
    """

    client: str
    operations: int = 0
    faults: dict[int, list[OperationFault]] = attrs.field(factory=lambda: defaultdict(list))
    obstacles: list[Obstacle] = attrs.field(factory=list)
    _changed: ParkingLot = attrs.field(factory=ParkingLot)

    def plan(self, faults: Iterable[OperationFault]) -> None:
        """Let ``faults`` happen, those that are this client's; count from now on."""
        self.operations = 0
        for fault in faults:
            if fault.client == self.client:
                self.faults[fault.nth].append(fault)

    def begin(self) -> list[OperationFault]:
        """Count an operation; return the faults that hit it."""
        self.operations += 1
        return self.faults.pop(self.operations, []) if self.faults else []

    def obstruct(self, obstacle: Obstacle) -> None:
        """Let nothing pass until ``obstacle`` is gone."""
        self.obstacles.append(obstacle)

    def free(self, obstacle: Obstacle) -> None:
        """Take ``obstacle`` away; one that isn't there is ignored."""
        if obstacle in self.obstacles:
            self.obstacles.remove(obstacle)
        self.wake()

    def wake(self) -> None:
        """Let those that wait look again."""
        self._changed.unpark_all()

    def check_connecting(self) -> None:
        """Raise if connecting fails at once."""
        if any(obstacle.refuses for obstacle in self.obstacles):
            raise StoreUnavailableError("the connection was refused")

    async def wait_open(self, *, deadline: float, requests: bool) -> None:
        """Wait until something passes, to the server or from it; a checkpoint only if it waits.

        Raises:
          StoreUnavailableError: Not before ``deadline``.
        """
        while blocking := self._blocking(requests=requests):
            limit = math.inf if any(o.stops_clock for o in blocking) else deadline
            with trio.move_on_at(limit) as scope:
                await self._changed.park()
            if scope.cancelled_caught:
                raise StoreUnavailableError("no reply in time")

    def _blocking(self, *, requests: bool) -> list[Obstacle]:
        return [o for o in self.obstacles if o.stops_requests or not requests]


def stalled(faults: Iterable[OperationFault]) -> float:
    """Return how many seconds ``faults`` add to an operation."""
    return sum(fault.seconds for fault in faults if isinstance(fault, Stall))
