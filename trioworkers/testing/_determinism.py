"""Trio runs that schedule the same way every time. The one place that touches Trio's randomness."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar, TypeVarTuple

import trio
from trio._core import _run
from trio.testing import MockClock

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


@contextmanager
def seeded_schedules(seed: int) -> Iterator[None]:
    """Make Trio's own scheduling decisions follow from ``seed`` inside the block.

    Trio has no public hook for it. It shuffles each batch of runnable Trio
    tasks by a `random.Random` of its own, from a fixed order only if told so;
    both are set here, and put back at the end.
    """
    names = vars(_run)
    chance = names["_r"]
    state, allowed = chance.getstate(), names["_ALLOW_DETERMINISTIC_SCHEDULING"]
    chance.seed(seed)
    names["_ALLOW_DETERMINISTIC_SCHEDULING"] = True
    try:
        yield
    finally:
        names["_ALLOW_DETERMINISTIC_SCHEDULING"] = allowed
        chance.setstate(state)


def seeded_run(
    async_fn: Callable[[*Ts], Awaitable[T]],
    *args: *Ts,
    seed: int,
    clock: trio.abc.Clock | None = None,
    instruments: Sequence[trio.abc.Instrument] = (),
) -> T:
    """Run ``async_fn(*args)`` under Trio, on the schedule that ``seed`` stands for.

    Same seed, same function, same schedule: as long as the function uses no
    threads, sockets, wall clock or randomness of its own.

    Args:
      async_fn: What to run.
      args: What it is called with.
      seed: Any integer.
      clock: Trio's clock; by default a virtual one that jumps when all wait.
      instruments: As in `trio.run`.

    Returns:
      What ``async_fn`` returns.

    Raises:
      BaseException: What ``async_fn`` raises.
    """
    with seeded_schedules(seed):
        if clock is None:
            clock = MockClock(autojump_threshold=0)
        return trio.run(async_fn, *args, clock=clock, instruments=instruments)
