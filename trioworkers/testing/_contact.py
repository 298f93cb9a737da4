"""Which simulated runners hear each other, and which take each other for gone."""

import itertools
from collections.abc import Callable, Iterable

import trio

from ._links import Direction, Link

#: The part of a lease after which a runner stops what others, unheard, have asked of it.
MARGIN = 0.8

#: Two runners, in the order of their names.
Pair = tuple[str, str]


class Contact:
    """The directions between runners, and the leases of each pair.

    A pair that doesn't hear each other, one way or both, fades at `MARGIN` of
    the lease, is apart at its end, and meets again when both ways are open.

    Args:
      names: The runners.
      link: What each direction promises.
      on_fading: Called with a pair before its lease ends.
      on_parted: Called with a pair when its lease has ended.
      on_met: Called with a pair that was apart.
    """

    def __init__(
        self,
        names: Iterable[str],
        link: Link,
        *,
        on_fading: Callable[[Pair], None],
        on_parted: Callable[[Pair], None],
        on_met: Callable[[Pair], None],
    ) -> None:
        self.directions = {
            pair: Direction(*pair, link) for pair in itertools.permutations(names, 2)
        }
        self.lease = link.lease
        self._on_fading = on_fading
        self._on_parted = on_parted
        self._on_met = on_met
        self._fading: dict[Pair, object] = {}
        self._apart: set[Pair] = set()
        self.nursery: trio.Nursery

    def around(self, name: str) -> list[Direction]:
        """Return all directions from and to one runner."""
        return [d for d in self.directions.values() if name in (d.source, d.target)]

    def both_ways(self, direction: Direction) -> list[Direction]:
        """Return ``direction`` and its opposite."""
        return [direction, self.directions[direction.target, direction.source]]

    def are_apart(self, one: str, other: str) -> bool:
        """Whether two runners take each other for gone."""
        return _pair(one, other) in self._apart

    def obstruct(self, directions: Iterable[Direction], obstacle: object) -> None:
        """Let nothing pass until ``obstacle`` is gone."""
        for direction in directions:
            direction.obstacles.add(obstacle)
            self.look_at(direction)

    def free(self, directions: Iterable[Direction], obstacle: object) -> None:
        """Take ``obstacle`` away; one that isn't there is ignored."""
        for direction in directions:
            direction.obstacles.discard(obstacle)
            self.look_at(direction)

    def look_at(self, direction: Direction) -> None:
        """See whether a pair hears each other; if not, begin to wait for its lease."""
        pair = _pair(direction.source, direction.target)
        if all(d.is_open and not d.gap for d in self.both_ways(direction)):
            self._fading.pop(pair, None)
            if pair in self._apart:
                self._apart.discard(pair)
                self._on_met(pair)
        elif pair not in self._fading and pair not in self._apart:
            token = self._fading[pair] = object()
            self.nursery.start_soon(self._wait_lease, pair, token)

    def part(self, one: str, other: str) -> None:
        """Let two runners take each other for gone, now."""
        pair = _pair(one, other)
        if pair not in self._apart:
            self._fading.pop(pair, None)
            self._apart.add(pair)
            for direction in self.both_ways(self.directions[pair]):
                direction.gap = False
            self._on_parted(pair)

    def rejoin(self, name: str) -> None:
        """Let a runner that is new meet the others without a word: it will greet them."""
        for direction in self.around(name):
            self._apart.discard(_pair(direction.source, direction.target))

    async def _wait_lease(self, pair: Pair, token: object) -> None:
        await trio.sleep(self.lease * MARGIN)
        if self._fading.get(pair) is token:
            self._on_fading(pair)
            await trio.sleep(self.lease * (1 - MARGIN))
        if self._fading.get(pair) is token:
            self.part(*pair)
            self.look_at(self.directions[pair])


def _pair(one: str, other: str) -> Pair:
    return (one, other) if one < other else (other, one)
