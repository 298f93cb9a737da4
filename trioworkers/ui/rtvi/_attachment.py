"""The job by which a server hears of what its UI worker does, kept open as long as it can be."""

import logging
import random
from collections.abc import Callable

import attrs
import trio

from ...errors import JobError
from ...workers import BaseWorker
from .._messages import ATTACH_JOB

logger = logging.getLogger("trioworkers.ui.rtvi")

#: Seconds of the first wait before another try, and of the longest; less by chance.
FIRST_BACKOFF, LONGEST_BACKOFF = 0.05, 5.0


@attrs.define(eq=False)
class Attachment:
    """Attaches a server to its UI worker, again and again.

    Args:
      server: Who asks.
      ui_worker: Who is asked: its name; it is waited for until it is ready.
      lost: Called with the reason when the job has ended, before another try.

    Attributes:
      is_open: Whether the UI worker has been asked, and may tell things.
      is_last: Whether there is to be no further try.
    """

    server: BaseWorker
    ui_worker: str
    lost: Callable[[str], object]
    is_open: bool = attrs.field(init=False, default=False)
    is_last: bool = attrs.field(init=False, default=False)
    _scope: trio.CancelScope = attrs.field(init=False, factory=trio.CancelScope)

    def close(self) -> None:
        """Let go, for good."""
        self._scope.cancel()

    async def keep(self) -> None:
        """Stay attached until `close`, or until the last attachment has ended."""
        backoff = FIRST_BACKOFF
        with self._scope:
            while True:
                began = trio.current_time()
                await self._attach()
                if self.is_last:
                    return
                if trio.current_time() - began > LONGEST_BACKOFF:
                    backoff = FIRST_BACKOFF
                await trio.sleep(backoff * random.uniform(0.5, 1))  # noqa: S311
                backoff = min(2 * backoff, LONGEST_BACKOFF)

    async def _attach(self) -> None:
        """Be attached once."""
        why = "it has ended"
        try:
            async with self.server.job(self.ui_worker, name=ATTACH_JOB):
                self.is_open = True
                logger.info("%s is attached to %r", self.server.name, self.ui_worker)
        except JobError as error:
            why = str(error)
        finally:
            self.is_open = False
        if not self.is_last:
            logger.warning("%s has lost %r: %s", self.server.name, self.ui_worker, why)
        self.lost(why)
