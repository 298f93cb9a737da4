"""One run: prepares the peers, starts the children, and stops everything at a signal."""

import os
import platform
import signal
import sys
from collections.abc import Sequence

import trio

from ._cases import FLOOR, OURS
from ._children import Program, open_children
from ._environment import InstallError, prepare, read_requirements
from ._progress import Display
from ._results import Results
from ._rounds import Step, measure

OWN_PROGRAMS = {
    OURS: Program(sys.executable, "benchmarks.ours"),
    FLOOR: Program(sys.executable, "benchmarks.floor"),
}


async def run_steps(
    steps: Sequence[Step], results: Results, peers: Sequence[str], display: Display
) -> None:
    """Take all steps, or as many as there are before Ctrl-C or a SIGTERM.

    Args:
      steps: What to measure.
      results: Gets the readings, and says whether it was interrupted.
      peers: Those whose environment is needed.
      display: Shows how far it is.
    """
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:

            async def stop_at_signal() -> None:
                async for _ in signals:
                    results.interrupted = True
                    nursery.cancel_scope.cancel()

            nursery.start_soon(stop_at_signal)
            programs, missing = await _prepare_peers(peers, display)
            async with open_children(OWN_PROGRAMS | programs) as children:
                await measure(steps, children, results, missing, display.begin)
            nursery.cancel_scope.cancel()


async def _prepare_peers(
    peers: Sequence[str], display: Display
) -> tuple[dict[str, Program], dict[str, str]]:
    """Return how to start the peers, and why some of them can't be."""
    if not peers:
        return {}, {}
    try:
        environment = await prepare(display.tell)
    except InstallError as error:
        reason = f"there is no environment for peers: {error}"
        display.tell(reason)
        return {}, dict.fromkeys(peers, reason)
    programs = {
        peer: Program(environment.python, f"benchmarks.peers.{peer.replace('-', '_')}")
        for peer in peers
    }
    return programs, environment.missing


def about(peers: Sequence[str]) -> dict[str, str]:
    """Return what is measured, and on what, for a person to read."""
    requirements = read_requirements()
    return {
        platform.python_implementation(): platform.python_version(),
        "trio": trio.__version__,
        **{peer: requirements[peer].partition("==")[2] for peer in peers},
        platform.machine(): f"{os.cpu_count()} cores",
    }
