"""A Trio task of the bus that runs the lanes of a subscriber without a nursery."""

import attrs
import trio
from trio.lowlevel import enable_ki_protection

from ._lanes import Lanes


@attrs.define(eq=False)
class LaneRun:
    """Runs a subscriber's lanes from `start` until `cancel`, or until its nursery ends.

    Attributes:
      lanes: What it runs.
      scope: Cancels their hooks.
      ended: Set when its Trio task has ended; None as long as there was none.
    """

    lanes: Lanes
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    ended: trio.Event | None = None

    @enable_ki_protection
    def start(self, nursery: trio.Nursery) -> None:
        """Start the Trio task in ``nursery``; doing it again changes nothing."""
        if self.ended is None:
            self.ended = trio.Event()
            nursery.start_soon(self._run, self.ended)

    def cancel(self) -> None:
        """Drop what the lanes hold, and cancel the hooks that run."""
        self.lanes.close()
        self.scope.cancel()

    async def wait(self) -> None:
        """Wait until the Trio task has ended; called from one of the hooks, don't."""
        if self.ended is not None and not self.lanes.hosts_current_task():
            await self.ended.wait()

    @enable_ki_protection
    async def _run(self, ended: trio.Event) -> None:
        try:
            with self.scope:
                async with trio.open_nursery() as nursery:
                    self.lanes.start(nursery)
                    try:
                        await trio.sleep_forever()
                    finally:
                        self.lanes.close()
        finally:
            ended.set()
