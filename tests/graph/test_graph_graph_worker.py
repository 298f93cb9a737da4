"""`GraphWorker`: a graph that is served as jobs."""

import pytest
import trio
from flows import A, B, C, assert_quiet, join, line, make
from trio.testing import wait_all_tasks_blocked

from trioworkers import BaseWorker, BusJobRequestMessage, JobError, JobEvent, WorkerRunner, job
from trioworkers.bus import JobStatus
from trioworkers.errors import GraphFaultsError, HeldTasksError
from trioworkers.graph import Graph, GraphRequest, GraphWorker, Task, TaskWorker
from trioworkers.testing import cancel_at_every_checkpoint


def seconds(task):
    """Return how long handlers sleep for a task."""
    return task.n


def sleeper(log=None):
    async def sleep(self, task: A):
        try:
            await trio.sleep(task.n)
        finally:
            if log is not None:
                log.append((task.n, trio.current_time()))
        self.publish_work(B(n=task.n))

    return make(sleep, B)


def numbers(events):
    return [event.data["fields"]["n"] for event in events if event.type == JobEvent.STREAM_DATA]


async def read(runner, name="graph", job_name="run", **options):
    """Do a job; return its events and response."""
    async with runner.job(name, name=job_name, **options) as asked:
        events = [event async for event in asked]
    return events, asked.response


def request(*ns):
    return GraphRequest.of(*[A(n=n) for n in ns])


async def test_outputs_are_chunks_and_statuses_are_updates(autojump_clock):
    """In the order in which they were committed; the response counts."""

    async def work(self, task: A):
        self.notify_status(task, "begun", C(n=5))
        for n in range(task.n):
            self.publish_work(B(n=n))

    async with WorkerRunner() as runner:
        graph = line(make(work, B), sink=B, name="mine")
        await runner.add_workers(GraphWorker("graph", graph))
        events, response = await read(runner, payload=request(2))
    assert response == {"tasks": 1, "outputs": 2}
    chunk = {
        "type": "B",
        "worker": "Work",
        "fields": {"n": 0},
        "provenance": [["InitialTaskWorker", 1], ["Work", 1]],
    }
    update = {
        "worker": "Work",
        "type": "A",
        "provenance": [["InitialTaskWorker", 1]],
        "message": "begun",
        "object": {"n": 5},
    }
    found = [(event.type, event.data) for event in events]
    assert found[0] == (JobEvent.STREAM_START, {"graph": "mine"})
    assert (JobEvent.UPDATE, update) in found
    assert (JobEvent.STREAM_DATA, chunk) in found
    assert numbers(events) == [0, 1]
    assert found[-1] == (JobEvent.STREAM_END, response)
    assert graph.get_output_tasks() == []
    assert_quiet(graph)


async def test_run_task_takes_a_bare_task(autojump_clock):
    """As its fields, or as the task itself."""
    async with WorkerRunner() as runner:
        await runner.add_workers(GraphWorker("graph", line(sleeper(), sink=B)))
        for payload in (A(n=3), {"n": 3}, A(n=3).to_dict()):
            events, _ = await read(runner, job_name="run_task", payload=payload)
            assert numbers(events) == [3]


async def test_init_and_completed_once(autojump_clock):
    """However many jobs there are."""
    log = []

    async def work(self, task: A):
        self.publish_work(B(n=task.n))

    worker = make(
        work,
        B,
        init=lambda self: log.append("init"),
        completed=lambda self: log.append("completed"),
    )
    async with WorkerRunner() as runner:
        await runner.add_workers(GraphWorker("graph", line(worker, sink=B)))
        for _ in range(3):
            await runner.call("graph", name="run", payload=request(1))
        assert log == ["init"]
    assert log == ["init", "completed"]


@pytest.mark.parametrize(
    ("name", "payload", "match"),
    [
        ("run", {}, "tasks"),
        ("run", {"tasks": []}, "tasks: there is none"),
        ("run", {"tasks": [{"type": "Q"}]}, r"tasks\[0\]: Q fits no entry; there are: A for 'Sl"),
        ("run", {"tasks": [{"worker": "Q"}]}, r"tasks\[0\]: a task without a type for 'Q' fits no"),
        ("run", {"tasks": [{"fields": {"n": "1"}}]}, r"tasks\[0\]\.fields: can't load A: n: exp"),
        ("run", {"tasks": [{"fields": {"m": 1}}]}, r"tasks\[0\]\.fields: can't load A: m: unknown"),
        ("run", {"tasks": [{"fields": 1}]}, "fields"),
        ("run", {"tasks": [{}], "more": 1}, "more"),
        ("run_task", {"n": None}, "can't load A: n: expected"),
    ],
)
async def test_bad_payload_is_failed_and_names_the_field(autojump_clock, name, payload, match):
    """And nothing was begun, also not for those that are right."""
    async with WorkerRunner() as runner:
        graph = line(sleeper(), sink=B)
        await runner.add_workers(GraphWorker("graph", graph))
        with pytest.raises(JobError, match=match) as caught:
            await runner.call("graph", name=name, payload=payload)
        assert caught.value.outcomes["graph"].status is JobStatus.FAILED
        assert graph.statistics().done == 0


