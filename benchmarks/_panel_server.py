"""The server of `benchmarks.panel_load`, in a process of its own.

    python -m benchmarks._panel_server STALL_TIMEOUT MAX_CLIENTS

Says at which port it listens, in a line ``{"port": ...}``. Then each line on standard input is
a wish, a JSON object: ``{"do": "load", ...}`` starts job groups, with the sizes of `Load`;
``{"do": "look"}`` is answered by a line with what the server counts, its memory in bytes, and the
milliseconds of a processor that it has used.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import attrs
import trio

from trioworkers import BaseWorker, BusJobRequestMessage, WorkerRunner, job
from trioworkers.ui import BaseUIWorker
from trioworkers.ui.rtvi import RTVIServer

from ._resident import resident_bytes

PEERS = ("ann", "bob")


@attrs.frozen
class Load:
    """What is to be told to all clients.

    Attributes:
      groups: How many job groups, all at once.
      updates: How many each of their workers sends.
      seconds: In which time.
      bytes: About how long each is.
      offset: Seconds until the first group begins to send; not all send at once.
    """

    groups: int
    updates: int
    seconds: float
    bytes: int
    offset: float = 0.0


class Peer(BaseWorker):
    """Sends updates that say when they were sent."""

    @job(name="work")
    async def work(self, message: BusJobRequestMessage) -> dict[str, str]:
        """Do one job."""
        load = Load(**message.payload or {})
        padding = "x" * load.bytes
        await trio.sleep(load.offset)
        for _ in range(load.updates):
            await trio.sleep(load.seconds / load.updates)
            update = {"sent": time.monotonic(), "padding": padding}
            await self.send_job_update(message.job_id, update)
        return {"by": self.name}


def _memory() -> dict[str, int]:
    """Return the resident memory of this process now, and at most ever, in bytes."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return {"resident": resident_bytes(), "peak": int(peak.split()[1]) * 1024}


async def serve(stall_timeout: float, max_clients: int) -> None:
    """Serve until the input ends."""
    desk = BaseUIWorker("desk")
    server = RTVIServer(ui_worker="desk", stall_timeout=stall_timeout, max_clients=max_clients)
    await server.bind()
    async with WorkerRunner() as runner:
        await runner.add_workers(desk, server, *map(Peer, PEERS))
        await server.wait_running()
        print(json.dumps({"port": server.port}), flush=True)
        data = b""
        async with trio.lowlevel.FdStream(os.dup(0)) as wishes:
            async for part in wishes:
                *lines, data = (data + part).split(b"\n")
                for line in lines:
                    await _fulfil(json.loads(line), desk, server)
        await runner.cancel()


async def _fulfil(wish: dict[str, Any], desk: BaseUIWorker, server: RTVIServer) -> None:
    if wish.pop("do") == "look":
        seen = attrs.asdict(server.statistics(), recurse=False)
        seen = {key: value for key, value in seen.items() if isinstance(value, int)}
        seen["processor"] = round(time.process_time() * 1000)
        print(json.dumps(seen | _memory()), flush=True)
        return
    load = Load(**wish)
    for number in range(load.groups):
        offset = load.seconds / load.updates * number / load.groups
        payload = attrs.asdict(attrs.evolve(load, offset=offset))
        await desk.start_user_job_group(*PEERS, name="work", payload=payload, label="load")


if __name__ == "__main__":
    trio.run(serve, float(sys.argv[1]), int(sys.argv[2]))
