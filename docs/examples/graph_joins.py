import trio

from trioworkers.errors import GraphError
from trioworkers.graph import (
    Graph,
    InitialTaskWorker,
    Joined,
    JoinedTaskWorker,
    JoinPolicy,
    Task,
    TaskWorker,
    at_least,
)


class Order(Task):
    prices: list[str]


class Item(Task):
    price: str


class Price(Task):
    cents: int


class Bill(Task):
    cents: int
    lacks: int = 0


class Open(TaskWorker):
    output_types: list[type[Task]] = [Item]

    async def consume_work(self, task: Order) -> None:
        for price in task.prices:
            self.publish_work(Item(price=price), input_task=task)


class Read(TaskWorker):
    output_types: list[type[Task]] = [Price]

    async def consume_work(self, task: Item) -> None:
        self.publish_work(Price(cents=int(task.price)), input_task=task)


class Sum(JoinedTaskWorker):
    join_type: type[TaskWorker] = InitialTaskWorker
    output_types: list[type[Task]] = [Bill]

    async def consume_work_joined(self, tasks: Joined[Price]) -> None:
        for failure in tasks.missing:
            print("  missing:", failure.worker, failure.task)
        cents = sum(task.cents for task in tasks)
        self.publish_work(Bill(cents=cents, lacks=tasks.missing_count))


async def bill(policy: JoinPolicy, *prices: str) -> None:
    print(policy, *prices)
    graph = Graph()
    opener, reader, total = Open(), Read(), Sum(join_policy=policy)
    graph.add_workers(opener, reader, total).set_entry(opener)
    graph.set_dependency(opener, reader).next(total).sink(Bill)
    try:
        await graph.run([Order(prices=list(prices))])
    except GraphError as error:
        print("  failed:", *(failure.worker for failure in error.failures))
    print("  bills:", graph.get_output_tasks())


async def main() -> None:
    await bill("all", "250", "100", "399")
    await bill("all", "250", "free", "399")
    await bill("settled", "250", "free", "399")
    await bill(at_least(2), "250", "free", "399")
    await bill(at_least(2), "250", "free")


trio.run(main)
# Output:
# all 250 100 399
#   bills: [Bill(cents=749, lacks=0)]
# all 250 free 399
#   failed: Read Sum
#   bills: []
# settled 250 free 399
#   missing: Read Item(price='free')
#   failed: Read
#   bills: [Bill(cents=649, lacks=1)]
# at_least(2) 250 free 399
#   missing: Read Item(price='free')
#   failed: Read
#   bills: [Bill(cents=649, lacks=1)]
# at_least(2) 250 free
#   failed: Read Sum
#   bills: []
