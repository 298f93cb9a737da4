import trio

from trioworkers import BaseWorker, BusJobRequestMessage, WorkerRunner, job


class Digger(BaseWorker):
    @job(name="dig")
    async def dig(self, message: BusJobRequestMessage) -> None:
        try:
            await self.send_job_update(message.job_id, {"depth": 1})
            await trio.sleep_forever()
        finally:
            print("the spade is cleaned")


async def main() -> None:
    async with WorkerRunner() as runner:
        await runner.add_workers(Digger("digger"))
        try:
            async with runner.job("digger", name="dig") as job_:
                async for event in job_:
                    print(event.data)
                    raise ValueError("that is deep enough")
        except ValueError as error:
            print(error)
        print(job_.outcomes["digger"].status)


trio.run(main)
# Output:
# {'depth': 1}
# the spade is cleaned
# that is deep enough
# cancelled
