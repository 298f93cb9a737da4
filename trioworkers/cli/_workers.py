"""``trioworkers workers``: who is on a bus of many processes."""

import json
import logging
import signal
from typing import TYPE_CHECKING

import click
import trio
from rich.console import Console

from ._bus_options import PASSWORDS, BusOptions, bus_faults, bus_options, show_logs
from ._onlooker import Onlooker, open_onlooker
from ._signals import run_until_signal
from ._sim_display import open_console
from ._workers_display import as_document, lines_of, open_watch

if TYPE_CHECKING:
    from trioworkers.bus.redis import RedisBus

#: Seconds that a process may take to tell what it has.
PATIENCE = 2.0


async def _list(bus: "RedisBus", console: Console, *, as_json: bool, watch: bool) -> None:
    async with open_onlooker(bus) as onlooker:
        await onlooker.wait_complete(PATIENCE)
        if watch:
            await _watch(onlooker, console, as_json=as_json)
        view = onlooker.view()
    if as_json:
        console.out(json.dumps(as_document(view), indent=2), highlight=False)
    else:
        for line in lines_of(view):
            console.print(line, soft_wrap=True)


async def _watch(onlooker: Onlooker, console: Console, *, as_json: bool) -> None:
    with open_watch(console, as_json=as_json) as shown:
        while True:
            seen = onlooker.mark
            shown.show(onlooker.view())
            await onlooker.wait_news(seen)


@click.command(
    epilog=f"""\b
Examples:
  trioworkers workers --bus redis://localhost
  trioworkers workers --json | jq '.runners[].workers[].name'
  trioworkers workers --watch

{PASSWORDS}

Each process is asked what it has; the answers are waited for, at most
{PATIENCE:g} s. One that doesn't answer in time is listed as such: it has just
begun, or hangs. Runners of this command itself are not listed.

\b
Exit status:
  0    all are listed, also if nobody is there; with --watch, also after Ctrl-C
  2    a wrong option
  3    the bus can't be reached, or refuses us
  128+n  signal n has ended it: 130 for Ctrl-C, 143 for SIGTERM
""",
)
@bus_options
@click.option("--watch", is_flag=True, help="Go on: follow who comes and who goes, until Ctrl-C.")
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Write one JSON document; with --watch, one in a line for each change.",
)
@click.pass_context
def workers(context: click.Context, where: BusOptions, watch: bool, as_json: bool) -> None:
    """List the workers that are there: each under its runner and its parent.

    A line for each runner: its process, and the lease, which is how long nothing may
    be heard of it until it is taken for gone. A line for each worker: whether it has
    started inactive, and when.
    """
    bus = where.open()
    show_logs(logging.WARNING)
    console = open_console()
    failure: BaseException | None = None

    async def work() -> None:
        nonlocal failure
        try:
            with bus_faults():
                await _list(bus, console, as_json=as_json, watch=watch)
        # Raised below, in no group. A console whose reader has left exits.
        except (click.ClickException, OSError, SystemExit) as error:
            failure = error

    caught = trio.run(run_until_signal, work)
    if failure is not None:
        raise failure
    if caught is not None and not (watch and caught is signal.SIGINT):
        click.echo("cancelled", err=True)
        context.exit(128 + caught)
