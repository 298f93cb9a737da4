"""What all sides measure with."""

import statistics
import time
from collections.abc import Sequence

#: What a job is asked for, and answers: some 120 bytes.
PAYLOAD = {"i": 0, "text": "x" * 100}
#: Characters in a chunk of a fast stream.
CHUNK_LENGTH = 20
#: Jobs in flight in a worker, where that has to be said.
MOST_AT_ONCE = 100

now = time.perf_counter


def median_and_p99(samples: Sequence[float]) -> tuple[float, float]:
    """Return the median and the 99th percentile."""
    ordered = sorted(samples)
    return statistics.median(ordered), ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]


def warm_up(count: int) -> int:
    """Return how often to do what is measured ``count`` times before the clock runs."""
    return max(1, count // 10)
