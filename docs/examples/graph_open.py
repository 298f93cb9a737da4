from typing import Any

import trio

from trioworkers.graph import Graph, Task, TaskWorker


class Dig(Task):
    metres: int


class Hole(Task):
    metres: int


class Digger(TaskWorker):
    output_types: list[type[Task]] = [Hole]

    def init(self) -> None:
        self.is_deep = trio.Event()

    async def consume_work(self, task: Dig) -> None:
        who = self.get_metadata(task)["who"]
        try:
            if task.metres > 10:
                self.is_deep.set()
                await trio.sleep_forever()
        finally:
            print(who, "has put the spade away")
        self.notify_status(task, "dug")
        self.publish_work(Hole(metres=task.metres), input_task=task)


def told(metadata: dict[str, Any], chain: Any, worker: Any, task: Any, text: Any, _: Any) -> None:
    print(metadata["who"], "hears:", text, "by", worker.name)


async def main() -> None:
    graph, digger = Graph(name="garden"), Digger()
    graph.add_workers(digger).set_entry(digger)
    digger.sink(Hole, lambda metadata, task: print(metadata["who"], "has", task))
    async with graph.open():
        shallow = await graph.add_work(digger, Dig(metres=1), {"who": "Ann"}, told)
        await graph.wait_completed(shallow)
        deep = await graph.add_work(digger, Dig(metres=1000), {"who": "Bob"})
        await digger.is_deep.wait()
        print("aborting", deep)
        print(graph.abort_work(deep), graph.abort_work(shallow))
    print(graph.statistics().aborted, "aborted,", graph.statistics().done, "done")


trio.run(main)
# Output:
# Ann has put the spade away
# Ann hears: dug by Digger
# Ann has Hole(metres=1)
# aborting (('InitialTaskWorker', 2),)
# True False
# Bob has put the spade away
# 1 aborted, 1 done
