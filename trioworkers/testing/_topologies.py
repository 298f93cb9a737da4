"""Workers with parents and children, from a description."""

from collections.abc import Mapping

from ..workers import WorkerRunner
from ._scripted import ScriptedWorker


async def add_topology(
    runner: WorkerRunner, topology: Mapping[str, str | None]
) -> dict[str, ScriptedWorker]:
    """Add scripted workers to a runner that runs; return them by name, once they are ready.

    Args:
      runner: Who hosts them.
      topology: Each worker's parent by its name, None for a root worker; parents
        come before their children.

    Raises:
      ValueError: A parent does not come before its child; no worker was added.
      DuplicateWorkerError: A name is taken; those before it were added.
    """
    names = list(topology)
    for name, parent in topology.items():
        if parent is not None and parent not in names[: names.index(name)]:
            raise ValueError(f"parent {parent!r} must come before its child {name!r}")
    workers: dict[str, ScriptedWorker] = {}
    for name, parent in topology.items():
        worker = ScriptedWorker(name)
        await (runner if parent is None else workers[parent]).add_workers(worker)
        await runner.registry.wait_ready(name)
        workers[name] = worker
    return workers
