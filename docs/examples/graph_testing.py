import pytest
import trio
import trio.testing

from trioworkers.errors import JoinError
from trioworkers.graph import (
    CachedTaskWorker,
    InitialTaskWorker,
    JoinedTaskWorker,
    Task,
    TaskWorker,
)
from trioworkers.testing import InvokeTaskWorker


class City(Task):
    name: str


class Weather(Task):
    text: str


class Report(Task):
    lines: list[str]


class Forecast(CachedTaskWorker):
    output_types: list[type[Task]] = [Weather]
    num_retries: int = 5
    backoff: float = 60.0
    asked: int = 0

    async def consume_work(self, task: City) -> None:
        self.asked += 1
        await trio.sleep(3600)
        if self.asked < 3:
            raise OSError("no connection")
        self.publish_work(Weather(text=f"rain in {task.name}"), input_task=task)


class Bulletin(JoinedTaskWorker):
    join_type: type[TaskWorker] = InitialTaskWorker
    output_types: list[type[Task]] = [Report]

    async def consume_work_joined(self, tasks: list[Weather]) -> None:
        self.publish_work(Report(lines=[task.text for task in tasks]))


async def test_it_asks_until_it_knows_and_then_no_more() -> None:
    invoke = InvokeTaskWorker(Forecast)  # with a cache in memory
    for _ in range(2):
        assert await invoke(City(name="Bergen")) == [Weather(text="rain in Bergen")]
        invoke.assert_published_task_types([Weather])
        print("asked", invoke.worker.asked, "times")


async def test_a_bulletin_lacks_no_city() -> None:
    invoke = InvokeTaskWorker(Bulletin)
    [report] = await invoke.invoke_joined([Weather(text="sun"), Weather(text="rain")])
    print(report)
    with pytest.raises(JoinError, match="no connection"):
        await invoke.invoke_joined([Weather(text="sun")], missing=[OSError("no connection")])
    print("published", invoke.published)


# pytest-trio does this for a test that takes the fixture autojump_clock: nothing waits.
for test in (test_it_asks_until_it_knows_and_then_no_more, test_a_bulletin_lacks_no_city):
    trio.run(test, clock=trio.testing.MockClock(autojump_threshold=0))
# Output:
# asked 3 times
# asked 3 times
# Report(lines=['sun', 'rain'])
# published []
