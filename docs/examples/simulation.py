import trio

from trioworkers import BaseWorker, BusJobRequestMessage, WorkerRunner, job
from trioworkers.testing import Scenario, simulate


class Account(BaseWorker):
    balance = 0

    async def deposit(self) -> None:
        before = self.balance
        await trio.lowlevel.checkpoint()  # such as: ask a database
        self.balance = before + 1


class Racy(Account):
    @job(name="add")
    async def add(self, message: BusJobRequestMessage) -> None:
        await self.deposit()


class Fixed(Account):
    @job(name="add", sequential=True)
    async def add(self, message: BusJobRequestMessage) -> None:
        await self.deposit()


def two_deposits(account: Account) -> Scenario:
    async def scenario(runner: WorkerRunner) -> None:
        await runner.add_workers(account)
        async with trio.open_nursery() as nursery:
            for _ in range(2):
                nursery.start_soon(lambda: runner.call("account", name="add"))
        assert account.balance == 2, f"balance {account.balance}"

    return scenario


for kind in (Racy, Fixed):
    failures: dict[int, str] = {}
    for seed in range(100):
        try:
            simulate(two_deposits(kind("account")), seed=seed)
        except AssertionError as error:
            failures[seed] = str(error)
    print(kind.__name__, "loses a deposit" if failures else "never loses one")
    for seed, error in list(failures.items())[:1]:
        try:
            simulate(two_deposits(kind("account")), seed=seed)
        except AssertionError as again:
            print("and does it again:", str(again) == error)
# Output:
# Racy loses a deposit
# and does it again: True
# Fixed never loses one
