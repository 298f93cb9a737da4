import trio
import trio.testing

from trioworkers import BaseWorker, BusJobRequestMessage, WorkerPool, WorkerRunner, job


class Printer(BaseWorker):
    @job(name="print")
    async def print_pages(self, message: BusJobRequestMessage) -> None:
        await trio.sleep(message.payload["pages"])


async def ask(runner: WorkerRunner, pages: int) -> None:
    await runner.call("printers", name="print", payload={"pages": pages})
    print(f"pages: {pages}, done after {trio.current_time():.0f} s")


async def main() -> None:
    async with WorkerRunner() as runner:
        pool = WorkerPool("printers", Printer, size=2)
        await runner.add_workers(pool)
        async with trio.open_nursery() as nursery:
            for pages in (5, 1, 2, 12):
                nursery.start_soon(ask, runner, pages)
                await trio.testing.wait_all_tasks_blocked()
            now = pool.statistics()
            print(f"{now.busy_members} of {now.size} busy, {now.waiting_jobs} jobs wait")


trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
# Output:
# 2 of 2 busy, 2 jobs wait
# pages: 1, done after 1 s
# pages: 2, done after 3 s
# pages: 5, done after 5 s
# pages: 12, done after 15 s
