"""Where what comes of some initial tasks goes, if not to the graph as a whole."""

from collections import deque
from typing import Any

import attrs
from trio.lowlevel import (
    Abort,
    RaiseCancelT,
    current_task,
    enable_ki_protection,
    reschedule,
    wait_task_rescheduled,
)
from trio.lowlevel import Task as TrioTask

from ..jobs import ActiveJob
from ._failures import Failures
from ._provenance import Node, Pair
from ._sources import Source
from ._stations import Kind, Station


@attrs.define(eq=False)
class Outlet:
    """What comes of some initial tasks, for the one Trio task that takes it.

    Outputs of sinks, and statuses, are nodes of the tree until they are taken: so they
    count in the windows of the sources above them, end with what is aborted, and keep
    their initial task open. But they hold no runner, and nobody else waits for them.

    Attributes:
      window: How much of it may be in flight before the next initial task waits.
      failures: What has failed for good.
      job: The job that all of it is done for, or None.
      ready: What waits to be taken; some of it may have ended since.
      roots: The initial tasks that are not complete.
      aborted: Initial tasks that were aborted.
      statuses: The station of the statuses.
      source: The window.
    """

    window: int
    failures: Failures
    job: ActiveJob | None = None
    ready: deque[Node] = attrs.field(init=False, factory=deque)
    roots: dict[Pair, None] = attrs.field(init=False, factory=dict)
    aborted: list[Pair] = attrs.field(init=False, factory=list)
    statuses: Station = attrs.field(init=False)
    source: "_OutletSource" = attrs.field(init=False)
    _waiter: TrioTask | None = attrs.field(init=False, default=None)

    def __attrs_post_init__(self) -> None:
        nobody: Any = None
        self.source = _OutletSource(None, self.window, outlet=self)
        self.statuses = Station("status", nobody, Kind.COLLECT)

    def put(self, node: Node) -> None:
        """Let something wait to be taken."""
        self.ready.append(node)
        self.wake()

    def root_done(self, node: Node) -> None:
        """Note that nothing is left of an initial task."""
        del self.roots[node.pair]
        if node.aborted:
            self.aborted.append(node.pair)
        self.wake()

    def wake(self) -> None:
        """Wake who waits, if anybody does."""
        if self._waiter is not None:
            waiter, self._waiter = self._waiter, None
            reschedule(waiter)

    def close(self) -> None:
        """Take nothing any more, so that it goes without the garbage collector's help."""
        self.source.outlet = None

    @enable_ki_protection
    async def wait(self) -> None:
        """Wait until something is ready, done, or has made room. A checkpoint."""

        def leave(_: RaiseCancelT) -> Abort:
            self._waiter = None
            return Abort.SUCCEEDED

        self._waiter = current_task()
        await wait_task_rescheduled(leave)


@attrs.define(eq=False)
class _OutletSource(Source):
    """The window of one outlet, which tells it when there is room again."""

    outlet: Outlet | None = attrs.field(kw_only=True)

    def leave(self) -> None:
        """See `Source.leave`."""
        self.count -= 1
        if self.count == self.window - 1 and self.outlet is not None:
            self.outlet.wake()
