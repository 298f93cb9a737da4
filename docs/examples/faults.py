from trioworkers import BaseWorker, BusJobRequestMessage, JobError, job
from trioworkers.testing import Crash, Disconnect, Link, SimulatedNetwork, simulate


class Till(BaseWorker):
    """Takes money; a payment that came twice would be taken twice."""

    def __init__(self) -> None:
        super().__init__("till")
        self.taken = 0

    @job(name="pay")
    async def pay(self, message: BusJobRequestMessage) -> dict[str, int]:
        self.taken += 1
        return {"taken": self.taken}


async def one_payment(network: SimulatedNetwork) -> None:
    try:
        print("answer:", await network["desk"].call("till", name="pay"))
    except JobError as error:
        print("failed:", error)
    await network.settle()
    till = network["shop"].get_worker("till")
    print("taken:", till.taken if isinstance(till, Till) else "no till")


runners = {"desk": tuple, "shop": lambda: [Till()]}
connection_goes = Disconnect("desk", "shop", nth=1, seconds=2.0)

for delivery in ("once", "at-least-once", "at-most-once"):
    print(delivery)
    simulate(one_payment, runners=runners, link=Link(delivery=delivery), faults=[connection_goes])
print("crash")
simulate(one_payment, runners=runners, faults=[Crash("shop", at=0.0, restart_after=1.0)])
# Output:
# once
# answer: {'taken': 1}
# taken: 1
# at-least-once
# answer: {'taken': 1}
# taken: 2
# at-most-once
# failed: job desk.0-1: worker 'till' lost: WorkerLost: its worker has left
# taken: 0
# crash
# failed: job desk.0-1: worker 'till' lost: WorkerLost: its worker has left
# taken: 0
