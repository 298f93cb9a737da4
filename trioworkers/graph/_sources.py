"""Windows: how much of what a source has given may be in flight."""

import attrs
from trio.lowlevel import ParkingLot, checkpoint

#: A source that has waited goes on when there is room for that many, or for a quarter.
_BATCH = 32


@attrs.define(eq=False)
class Source:
    """Somebody who gives tasks, and waits while too many of them are in flight.

    Attributes:
      above: The source that it was itself given by; None for what has no handler.
      window: It gives the next while fewer than that are queued or running, >= 1.
      count: How many are, all descendants counted.
      closed: What to raise instead of waiting; None while it is open.
    """

    above: "Source | None"
    window: int
    count: int = 0
    closed: BaseException | None = None
    _resume: int = attrs.field(init=False)
    _lot: ParkingLot | None = attrs.field(init=False, default=None)

    def __attrs_post_init__(self) -> None:
        self._resume = self.window - max(1, min(self.window // 4, _BATCH))

    @property
    def is_full(self) -> bool:
        """Whether the next has to wait."""
        return self.count >= self.window

    def leave(self) -> None:
        """Note that one that was counted is neither queued nor running any more."""
        self.count -= 1
        if self._lot is not None and self.count <= self._resume:
            self._lot.unpark_all()

    def close(self, error: BaseException) -> None:
        """Let nobody wait for room any more."""
        self.closed = error
        if self._lot is not None:
            self._lot.unpark_all()

    async def wait_room(self) -> None:
        """Wait until the next may be given. Always a checkpoint."""
        await checkpoint()
        while self.count >= self.window:
            if self.closed is not None:
                raise self.closed
            lot = self._lot = self._lot or ParkingLot()
            await lot.park()
