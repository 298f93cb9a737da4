"""What was refused in the streams: counted by reason, and the last of it kept."""

import logging
from collections import Counter, deque

import attrs

logger = logging.getLogger("trioworkers.bus.redis")

#: Refused entries that are kept to be looked at, and bytes of each.
KEPT, KEPT_BYTES = 32, 1000


@attrs.frozen
class RefusedEntry:
    """Something in a stream that was refused. The newest ones are kept.

    Attributes:
      reason: Why, and what is wrong with this one.
      id: Its place in the stream.
      data: The beginning of it.
    """

    reason: str
    id: bytes
    data: bytes


class Quarantine:
    """Counts what was refused; logs each reason once.

    Attributes:
      counts: How much was refused, by reason.
      entries: The last of it.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.entries: deque[RefusedEntry] = deque(maxlen=KEPT)

    def refuse(self, reason: str, id_: bytes, data: bytes, detail: str = "") -> None:
        """Count an entry, or a message in one.

        Args:
          reason: Why: one of few, by which it is counted.
          id_: Where it was found.
          data: It.
          detail: What is wrong with this one.
        """
        told = f"{reason}: {detail}" if detail else reason
        self.entries.append(RefusedEntry(told, id_, data[:KEPT_BYTES]))
        if not self.counts[reason]:
            logger.warning("refused in a stream: %s", told)
        self.counts[reason] += 1
