"""The requester's half: which groups are open, and what arrives for them."""

import logging
from collections.abc import Callable, Collection, Set
from typing import Any

import attrs
import trio
from trio.lowlevel import checkpoint, enable_ki_protection

from ..bus import (
    BusJobRequestMessage,
    BusJobResponseMessage,
    BusJobResponseUrgentMessage,
    BusJobUpdateRequestMessage,
    BusMessage,
    JobStatus,
    WorkerBus,
)
from ..errors import (
    CodecError,
    JobError,
    LaneFull,
    StoppedError,
    UnknownJobError,
    UnknownWorkerError,
    known_names,
)
from ._active import current_job
from ._group import JobGroup
from ._observed import ObservedGroup
from ._outcomes import EVENTS
from ._ports import Directory, Hooks
from ._request import JobRequest
from ._scope import leave
from ._streams import EventMessage, ResponseMessage

logger = logging.getLogger("trioworkers.jobs")

#: Fire-and-forget groups that one requester may have open; more wait.
MAX_DETACHED = 1000
#: Seconds after which waiting for a worker is logged.
PATIENCE = 5.0


@attrs.define(eq=False)
class Requester:
    """The groups that one worker, or runner, has requested.

    Attributes:
      name: Where the responses go.
      groups: The open groups, by job id.
      waiting: Names that are waited for until their workers are ready, by job id.
      late: Messages for jobs that had ended, or that nobody asked for.
      ending: Whether requests to workers that aren't ready fail at once.
      stopped: Why nothing more may be requested, once that is so.
      discarded: Events that nobody read before the block was left.
    """

    name: str
    bus: WorkerBus
    directory: Directory
    hooks: Hooks
    groups: dict[str, JobGroup] = attrs.field(factory=dict)
    waiting: dict[str, str] = attrs.field(factory=dict)
    detached: int = 0
    ending: bool = False
    stopped: str | None = None
    late: int = 0
    discarded: int = 0
    _ready: Set[str] = attrs.field(init=False)
    _room: trio.lowlevel.ParkingLot | None = None
    _idle: trio.lowlevel.ParkingLot | None = None

    def __attrs_post_init__(self) -> None:
        self._ready = self.directory.names

    # Asking

    def new_group(self, request: JobRequest, *, keeps_events: bool = True) -> JobGroup:
        """Return a group that is open, but that nobody was asked for yet.

        Raises:
          StoppedError: The requester can hear no responses any more.
        """
        if self.stopped is not None:
            raise StoppedError(self.stopped, "ask from one that runs")
        observer = request.observer
        group = (JobGroup if observer is None else ObservedGroup)(
            self, request, keeps_events=keeps_events
        )
        self.groups[group.job_id] = group
        if observer is not None:
            observer.begun(group)
        return group

    def stop(self, why: str) -> None:
        """From now on refuse to ask, and fail what is open."""
        self.stopped = why
        for group in list(self.groups.values()):
            group.fail(why)

    def abandon(self, why: str) -> None:
        """From now on hear nothing: cancel what is open, and settle it as LOST."""
        self.stop(why)
        for group in list(self.groups.values()):
            group.cancel_open(why)
        self.settle_all(JobStatus.LOST, "RequesterLost", why)

    def settle_all(self, status: JobStatus, kind: str, why: str) -> None:
        """Settle all open members, since their responses can't be heard any more."""
        for group in list(self.groups.values()):
            for name in tuple(group.open_members):
                group.settle(name, status, kind, why)

    def stop_waiting(self) -> None:
        """From now on wait for nobody: fail what waits until workers are ready."""
        self.ending = True
        for group in list(self.groups.values()):
            if not group.asked:
                group.fail("the requester is ending")

    def can_send(self, names: tuple[str, ...]) -> bool:
        """Whether workers of all these names are ready, and the hooks keep up."""
        ready = self._ready
        if self.hooks.used and self.hooks.full:
            return False
        if len(names) == 1:
            return names[0] in ready
        return all(name in ready for name in names)

    @enable_ki_protection
    def send(self, group: JobGroup, *, awaited: bool = True) -> None:
        """Send the requests, whether or not the members are ready."""
        job_id, request = group.job_id, group.request
        group.asked = True
        parent = current_job.get()
        parent_id, ancestors, asked = (None, (), ()) if parent is None else parent.lineage
        deadline = group.scope.deadline
        post = self.bus.post
        for name in request.worker_names:
            if group.failed:
                group.settle(name, JobStatus.CANCELLED, "NotAsked", "the group had failed")
                continue
            try:
                post(
                    BusJobRequestMessage(
                        job_id,
                        request.name,
                        request.payload,
                        deadline=deadline,
                        parent_job_id=parent_id,
                        ancestors=ancestors,
                        asked=asked,
                        awaited=awaited,
                        source=self.name,
                        target=name,
                    )
                )
            except CodecError as error:
                group.settle(name, JobStatus.ERROR, "CodecError", str(error))
            except (UnknownWorkerError, LaneFull) as error:
                group.settle(name, JobStatus.LOST, "NotDelivered", str(error))

    def close(self, group: JobGroup) -> None:
        """Forget ``group``: its owner has left it."""
        self.groups.pop(group.job_id, None)
        group.end()
        if self._idle is not None and not self.groups:
            self._idle.unpark_all()

    async def wait_idle(self) -> None:
        """Wait until no group is open. Always a checkpoint."""
        await checkpoint()
        while self.groups:
            self._idle = self._idle or trio.lowlevel.ParkingLot()
            await self._idle.park()

    async def wait_to_send(self, group: JobGroup) -> None:
        """Wait until all members are ready and the hooks keep up. Always a checkpoint.

        Raises:
          LaneFull: The hooks don't keep up, and the caller is one of them.
        """
        await self.hooks.wait_room()
        await self._wait_ready(group)

    async def _wait_ready(self, group: JobGroup) -> None:
        names = group.worker_names
        if self.ending:
            group.fail("the requester is ending")
        missing = known_names(name for name in names if name not in self._ready)
        self.waiting[group.job_id] = missing
        group.hint = f", waiting for {missing} (ready: {known_names(self._ready)})"
        try:
            with trio.move_on_after(PATIENCE):
                await self.directory.wait_ready(*names)
                group.hint = ""
                return
            logger.warning(
                "%s has waited %s s for %s; workers that are ready: %s",
                self.name,
                PATIENCE,
                missing,
                known_names(self._ready),
            )
            await self.directory.wait_ready(*names)
            group.hint = ""
        finally:
            del self.waiting[group.job_id]

    # Fire and forget

    @enable_ki_protection
    async def start_detached(
        self, nursery: trio.Nursery, request: JobRequest, *, told: bool
    ) -> JobGroup:
        """Send a request whose group is owned by a Trio task in ``nursery``.

        Waits until the workers are ready, and while `MAX_DETACHED` such groups
        are open. Always a checkpoint.

        Args:
          nursery: Where the owning Trio task runs.
          request: What is asked of whom.
          told: Whether the caller is told of a failure by the group itself.

        Raises:
          JobError: The time was up before the workers were ready.
          StoppedError: The requester has stopped meanwhile.
        """
        group = self.new_group(request, keeps_events=False)
        try:
            with group.scope as waiting:
                await checkpoint()
                if not self.can_send(request.worker_names):
                    await self.wait_to_send(group)
                # Last, so that what waited for a worker is bounded too.
                await self._wait_detached_room()
            if waiting.cancelled_caught:
                group.begin_close()
                error = group.make_error(body_done=False)
                if error is not None:
                    raise error
            # The owner has a scope of its own: scopes are used once.
            group.scope = trio.CancelScope(deadline=waiting.deadline)
            self._start_owner(nursery, group, told)
        except BaseException:
            self.close(group)
            raise
        self.send(group, awaited=False)
        return group

    @enable_ki_protection
    async def start_background(self, nursery: trio.Nursery, request: JobRequest) -> JobGroup:
        """Do what `start_detached` does, but let the owning Trio task wait until all are ready.

        So this one waits while `MAX_DETACHED` such groups are open, and for nothing else.
        Only the group itself tells of a failure, also of one before anybody was asked.

        Raises:
          StoppedError: The requester has stopped.
        """
        await checkpoint()
        await self._wait_detached_room()
        group = self.new_group(request, keeps_events=False)
        try:
            self._start_owner(nursery, group, told=True)
        except BaseException:
            self.close(group)
            raise
        return group

    async def _wait_detached_room(self) -> None:
        """Wait while `MAX_DETACHED` groups are open. A checkpoint only if it waits."""
        while self.detached >= MAX_DETACHED:
            self._room = self._room or trio.lowlevel.ParkingLot()
            await self._room.park()

    def _start_owner(self, nursery: trio.Nursery, group: JobGroup, told: bool) -> None:
        try:
            nursery.start_soon(self._own, group, told, name=f"owner of job {group.job_id}")
        except RuntimeError:  # which is how Trio says that a nursery has been closed
            raise StoppedError(
                f"worker {self.name!r} is stopping", "ask from one that runs"
            ) from None
        self.detached += 1

    @enable_ki_protection
    async def _own(self, group: JobGroup, told: bool) -> None:
        group.scope.__enter__()
        interruption = None
        try:
            try:
                if not group.asked:
                    if not self.can_send(group.worker_names):
                        await self.wait_to_send(group)
                    self.send(group, awaited=False)
            except BaseException as cancelled:  # noqa: BLE001 - raised again below
                interruption = cancelled
            if not await leave(self, group, interruption) and interruption is not None:
                raise interruption
            error = group.make_partial_error()
        except JobError as failure:
            error = failure
        finally:
            self.detached -= 1
            if self._room is not None:
                self._room.unpark()
        if error is not None and not told and not self._is_handled(group):
            self.hooks.report(error)

    def _is_handled(self, group: JobGroup) -> bool:
        events = ["on_job_response", "on_job_error" if group.failed else "on_job_completed"]
        return any(map(self.hooks.wants, events))

    # Commands

    def find(self, job_id: str) -> JobGroup:
        """Return the open group with that id.

        Raises:
          LookupError: There is none.
        """
        group = self.groups.get(job_id)
        if group is None:
            raise UnknownJobError(job_id, self.name, tuple(self.groups))
        return group

    def ask_for_update(self, job_id: str, worker_name: str) -> BusJobUpdateRequestMessage | None:
        """Return the message that asks for an update, or None if the member has ended."""
        group = self.find(job_id)
        if worker_name not in group.worker_names:
            raise ValueError(
                f"{worker_name!r} is not in job {job_id}; "
                f"its members are {known_names(group.worker_names)}"
            )
        if worker_name not in group.open_members:
            return None
        return BusJobUpdateRequestMessage(job_id, source=self.name, target=worker_name)

    # Book-keeping at delivery

    def receive_event(self, message: EventMessage) -> None:
        """Take an update or a part of a stream."""
        group = self.groups.get(message.job_id)
        if group is None or message.source not in group.open_members:
            self.late += 1
            return
        held = (group.buffer or group.events).receive(message)
        if held is not None:
            group.receive_held(held)

    def receive_response(self, message: ResponseMessage) -> None:
        """Take an outcome."""
        group = self.groups.get(message.job_id)
        if group is None or not group.receive_response(message):
            self.late += 1

    def hook_done(self, message: EventMessage) -> None:
        """Note that the hooks of an event have run."""
        group = self.groups.get(message.job_id)
        if group is not None:
            group.events.hook_done(message.source)

    def workers_departed(self, names: Collection[str]) -> None:
        """Settle as LOST what workers that are gone will not answer.

        A group that has not asked yet waits for them, or for others: they may come back.
        """
        gone = frozenset(names)
        for group in [group for group in self.groups.values() if group.asked]:
            for name in [name for name in group.open_members if name in gone]:
                group.settle(name, JobStatus.LOST, "WorkerLost", "its worker has left")


#: What a requester takes, by message class.
REQUESTER_MESSAGES: dict[type[BusMessage], Callable[[Requester, Any], None]] = {
    BusJobResponseMessage: Requester.receive_response,
    BusJobResponseUrgentMessage: Requester.receive_response,
    **dict.fromkeys(EVENTS, Requester.receive_event),
}
