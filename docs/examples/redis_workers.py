import attrs
import trio

from trioworkers import BaseWorker, JobError, WorkerRunner, job


@attrs.frozen
class Text:
    lines: list[str]
    seconds: float = 0.0  # that each line, or word, takes


class Counter(BaseWorker):
    @job(name="count")
    async def count(self, message, text: Text):
        if not text.lines:
            raise JobError("there is nothing to count")
        words = 0
        for number, line in enumerate(text.lines, 1):
            await trio.sleep(text.seconds)
            words += len(line.split())
            update = {"lines": number, "of": len(text.lines)}
            await self.send_job_update(message.job_id, update)
        return {"words": words}


class Splitter(BaseWorker):
    @job(name="split")
    async def split(self, message, text: Text):
        words = [word for line in text.lines for word in line.split()]
        await self.send_job_stream_start(message.job_id)
        for word in words:
            await self.send_job_stream_data(message.job_id, {"word": word})
            await trio.sleep(text.seconds)
        await self.send_job_stream_end(message.job_id, {"words": len(words)})


def make_workers():
    return [Counter("counter"), Splitter("splitter")]


async def main():
    async with WorkerRunner() as runner:  # in one process, without a server
        await runner.add_workers(*make_workers())
        print(await runner.call("counter", name="count", payload=Text(["to be", "or not"])))


if __name__ == "__main__":
    trio.run(main)
# Output:
# {'words': 4}
