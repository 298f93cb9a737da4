import trio

from trioworkers import BaseWorker, BusJobRequestMessage, WorkerRunner, job


class Squarer(BaseWorker):
    @job(name="square", sequential=True)
    async def square(self, message: BusJobRequestMessage) -> dict[str, int]:
        return {"result": message.payload["number"] ** 2}


class Adder(BaseWorker):
    @job(name="sum of squares")
    async def add(self, message: BusJobRequestMessage) -> dict[str, int]:
        total = 0
        for number in message.payload["numbers"]:
            answer = await self.call("squarer", name="square", payload={"number": number})
            total += answer["result"]
        return {"result": total}


async def main() -> None:
    async with WorkerRunner() as runner:
        await runner.add_workers(Squarer("squarer"), Adder("adder"))
        print(
            await runner.call(
                "adder", name="sum of squares", payload={"numbers": [1, 2, 3]}, timeout=5
            )
        )


trio.run(main)
# Output:
# {'result': 14}
