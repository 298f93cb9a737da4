"""Small values of a worker's life."""

from collections.abc import Callable
from typing import Any, Self

import attrs
import trio


@attrs.frozen
class WorkerParams:
    """What a worker is run with.

    Attributes:
      nursery: Where the worker's Trio task runs; its own work runs in a
        nursery inside, `BaseWorker.nursery`.
      on_error: Is told what a hook raised. None, as where errors are strict,
        lets it end the worker instead.
    """

    nursery: trio.Nursery
    on_error: Callable[[Exception], None] | None = None


@attrs.define
class WorkerActivationArgs:
    """Arguments for `BaseWorker.activate_worker`. Extend it with fields of your own.

    Attributes:
      metadata: Whatever the activated worker should know.
    """

    metadata: dict[str, Any] | None = None

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Return an instance; keys that are no fields are ignored."""
        names = {field.name for field in attrs.fields(cls)}
        return cls(**{key: value for key, value in data.items() if key in names})

    def to_dict(self) -> dict[str, Any]:
        """Return a dict of the fields that are not None."""
        return attrs.asdict(self, filter=lambda _, value: value is not None)


@attrs.frozen
class WorkerReadyData:
    """A worker that is ready.

    Attributes:
      worker_name: Its name.
      runner: Name of the runner that hosts it.
      parent: Name of its parent, or None for a root worker.
      active: Whether it started active.
      bridged: Whether it exchanges pipeline frames over the bus.
      started_at: Unix time in seconds when it became ready.
    """

    worker_name: str
    runner: str
    parent: str | None = None
    active: bool = False
    bridged: bool = False
    started_at: float | None = None


@attrs.frozen
class WorkerErrorData:
    """An error that a worker reported.

    Attributes:
      worker_name: Whose error it is.
      error: What happened, for a person to read.
    """

    worker_name: str
    error: str
