import trio

from trioworkers import (
    BaseWorker,
    BusJobRequestMessage,
    BusJobResponseMessage,
    JobGroupResponse,
    WorkerReadyData,
    WorkerRunner,
    job,
)


class Clerk(BaseWorker):
    @job(name="stamp")
    async def stamp(self, message: BusJobRequestMessage) -> dict[str, str]:
        return {"stamped": message.payload["form"]}


class Manager(BaseWorker):
    async def on_activated(self, args: dict | None) -> None:
        await self.request_job_group("clerk", name="stamp", payload={"form": "27b"})

    async def on_job_response(self, message: BusJobResponseMessage) -> None:
        print(message.source, message.response)

    async def on_job_completed(self, result: JobGroupResponse) -> None:
        print("all in:", result.responses)
        await self.end()


manager = Manager("manager")


@manager.event_handler("on_worker_ready")
async def greet(worker: BaseWorker, data: WorkerReadyData) -> None:
    print(worker.name, "sees", data.worker_name)


async def main() -> None:
    runner = WorkerRunner()
    await runner.add_workers(manager, Clerk("clerk"))
    await runner.run()


trio.run(main)
# Output:
# manager sees clerk
# clerk {'stamped': '27b'}
# all in: {'clerk': {'stamped': '27b'}}
