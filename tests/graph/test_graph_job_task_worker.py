"""`JobTaskWorker`: steps of a graph that run in workers on a bus."""

import pytest
import trio
from flows import A, B, C, assert_quiet, found, join, line, make
from trio.testing import wait_all_tasks_blocked

from trioworkers import (
    BaseWorker,
    BusJobRequestMessage,
    JobError,
    MemoryChannelBus,
    WorkerPool,
    WorkerRunner,
    job,
)
from trioworkers.errors import GraphError, GraphFaultsError, NotAttachedError
from trioworkers.graph import GraphRequest, GraphWorker, JobTaskWorker
from trioworkers.testing import cancel_at_every_checkpoint


class Doubler(BaseWorker):
    """Doubles numbers; sleeps before that."""

    def __init__(self, name="doubler", seconds=1.0, **options):
        super().__init__(name, **options)
        self.seconds = seconds
        self.running = 0
        self.most = 0
        self.stopped = []

    @job(name="double")
    async def double(self, message: BusJobRequestMessage):
        n = message.payload["n"]
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await trio.sleep(self.seconds)
            return {"n": 2 * n}
        finally:
            self.running -= 1
            self.stopped.append(n)

    @job(name="stream")
    async def stream(self, message: BusJobRequestMessage):
        for n in range(message.payload["n"]):
            await self.send_job_stream_data(message.job_id, {"n": n})
            await self.send_job_update(message.job_id, {"message": f"sent {n}"})

    @job(name="refuse")
    async def refuse(self, message: BusJobRequestMessage):
        raise JobError("not before noon")


def asking(requester, job_name="double", outputs=(B,), target="doubler", **fields):
    return JobTaskWorker(
        requester=requester,
        target=target,
        job_name=job_name,
        input_types=[A],
        output_types=list(outputs),
        **fields,
    )


async def test_steps_run_in_a_worker(autojump_clock):
    """Each task is a job; they run at once; joins and all else are as ever."""

    async def total(self, tasks: list[C]):
        self.publish_work(A(n=sum(task.n for task in tasks)))

    async def split(self, task: A):
        for n in range(5):
            self.publish_work(B(n=n))

    async with WorkerRunner() as runner:
        await runner.add_workers(Doubler())
        step = JobTaskWorker(
            requester=runner,
            target="doubler",
            job_name="double",
            input_types=[B],
            output_types=[C],
        )
        graph = line(make(split, B), step, join(total, A), sink=A)
        start = trio.current_time()
        await graph.run([A()])
        assert found(graph) == [20]
        assert trio.current_time() - start == 1


async def test_steps_run_in_another_runner(autojump_clock):
    """On the same bus, and a pool of it."""
    bus = MemoryChannelBus()
    here, there = WorkerRunner(name="here", bus=bus), WorkerRunner(name="there", bus=bus)
    async with here, there:
        pool = WorkerPool("pool", lambda: Doubler(None), size=2)
        await there.add_workers(Doubler(), pool)
        step = asking(here)
        graph = line(step, sink=B)
        await graph.run([A(n=1)])
        assert found(graph) == [2]
        graph = line(asking(here, target="pool"), sink=B)
        start = trio.current_time()
        await graph.run([A(n=n) for n in range(4)])
        assert sorted(found(graph)) == [0, 2, 4, 6]
        assert trio.current_time() - start == 2


async def test_worker_as_requester(autojump_clock):
    """A `BaseWorker` may be the one who asks."""
    async with WorkerRunner() as runner:
        asker = BaseWorker("asker")
        await runner.add_workers(Doubler(), asker)
        await asker.wait_running()
        graph = line(asking(asker), sink=B)
        await graph.run([A(n=4)])
        assert found(graph) == [8]


async def test_group_publishes_each_response(autojump_clock):
    """In the order of the names."""
    async with WorkerRunner() as runner:
        await runner.add_workers(Doubler("left", 2), Doubler("right", 1))

        class Both(JobTaskWorker):
            def outputs_of(self, task, data):
                return [B(n=data["n"]), B(n=-data["n"])]

        step = Both(
            requester=runner,
            target=("left", "right"),
            job_name="double",
            input_types=[A],
            output_types=[B],
        )
        graph = line(step, sink=B)
        await graph.run([A(n=1)])
        assert found(graph) == [2, -2, 2, -2]


