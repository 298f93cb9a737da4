import trio

from trioworkers.graph import Graph, ProvenanceChain, Task, TaskWorker


class Game(Task):
    name: str
    throws: list[int]


class Throw(Task):
    points: int


class Won(Task):
    game: str
    after: int


class Player(TaskWorker):
    output_types: list[type[Task]] = [Throw]

    async def consume_work(self, task: Game) -> None:
        for points in task.throws:
            self.publish_work(Throw(points=points), input_task=task)


class Referee(TaskWorker):
    """Counts for each game by itself."""

    output_types: list[type[Task]] = [Won]
    num_retries: int = 1
    backoff: float = 0.0

    async def consume_work(self, task: Throw) -> None:
        game = task.find_input_task(Game)
        assert game is not None
        state = self.get_worker_state(task.prefix(1))  # goes when the game is complete
        if not state:
            state.update(points=0, throws=0)
            self.watch(task.prefix(1))
        state["points"] += task.points
        state["throws"] += 1
        if task.retry_count == 0 and task.points == 6:
            raise OSError("the die is under the table")  # and the state as it was before
        if state["points"] >= 10 and "won" not in state:
            state["won"] = True
            self.publish_work(Won(game=game.name, after=state["throws"]), input_task=task)

    def notify(self, prefix: ProvenanceChain) -> None:
        complete.append(prefix)


complete: list[ProvenanceChain] = []


async def main() -> None:
    graph, player, referee = Graph(), Player(), Referee()
    graph.add_workers(player, referee).set_entry(player)
    graph.set_dependency(player, referee).sink(Won)
    await graph.run([Game(name="A", throws=[6, 1, 4, 6]), Game(name="B", throws=[5, 4])])
    print(graph.get_output_tasks())
    print("complete:", *sorted(complete))


trio.run(main)
# Output:
# [Won(game='A', after=3)]
# complete: (('InitialTaskWorker', 1),) (('InitialTaskWorker', 2),)
