"""Whether and when what has failed is tried again: pure."""

from collections.abc import Callable

import attrs

#: No retry waits longer, in seconds, however often it has failed.
MAX_BACKOFF = 60.0


@attrs.frozen
class RetryPolicy:
    """How often a worker's task is tried, and after which errors.

    Before retry ``n``, from 1, it waits between 0 and ``backoff * 2**(n - 1)``
    seconds, `MAX_BACKOFF` at most, every time in between being as likely: so what
    failed together does not come back together.

    Attributes:
      retries: Tries after the first, >= 0.
      retry_on: Errors that are worth another try. A group is, if all in it are.
      backoff: Seconds, >= 0; 0 never waits.
    """

    retries: int = 0
    retry_on: tuple[type[BaseException], ...] = (Exception,)
    backoff: float = 0.1

    def ceiling(self, retry: int) -> float:
        """Return the longest wait before retry ``retry``, >= 1, in seconds."""
        return min(MAX_BACKOFF, self.backoff * 2.0 ** min(retry - 1, 1000))

    def delay(
        self, error: BaseException, attempts: int, random: Callable[[], float]
    ) -> float | None:
        """Return seconds until the next try, or None if there is none.

        Args:
          error: What the last try has raised.
          attempts: Tries so far, >= 1.
          random: Gives numbers in [0, 1).
        """
        if attempts > self.retries or not self._is_retried(error):
            return None
        return self.ceiling(attempts) * random()

    def _is_retried(self, error: BaseException) -> bool:
        if isinstance(error, self.retry_on):
            return True
        if isinstance(error, BaseExceptionGroup):
            return error.split(self.retry_on)[1] is None
        return False
