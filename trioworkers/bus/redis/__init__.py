"""The same workers over many processes and machines: a `WorkerBus` on Redis or Valkey."""

from ._about import RedisPeer as RedisPeer
from ._bus import RedisBus as RedisBus
from ._quarantine import RefusedEntry as RefusedEntry
from ._statistics import RedisBusStatistics as RedisBusStatistics
