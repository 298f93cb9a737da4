"""Who else is on a bus, and what there is without the extra."""

import os
import socket
import subprocess
import sys

import pytest
import trio

from trioworkers import BaseWorker, WorkerRunner
from trioworkers.bus.redis import RedisBus, RedisPeer
from trioworkers.errors import BusDisconnected


async def test_peers_are_the_other_processes(real_server, namespace):
    """With what they say of themselves, and the runners that have been heard of."""

    def open_bus(**options):
        return RedisBus(real_server.url, namespace=namespace, **options)

    async with WorkerRunner(name="here", bus=open_bus()) as here:
        assert await here.bus.peers() == ()
        async with WorkerRunner(name="there", bus=open_bus(incarnation="x", lease=3)) as there:
            await here.add_workers(BaseWorker("mine"))
            await there.add_workers(BaseWorker("yours"))
            with trio.fail_after(10):
                await here.registry.wait_ready("yours")
                await there.registry.wait_ready("mine")
            peers = await here.bus.peers()
            assert peers == (RedisPeer("x.1", socket.gethostname(), os.getpid(), 3.0, ("there",)),)
            (mine,) = await there.bus.peers()
            assert mine.runners == ("here",)
            assert mine.lease == 10
        assert await here.bus.peers() == ()


async def test_peers_wait_for_the_server_for_a_while(real_server, namespace):
    """As all that needs it does."""
    bus = RedisBus(real_server.url, namespace=namespace, send_timeout=0)
    async with WorkerRunner(name="here", bus=bus):
        pass
    with pytest.raises(BusDisconnected):
        await bus.peers()


def output_of(code):
    """Return what an interpreter of its own prints."""
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def test_without_the_extra_the_remedy_is_named():
    """The package can be imported: a server may be given that needs none."""
    code = (
        "import sys; sys.modules['coredis'] = None\n"
        "from trioworkers.bus.redis import RedisBus\n"
        "try: RedisBus('redis://x')\n"
        "except ImportError as error: print(error)"
    )
    assert output_of(code) == (
        "RedisBus needs packages that are not installed. Run: pip install 'trioworkers[redis]'\n"
    )


@pytest.mark.parametrize("module", ["trioworkers", "trioworkers.bus.redis"])
def test_importing_does_not_load_the_extra(module):
    """Nor does the package of the bus, before one is made."""
    assert output_of(f"import {module}, sys; print('coredis' in sys.modules)") == "False\n"