async def test_several_entries_ask_for_the_worker(autojump_clock):
    """A bare task that several take is refused, naming them."""

    class Left(TaskWorker):
        output_types = [B]

        async def consume_work(self, task: A):
            self.publish_work(B(n=1))

    class Right(Left): ...

    graph = Graph().add_workers(Left(), Right())
    graph.set_entry(*graph.workers)
    for worker in graph.workers:
        graph.set_sink(worker, B)
    async with WorkerRunner() as runner:
        await runner.add_workers(GraphWorker("graph", graph))
        with pytest.raises(JobError, match=r"several entries.*'Left'.*'Right'.*say which"):
            await runner.call("graph", name="run_task", payload={"n": 1})
        payload = GraphRequest.of((graph.workers[1], A()), ("Left", A()))
        events, _ = await read(runner, payload=payload)
    assert {event.data["worker"] for event in events[1:-1]} == {"Left", "Right"}


async def test_failure_is_error_and_says_where(autojump_clock):
    """Other tasks of the job are done first; a job that has failed hurts no other."""

    async def fail(self, task: A):
        if task.n < 2:
            raise KeyError("mine")
        self.publish_work(B(n=task.n))

    graph = line(make(fail, B), sink=B)
    async with WorkerRunner() as runner:
        await runner.add_workers(GraphWorker("graph", graph))
        events = []
        with pytest.raises(
            JobError, match=r"(?s)1 task of graph.*Fail with A at Init.*:1: KeyError: .mi"
        ):
            async with runner.job("graph", name="run", payload=request(1, 2)) as asked:
                async for event in asked:
                    events.append(event)
        assert numbers(events) == [2]
        outcome = asked.outcomes["graph"]
        assert outcome.status is JobStatus.ERROR
        assert outcome.error.type == "GraphError"
        assert "in _fail" in outcome.error.traceback or "in fail" in outcome.error.traceback
        assert "collect" not in outcome.error.message
        assert (await read(runner, payload=request(2)))[1]["outputs"] == 1
        assert graph.statistics().failed == 1


async def test_job_errors_are_failed(autojump_clock):
    """Also if a join lacks something for it."""

    async def refuse(self, task: A):
        raise JobError("not before noon")

    async def total(self, tasks: list[B]):
        self.publish_work(C())

    refusing, joining = make(refuse, B), join(total, C)
    async with WorkerRunner() as runner:
        await runner.add_workers(GraphWorker("graph", line(refusing, joining, sink=C)))
        with pytest.raises(JobError, match="not before noon") as caught:
            await runner.call("graph", name="run", payload=request(1))
        assert caught.value.outcomes["graph"].status is JobStatus.FAILED


async def test_cancel_aborts_its_own_tasks_and_waits_for_them(autojump_clock):
    """Of two jobs at once, the other one goes on."""
    log = []

    async def slow(self, task: A):
        try:
            await trio.sleep(task.n)
        finally:
            if task.n == 100:
                with trio.CancelScope(shield=True):
                    await trio.sleep(7)
            log.append((task.n, trio.current_time()))
        self.publish_work(B(n=task.n))

    graph = line(make(slow, B), sink=B)
    async with WorkerRunner() as runner:
        await runner.add_workers(GraphWorker("graph", graph))
        results = []

        async def other():
            results.append(numbers((await read(runner, payload=request(20, 21)))[0]))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(other)
            start = trio.current_time()
            with trio.move_on_after(3):
                await runner.call("graph", name="run", payload=request(100, 50))
            assert log == [(50, start + 3), (100, start + 10)]
            assert graph.statistics().in_flight == 2
        assert results == [[20, 21]]
        assert graph.statistics().aborted == 2
        assert_quiet(graph)


