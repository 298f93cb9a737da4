import trio

from trioworkers import BaseWorker, BusJobRequestMessage, JobEvent, WorkerRunner, job


class Reader(BaseWorker):
    @job(name="read")
    async def read(self, message: BusJobRequestMessage) -> dict[str, int]:
        words = message.payload["text"].split()
        await self.send_job_stream_start(message.job_id, {"words": len(words)})
        for word in words:
            await self.send_job_stream_data(message.job_id, {"word": word})
        await self.send_job_stream_end(message.job_id, {"read": len(words)})


async def main() -> None:
    async with WorkerRunner() as runner:
        await runner.add_workers(Reader("reader"))
        payload = {"text": "slow and steady"}
        async with runner.job("reader", name="read", payload=payload) as job_:
            async for event in job_:
                if event.type == JobEvent.STREAM_DATA:
                    print(event.data["word"])
        print(job_.response)


trio.run(main)
# Output:
# slow
# and
# steady
# {'read': 3}
