import attrs
import trio

from trioworkers import BaseWorker, BusDataMessage, BusMessage, wire_tag
from trioworkers.testing import Crash, Disconnect, Link, SimulatedNetwork, simulate


@wire_tag("shop.payment")
@attrs.define
class Payment(BusDataMessage):
    amount: int


class Till(BaseWorker):
    """Takes money; a payment that comes twice is taken twice."""

    taken = 0

    async def on_bus_message(self, message: BusMessage) -> None:
        if isinstance(message, Payment):
            self.taken += message.amount


async def one_payment(network: SimulatedNetwork) -> None:
    await network["desk"].bus.send(Payment(5, source="desk", target="till"))
    await trio.sleep(5)
    till = network["shop"].get_worker("till")
    print("taken:", till.taken if isinstance(till, Till) else "nothing: there is no till")


runners = {"desk": tuple, "shop": lambda: [Till("till")]}
connection_goes = Disconnect("desk", "shop", nth=1, seconds=2.0)

for delivery in ("once", "at-least-once", "at-most-once"):
    print(delivery)
    simulate(one_payment, runners=runners, link=Link(delivery=delivery), faults=[connection_goes])
print("crash")
simulate(one_payment, runners=runners, faults=[Crash("shop", at=1.0, restart_after=2.0)])
# Output:
# once
# taken: 5
# at-least-once
# taken: 10
# at-most-once
# taken: 0
# crash
# taken: 0
