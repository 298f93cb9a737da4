from contextlib import suppress

import trio
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule, run_state_machine_as_test

from trioworkers import BaseWorker, BusJobRequestMessage, JobError, job
from trioworkers.testing import WorkerMachine


class Till(BaseWorker):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.total = 0  # what it says
        self.payments = 0  # what it should say

    async def take(self) -> None:
        before = self.total
        await trio.sleep(1)  # such as: ask a database
        self.total = before + 1
        self.payments += 1


class Racy(Till):
    @job(name="pay")
    async def pay(self, message: BusJobRequestMessage) -> None:
        await self.take()


class Fixed(Till):
    @job(name="pay", sequential=True)
    async def pay(self, message: BusJobRequestMessage) -> None:
        await self.take()


class TillMachine(WorkerMachine):
    kind: type[Till] = Fixed
    open_blocks = open_block_of_worker = send_and_forget = None  # rules for scripted workers

    def make_worker(self, name: str) -> BaseWorker:
        return self.kind(name)

    @rule(till=WorkerMachine.workers, times=st.integers(1, 3))
    def pay(self, till: Till, times: int) -> None:
        for _ in range(times):
            self.start_soon(self.send_payment, till.name)

    async def send_payment(self, name: str) -> None:
        with suppress(JobError):  # tills are stopped and crash, too
            await self.runner.call(name, name="pay")

    @invariant()
    def totals_are_right(self) -> None:
        for till in self.made:
            assert till.total == till.payments, "a payment is lost"


class RacyMachine(TillMachine):
    kind = Racy


TestTills = TillMachine.TestCase  # this is all that a test file needs

quick = settings(
    max_examples=50,
    stateful_step_count=30,
    derandomize=True,
    phases=[Phase.generate, Phase.shrink],
)
for machine in (RacyMachine, TillMachine):
    try:
        run_state_machine_as_test(machine, settings=quick)
    except AssertionError as error:
        print(machine.__name__, "finds:", error)
    else:
        print(machine.__name__, "finds nothing")
# Output:
# RacyMachine finds: a payment is lost
# TillMachine finds nothing
