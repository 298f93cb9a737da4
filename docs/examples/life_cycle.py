import trio

from trioworkers import BaseWorker, WorkerActivationArgs, WorkerReadyData, WorkerRunner


class Player(BaseWorker):
    async def on_activated(self, args: dict | None) -> None:
        print(self.name, "plays", args["metadata"]["card"])
        await self.end()

    async def cleanup(self) -> None:
        print(self.name, "has gone home")


class Table(BaseWorker):
    async def on_activated(self, args: dict | None) -> None:
        await self.add_workers(Player("north", active=False))

    async def on_worker_ready(self, data: WorkerReadyData) -> None:
        print(data.worker_name, "sits at", data.parent)
        card = WorkerActivationArgs(metadata={"card": "7 of hearts"})
        await self.activate_worker(data.worker_name, args=card)


async def main() -> None:
    runner = WorkerRunner()
    await runner.add_workers(Table("table"))
    await runner.run()
    print("the runner has ended;", len(runner.workers), "workers left")


trio.run(main)
# Output:
# north sits at table
# north plays 7 of hearts
# north has gone home
# the runner has ended; 0 workers left
