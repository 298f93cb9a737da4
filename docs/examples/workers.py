import trio

from trioworkers import BaseWorker, BusJobRequestMessage, JobError, WorkerRunner, job


class Greeter(BaseWorker):
    def __init__(self, name: str, greeting: str) -> None:
        super().__init__(name)
        self.greeting = greeting

    @job(name="greet")
    async def greet(self, message: BusJobRequestMessage) -> dict[str, str]:
        await trio.lowlevel.checkpoint()
        return {"text": f"{self.greeting}, {message.payload['who']}!"}

    @job(name="refuse")
    async def refuse(self, message: BusJobRequestMessage) -> None:
        raise JobError("not before noon")


async def main() -> None:
    async with WorkerRunner() as runner:
        await runner.add_workers(Greeter("greeter", "Good morning"))
        answer = await runner.call("greeter", name="greet", payload={"who": "Ada"})
        print(answer["text"])
        try:
            await runner.call("greeter", name="refuse")
        except JobError as error:
            print(error.reason)


trio.run(main)
# Output:
# Good morning, Ada!
# worker 'greeter' failed: JobError: not before noon
