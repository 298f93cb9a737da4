import attrs
import trio

from trioworkers.graph import Graph, Task, TaskWorker


class Question(Task):
    text: str
    tags: list[str] = attrs.field(factory=list)


class Plan(Task):
    steps: int


class Answer(Task):
    text: str


class Planner(TaskWorker):
    output_types: list[type[Task]] = [Plan]

    async def consume_work(self, task: Question) -> None:
        self.publish_work(Plan(steps=2), input_task=task)


class Answerer(TaskWorker):
    output_types: list[type[Task]] = [Answer]
    greeting: str = "Well"

    async def consume_work(self, task: Plan) -> None:
        question = task.find_input_task(Question)  # the very object, not a copy
        assert question is not None
        text = f"{self.greeting}, {question.text} In {task.steps} steps."
        self.publish_work(Answer(text=text), input_task=task)


async def main() -> None:
    graph = Graph(name="questions")
    planner, answerer = Planner(), Answerer(greeting="So")
    graph.add_workers(planner, answerer).set_entry(planner)
    graph.set_dependency(planner, answerer).sink(Answer)
    await graph.run([Question(text="how?", tags=["b"]), Question(text="when?")])
    for answer in sorted(graph.get_output_tasks(), key=Task.provenance):
        print(answer.to_json(), answer.provenance())
    print(answer.prefix(1), answer.prefix_for_input_task(Planner))
    print(answer.find_input_tasks(Task))
    for wrong in ({"text": 1}, {"txt": "why?"}):
        try:
            Question.from_dict(wrong)
        except ValueError as error:
            print(error)
    try:
        Question(text=1)
    except TypeError as error:
        print(error)


trio.run(main)
# Output:
# {"text":"So, how? In 2 steps."} (('InitialTaskWorker', 1), ('Planner', 1), ('Answerer', 1))
# {"text":"So, when? In 2 steps."} (('InitialTaskWorker', 2), ('Planner', 2), ('Answerer', 2))
# (('InitialTaskWorker', 2),) (('InitialTaskWorker', 2), ('Planner', 2))
# [Question(text='when?', tags=[]), Plan(steps=2)]
# can't load Question: text: expected str, got 1
# can't load Question: txt: unknown field
# Question.text: expected str, got 1 (int)
