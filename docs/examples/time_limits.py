import trio
import trio.testing

from trioworkers import BaseWorker, BusJobRequestMessage, JobGroupError, WorkerRunner, job


class Cook(BaseWorker):
    @job(name="cook")
    async def cook(self, message: BusJobRequestMessage) -> dict[str, str]:
        if self.name == "stew":
            print(f"{message.deadline - trio.current_time():.0f} seconds? We shall see")
            await trio.sleep(7200)
        return {"dish": self.name}


async def main() -> None:
    async with WorkerRunner() as runner:
        await runner.add_workers(Cook("salad"), Cook("stew"))
        try:
            async with runner.job_group("salad", "stew", name="cook", timeout=600):
                pass
        except JobGroupError as error:
            print(error.outcomes["salad"].response)
            print(error.outcomes["stew"].status)


trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
# Output:
# 600 seconds? We shall see
# {'dish': 'salad'}
# timed_out
