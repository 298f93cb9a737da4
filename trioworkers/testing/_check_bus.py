"""What any `WorkerBus` must pass."""

from collections.abc import Awaitable, Callable, Collection

from ..bus import WorkerBus
from ._bus_isolation import ISOLATION
from ._bus_routing import ROUTING
from ._bus_trial import BusTrial
from ._conformance import check_clauses, make


async def check_bus(
    make_bus: Callable[[], WorkerBus | Awaitable[WorkerBus]],
    *,
    within: float = 5.0,
    settle: float = 0.05,
    most_queued: int = 10_000,
    only: Collection[str] = (),
    skip: Collection[str] = (),
) -> tuple[str, ...]:
    """Check that a bus keeps the contract of `WorkerBus`, clause by clause.

    Each clause gets a bus of its own. A bus may deliver later than the send
    returns: what must arrive is waited for. The clauses, in the order checked:
    delivery, order, posting, targets, broadcasts, unknown targets, names,
    before running, unsubscribing, local messages, system first, raising
    subscribers, observers, bounded lanes, system passes full lanes, statistics,
    runs once, shutdown.

    ::

        async def test_my_bus(autojump_clock):
            await check_bus(lambda: MyBus(lane_capacity=16))

    No other Trio task may start or end meanwhile. What is deaf to
    cancellation can't be timed out: such a bus hangs the check.

    Args:
      make_bus: Returns a fresh bus that does not run; async or not.
      within: Seconds on Trio's clock, > 0, in which what must arrive does.
      settle: Seconds on Trio's clock, > 0, after which what has not arrived
        won't; for a network, more than its latency.
      most_queued: Messages for a stuck target, in lanes and under way, after
        which its sender must wait; more than the lane capacity.
      only: The names of clauses to check; all by default.
      skip: The names of clauses not to check.

    Returns:
      The names of the clauses that were checked and hold.

    Raises:
      BrokenContractError: An `AssertionError` that names the clause. The first
        one: later clauses build on earlier ones.
      ValueError: A number is out of range, or there is no such clause.
      TypeError: ``make_bus`` returns something else.
    """
    check_bounds(within=within, settle=settle, most_queued=most_queued)

    async def open_trial(clause: str, promise: str) -> BusTrial:
        bus = await make_worker_bus(make_bus)
        contract = type(bus).__name__
        return BusTrial(contract, clause, promise, within, settle, bus=bus, most_queued=most_queued)

    return await check_clauses((*ROUTING, *ISOLATION), only, skip, open_trial)


def check_bounds(**bounds: float) -> None:
    """Raise ValueError unless all are > 0."""
    for name, value in bounds.items():
        if not value > 0:
            raise ValueError(f"{name} must be > 0, not {value!r}")


async def make_worker_bus(make_bus: Callable[[], WorkerBus | Awaitable[WorkerBus]]) -> WorkerBus:
    """Return a bus that does not run yet; raise TypeError if it is none."""
    bus = await make(make_bus)
    if not isinstance(bus, WorkerBus):
        raise TypeError(f"make_bus must return a WorkerBus, not {bus!r}")
    return bus
