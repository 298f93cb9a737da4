import threading
from typing import ClassVar

import trio

from trioworkers.graph import Graph, Task, TaskWorker


class Letter(Task):
    n: int


class Printer(TaskWorker):
    printing: ClassVar[int] = 0
    most: ClassVar[int] = 0

    async def consume_work(self, task: Letter) -> None:
        Printer.printing += 1
        Printer.most = max(Printer.most, Printer.printing)
        await trio.lowlevel.checkpoint()
        Printer.printing -= 1


class Laser(Printer):
    pass


class Ink(Printer):
    pass


class Shredder(TaskWorker):
    """A plain ``def`` runs in a thread, so it may block."""

    def init(self) -> None:
        self.lock = threading.Lock()

    def consume_work(self, task: Letter) -> None:
        assert self.lock.acquire(blocking=False)
        trio.from_thread.check_cancelled()  # from time to time in long work
        self.lock.release()


graph = Graph(max_running=100, max_threads=8)
laser, ink, shredder = Laser(), Ink(), Shredder()
graph.add_workers(laser, ink, shredder).set_entry(laser, ink, shredder)
graph.set_max_parallel_tasks(Printer, 3)  # for both kinds together
graph.set_max_parallel_tasks(Shredder, 1)
trio.run(
    graph.run, [(worker, Letter(n=n)) for n in range(100) for worker in (laser, ink, shredder)]
)
print("printing at once:", Printer.most, "done:", graph.statistics().done)
# Output: printing at once: 3 done: 300