async def test_timeout_is_told_as_such(autojump_clock):
    """And aborts."""
    log = []
    graph = line(sleeper(log), sink=B)
    async with WorkerRunner() as runner:
        await runner.add_workers(GraphWorker("graph", graph))
        with pytest.raises(JobError, match="timed out") as caught:
            await runner.call("graph", name="run", payload=request(100), timeout=5)
        assert caught.value.outcomes["graph"].status is JobStatus.TIMED_OUT
        assert [n for n, _ in log] == [100]


async def test_abort_by_somebody_else_is_failed(autojump_clock):
    """It never looks like a success."""
    graph = line(sleeper(), sink=B)
    async with WorkerRunner() as runner:
        await runner.add_workers(GraphWorker("graph", graph))

        async def abort():
            await wait_all_tasks_blocked()
            assert graph.abort_work((("InitialTaskWorker", 1),))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(abort)
            with pytest.raises(JobError, match="told to abort InitialTaskWorker:1"):
                await runner.call("graph", name="run", payload=request(100))


def source(most):
    """Return a source, and how far it has got, by its task's number."""
    pulled = {}

    async def pull(self, task: A):
        for n in range(most):
            pulled[task.n] = n
            yield B(n=n)

    return make(pull, B), pulled


async def test_slow_reader_slows_its_own_job_alone(autojump_clock):
    """The source stands still, another job runs through, and nobody holds a runner."""
    worker, pulled = source(2000)
    graph = line(worker, sink=B, window=50, max_running=2)
    async with WorkerRunner() as runner:
        await runner.add_workers(GraphWorker("graph", graph))
        async with runner.job("graph", name="run", payload=request(1, 1)) as slow:
            iterator = aiter(slow)
            await anext(iterator)
            await wait_all_tasks_blocked()
            at = pulled[1]
            assert at < 1000
            for _ in range(3):
                events, _ = await read(runner, payload=request(2))
                assert numbers(events) == list(range(2000))
            assert pulled[1] == at
            assert graph.statistics().running == 2
            rest = [event async for event in slow]
        assert sorted(numbers(rest)) == sorted(2 * list(range(2000)))


async def test_slow_reader_of_statuses_slows_nobody_else(autojump_clock):
    """They are bounded by the window, too."""
    done = []

    async def tell(self, task: A):
        self.notify_status(task, "told")
        done.append(task.n)

    graph = line(make(tell), window=10, max_running=1)
    async with WorkerRunner() as runner:
        await runner.add_workers(GraphWorker("graph", graph))
        async with runner.job("graph", name="run", payload=request(*[1] * 1000)) as slow:
            iterator = aiter(slow)
            await anext(iterator)
            await wait_all_tasks_blocked()
            at = len(done)
            assert at < 600
            events, _ = await read(runner, payload=request(*[2] * 500))
            assert done.count(2) == 500
            assert len([event for event in events if event.type == JobEvent.UPDATE]) == 500
            assert done.count(1) == at
            rest = [event async for event in slow]
        assert len([event for event in rest if event.type == JobEvent.UPDATE]) == 1000


async def test_next_initial_task_begins_when_there_is_room(autojump_clock):
    """Not only when another initial task is complete."""
    begun = []

    async def split(self, task: A):
        begun.append((task.n, trio.current_time() - start))
        for n in (100, 3, 3) if task.n < 4 else ():
            self.publish_work(B(n=n))

    async def sleep(self, task: B):
        await trio.sleep(task.n)

    start = trio.current_time()
    async with WorkerRunner() as runner:
        graph = line(make(split, B), make(sleep), window=4)
        await runner.add_workers(GraphWorker("graph", graph))
        await runner.call("graph", name="run", payload=request(1, 2, 3, 4, 5))
    assert begun == [(1, 0), (2, 0), (3, 0), (4, 0), (5, 3)]


async def test_output_that_has_no_form_fails_the_job(autojump_clock):
    """As a failure of the sink; the others are sent."""

    class Odd(Task):
        what: object = None

    async def work(self, task: A):
        self.publish_work(Odd(what=object()))
        self.publish_work(Odd(what=1))

    async with WorkerRunner() as runner:
        await runner.add_workers(GraphWorker("graph", line(make(work, Odd), sink=Odd)))
        with pytest.raises(JobError, match=r"sink of Work with Odd.*TypeError"):
            await runner.call("graph", name="run", payload=request(1))


