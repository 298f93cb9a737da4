"""Processes of a panel and of its workers, which meet at a server; run as a program, one of them.

The panel's is killed, restarted and asked as a browser would; so are the workers'.
"""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import trio
from panel_workers import make_workers

from trioworkers import WorkerRunner
from trioworkers.bus.redis import RedisBus
from trioworkers.cli._signals import run_until_signal


async def host_workers(runner, options):
    """Add the desk and its peers."""
    await runner.add_workers(*make_workers())


async def host_panel(runner, options):
    """Have a panel while the runner runs."""
    from trioworkers.ui.panel import open_panel

    async with open_panel(
        runner,
        ui_worker="desk",
        port=options["port"],
        shared=options["shared"],
        name=f"panel-server-{os.getpid()}",
    ) as panel:
        await trio.Path(options["file"]).write_text(panel.url)
        await trio.sleep_forever()


_numbers = itertools.count()

ROLES = {"workers": host_workers, "panel": host_panel}


async def host(options):
    """Do what `ROLES` says until cancelled, or until SIGUSR1, which ends its workers."""
    bus = RedisBus(options["bus"], namespace=options["namespace"], lease=options["lease"])
    # The name of one that was killed is free when its lease is over.
    async with WorkerRunner(name=f"{options['role']}-{os.getpid()}", bus=bus) as runner:
        await ROLES[options["role"]](runner, options)
        with trio.open_signal_receiver(signal.SIGUSR1) as signals:
            await anext(signals)


class PanelChild:
    """One of them.

    Attributes:
      process: It.
      log: What it has printed.
      url: Where the panel is; "" until it says so.
    """

    def __init__(self, process, file, log):
        self.process = process
        self.log = log
        self._file = file

    @property
    def url(self):
        return self._file.read_text() if self._file.exists() else ""

    def signal(self, number):
        """Send it a signal; return when, by the monotonic clock."""
        self.process.send_signal(number)
        return time.monotonic()


@contextmanager
def open_panel_child(role, where, options):
    """Run one while the block does; it is killed at the end."""
    number = next(_numbers)
    file, log = where / f"{role}-{number}.url", where / f"{role}-{number}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, __file__, json.dumps(options | {"role": role, "file": str(file)})],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )
    try:
        yield PanelChild(process, file, log)
    finally:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait(10)


if __name__ == "__main__":
    trio.run(run_until_signal, host, json.loads(sys.argv[1]))
