import logging

import trio

from trioworkers import BaseWorker, WorkerErrorData, WorkerRunner

logging.getLogger("trioworkers").setLevel(logging.CRITICAL)


class Moody(BaseWorker):
    async def on_activated(self, args: dict | None) -> None:
        raise ValueError("not today")


async def strict() -> None:
    async with WorkerRunner() as runner:
        await runner.add_workers(Moody("moody"))
        await trio.sleep_forever()


async def lenient() -> None:
    runner = WorkerRunner(strict=False)

    @runner.event_handler("on_error")
    async def note(runner: WorkerRunner, data: WorkerErrorData) -> None:
        print("reported:", data.worker_name, "-", data.error)
        await runner.end()

    await runner.add_workers(Moody("moody"))
    async with trio.open_nursery() as nursery:
        await nursery.start(runner.run)
        print("the runner runs:", [worker.name for worker in runner.workers])


try:
    trio.run(strict)
except* ValueError:
    print("raised a ValueError")
trio.run(lenient)
# Output:
# raised a ValueError
# the runner runs: ['moody']
# reported: moody - ValueError: not today
