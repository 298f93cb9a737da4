import trio
import trio.testing

from trioworkers.graph import Graph, InitialTaskWorker, JoinedTaskWorker, Task, TaskWorker


class Trip(Task):
    legs: list[int]


class Leg(Task):
    hours: int


class Arrival(Task):
    legs: int


class Plan(TaskWorker):
    output_types: list[type[Task]] = [Leg]

    async def consume_work(self, task: Trip) -> None:
        self.trace(task.prefix(1))
        for hours in task.legs:
            self.publish_work(Leg(hours=hours), input_task=task)


class Travel(TaskWorker):
    output_types: list[type[Task]] = [Leg]

    async def consume_work(self, task: Leg) -> None:
        await trio.sleep(task.hours)
        if task.hours > 8:
            raise TimeoutError("missed the train")
        self.publish_work(task.copy_public(), input_task=task)


class Arrive(JoinedTaskWorker):
    join_type: type[TaskWorker] = InitialTaskWorker
    output_types: list[type[Task]] = [Arrival]

    async def consume_work_joined(self, tasks: list[Leg]) -> None:
        self.publish_work(Arrival(legs=len(tasks)))


async def main() -> None:
    graph = Graph(name="travel")
    plan, travel, arrive = Plan(), Travel(), Arrive(join_policy="settled")
    graph.add_workers(plan, travel, arrive).set_entry(plan)
    graph.set_dependency(plan, travel).next(arrive).sink(Arrival)
    graph.set_max_parallel_tasks(Travel, 1)
    await graph.run([Trip(legs=[2, 9])], on_failure="collect")
    for trace in graph.traces():
        print(trace)


trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
# Output:
# trace of InitialTaskWorker:1: 6 tasks, complete
#         at     waited       took  what
#      0.000      0.000      0.000  InitialTaskWorker:1 Trip for Plan: done
#      0.000      0.000      2.000    Plan:1 Leg for Travel: done
#      0.000      2.000      9.000    Plan:2 Leg for Travel: failed: TimeoutError: missed the train
#      2.000          -          -      Travel:1 Leg for Arrive: given to a join
#     11.000      0.000      0.000  InitialTaskWorker:1 join of 1 for Arrive: done
#     11.000          -          -    Arrive:1 Arrival for sink of Arrive: collected
