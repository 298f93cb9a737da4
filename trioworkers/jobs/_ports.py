"""What the job engine needs of its surroundings: small protocols."""

from collections.abc import Set
from typing import TYPE_CHECKING, Protocol

import trio

from ..bus import BusMessage, WorkerBus
from ._streams import EventMessage

if TYPE_CHECKING:
    from ._group import JobGroup


class Directory(Protocol):
    """Knows which workers are ready."""

    @property
    def names(self) -> Set[str]:
        """The names of all workers that are ready; a live view."""

    async def wait_ready(self, *names: str) -> None:
        """Wait until all of them are ready at once. Always a checkpoint."""


class Hooks(Protocol):
    """Runs a worker's hooks and event handlers."""

    #: The events that anything runs for.
    used: frozenset[str]

    @property
    def full(self) -> bool:
        """Whether so many hooks wait to run that no more jobs should begin."""

    async def wait_room(self) -> None:
        """Wait until that isn't so. Always a checkpoint.

        Raises:
          LaneFull: The caller is one of the hooks.
        """

    def wants(self, event: str) -> bool:
        """Whether anything would run for ``event``."""

    def wants_message(self, message_type: type[BusMessage]) -> bool:
        """Whether anything would run for a message of this class."""

    def post(self, event: str, argument: object) -> None:
        """Run ``event`` in the data lane, if it is wanted."""

    def post_message(self, message: BusMessage) -> bool:
        """Run what ``message`` calls for in its lane; return whether anything will."""

    async def run(self, event: str, argument: object) -> object:
        """Run ``event`` here and now; return the first value that isn't None."""

    def report(self, error: Exception) -> None:
        """Tell of an error that nobody awaits. Raises it where errors are strict."""


class Asker(Protocol):
    """Who has requested a group: where its responses go, and whose hooks run."""

    name: str
    bus: WorkerBus
    hooks: Hooks


class GroupObserver(Protocol):
    """Is told what becomes of a group, in order, for its whole life.

    All of it is called by book-keeping: it must not raise, and can't wait. It
    is told of a group's beginning first and of its end last, once each, and of
    each member's outcome at most once, with no event of that member after it.
    A member that was never asked may have none.
    """

    def begun(self, group: "JobGroup") -> None:
        """A group was made; nobody was asked yet."""

    def received(self, group: "JobGroup", message: EventMessage) -> None:
        """A member has sent an update or a part of its stream; in its order."""

    def settled(self, group: "JobGroup", worker_name: str) -> None:
        """A member has ended: see `JobGroup.outcomes`."""

    def ended(self, group: "JobGroup") -> None:
        """The group was left by who had requested it."""


class NoHooks:
    """`Hooks` of something that has none, such as a runner."""

    used: frozenset[str] = frozenset()
    full = False

    async def wait_room(self) -> None:
        await trio.lowlevel.checkpoint()

    def wants(self, event: str) -> bool:
        return False

    def wants_message(self, message_type: type[BusMessage]) -> bool:
        return False

    def post(self, event: str, argument: object) -> None:
        pass

    def post_message(self, message: BusMessage) -> bool:
        return False

    async def run(self, event: str, argument: object) -> object:
        return None

    def report(self, error: Exception) -> None:
        raise error
