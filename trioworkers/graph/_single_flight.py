"""Of equal work in flight at once, one does it for all. Pure book-keeping."""

from collections.abc import Hashable
from typing import Generic, TypeVar

import attrs

W = TypeVar("W", bound=Hashable)


@attrs.define(eq=False)
class SingleFlight(Generic[W]):
    """Which work is in flight, by its key, and who waits for it, first come first.

    Whoever leads does the work, and ends it with `land`, or lets the next one lead
    with `give_up`.
    """

    _flights: dict[str, dict[W, None]] = attrs.field(factory=dict)

    def __len__(self) -> int:
        return len(self._flights)

    def lead(self, key: str) -> bool:
        """Begin the work if nobody does it; return whether the caller leads."""
        if key in self._flights:
            return False
        self._flights[key] = {}
        return True

    def wait(self, key: str, waiter: W) -> None:
        """Have somebody wait for work that another one does."""
        self._flights[key][waiter] = None

    def leave(self, key: str, waiter: W) -> None:
        """Have somebody wait no longer."""
        del self._flights[key][waiter]

    def land(self, key: str) -> list[W]:
        """End the work, as it is done; return all who waited."""
        return list(self._flights.pop(key))

    def give_up(self, key: str) -> W | None:
        """Return who leads now, in place of the caller; None if nobody waits."""
        waiting = self._flights[key]
        if not waiting:
            del self._flights[key]
            return None
        waiter = next(iter(waiting))
        del waiting[waiter]
        return waiter
