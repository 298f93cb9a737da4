"""What a client has seen, which a test waits for."""

import math
from collections.abc import Callable
from typing import Any

import trio

#: Seconds that something may take that a test waits for.
PATIENCE = 20.0


class Seen:
    """Things in the order in which they were seen.

    Attributes:
      all: They.
      over: Why no more will be seen; None before that.
    """

    def __init__(self) -> None:
        self.all: list[Any] = []
        self.over: str | None = None
        self._news = trio.lowlevel.ParkingLot()

    def add(self, *things: Any) -> None:
        """Add some."""
        self.all += things
        self._news.unpark(count=math.inf)

    def end(self, why: str) -> None:
        """Let nobody wait any longer."""
        self.over = why
        self._news.unpark(count=math.inf)

    async def until(self, find: Callable[[list[Any]], Any], within: float = PATIENCE) -> Any:
        """Wait until a function of all returns something; return that.

        Raises:
          AssertionError: It takes too long, or no more will be seen.
        """
        with trio.move_on_after(within):
            while not (found := find(self.all)) and self.over is None:
                await self._news.park()
            if found:
                return found
        told = "\n".join(str(one)[:300] for one in self.all[-40:])
        why = self.over or f"{within} seconds are over"
        raise AssertionError(f"it was not seen: {why}; seen was:\n{told}")
