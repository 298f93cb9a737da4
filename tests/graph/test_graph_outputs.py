"""What sinks have collected."""

from flows import A, B, C, line, make

from trioworkers.graph import Graph


class SmallB(B):
    pass


async def test_outputs_can_be_asked_for_by_class():
    """Subclasses count; without a class it is all of them."""

    async def both(self, task: A) -> None:
        self.publish_work(SmallB(n=1))
        self.publish_work(C(n=2))

    worker = make(both, SmallB, C)
    graph = line(worker, sink=SmallB)
    worker.sink(C)
    await graph.run([A()])
    assert graph.get_output_tasks(B) == [SmallB(n=1)]
    assert graph.get_output_tasks(C) == [C(n=2)]
    assert graph.get_output_tasks() == [SmallB(n=1), C(n=2)]
    assert Graph().get_output_tasks(A) == []
