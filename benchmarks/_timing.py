"""One way to take the time."""

import gc
import time
from types import TracebackType
from typing import Self


class Stopwatch:
    """``with Stopwatch() as watch: ...``, then ``watch.seconds``.

    Started and stopped again, it adds up. Garbage is collected before each
    start, so that nobody pays for what others left.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._started = 0.0

    def start(self) -> None:
        """Begin; for where ``with`` can't be written."""
        gc.collect()
        self._started = time.perf_counter()

    def stop(self) -> None:
        """Add the time since `start` to `seconds`."""
        self.seconds += time.perf_counter() - self._started

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