async def test_updates_become_statuses_and_chunks_outputs(autojump_clock):
    """When the work has succeeded."""
    told = []

    def status(metadata, chain, worker, task, message, thing):
        told.append((worker.name, task.n, message, thing))

    async with WorkerRunner() as runner:
        await runner.add_workers(Doubler())
        step = asking(runner, "stream", streams=True)
        graph = line(step, sink=B)
        async with graph.open():
            await graph.add_work(step, A(n=2), status_callback=status)
    assert found(graph) == [0, 1]
    assert told == [
        ("JobTaskWorker", 2, "sent 0", {"message": "sent 0"}),
        ("JobTaskWorker", 2, "sent 1", {"message": "sent 1"}),
    ]


async def test_failed_job_fails_the_task(autojump_clock):
    """And is tried again as often as is said."""
    async with WorkerRunner() as runner:
        await runner.add_workers(Doubler())
        graph = line(asking(runner, "refuse", num_retries=2), sink=B)
        with pytest.raises(GraphError, match=r"after 3 attempts: JobGroupError: .*not before noon"):
            await graph.run([A()])
        assert_quiet(graph)


async def test_timeout_fails_the_task(autojump_clock):
    """The handler has stopped by then."""
    async with WorkerRunner() as runner:
        doubler = Doubler(seconds=100)
        await runner.add_workers(doubler)
        graph = line(asking(runner, timeout=3), sink=B)
        with pytest.raises(GraphError, match="timed out after 3"):
            await graph.run([A(n=1)])
        assert doubler.stopped == [1]
        with pytest.raises(GraphError, match=r"timed out after 3.*'nobody'"):
            await line(asking(runner, target="nobody", timeout=3), sink=B).run([A(n=1)])


async def test_response_of_another_form_fails_the_task(autojump_clock):
    """Naming the field."""
    async with WorkerRunner() as runner:
        await runner.add_workers(Doubler())
        graph = line(asking(runner, "stream"), sink=B)
        await graph.run([A(n=0)])  # an empty response: all fields have defaults

        class Wrong(JobTaskWorker):
            def payload_of(self, task):
                return {"n": "2"}

        step = Wrong(
            requester=runner,
            target="doubler",
            job_name="double",
            input_types=[A],
            output_types=[B],
        )
        with pytest.raises(GraphError, match="can't load B: n: expected"):
            await line(step, sink=B).run([A()])


async def test_lost_worker_is_tried_again(autojump_clock):
    """When it crashes, its next incarnation does the job."""
    async with WorkerRunner(strict=False) as runner:
        first = Doubler(seconds=100)
        await runner.add_workers(first)
        step = asking(runner, num_retries=1)
        graph = line(step, sink=B)

        async def crash():
            await wait_all_tasks_blocked()
            first.nursery.start_soon(fail)
            await trio.sleep(1)
            await runner.add_workers(Doubler())

        async def fail():
            raise ValueError("a crash")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(crash)
            await graph.run([A(n=3)])
        assert found(graph) == [6]
        assert graph.statistics().workers["JobTaskWorker"].retries == 1


async def test_lost_worker_without_retries_fails_the_task(autojump_clock):
    """It says that the worker was lost."""
    async with WorkerRunner(strict=False) as runner:
        worker = Doubler(seconds=100)
        await runner.add_workers(worker)
        graph = line(asking(runner), sink=B)

        async def fail():
            await wait_all_tasks_blocked()
            raise ValueError("a crash")

        await worker.wait_running()
        worker.nursery.start_soon(fail)
        with pytest.raises(GraphError, match="lost: "):
            await graph.run([A(n=3)])


async def test_abort_cancels_the_job_and_waits(autojump_clock):
    """Of two tasks at once, one is aborted."""

    class Slow(Doubler):
        @job(name="double")
        async def double(self, message: BusJobRequestMessage):
            try:
                await trio.sleep(50)
                return {"n": 2 * message.payload["n"]}
            finally:
                with trio.CancelScope(shield=True):
                    await trio.sleep(7)
                self.stopped.append((message.payload["n"], trio.current_time() - start))

    start = trio.current_time()
    async with WorkerRunner() as runner:
        worker = Slow()
        await runner.add_workers(worker)
        step = asking(runner)
        graph = line(step, sink=B)
        async with graph.open():
            chain = await graph.add_work(step, A(n=1))
            await graph.add_work(step, A(n=2))
            await trio.sleep(3)
            assert graph.abort_work(chain)
            await graph.wait_completed(chain)
            assert trio.current_time() - start == 10
            assert worker.stopped == [(1, 10)]
        assert worker.stopped == [(1, 10), (2, 57)]
        assert found(graph) == [4]
        assert_quiet(graph)


