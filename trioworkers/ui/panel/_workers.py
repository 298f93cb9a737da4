"""What the panel tells of the workers of a runner."""

from itertools import islice
from typing import Any

import attrs

from ...bus import BusStatistics
from ...workers import BaseWorker, PoolStatistics, WorkerReadyData, WorkerRunner
from ._input import clip

#: Workers that are listed, here and elsewhere.
MAX_WORKERS = 500
#: Jobs that are listed of one worker, and of all.
MAX_JOBS = 20
MAX_JOBS_IN_ALL = 1_000


def describe_workers(runner: WorkerRunner) -> dict[str, Any]:
    """Return how the workers of a runner stand, and which others are known.

    The first `MAX_WORKERS` in the order in which they were added, and `MAX_JOBS_IN_ALL` jobs:
    ``more_workers`` and ``more_remote`` count the others.
    """
    workers = runner.workers
    remote = runner.registry.remote_workers
    jobs_left = MAX_JOBS_IN_ALL
    listed = []
    for worker in workers[:MAX_WORKERS]:
        entry = _worker(worker, min(MAX_JOBS, jobs_left))
        jobs_left -= len(entry["jobs"])
        listed.append(entry)
    known = (runner.registry.get(name) for name in remote[:MAX_WORKERS])
    return {
        "runner": clip(runner.name),
        "workers": listed,
        "more_workers": max(0, len(workers) - MAX_WORKERS),
        "remote": [_remote(data) for data in known if data is not None],
        "more_remote": max(0, len(remote) - MAX_WORKERS),
        "bus": {"class": type(runner.bus).__name__, **_counters(runner.bus.statistics())},
    }


def _worker(worker: BaseWorker, max_jobs: int) -> dict[str, Any]:
    stands = worker.statistics()
    jobs = worker.active_jobs
    return {
        "name": clip(worker.name),
        "parent": None if worker.parent is None else clip(worker.parent),
        "class": clip(type(worker).__name__),
        "active_jobs": stands.active_jobs,
        "waiting_jobs": stands.waiting_jobs,
        "job_groups": stands.job_groups,
        "data_lane": stands.lanes.data_queued,
        "system_lane": stands.lanes.system_queued,
        "hook_errors": stands.hook_errors,
        "pool": _pool(stands) if isinstance(stands, PoolStatistics) else None,
        "jobs": [
            {
                "id": clip(job_id),
                "name": None if message.job_name is None else clip(message.job_name),
                "source": clip(message.source),
            }
            for job_id, message in islice(jobs.items(), max_jobs)
        ],
    }


def _pool(stands: PoolStatistics) -> dict[str, int]:
    return {
        "size": stands.size,
        "busy": stands.busy_members,
        "free": stands.free_members,
        "replaced": stands.replaced_members,
    }


def _remote(data: WorkerReadyData) -> dict[str, Any]:
    return {
        "name": clip(data.worker_name),
        "runner": clip(data.runner),
        "parent": None if data.parent is None else clip(data.parent),
        "active": data.active,
    }


def _counters(stands: BusStatistics) -> dict[str, Any]:
    """Return what is one number or text in a snapshot of a bus, whichever bus it is."""
    values = {field.name: getattr(stands, field.name) for field in attrs.fields(type(stands))}
    return {
        name: clip(value) if isinstance(value, str) else value
        for name, value in values.items()
        if isinstance(value, int | float | str)
    }
