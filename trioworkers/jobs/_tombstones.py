"""Early cancels: tombstones for jobs whose requests have not come."""

from collections import OrderedDict
from collections.abc import Container

import attrs
import trio

from ..bus import BusJobCancelMessage

#: Cancels remembered whose request has not come.
MAX_TOMBSTONES = 1000
#: Seconds that a cancel without a request is remembered.
TOMBSTONE_LIFE = 30.0


@attrs.define(eq=False)
class Tombstones:
    """Cancels that came before their requests, for a while."""

    _graves: OrderedDict[str, tuple[float, str]] = attrs.field(factory=OrderedDict)

    def add(self, cancel: BusJobCancelMessage) -> None:
        """Remember ``cancel``; forget the oldest beyond `MAX_TOMBSTONES`."""
        self._expire()
        self._graves[cancel.job_id] = (trio.current_time() + TOMBSTONE_LIFE, cancel.source)
        self._graves.move_to_end(cancel.job_id)  # the first to expire stay first
        if len(self._graves) > MAX_TOMBSTONES:
            self._graves.popitem(last=False)

    def take(self, job_id: str) -> bool:
        """Whether that job was cancelled before its request came. Once per cancel."""
        if not self._graves:
            return False
        self._expire()
        return self._graves.pop(job_id, None) is not None

    def forget_requesters(self, names: Container[str]) -> list[str]:
        """Drop the cancels of requesters that have gone; return their jobs."""
        jobs = [job_id for job_id, (_, source) in self._graves.items() if source in names]
        for job_id in jobs:
            del self._graves[job_id]
        return jobs

    def count(self) -> int:
        """Return how many are remembered."""
        self._expire()
        return len(self._graves)

    def _expire(self) -> None:
        now = trio.current_time()
        while self._graves and next(iter(self._graves.values()))[0] <= now:
            self._graves.popitem(last=False)
