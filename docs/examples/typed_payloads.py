import attrs
import trio

from trioworkers import BaseWorker, BusJobRequestMessage, JobError, WorkerRunner, job


@attrs.frozen
class Order:
    item: str
    amount: int = 1


@attrs.frozen
class Receipt:
    total: float


PRICES = {"tea": 2.5, "cake": 4.0}


class Shop(BaseWorker):
    @job(name="order")
    async def order(self, message: BusJobRequestMessage, order: Order) -> Receipt:
        return Receipt(PRICES[order.item] * order.amount)


async def main() -> None:
    async with WorkerRunner() as runner:
        await runner.add_workers(Shop("shop"))
        print(await runner.call("shop", name="order", payload=Order("tea", 2)))
        print(await runner.call("shop", name="order", payload={"item": "cake"}))
        try:
            await runner.call("shop", name="order", payload={"item": "tea", "amount": "2"})
        except JobError as error:
            print(error.outcomes["shop"].status, "-", error.outcomes["shop"].error)


trio.run(main)
# Output:
# {'total': 5.0}
# {'total': 4.0}
# failed - JobError: bad payload for Order: expected int, not '2' @ payload.amount
