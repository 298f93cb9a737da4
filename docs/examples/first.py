import trio

from trioworkers import BaseWorker, BusJobRequestMessage, WorkerRunner, job


class Counter(BaseWorker):
    @job(name="count")
    async def count(self, message: BusJobRequestMessage) -> dict[str, int]:
        words = message.payload["text"].split()
        await self.send_job_update(message.job_id, {"words": len(words)})
        return {"longest": max(map(len, words))}


async def main() -> None:
    async with WorkerRunner() as runner:
        await runner.add_workers(Counter("east"), Counter("west"))
        ask = {"name": "count", "payload": {"text": "many hands make light work"}}
        async with runner.job_group("east", "west", **ask, timeout=5) as group:
            async for event in group:
                assert event.data == {"words": 5}
    print(sorted(group.responses.items()))


trio.run(main)
# Output: [('east', {'longest': 5}), ('west', {'longest': 5})]
