"""The Trio tasks that call handlers."""

import attrs
import trio
from trio.lowlevel import Abort, RaiseCancelT
from trio.lowlevel import Task as TrioTask


@attrs.define(eq=False)
class Seat:
    """A Trio task that calls handlers.

    Attributes:
      task: The Trio task.
      parked: Where it is while it waits for work.
      scope: What the handler that it calls runs in.
      is_cancelled: Whether the scope was cancelled, so that it needs another.
    """

    task: TrioTask
    parked: list["Seat"]
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    is_cancelled: bool = False

    def cancel(self) -> None:
        """Cancel the handler that runs."""
        self.is_cancelled = True
        self.scope.cancel()

    def leave(self, _: RaiseCancelT) -> Abort:
        """Wait no longer for work."""
        self.parked.remove(self)
        return Abort.SUCCEEDED
