"""`MemoryCache`: a cache of task results that keeps them in memory."""

import attrs
import trio

from ..graph import CacheLabel, CacheStatistics


@attrs.define(eq=False)
class MemoryCache:
    """A `ResultCache` in memory: give it to a `CachedTaskWorker`, and look into it.

    ::

        cache = MemoryCache()
        worker = Summarizer(cache=cache)
        ...
        assert cache.statistics().hits == 1

    It forgets nothing, and works in simulated runs: it uses no thread. Workers
    of several graphs, and runs, may share it.

    Attributes:
      values: What is kept, by key; change it to see what a worker does then.
      labels: What it is about, by key.
      asked: The keys of all `get`, in order.
    """

    values: dict[str, bytes] = attrs.field(factory=dict)
    labels: dict[str, CacheLabel] = attrs.field(factory=dict)
    asked: list[str] = attrs.field(factory=list)
    _hits: int = attrs.field(default=0, init=False)
    _stored: int = attrs.field(default=0, init=False)
    _dropped: int = attrs.field(default=0, init=False)

    async def get(self, key: str) -> bytes | None:
        """Return the value last put under ``key``, or None. A checkpoint."""
        await trio.lowlevel.checkpoint()
        self.asked.append(key)
        value = self.values.get(key)
        self._hits += value is not None
        return value

    async def put(self, key: str, value: bytes, label: CacheLabel) -> bool:
        """Keep ``value`` under ``key``, and return True. A checkpoint."""
        await trio.lowlevel.checkpoint()
        self.values[key] = value
        self.labels[key] = label
        self._stored += 1
        return True

    async def drop(self, key: str, value: bytes) -> None:
        """Forget ``key`` if it still has ``value``. A checkpoint."""
        await trio.lowlevel.checkpoint()
        if self.values.get(key) == value:
            del self.values[key]
            self.labels.pop(key, None)
            self._dropped += 1

    def statistics(self) -> CacheStatistics:
        """Return the counts until now."""
        return CacheStatistics(
            hits=self._hits,
            misses=len(self.asked) - self._hits,
            stored=self._stored,
            dropped=self._dropped,
        )
