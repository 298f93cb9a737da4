"""Attaching several workers at once: all of them, or none."""

from collections.abc import Sequence

from ..bus import WorkerBus
from ..errors import DuplicateWorkerError
from ._life_cycle import Living
from ._registry import WorkerRegistry


def check_all(workers: Sequence[Living], bus: WorkerBus) -> tuple[str, ...]:
    """Return the names to claim before `attach_all`.

    Raises:
      TypeError: One is no worker.
      DuplicateWorkerError: A name is taken, or there twice.
      StoppedError: One was attached before.
    """
    seen: set[str] = set()
    for worker in workers:
        if not isinstance(worker, Living):
            raise TypeError(f"expected a BaseWorker, not {worker!r}")
        for name in worker._names():
            if name in seen or name in bus.names:
                raise DuplicateWorkerError(name, "this call" if name in seen else "the bus")
            seen.add(name)
        worker._life.check_new()
    return tuple(worker.name for worker in workers)


def attach_all(
    workers: Sequence[Living],
    registry: WorkerRegistry,
    bus: WorkerBus,
    *,
    parent: str | None = None,
) -> None:
    """Attach all of ``workers``, or none. Their names are claimed.

    Args:
      workers: Whom to attach.
      registry: Of the runner that is to run them.
      bus: Of that runner.
      parent: The name of their parent, or None for root workers.

    Raises:
      TypeError, DuplicateWorkerError, StoppedError: As from `check_all`.
    """
    check_all(workers, bus)
    for worker in workers:
        worker._life.parent = parent
        worker._attach_nowait(registry, bus)
