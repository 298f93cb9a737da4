"""What any `WorkerBus` that joins processes must pass, besides `check_bus`."""

from collections.abc import Awaitable, Callable, Collection
from functools import partial

from ..bus import WorkerBus
from ._check_bus import check_bounds, make_worker_bus
from ._conformance import check_clauses
from ._network_bus_isolation import NETWORK_ISOLATION
from ._network_bus_routing import NETWORK_ROUTING
from ._network_bus_trial import NetworkBusTrial


async def check_network_bus(
    make_bus: Callable[[], WorkerBus | Awaitable[WorkerBus]],
    *,
    within: float = 5.0,
    settle: float = 0.05,
    most_queued: int = 10_000,
    only: Collection[str] = (),
    skip: Collection[str] = (),
) -> tuple[str, ...]:
    """Check that buses which share a medium keep the contract between them.

    Those who send are on one bus, and those who get messages on another one, as if
    in two processes. `check_bus` checks what each does on its own; both make up the
    contract. The clauses, in the order checked: delivery, order, posting, targets,
    broadcasts, late comers, unknown targets, names, names at once, unsubscribing,
    leaving, local messages, system first, system passes full lanes, raising
    subscribers, bounded lanes, cancelled senders, statistics, shutdown of the target,
    shutdown of the sender.

    ::

        async def test_my_bus_between_processes():
            await check_network_bus(lambda: MyBus("my-server"))

    Args:
      make_bus: Returns a fresh bus that does not run, async or not. All that it
        returns share a medium.
      within: As in `check_bus`.
      settle: As in `check_bus`; more than a message takes.
      most_queued: As in `check_bus`; more than what is kept anywhere on the way.
      only: As in `check_bus`.
      skip: As in `check_bus`.

    Returns:
      The names of the clauses that were checked and hold.

    Raises:
      BrokenContractError, ValueError, TypeError: As in `check_bus`.
    """
    check_bounds(within=within, settle=settle, most_queued=most_queued)

    async def open_trial(clause: str, promise: str) -> NetworkBusTrial:
        bus = await make_worker_bus(make_bus)
        return NetworkBusTrial(
            type(bus).__name__,
            clause,
            promise,
            within,
            settle,
            bus=bus,
            there=await make_worker_bus(make_bus),
            make_another=partial(make_worker_bus, make_bus),
            most_queued=most_queued,
        )

    return await check_clauses((*NETWORK_ROUTING, *NETWORK_ISOLATION), only, skip, open_trial)
