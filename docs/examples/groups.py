import trio

from trioworkers import BaseWorker, BusJobRequestMessage, JobError, JobGroupError, WorkerRunner, job


class Scale(BaseWorker):
    def __init__(self, name: str, limit: int) -> None:
        super().__init__(name)
        self.limit = limit

    @job(name="weigh")
    async def weigh(self, message: BusJobRequestMessage) -> dict[str, int]:
        weight = message.payload["weight"]
        if weight > self.limit:
            raise JobError(f"{weight} is above {self.limit}")
        if weight < self.limit:
            await trio.sleep_forever()
        return {"weight": weight}


async def main() -> None:
    async with WorkerRunner() as runner:
        await runner.add_workers(Scale("small", 5), Scale("medium", 10), Scale("large", 20))

        # The first failure cancels the others, and the block.
        try:
            async with runner.job_group(
                "small", "medium", "large", name="weigh", payload={"weight": 10}
            ):
                pass
        except JobGroupError as error:
            print(error.reason)
            print({name: str(o.status) for name, o in sorted(error.outcomes.items())})

        # Or look at the outcomes yourself.
        async with runner.job_group(
            "small", "medium", name="weigh", payload={"weight": 10}, cancel_on_error=False
        ) as group:
            pass
        print(group.responses)
        print(group.outcomes["small"].error)


trio.run(main)
# Output:
# worker 'small' failed: JobError: 10 is above 5
# {'large': 'cancelled', 'medium': 'completed', 'small': 'failed'}
# {'medium': {'weight': 10}}
# JobError: 10 is above 5
