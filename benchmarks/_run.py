"""One run: prepares the peers, starts server and children, stops everything at a signal."""

import os
import platform
import signal
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from importlib.metadata import version
from pathlib import Path

import trio

from ._cases import Case
from ._catalogue import PEERS, REDIS, TUNED
from ._children import Program, open_children
from ._environment import ENVIRONMENTS, InstallError, prepare, read_requirements
from ._progress import Display
from ._results import Results
from ._rounds import Step, measure
from .redis._helpers import URL_VARIABLE
from .redis._server import ServerError, find_binary, open_server, version_of

#: What is missing, with the reason.
Missing = dict[str, str]


async def run_steps(
    steps: Sequence[Step], results: Results, display: Display, binary: Path | None
) -> None:
    """Take all steps, or as many as there are before Ctrl-C or a SIGTERM.

    Args:
      steps: What to measure.
      results: Gets the readings, and says whether it was interrupted.
      display: Shows how far it is.
      binary: The server that is started if a step needs one; None for the one in
        the environment.
    """
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:

            async def stop_at_signal() -> None:
                async for _ in signals:
                    results.interrupted = True
                    nursery.cancel_scope.cancel()

            nursery.start_soon(stop_at_signal)
            pythons, missing_peers = await _prepare_peers({step.side for step in steps}, display)
            async with AsyncExitStack() as stack:
                variables, no_server = await _start_server(steps, stack, binary)
                programs, missing = dict[str, Program](), dict[str, str]()
                for step in steps:
                    module = step.case.module(step.side)
                    reason = missing_peers.get(step.side) or no_server.get(step.case.family)
                    if reason is not None:
                        missing[module] = reason
                    else:
                        python = pythons.get(step.side, sys.executable)
                        programs[module] = Program(python, module, variables)
                children = await stack.enter_async_context(open_children(programs))
                await measure(steps, children, results, missing, display.begin)
            nursery.cancel_scope.cancel()


async def _start_server(
    steps: Iterable[Step], stack: AsyncExitStack, binary: Path | None
) -> tuple[Mapping[str, str], Missing]:
    """Return what tells children where the server is, and the families that lack one."""
    if all(step.case.family != REDIS for step in steps):
        return {}, {}
    try:
        url = await stack.enter_async_context(open_server(find_binary(binary)))
    except ServerError as error:
        return {}, {REDIS: str(error)}
    return {URL_VARIABLE: url}, {}


async def _prepare_peers(sides: Iterable[str], display: Display) -> tuple[dict[str, str], Missing]:
    """Return the interpreters of those sides that are peers, and why some have none."""
    pythons, missing = dict[str, str](), dict[str, str]()
    for directory, requirements in ENVIRONMENTS.items():
        packages = read_requirements(requirements)
        peers = [peer for peer in sides if package_of(peer) in packages]
        if not peers:
            continue
        try:
            environment = await prepare(
                display.tell, directory=directory, requirements=requirements
            )
        except InstallError as error:
            reason = f"there is no environment for peers: {error}"
            display.tell(reason)
            missing |= dict.fromkeys(peers, reason)
            continue
        for peer in peers:
            pythons[peer] = environment.python
            if package_of(peer) in environment.missing:
                missing[peer] = environment.missing[package_of(peer)]
    return pythons, missing


def package_of(peer: str) -> str:
    """Return a peer's name on PyPI."""
    return peer.removesuffix(TUNED)


def about(cases: Iterable[Case], peers: Iterable[str], binary: Path | None) -> dict[str, str]:
    """Return what is measured, and on what, for a person to read."""
    sides = {side for case in cases for point in case.points for side in case.sides(point, peers)}
    requirements = {
        package: line
        for path in ENVIRONMENTS.values()
        for package, line in read_requirements(path).items()
    }
    packages = dict.fromkeys(package_of(peer) for peer in PEERS if peer in sides)
    return {
        platform.python_implementation(): platform.python_version(),
        "trio": trio.__version__,
        **(_about_redis(binary) if any(case.family == REDIS for case in cases) else {}),
        **{package: requirements[package].partition("==")[2] for package in packages},
        platform.machine(): f"{os.cpu_count()} cores",
    }


def _about_redis(binary: Path | None) -> dict[str, str]:
    try:
        server, number = version_of(find_binary(binary))
    except ServerError:
        return {}
    return {"coredis": version("coredis"), server: number}
