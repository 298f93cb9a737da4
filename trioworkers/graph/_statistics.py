"""How a graph stands: frozen snapshots."""

from collections.abc import Mapping

import attrs


@attrs.frozen
class TaskWorkerStatistics:
    """How the tasks of one worker stand.

    Attributes:
      queued: Tasks that wait for their handler to be called.
      running: Handlers that are running.
      retrying: Tasks that wait for their next try.
      held: Of a join: tasks that wait for the others.
      done: Tasks whose handlers have succeeded; of a join, groups.
      failed: Tasks that have failed for good.
      aborted: Tasks that were aborted.
      retries: Tries after the first, of all tasks.
      reruns: Times that a handler was called again, without having failed, as another
        one had changed the same state meanwhile.
      cached: Tasks that a cache has answered; they are done, too.
    """

    queued: int = 0
    running: int = 0
    retrying: int = 0
    held: int = 0
    done: int = 0
    failed: int = 0
    aborted: int = 0
    retries: int = 0
    reruns: int = 0
    cached: int = 0


@attrs.frozen
class GraphStatistics:
    """How a graph stands, now or at the end of its last run.

    Attributes:
      workers: By the worker's name.
      in_flight: Initial tasks that are not complete.
      queued: Tasks that wait for their handler to be called.
      running: Handlers that are running.
      retrying: Tasks that wait for their next try.
      held: Tasks that joins hold.
      done: Tasks whose handlers have succeeded.
      failed: Tasks, and callbacks, that have failed for good.
      aborted: Tasks that were aborted.
      handler_tasks: Trio tasks that run handlers, or wait for one to run.
    """

    workers: Mapping[str, TaskWorkerStatistics] = attrs.field(factory=dict)
    in_flight: int = 0
    queued: int = 0
    running: int = 0
    retrying: int = 0
    held: int = 0
    done: int = 0
    failed: int = 0
    aborted: int = 0
    handler_tasks: int = 0
