"""``trioworkers run``: hosts workers on a bus of many processes."""

import logging
import os
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click
import trio

from trioworkers import BaseWorker, StoppedError, WorkerRunner
from trioworkers.errors import DuplicateWorkerError

from ._bus_options import (
    CLI_PREFIX,
    PASSWORDS,
    BusOptions,
    bus_faults,
    bus_options,
    say,
    seconds_option,
    show_logs,
)
from ._hosting import Hosting
from ._loading import LoadFault, load_factory, make_workers

if TYPE_CHECKING:
    from trioworkers.bus.redis import RedisBus


def _check_name(
    _context: click.Context, _parameter: click.Parameter, name: str | None
) -> str | None:
    if name == "":
        raise click.BadParameter("a name has at least one character")
    if name is not None and name.startswith(CLI_PREFIX):
        raise click.BadParameter(f"names that begin with {CLI_PREFIX!r} are the command's own")
    return name


async def _add(runner: WorkerRunner, place: str, workers: tuple[BaseWorker, ...]) -> None:
    try:
        await runner.add_workers(*workers)
    except (DuplicateWorkerError, StoppedError) as error:
        raise LoadFault(f"{place} has returned workers that can't run together: {error}") from None


async def _host(
    place: str, factory: Callable[[], Any], name: str | None, bus: "RedisBus", grace: float
) -> int:
    # Signals end a factory as they end any program: it may be deaf to cancellation.
    workers = await make_workers(place, factory)
    runner = WorkerRunner(name=name, bus=bus)
    await _add(runner, place, workers)
    names = ", ".join(repr(worker.name) for worker in workers)
    say(
        f"runner {runner.name!r}, pid {os.getpid()} on {socket.gethostname()}, "
        f"{bus.statistics().address}: {names} of {place}"
    )
    hosting = Hosting(grace, say)
    with bus_faults():
        return await hosting.run(lambda: hosting.host(runner))


@click.command(
    "run",
    epilog=f"""\b
Examples:
  trioworkers run shop.workers:make_workers --bus redis://localhost
  trioworkers run shop.workers:Prices --name prices-2 --grace 120

{PASSWORDS}

SIGTERM and Ctrl-C drain: new jobs are refused, what was accepted is finished
within --grace, then cancelled. A second signal cancels at once: the handlers
stop, and those who asked are told. A third one ends the process, whatever it does.

\b
Exit status:
  0    all workers have ended: by themselves, or drained after a signal
  1    a worker has crashed; its traceback is on standard error
  2    a wrong option, or the module or factory are of no use; nothing was started
  3    the bus can't be reached, refuses us, or a name is taken; nothing was started
  128+n  signal n has cancelled what was not finished: 130 for Ctrl-C, 143 for SIGTERM
""",
)
@click.argument("place", metavar="MODULE:FACTORY")
@bus_options
@click.option(
    "--name",
    callback=_check_name,
    help="The runner's name, which nobody else on the bus may have.  [default: made up]",
)
@seconds_option("--grace", "Finish what was accepted for this time, after a signal.", 30.0)
@seconds_option(
    "--lease", "Be taken for gone by the others when nothing is heard for this time.", 10.0
)
@click.pass_context
def run_workers(
    context: click.Context,
    place: str,
    where: BusOptions,
    name: str | None,
    grace: float,
    lease: float,
) -> None:
    """Host workers in this process, for all processes on the bus.

    FACTORY is a function of MODULE without arguments, sync or async, that returns
    a worker or several; or a class of worker. The current directory is searched
    for MODULE, too.

    Says on standard error what runs where, when each worker is ready, and when
    the connection to the bus changes.
    """
    bus = where.open(lease=lease)
    factory = load_factory(place)
    show_logs(logging.INFO)
    context.exit(trio.run(_host, place, factory, name, bus, grace))