async def test_graph_that_is_wrong_crashes_the_worker(autojump_clock):
    """When it starts, and says what is wrong."""
    with pytest.RaisesGroup(pytest.RaisesExc(GraphFaultsError, match="has a fault")):
        async with WorkerRunner() as runner:
            await runner.add_workers(GraphWorker("graph", Graph()))
            await trio.sleep(1)
    with pytest.raises(TypeError, match="takes a Graph"):
        GraphWorker("graph", 3)


async def test_crash_of_the_graph_is_lost(autojump_clock):
    """All its jobs, when nothing runs any more."""
    log = []

    async def split(self, task: A):
        for n in range(task.n):
            self.publish_work(B(n=n))
        if not task.n:
            try:
                await trio.sleep(100)
            finally:
                with trio.CancelScope(shield=True):
                    await trio.sleep(1)
                log.append("stopped")

    async def total(self, tasks: list[B]): ...

    graph = line(make(split, B), join(total), max_held=5)
    statuses = []

    async def ask(runner, n):
        group = runner.job_group("graph", name="run", payload=request(n), cancel_on_error=False)
        try:
            async with group:
                pass
        finally:
            statuses.append((group.outcomes["graph"].status, list(log)))

    with pytest.RaisesGroup(pytest.RaisesExc(HeldTasksError), flatten_subgroups=True):
        async with WorkerRunner() as runner:
            await runner.add_workers(GraphWorker("graph", graph))
            async with trio.open_nursery() as nursery:
                nursery.start_soon(ask, runner, 0)
                await wait_all_tasks_blocked()
                nursery.start_soon(ask, runner, 10)
    assert statuses == [(JobStatus.LOST, ["stopped"])] * 2


class Asker(BaseWorker):
    @job(name="ask")
    async def ask(self, message: BusJobRequestMessage):
        async with self.job("graph", name="run", payload=request(1, 2)) as asked:
            found = numbers([event async for event in asked])
        return {"found": sorted(found)}


async def test_called_from_another_worker(autojump_clock):
    """As any worker."""
    async with WorkerRunner() as runner:
        await runner.add_workers(GraphWorker("graph", line(sleeper(), sink=B)), Asker("asker"))
        assert await runner.call("asker", name="ask") == {"found": [1, 2]}


def make_workers():
    async def split(self, task: A):
        for n in range(2):
            self.publish_work(B(n=n))
            self.notify_status(task, "split")

    async def rest(self, task: B):
        await trio.lowlevel.checkpoint()
        self.publish_work(C(n=task.n))

    async def total(self, tasks: list[C]):
        await trio.lowlevel.checkpoint()
        self.publish_work(A(n=len(tasks)))

    graph = line(make(split, B), make(rest, C), join(total, A), sink=A, max_running=2)
    return [GraphWorker("graph", graph)]


async def ask_twice(runner):
    async def one():
        async with runner.job("graph", name="run", payload=request(1)) as asked:
            async for _ in asked:
                pass

    async with trio.open_nursery() as nursery:
        nursery.start_soon(one)
        nursery.start_soon(one)


def nothing_in_flight(runner):
    for worker in runner.workers:
        assert_quiet(worker.graph)


@pytest.mark.parametrize("seed", range(3))
def test_cancelled_everywhere(seed):
    """Whenever it is cancelled, nothing of the jobs is left, in the graph neither."""
    runs = cancel_at_every_checkpoint(
        ask_twice, workers=make_workers, check=nothing_in_flight, seed=seed
    )
    assert runs > 10


async def test_runner_cancelled_while_jobs_run(autojump_clock):
    """All handlers return, and the runner ends."""
    log = []
    graph = line(sleeper(log), sink=B)
    with trio.move_on_after(5) as scope:
        async with WorkerRunner() as runner:
            await runner.add_workers(GraphWorker("graph", graph))
            await runner.call("graph", name="run", payload=request(100, 200))
    assert scope.cancelled_caught
    assert sorted(n for n, _ in log) == [100, 200]


async def test_stopped_worker_answers(autojump_clock):
    """A cancelled worker's jobs are CANCELLED, when their tasks have stopped."""
    log = []
    graph = line(sleeper(log), sink=B)
    async with WorkerRunner() as runner:
        worker = GraphWorker("graph", graph)
        await runner.add_workers(worker)
        with pytest.raises(JobError) as caught:
            async with runner.job("graph", name="run", payload=request(100)):
                await wait_all_tasks_blocked()
                await worker.cancel()
        assert caught.value.outcomes["graph"].status is JobStatus.CANCELLED
        assert len(log) == 1
