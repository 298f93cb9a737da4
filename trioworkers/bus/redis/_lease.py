"""The lease of the present incarnation: renewed in time, and watched on the own clock."""

import math

import attrs
import trio

#: Seconds after the end of a lease within which all others have been told of it.
NOTICE = 1.0


@attrs.define(eq=False)
class Lease:
    """How long the incarnation may act in its name, as far as it can know.

    Times are on Trio's clock. It ends here before it does at the server, since it is
    counted from before that was asked.

    Attributes:
      seconds: What is asked for each time.
      margin: Seconds before its end in which nothing may be done for others any more.
      ends: When it ends.
      renew_at: When it is to be renewed, or another one is to be seen to expire.
      is_held: Whether there is one.
      is_known_to_be_over_at: When all others that are in touch have been told that it is over,
        and stopped what was asked of them.
    """

    seconds: float
    margin: float
    ends: float = -math.inf
    renew_at: float = -math.inf
    is_held: bool = False
    is_known_to_be_over_at: float = -math.inf
    _changed: trio.Event = attrs.field(factory=trio.Event)

    def renewed(self, asked_at: float, next_expiry: float) -> None:
        """Note that the server was asked at ``asked_at``, and has renewed it."""
        now = trio.current_time()
        self.ends = asked_at + self.seconds
        self.is_known_to_be_over_at = now + self.seconds + NOTICE
        # A little after the other's end, so that it is seen to be over.
        soon = now + next_expiry + 0.02
        self.renew_at = min(asked_at + self.seconds / 3, soon)
        self.is_held = True
        self._change()

    def lost(self) -> None:
        """Note that it is over."""
        self.is_held = False
        self._change()

    @property
    def fades_at(self) -> float:
        """When nothing may be done for others any more."""
        return self.ends - self.margin

    @property
    def is_fresh(self) -> bool:
        """Whether things may be done for others now."""
        return self.is_held and trio.current_time() < self.fades_at

    @property
    def left(self) -> float:
        """Seconds that it lasts, if nothing happens; 0 if there is none."""
        return max(0.0, self.ends - trio.current_time()) if self.is_held else 0.0

    async def wait_change(self) -> None:
        """Wait until it is renewed or lost."""
        await self._changed.wait()

    async def wait_fresh(self) -> None:
        """Wait until things may be done for others; a checkpoint only if it waits."""
        while not self.is_fresh:
            await self._changed.wait()

    def _change(self) -> None:
        self._changed.set()
        self._changed = trio.Event()
