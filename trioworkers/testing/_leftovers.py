"""What must not be left when work has ended: handlers, groups, messages, Trio tasks."""

from collections.abc import Iterable, Iterator

import attrs
import trio
import trio.testing

from ..bus import BusJobRequestMessage
from ..errors import LeftoverError as LeftoverError
from ..workers import BaseWorker, WorkerRunner
from ._watching import own_watches, requests_of

# Trio tasks


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


def named(tasks: Iterable[trio.lowlevel.Task]) -> str:
    """Return the names of ``tasks``, sorted, for a message."""
    return ", ".join(sorted(task.name for task in tasks))


async def tasks_left(before: frozenset[trio.lowlevel.Task]) -> str | None:
    """Return which Trio tasks there are besides those of ``before``, or None (P10).

    Always a checkpoint: a Trio task that has ended is still there until its
    nursery hears of it.
    """
    await trio.testing.wait_all_tasks_blocked()
    left = live_tasks() - before
    return f"Trio tasks are left: {named(left)}" if left else None


# Jobs


def open_work(*runners: WorkerRunner) -> str | None:
    """Return what jobs and groups are open at ``runners`` and their workers, or None.

    What was fired and forgotten belongs to the worker that has asked for it, and
    ends with that worker, not with a block. So it isn't counted, and neither is
    what its handlers ask for in turn, wherever that runs. All else is: one such
    job must not hide another that nobody owns.
    """
    workers = [worker for runner in runners for worker in runner.workers]
    requests = {worker.name: requests_of(worker) for worker in workers}
    every = [request for some in requests.values() for request in some]
    fired = {request.job_id for request in every if not request.awaited}

    def belongs(request: BusJobRequestMessage) -> bool:
        return fired.isdisjoint((request.job_id, request.parent_job_id, *request.ancestors))

    forgotten = {request.job_id for request in every if not belongs(request)}
    for runner in runners:
        now = runner.statistics()
        if now.job_groups or now.waiting_for:
            return f"the runner has {now.job_groups} groups open, waits for {now.waiting_for}"
    for worker in workers:
        handlers = sum(map(belongs, requests[worker.name]))
        if handlers:
            return f"worker {worker.name!r} still runs {handlers} handlers"
        if handlers == len(requests[worker.name]):
            what = _open_groups(worker, forgotten)
            if what is not None:
                return what
    return None


def _open_groups(worker: BaseWorker, forgotten: set[str]) -> str | None:
    """Return what a worker that runs no forgotten handler has asked for, or None."""
    now = worker.statistics()
    groups = set(worker.job_groups) - forgotten
    # Of those that were fired, some requests may not have come yet.
    unseen = now.detached_groups - len(forgotten.intersection(worker.job_groups))
    if len(groups) > unseen:
        return f"worker {worker.name!r} has {len(groups) - unseen} groups open"
    if now.waiting_for:
        return f"worker {worker.name!r} waits for {now.waiting_for}"
    return None


async def wait_idle(*runners: WorkerRunner) -> None:
    """Wait until no worker of ``runners`` has a job, group or hook in flight."""
    await trio.testing.wait_all_tasks_blocked()
    workers = [worker for runner in runners for worker in runner.workers]
    while busy := [worker for worker in workers if not worker.is_idle]:
        await busy[0].wait_idle()


def busy_statistics(*runners: WorkerRunner) -> str | None:
    """Return which statistics of idle ``runners`` are not zero, or None (P8)."""
    for runner in runners:
        now = runner.statistics()
        if now.bus.lanes or now.bus.unpublished:
            return f"the bus still has messages: {now.bus}"
        for name, worker in now.workers.items():
            lanes = attrs.astuple(worker.lanes)
            counts = (worker.active_jobs, worker.job_groups, worker.early_messages, *lanes)
            if any(counts) or worker.waiting_for:
                return f"the statistics of worker {name!r} are not back to zero: {worker}"
    return open_work(*runners)


def unfinished(runner: WorkerRunner, workers: Iterable[BaseWorker]) -> str | None:
    """Return what a ``runner`` that has ended, and its ``workers``, have left; or None."""
    workers = tuple(workers)
    known = {*(worker.name for worker in runner.workers), *runner.registry.local_workers}
    if known:
        return f"the runner has ended and still knows {sorted(known)}"
    taken = {runner.name, *(worker.name for worker in workers)} & set(runner.bus.names)
    if taken:
        return f"the runner has ended, and its bus still has {sorted(taken)}"
    for worker in workers:
        if worker.active_jobs or worker.job_groups:
            return f"{worker!r} has ended with jobs {worker.active_jobs}, {worker.job_groups}"
    watches = own_watches(runner)
    if watches:
        return f"the runner has ended, and its registry still has watches: {watches}"
    return None
