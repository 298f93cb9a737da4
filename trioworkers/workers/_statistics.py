"""Snapshots of workers and of runners."""

import attrs

from ..bus import BusStatistics, LaneStatistics


@attrs.frozen
class WorkerStatistics:
    """A snapshot of a worker. All but the counters at the end are 0 when it is idle.

    Attributes:
      active_jobs: Jobs whose handlers run or wait for their turn.
      waiting_jobs: Of those, the ones that wait.
      job_groups: Groups that it has requested and that have not ended.
      detached_groups: Of those, the ones that were fired and forgotten.
      waiting_for: Workers that requests wait for, by job id.
      early_cancels: Cancels whose requests have not come.
      early_messages: Messages that wait for the worker to start.
      lanes: What its hooks have before them.
      late_messages: Counts messages for jobs that had ended.
      duplicate_requests: Counts requests that came twice.
      discarded_events: Counts events that nobody read.
      hook_errors: Counts what hooks raised.
    """

    active_jobs: int
    waiting_jobs: int
    job_groups: int
    detached_groups: int
    waiting_for: dict[str, str]
    early_cancels: int
    early_messages: int
    lanes: LaneStatistics
    late_messages: int
    duplicate_requests: int
    discarded_events: int
    hook_errors: int


@attrs.frozen
class PoolStatistics(WorkerStatistics):
    """A snapshot of a `WorkerPool`. A job at a member counts there, too.

    Attributes:
      size: Members that the pool has when it is complete.
      busy_members: Those that do a job.
      free_members: Those that wait for one. The rest is not ready, or going.
      replaced_members: Counts members that have gone and were replaced.
    """

    size: int
    busy_members: int
    free_members: int
    replaced_members: int


@attrs.frozen
class RunnerStatistics:
    """A snapshot of a runner.

    Attributes:
      workers: Of each of its workers, by name.
      bus: Of its bus.
      job_groups: Groups that the runner itself has open.
      waiting_for: Workers that the runner's own requests wait for, by job id.
      remote_workers: Workers of other runners that are known.
      watches: Watches in its registry.
      errors: Counts what was reported instead of raised (``strict=False``).
    """

    workers: dict[str, WorkerStatistics]
    bus: BusStatistics
    job_groups: int
    waiting_for: dict[str, str]
    remote_workers: int
    watches: int
    errors: int
