"""A Hypothesis strategy for what goes wrong between runners, and with them."""

import itertools
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from ._faults import (
    Crash,
    Cut,
    Delay,
    Disconnect,
    Drop,
    Duplicate,
    Fault,
    Pause,
    Reorder,
    SlowConsumer,
)
from ._strategies import DURATIONS

#: Seconds that faults last; some outlast a lease.
FAULT_SECONDS = (0.5, 1.0, 3.0, 9.0, 15.0)

_AT = st.sampled_from(DURATIONS)
_SECONDS = st.sampled_from(FAULT_SECONDS)
_NTH = st.integers(1, 30)


def fault_plans(
    runners: Sequence[str],
    *,
    delays: int = 2,
    reorders: int = 2,
    drops: int = 2,
    duplicates: int = 2,
    disconnects: int = 1,
    cuts: int = 1,
    slow_consumers: int = 1,
    pauses: int = 1,
    crashes: int = 1,
    restarts: bool = True,
) -> st.SearchStrategy[tuple[Fault, ...]]:
    """Return a strategy for the ``faults`` of `simulate`; it shrinks to none.

    Args:
      runners: The names of the runners, at least two.
      delays: How many there may be at most, >= 0; so for each kind.
      reorders: Of `Reorder`.
      drops: Of `Drop`.
      duplicates: Of `Duplicate`.
      disconnects: Of `Disconnect`.
      cuts: Of `Cut`.
      slow_consumers: Of `SlowConsumer`.
      pauses: Of `Pause`.
      crashes: Of `Crash`.
      restarts: Whether runners that crash may come back.

    Raises:
      ValueError: There are fewer than two runners.
    """
    if len(runners) < 2:
        raise ValueError(f"faults are between runners: give at least two names, not {runners!r}")
    links = st.sampled_from(list(itertools.permutations(runners, 2)))
    names = st.sampled_from(list(runners))
    back = st.none() | _SECONDS if restarts else st.none()
    kinds: list[tuple[int, st.SearchStrategy[Fault]]] = [
        (delays, _on_link(Delay, links, _NTH, _SECONDS)),
        (reorders, _on_link(Reorder, links, _NTH)),
        (drops, _on_link(Drop, links, _NTH)),
        (duplicates, _on_link(Duplicate, links, _NTH)),
        (disconnects, _on_link(Disconnect, links, _NTH, _SECONDS)),
        (cuts, _on_link(Cut, links, _AT, _SECONDS)),
        (slow_consumers, st.builds(SlowConsumer, names, _AT, _SECONDS)),
        (pauses, st.builds(Pause, names, _AT, _SECONDS)),
        (crashes, st.builds(Crash, names, _AT, back)),
    ]
    some = [st.lists(kind, max_size=count) for count, kind in kinds if count]
    return st.tuples(*some).map(lambda lists: tuple(itertools.chain.from_iterable(lists)))


def _on_link(
    kind: type[Fault], links: st.SearchStrategy[tuple[str, str]], *rest: st.SearchStrategy[Any]
) -> st.SearchStrategy[Fault]:
    return st.tuples(links, *rest).map(lambda drawn: kind(*drawn[0], *drawn[1:]))
