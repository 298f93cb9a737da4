"""What any `BaseWorker` subclass must pass."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import partial
from typing import Any

import trio
import trio.testing

from ..bus import BusActivateWorkerMessage, BusDeactivateWorkerMessage, BusEndWorkerMessage
from ..errors import DuplicateWorkerError, JobError, StoppedError
from ..jobs import collect_handlers
from ..workers import BaseWorker, WorkerParams, WorkerRegistry
from ._conformance import check_clauses, make
from ._leftovers import live_tasks
from ._worker_trial import NO_SUCH_JOB, WorkerTrial


async def check_worker(
    make_worker: Callable[[], BaseWorker | Awaitable[BaseWorker]],
    *,
    jobs: Mapping[str, object] | None = None,
    within: float = 60.0,
    only: Collection[str] = (),
    skip: Collection[str] = (),
) -> tuple[str, ...]:
    """Check that a worker keeps the contract of `BaseWorker`, clause by clause.

    Each clause gets a worker and a runner of its own. The clauses, in the order
    checked: readiness, jobs, unknown jobs, stopping, ending, cancelling,
    stopping in a job, cancelling in a job, hooks in order, raising hooks, runs
    once, names.

    ::

        async def test_my_worker(autojump_clock):
            await check_worker(MyWorker, jobs={"greet": {"name": "you"}})

    No other Trio task may start or end meanwhile.

    Args:
      make_worker: Returns a fresh worker that nobody has added; async or not.
      jobs: Payloads by job name: each job is asked for once, and must end.
      within: Seconds on Trio's clock, > 0, that anything may take.
      only: The names of clauses to check; all by default.
      skip: The names of clauses not to check.

    Returns:
      The names of the clauses that were checked and hold.

    Raises:
      BrokenContractError: An `AssertionError` that names the first broken clause.
      ValueError: ``within`` is out of range, or there is no such clause.
      TypeError: ``make_worker`` returns something else.
    """
    if not within > 0:
        raise ValueError(f"within must be > 0, not {within!r}")

    async def make_one() -> BaseWorker:
        worker = await make(make_worker)
        if not isinstance(worker, BaseWorker):
            raise TypeError(f"make_worker must return a BaseWorker, not {worker!r}")
        return worker

    async def open_trial(clause: str, promise: str) -> WorkerTrial:
        worker = await make_one()
        return WorkerTrial(
            type(worker).__name__,
            clause,
            promise,
            within,
            0.0,
            worker=worker,
            make_worker=make_one,
            jobs=jobs or {},
        )

    return await check_clauses(CLAUSES, only, skip, open_trial)


async def readiness(trial: WorkerTrial) -> None:
    """Under a runner it gets ready, and is known by its name."""
    worker = trial.worker
    name = worker.name
    async with trial.hosted() as runner:
        trial.expect(worker.name == name != "", f"Its name was {name!r}, now {worker.name!r}.")
        trial.expect(worker.started_at is not None, "It is ready, and `started_at` is None.")
        trial.expect(worker.bus is runner.bus, "Its bus is not the runner's.")
        await trial.expect_idle(runner)


async def jobs(trial: WorkerTrial) -> None:
    """Each job that it does has an outcome, and then nothing of the job is left."""
    async with trial.hosted() as runner:
        for name, payload in trial.jobs.items():
            await trial.ask(runner, name, payload)
            await trial.expect_idle(runner)


async def unknown_jobs(trial: WorkerTrial) -> None:
    """A job that it has no handler for ends with an error that names its handlers."""
    async with trial.hosted() as runner:
        said = await trial.ask(runner, NO_SUCH_JOB)
        if type(trial.worker).on_job_request is BaseWorker.on_job_request:
            trial.expect(said is not None, "It completed.")
            handlers = sorted(collect_handlers(type(trial.worker)))[:20]
            missing = [name for name in handlers if repr(name) not in str(said)]
            trial.expect(not missing, f"The error says {said!r}, and nothing of {missing}.")
        await trial.expect_idle(runner)


async def stopping(trial: WorkerTrial) -> None:
    """Stopped, it ends soon and leaves nothing; its runner goes on."""
    async with trial.hosted() as runner:
        with trio.move_on_after(trial.within):
            await trial.worker.stop()
        await trial.expect_end("stop()")
        await trio.testing.wait_all_tasks_blocked()
        there = (trial.worker.name in runner.registry, trial.worker.name in runner.bus.names)
        trial.expect(not any(there), "It has stopped, and is in the registry or on the bus.")


async def ending(trial: WorkerTrial) -> None:
    """Told to end, it ends soon when it has nothing to do, and leaves nothing."""
    async with trial.hosted() as runner:
        message = BusEndWorkerMessage(source=runner.name, target=trial.worker.name)
        await runner.bus.send(message)
        await trial.expect_end("BusEndWorkerMessage")


async def cancelling(trial: WorkerTrial) -> None:
    """Cancelled, by a message or with its runner, it ends soon and leaves nothing."""
    async with trial.hosted() as runner:
        await runner.cancel(reason="check_worker")
        await trial.expect_end("runner.cancel()")
    trial.worker = await trial.make_worker()
    before = live_tasks()
    with trio.CancelScope() as scope:
        async with trial.hosted() as runner:
            scope.cancel()
            await trio.sleep_forever()
    await trial.expect_end("its runner was cancelled")
    await trial.expect_gone(runner, before)


async def _begin_job(trial: WorkerTrial, runner: Any, nursery: trio.Nursery) -> list[str]:
    """Ask for a job that only cancellation ends; return where its outcome will be noted."""
    begun = trio.Event()
    noted: list[str] = []

    async def never(_worker: object, _message: object) -> None:
        begun.set()
        await trio.sleep_forever()

    async def ask() -> None:
        try:
            await runner.call(trial.worker.name, name=NO_SUCH_JOB)
        except JobError as error:
            noted.append(str(error))
        else:
            noted.append("completed")

    # An event handler makes the worker take jobs that no `@job` handler is for.
    trial.worker.add_event_handler("on_job_request", never)
    nursery.start_soon(ask)
    with trio.move_on_after(trial.within):
        await begun.wait()
    trial.expect(begun.is_set(), "A handler of the event on_job_request was not called.")
    return noted


async def stopping_in_a_job(trial: WorkerTrial) -> None:
    """Stopped while it does a job, it tells the requester an outcome."""
    async with trial.hosted() as runner, trio.open_nursery() as nursery:
        noted = await _begin_job(trial, runner, nursery)
        with trio.move_on_after(trial.within):
            await trial.worker.stop()
        await trial.expect_end("stop() with a job in flight")
        await trio.testing.wait_all_tasks_blocked()
        trial.expect(len(noted) == 1, "It has stopped, and the requester waits.")
        trial.expect(noted[0] != "completed", "The job that it broke off counts as completed.")


async def cancelling_in_a_job(trial: WorkerTrial) -> None:
    """When its requester is cancelled, the handler stops, and the worker goes on."""
    async with trial.hosted() as runner:
        async with trio.open_nursery() as nursery:
            await _begin_job(trial, runner, nursery)
            nursery.cancel_scope.cancel()
        left = trial.worker.statistics().active_jobs
        trial.expect(left == 0, f"The requester has gone, and {left} handlers run.")
        await trial.expect_idle(runner)


async def hooks_in_order(trial: WorkerTrial) -> None:
    """Hooks run one at a time, in the order of their messages."""
    heard: list[object] = []

    async def activated(_worker: object, args: object) -> None:
        heard.append(args)
        await trio.lowlevel.checkpoint()
        heard.append("activated")

    async def deactivated(_worker: object) -> None:
        heard.append("deactivated")

    async with trial.hosted() as runner:
        await trial.expect_idle(runner)
        worker = trial.worker
        worker.add_event_handler("on_activated", activated)
        worker.add_event_handler("on_deactivated", deactivated)
        address = {"source": runner.name, "target": worker.name}
        for number in range(3):
            await runner.bus.send(BusDeactivateWorkerMessage(**address))
            await runner.bus.send(BusActivateWorkerMessage({"number": number}, **address))
        await trial.expect_idle(runner)
        expected = [
            each for number in range(3) for each in ("deactivated", {"number": number}, "activated")
        ]
        trial.expect(heard == expected, f"They ran as {heard}.")
        trial.expect(worker.active, "It was activated last, and is not active.")


async def raising_hooks(trial: WorkerTrial) -> None:
    """With strict=False, a hook that raises is counted, and stops nothing."""

    def explode(_worker: object, _args: object) -> None:
        raise ValueError("raised by a conformance check, in a hook")

    async with trial.hosted(strict=False) as runner:
        await trial.expect_idle(runner)
        before = trial.worker.statistics().hook_errors
        trial.worker.add_event_handler("on_activated", explode)
        await runner.bus.send(
            BusActivateWorkerMessage(source=runner.name, target=trial.worker.name)
        )
        await trial.expect_idle(runner)
        errors = trial.worker.statistics().hook_errors - before
        trial.expect(errors == 1, f"Of 1 error it counts {errors}.")
        await trial.ask(runner, NO_SUCH_JOB)


async def runs_once(trial: WorkerTrial) -> None:
    """It is attached once and run once: again is refused, while it runs and after."""
    worker = trial.worker

    async def again(when: str) -> None:
        attach = partial(worker.attach, registry=WorkerRegistry("another"), bus=runner.bus)
        await trial.expect_raises(StoppedError, attach, f"attach() {when}")
        async with trio.open_nursery() as nursery:
            run = partial(worker.run, WorkerParams(nursery))
            await trial.expect_raises(StoppedError, run, f"run() {when}")

    async with trial.hosted() as runner:
        await again("while it runs")
        trial.expect(worker.name in runner.registry, "Being refused, it left the registry.")
    await again("after its end")


async def names(trial: WorkerTrial) -> None:
    """A second worker of the same name is refused."""
    other = await trial.make_worker()
    async with trial.hosted() as runner:
        if other.name == trial.worker.name:
            add = partial(runner.add_workers, other)
            await trial.expect_raises(DuplicateWorkerError, add, "Adding a second one")
        twice = partial(runner.add_workers, trial.worker)
        await trial.expect_raises(ValueError, twice, "Adding it twice")


CLAUSES = (
    readiness,
    jobs,
    unknown_jobs,
    stopping,
    ending,
    cancelling,
    stopping_in_a_job,
    cancelling_in_a_job,
    hooks_in_order,
    raising_hooks,
    runs_once,
    names,
)
