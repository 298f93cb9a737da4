"""How long to wait before something that has failed is tried again."""

import random

import attrs
import trio

#: Seconds of the first wait, and of the longest; less by chance, so that not all come at
#: once. With the longest, a server that is back is found within 1 s.
FIRST_BACKOFF, LONGEST_BACKOFF = 0.02, 0.5


@attrs.define(eq=False)
class Backoff:
    """Waits longer each time, until all is well again."""

    _seconds: float = attrs.field(init=False, default=FIRST_BACKOFF)

    async def wait(self) -> None:
        """Wait before the next try. Always a checkpoint."""
        await trio.sleep(self._seconds * random.uniform(0.5, 1))  # noqa: S311
        self._seconds = min(2 * self._seconds, LONGEST_BACKOFF)

    def reset(self) -> None:
        """Begin anew: it has succeeded."""
        self._seconds = FIRST_BACKOFF
