"""Windows: how much of what a source has given may be in flight."""

import attrs
from trio.lowlevel import ParkingLot, checkpoint


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
    _lot: ParkingLot | None = attrs.field(init=False, default=None)

    @property
    def is_full(self) -> bool:
        """Whether the next has to wait."""
        return self.count >= self.window

    def leave(self) -> None:
        """Note that one that was counted is neither queued nor running any more."""
        self.count -= 1
        # At once, as what is in flight may wait for what comes next; and one for each place.
        if self._lot and self.count < self.window:
            self._lot.unpark()

    def pass_on(self) -> None:
        """Let the next who waits go on, if there is room that this one hasn't used."""
        if self._lot and self.count < self.window:
            self._lot.unpark()

    def close(self, error: BaseException) -> None:
        """Let nobody wait for room any more."""
        self.closed = error
        if self._lot is not None:
            self._lot.unpark_all()

    async def wait_room(self) -> None:
        """Wait until the next may be given. Always a checkpoint.

        Where several wait, each of them calls `pass_on` when it has given one, or not.
        """
        await checkpoint()
        while self.count >= self.window:
            if self.closed is not None:
                raise self.closed
            if self._lot is None:
                self._lot = ParkingLot()
            await self._lot.park()
