"""What must not be left when work has ended: handlers, groups, messages, Trio tasks."""

from collections.abc import Iterator

import attrs
import trio
import trio.testing

from ..workers import BaseWorker, WorkerRunner


@attrs.define
class LeftoverError(AssertionError):
    """Work had ended, and something of it was still there.

    Attributes:
      where: In which run, and how to repeat it.
      what: What was left, by whom.
    """

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


def live_tasks() -> frozenset[trio.lowlevel.Task]:
    """Return all Trio tasks of this run, Trio's own included."""
    root = trio.lowlevel.current_root_task()
    return frozenset(_below(root)) if root is not None else frozenset()


def _below(task: trio.lowlevel.Task) -> Iterator[trio.lowlevel.Task]:
    todo = [task]
    while todo:
        task = todo.pop()
        yield task
        for nursery in task.child_nurseries:
            todo.extend(nursery.child_tasks)


def named(tasks: frozenset[trio.lowlevel.Task]) -> str:
    """Return the names of ``tasks``, sorted, for a message."""
    return ", ".join(sorted(task.name for task in tasks))


def open_work(runner: WorkerRunner) -> str | None:
    """Return what jobs and groups are open at ``runner`` and its workers, or None.

    Jobs that were fired and forgotten belong to their worker: while a worker
    has some, handlers may run, and are not counted.
    """
    now = runner.statistics()
    if now.job_groups or now.waiting_for:
        return f"the runner has {now.job_groups} groups open, waits for {now.waiting_for}"
    detached = any(worker.detached_groups for worker in now.workers.values())
    for name, worker in now.workers.items():
        if worker.active_jobs and not detached:
            return f"worker {name!r} still runs {worker.active_jobs} handlers"
        if worker.job_groups > worker.detached_groups and not detached:
            return f"worker {name!r} has {worker.job_groups} groups open"
        if worker.waiting_for and not detached:
            return f"worker {name!r} waits for {worker.waiting_for}"
    return None


async def wait_idle(runner: WorkerRunner) -> None:
    """Wait until no worker of ``runner`` has a job, group or hook in flight."""
    await trio.testing.wait_all_tasks_blocked()
    while busy := [worker for worker in runner.workers if not worker.is_idle]:
        await busy[0].wait_idle()


def busy_statistics(runner: WorkerRunner) -> str | None:
    """Return which statistics of an idle ``runner`` are not zero, or None."""
    now = runner.statistics()
    if now.bus.lanes or now.bus.unpublished:
        return f"the bus still has messages: {now.bus}"
    for name, worker in now.workers.items():
        lanes = attrs.astuple(worker.lanes)
        counts = (worker.active_jobs, worker.job_groups, worker.early_messages, *lanes)
        if any(counts) or worker.waiting_for:
            return f"the statistics of worker {name!r} are not back to zero: {worker}"
    return open_work(runner)


def unfinished(runner: WorkerRunner, workers: tuple[BaseWorker, ...]) -> str | None:
    """Return what a ``runner`` that has ended, and its ``workers``, have left; or None."""
    known = {*(worker.name for worker in runner.workers), *runner.registry.local_workers}
    if known:
        return f"the runner has ended and still knows {sorted(known)}"
    taken = {runner.name, *(worker.name for worker in workers)} & set(runner.bus.names)
    if taken:
        return f"the runner has ended, and its bus still has {sorted(taken)}"
    for worker in workers:
        if worker.active_jobs or worker.job_groups:
            return f"{worker!r} has ended with jobs {worker.active_jobs}, {worker.job_groups}"
    return None
