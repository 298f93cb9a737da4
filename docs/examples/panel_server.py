import sys

import trio

from trioworkers import WorkerRunner
from trioworkers.bus.redis import RedisBus
from trioworkers.ui.panel import open_panel


async def serve(bus_url, port):
    runner = WorkerRunner(name="page", bus=RedisBus(bus_url))
    async with runner, open_panel(runner, ui_worker="desk", port=port) as panel:
        print(panel.url, flush=True)
        await trio.sleep_forever()


if __name__ == "__main__":
    match sys.argv[1:]:
        case [bus_url, port]:
            trio.run(serve, bus_url, int(port))
        case _:
            print("python panel_server.py redis://SERVER PORT")
# Output:
# python panel_server.py redis://SERVER PORT
