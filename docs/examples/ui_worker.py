import trio

from trioworkers import BaseWorker, BusJobRequestMessage, BusMessage, WorkerRunner, job
from trioworkers.ui import (
    BaseUIWorker,
    BusUIEventMessage,
    BusUIJobCompletedMessage,
    BusUIJobGroupCompletedMessage,
    BusUIJobGroupStartedMessage,
    BusUIJobUpdateMessage,
    BusUIResponseMessage,
    BusUITextMessage,
    ui_event,
)


class Cook(BaseWorker):
    @job(name="cake")
    async def cook(self, message: BusJobRequestMessage) -> dict[str, str]:
        minutes = message.payload[self.name]
        await trio.sleep(minutes * 0.02)
        await self.send_job_update(message.job_id, {"minutes": minutes})
        await trio.sleep(minutes * 0.02)
        return {self.name: "done"}


class Kitchen(BaseUIWorker):
    """What stands in front of people: they order, watch, and change their minds."""

    @ui_event("order")
    async def order(self, message: BusUIEventMessage) -> dict[str, str]:
        cake = message.payload["cake"]
        job_id = await self.start_user_job_group(
            "mixer", "oven", name="cake", payload={"mixer": 1, "oven": 10}, label=cake
        )
        await self.send_text(f"One {cake}, coming up.")
        return {"order": job_id}


class Counter(BaseWorker):
    """Prints what people would see; an `RTVIServer` shows it to browsers instead."""

    order = ""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.send_news, self.news = trio.open_memory_channel[BusMessage](100)

    async def on_bus_message(self, message: BusMessage) -> None:
        match message:
            case BusUIJobGroupStartedMessage():
                print(message.label, list(message.workers))
            case BusUIJobUpdateMessage():
                print(" ", message.worker_name, message.data)
            case BusUIJobCompletedMessage():
                print(" ", message.worker_name, message.status, message.response)
            case BusUIJobGroupCompletedMessage():
                print("that was it")
            case BusUITextMessage():
                print(">", message.text)
            case BusUIResponseMessage():
                print("response:", list(message.data))
                self.order = message.data.get("order", self.order)
        await self.send_news.send(message)

    async def wait_for(self, kind: type[BusMessage]) -> None:
        while not isinstance(await self.news.receive(), kind):
            pass

    async def tap(self, event: str, payload: dict[str, str]) -> None:
        """Do what a click does."""
        await self.send_bus_message(
            BusUIEventMessage(
                event,
                payload,
                session="table 5",
                request_id="1",
                source=self.name,
                target="kitchen",
            )
        )


async def main() -> None:
    async with WorkerRunner() as runner:
        counter = Counter("counter")
        await runner.add_workers(Kitchen("kitchen"), counter, Cook("mixer"), Cook("oven"))
        async with trio.open_nursery() as nursery:
            # For as long as this job is open, the counter is told of all that people may see.
            nursery.start_soon(lambda: counter.call("kitchen", name="ui.attach"))
            await trio.sleep(0.02)

            await counter.tap("order", {"cake": "Sachertorte"})
            await counter.wait_for(BusUIJobGroupCompletedMessage)

            await counter.tap("order", {"cake": "Linzertorte"})
            await counter.wait_for(BusUIJobCompletedMessage)
            await counter.tap("__cancel_task", {"task_id": counter.order, "reason": "too late"})
            await counter.wait_for(BusUIJobGroupCompletedMessage)
            nursery.cancel_scope.cancel()


trio.run(main)
# Output:
# Sachertorte ['mixer', 'oven']
# > One Sachertorte, coming up.
# response: ['order']
#   mixer {'minutes': 1}
#   mixer completed {'mixer': 'done'}
#   oven {'minutes': 10}
#   oven completed {'oven': 'done'}
# that was it
# Linzertorte ['mixer', 'oven']
# > One Linzertorte, coming up.
# response: ['order']
#   mixer {'minutes': 1}
#   mixer completed {'mixer': 'done'}
# response: ['job_id', 'cancelled']
#   oven cancelled None
# that was it
