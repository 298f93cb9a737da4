"""One way to take the time."""

import gc
import time
from types import TracebackType
from typing import Self


class Stopwatch:
    """``with Stopwatch() as watch: ...``, then ``watch.seconds``.

    Garbage is collected before, so that nobody pays for what others left.
    """

    seconds = 0.0

    def start(self) -> None:
        """Begin; for where ``with`` can't be written."""
        gc.collect()
        self._start = time.perf_counter()

    def stop(self) -> None:
        """Fix `seconds`."""
        self.seconds = time.perf_counter() - self._start

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