async def test_what_is_wrong_is_told_before_it_starts(autojump_clock):
    """Nobody who asks, several output types, no input types, bad fields."""
    with pytest.raises(NotAttachedError, match=r"nobody who asks 'doubler'.*requester="):
        await line(asking(None), sink=B).run([A()])
    async with WorkerRunner() as runner:
        graph = line(asking(runner, outputs=(B, C)), sink=B)
        graph.set_sink(graph.workers[0], C)
        with pytest.raises(TypeError, match=r"B, C.*override outputs_of"):
            await graph.run([A()])
        step = JobTaskWorker(requester=runner, target="x", output_types=[B])
        with pytest.raises(GraphFaultsError, match="say what, as in input_types"):
            await line(step, sink=B).run([A()])
        for bad in ("", (), ("a", "a"), ("a", "")):
            with pytest.raises(ValueError, match="target"):
                asking(runner, target=bad)
        with pytest.raises(ValueError, match="timeout must be >= 0"):
            asking(runner, timeout=-1.0)
        with pytest.raises(TypeError, match="requester"):
            asking(3)


async def test_graph_worker_asks_for_the_graph_that_it_serves(autojump_clock):
    """Its jobs are children of the job that it works on, so that circles are found."""
    parents = []

    class Noting(Doubler):
        async def double(self, message: BusJobRequestMessage):
            parents.append(message.parent_job_id)
            return await super().double(message)

    async with WorkerRunner() as runner:
        graph = line(asking(None), sink=B)
        await runner.add_workers(Noting(), GraphWorker("graph", graph))
        async with runner.job("graph", name="run", payload=GraphRequest.of(A(n=3))) as asked:
            chunks = [event.data["fields"] async for event in asked if event.type == "stream_data"]
        assert chunks == [{"n": 6}]
        assert parents == [asked.job_id]


async def test_circle_is_found(autojump_clock):
    """A graph whose step asks for the graph itself, which has no place left."""
    async with WorkerRunner() as runner:
        graph = line(asking(None, "run_task", target="graph"), sink=B)
        await runner.add_workers(GraphWorker("graph", graph, max_jobs=1))
        with pytest.raises(JobError, match=r"circle|for itself|ancestor"):
            await runner.call("graph", name="run_task", payload={"n": 1})


async def test_graph_in_a_graph(autojump_clock):
    """A step is a graph that another worker serves; its outputs are those of the step."""

    async def inner(self, task: A):
        self.notify_status(task, "inside")
        for n in range(task.n):
            self.publish_work(B(n=n))

    async with WorkerRunner() as runner:
        await runner.add_workers(GraphWorker("inner", line(make(inner, B), sink=B)))
        step = asking(runner, "run_task", target="inner", streams=True)
        graph = line(step, sink=B)
        told = []
        async with graph.open():
            await graph.add_work(step, A(n=3), status_callback=lambda *args: told.append(args[4]))
        assert found(graph) == [0, 1, 2]
        assert told == ["inside"]


def make_workers():
    async def after(self, task: B):
        await trio.lowlevel.checkpoint()
        self.publish_work(C(n=task.n))

    graph = line(asking(None, target=("left", "right")), make(after, C), sink=C)
    return [GraphWorker("graph", graph), Doubler("left", 1), Doubler("right", 2)]


async def ask_twice(runner):
    async def one(n):
        async with runner.job("graph", name="run", payload=GraphRequest.of(A(n=n))) as asked:
            async for _ in asked:
                pass

    async with trio.open_nursery() as nursery:
        nursery.start_soon(one, 1)
        nursery.start_soon(one, 2)


def nothing_left(runner):
    for worker in runner.workers:
        if isinstance(worker, GraphWorker):
            assert_quiet(worker.graph)
        else:
            assert worker.running == 0


@pytest.mark.parametrize("seed", range(3))
def test_cancelled_everywhere(seed):
    """Whenever it is cancelled, no job is left, of the graph's steps neither."""
    assert (
        cancel_at_every_checkpoint(ask_twice, workers=make_workers, check=nothing_left, seed=seed)
        > 10
    )


async def run_directly(runner):
    graph = line(asking(runner), sink=B)
    await graph.run([A(n=1), A(n=2)])
    assert_quiet(graph)


def test_run_is_cancelled_everywhere():
    """The same without a `GraphWorker`."""
    assert (
        cancel_at_every_checkpoint(run_directly, workers=lambda: [Doubler()], check=nothing_left)
        > 5
    )
