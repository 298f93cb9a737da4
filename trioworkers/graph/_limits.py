"""How many tasks of some workers may be worked on at once."""

from collections import deque
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from ._stations import Station


@attrs.define(eq=False)
class Limit:
    """Places that some workers share: `Graph.set_max_parallel_tasks`.

    Attributes:
      places: How many tasks may be worked on at once, >= 1.
      taken: How many are.
      stations: Whose tasks; who has waited longest for a place is first.
    """

    places: int
    taken: int = 0
    stations: "deque[Station]" = attrs.field(factory=deque)

    @property
    def has_room(self) -> bool:
        """Whether there is a place left."""
        return self.taken < self.places


def take(limits: "tuple[Limit, ...]") -> bool:
    """Take a place of each, or none and return False if one has none left."""
    for limit in limits:
        if limit.taken >= limit.places:
            return False
    for limit in limits:
        limit.taken += 1
    return True


def take_anyway(limits: "tuple[Limit, ...]") -> None:
    """Take a place of each, also if there is none left."""
    for limit in limits:
        limit.taken += 1


def give_back(limits: "tuple[Limit, ...]") -> None:
    """Give back a place of each."""
    for limit in limits:
        limit.taken -= 1
