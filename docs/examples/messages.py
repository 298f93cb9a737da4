import attrs
import trio

from trioworkers import BaseWorker, BusDataMessage, BusMessage, WorkerRunner


@attrs.define
class Weather(BusDataMessage):
    sky: str


class Gardener(BaseWorker):
    async def on_bus_message(self, message: BusMessage) -> None:
        if isinstance(message, Weather):
            print(f"{message.source} reports: {message.sky}")
            await self.end()


class Station(BaseWorker):
    async def on_activated(self, args: dict | None) -> None:
        await self.send_bus_message(Weather("rain", source=self.name, target="gardener"))


async def main() -> None:
    runner = WorkerRunner()
    await runner.add_workers(Gardener("gardener"), Station("station"))
    await runner.run()


trio.run(main)
# Output:
# station reports: rain
