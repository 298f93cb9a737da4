"""Messages about workers: their life, their activation, the registry."""

from typing import Any, ClassVar

import attrs

from ._messages import BusDataMessage, BusLocalMessage, BusSystemMessage, wire_tag
from ._subscriber import BusSubscriber


@wire_tag("worker.activate")
@attrs.define
class BusActivateWorkerMessage(BusDataMessage):
    """Tells a worker to become active; ``args`` reach its `on_activated`."""

    args: dict[str, Any] | None = None


@wire_tag("worker.deactivate")
@attrs.define
class BusDeactivateWorkerMessage(BusDataMessage):
    """Tells a worker to become inactive."""


@attrs.define
class BusAddWorkerMessage(BusLocalMessage, BusSystemMessage):
    """Asks the local runner to run an attached worker. Never leaves the process."""

    worker: BusSubscriber


@wire_tag("worker.error")
@attrs.define
class BusWorkerErrorMessage(BusSystemMessage):
    """Reports an error of a root worker to everyone."""

    error: str


@attrs.define
class BusWorkerLocalErrorMessage(BusLocalMessage, BusSystemMessage):
    """Reports an error of a child worker to its parent, in this process only."""

    error: str

    may_miss: ClassVar[bool] = True


@wire_tag("worker.end")
@attrs.define
class BusEndWorkerMessage(BusDataMessage):
    """Tells a worker to finish what it has accepted, then leave."""

    reason: str | None = None

    may_miss: ClassVar[bool] = True
    waits_for_room: ClassVar[bool] = False


@wire_tag("worker.cancel")
@attrs.define
class BusCancelWorkerMessage(BusSystemMessage):
    """Tells a worker to stop now."""

    reason: str | None = None

    may_miss: ClassVar[bool] = True
    waits_for_room: ClassVar[bool] = False


@wire_tag("session.end")
@attrs.define
class BusEndMessage(BusDataMessage):
    """Asks the runner that hosts ``source`` to end all its workers gracefully."""

    reason: str | None = None

    waits_for_room: ClassVar[bool] = False


@wire_tag("session.cancel")
@attrs.define
class BusCancelMessage(BusSystemMessage):
    """Asks the runner that hosts ``source`` to cancel all its workers."""

    reason: str | None = None

    waits_for_room: ClassVar[bool] = False


@attrs.frozen
class WorkerRegistryEntry:
    """One worker in a registry snapshot.

    Attributes:
      name: The worker's name.
      parent: Name of its parent, or None for a root worker.
      active: Whether it is active.
      bridged: Whether it exchanges pipeline frames over the bus.
      started_at: Unix time in seconds when it became ready.
    """

    name: str
    parent: str | None = None
    active: bool = False
    bridged: bool = False
    started_at: float | None = None


@wire_tag("worker.ready")
@attrs.define
class BusWorkerReadyMessage(BusDataMessage):
    """Announces that a worker, root or child, is ready.

    Attributes:
      runner: Name of the runner that hosts it.
      parent: Name of its parent, or None for a root worker.
      active: Whether it started active.
      bridged: Whether it exchanges pipeline frames over the bus.
      started_at: Unix time in seconds when it became ready.
    """

    runner: str
    parent: str | None = None
    active: bool = False
    bridged: bool = False
    started_at: float | None = None

    waits_for_room: ClassVar[bool] = False


@wire_tag("worker.departed")
@attrs.define
class BusWorkerDepartedMessage(BusSystemMessage):
    """Announces that ``source`` has left its runner, for whatever reason.

    Attributes:
      runner: The name of the runner; also ``source``, if the runner itself has left.
      started_at: Unix time in seconds when the worker had become ready: which of its
        lives has ended, should news of that life come later. None for a runner.
    """

    runner: str
    started_at: float | None = None

    waits_for_room: ClassVar[bool] = False


@wire_tag("registry.snapshot")
@attrs.define
class BusWorkerRegistryMessage(BusSystemMessage):
    """Workers of a runner: sent when it starts or is back, and as an answer to that.

    Attributes:
      runner: The name of the runner.
      workers: Some of its workers, or all.
      asks: Whether a runner that gets it, if it goes to all, answers with its own workers.
    """

    runner: str
    workers: tuple[WorkerRegistryEntry, ...]
    asks: bool = attrs.field(default=True, kw_only=True)

    may_miss: ClassVar[bool] = True
    waits_for_room: ClassVar[bool] = False


@attrs.define
class BusRejoinedMessage(BusLocalMessage, BusSystemMessage):
    """The bus has come back after it had lost touch with everybody: announce again."""

    waits_for_room: ClassVar[bool] = False


@attrs.define
class BusRunnerFadingMessage(BusLocalMessage, BusSystemMessage):
    """A runner will soon be taken for gone, or has gone; or this one is, by that one.

    What it and its workers have asked for is cancelled here. What they were asked
    goes on until a `BusWorkerDepartedMessage` says that they are gone.

    Attributes:
      runner: The name of the runner.
      names: Of others where it is that have sent something, ready or not.
    """

    runner: str
    names: tuple[str, ...] = attrs.field(default=(), kw_only=True)

    waits_for_room: ClassVar[bool] = False


@attrs.define
class BusFailedMessage(BusLocalMessage, BusSystemMessage):
    """The bus has crashed: runners of other processes will not be heard of again."""

    waits_for_room: ClassVar[bool] = False
