"""What `WorkerPool` refuses, before anything starts."""

import pytest

from trioworkers import (
    BaseWorker,
    DuplicateWorkerError,
    StoppedError,
    WorkerPool,
    WorkerRunner,
    job,
)


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        (("p", BaseWorker, 0), ValueError, "the size of a pool must be an integer >= 1, not 0"),
        (("p", BaseWorker, 1.5), TypeError, "the size of a pool must be an integer, not 1.5"),
        (("p", BaseWorker, True), TypeError, "must be an integer, not True"),
        (("", BaseWorker, 1), ValueError, "a pool name must not be empty"),
        ((None, BaseWorker, 1), TypeError, "a pool name must be a str, not None"),
        (("p", None, 1), TypeError, "factory of a pool must be a plain function, not None"),
        (("p", lambda: 5, 1), TypeError, "must return a BaseWorker that is no pool, not 5"),
        (
            ("p", lambda: WorkerPool("q", BaseWorker, size=1), 1),
            TypeError,
            "must return a BaseWorker that is no pool",
        ),
        (("p", lambda: BaseWorker("x"), 2), DuplicateWorkerError, "'x' is already in pool 'p'"),
        (("p", lambda: BaseWorker("p"), 1), DuplicateWorkerError, "'p' is already in pool 'p'"),
    ],
)
def test_bad_arguments_are_refused_at_once(arguments, error, says):
    """Before anything starts, saying what is wrong."""
    name, factory, size = arguments
    with pytest.raises(error, match=says):
        WorkerPool(name, factory, size=size)


def test_a_factory_must_make_a_worker_each_time():
    """One worker twice is refused; so is an async factory."""
    worker = BaseWorker()
    with pytest.raises(DuplicateWorkerError, match=r"'pool\[0\]' is already in pool 'pool'"):
        WorkerPool("pool", lambda: worker, size=2)

    async def factory():
        pass

    with pytest.raises(TypeError, match="must be a plain function"):
        WorkerPool("pool", factory, size=1)


async def test_a_member_that_was_added_elsewhere_is_refused():
    """A worker runs once."""
    async with WorkerRunner() as runner:
        worker = BaseWorker("taken")
        await runner.add_workers(worker)
        with pytest.raises(StoppedError, match="'taken' was attached before"):
            WorkerPool("pool", lambda: worker, size=1)


async def test_a_name_that_is_taken_is_refused_before_anything_is_added():
    """Whether the bus has it, or another worker of the same call."""
    async with WorkerRunner() as runner:
        await runner.add_workers(BaseWorker("one"))
        pool = WorkerPool("pool", lambda: BaseWorker("one"), size=1)
        with pytest.raises(DuplicateWorkerError, match="'one' is already in the bus"):
            await runner.add_workers(pool)
        named = (lambda: BaseWorker("two"),) * 2
        pools = [WorkerPool(f"pool{n}", factory, size=1) for n, factory in enumerate(named)]
        with pytest.raises(DuplicateWorkerError, match="'two' is already in this call"):
            await runner.add_workers(*pools)
        assert [worker.name for worker in runner.workers] == ["one"]


def test_handlers_that_would_never_be_called_are_refused():
    """They belong to the members."""
    with pytest.raises(TypeError, match=r"Busy is a pool.*give \['do', 'on_job_request'\]"):

        class Busy(WorkerPool):
            @job(name="do")
            async def do(self, message):
                pass

            async def on_job_request(self, message):
                pass

    pool = WorkerPool("pool", BaseWorker, size=1)
    for event in ("on_job_request", "on_job_cancelled"):
        with pytest.raises(ValueError, match=f"add a handler of '{event}' to its members"):
            pool.add_event_handler(event, print)
    with pytest.raises(ValueError, match="there is no event 'on_lunch'"):
        pool.add_event_handler("on_lunch", print)


async def test_statistics_need_a_bus():
    """As any worker's; before the pool runs, nobody is busy or free."""
    pool = WorkerPool("pool", BaseWorker, size=1)
    with pytest.raises(RuntimeError, match="not attached"):
        pool.statistics()
    runner = WorkerRunner()
    await runner.add_workers(pool)
    assert pool.statistics().free_members == 0
    async with runner:
        pass
