"""`WorkerPool`: several workers behind one name."""

import itertools
from collections.abc import Callable
from typing import Any

import attrs
import trio
from trio.lowlevel import disable_ki_protection, enable_ki_protection

from ..bus import BusJobUpdateRequestMessage, JobStatus
from ..errors import BusDisconnected, DuplicateWorkerError, PoolFailedError
from ..jobs import Dispatcher, MemberResponder, check_count, check_name, is_async
from ._events import EventHandler
from ._statistics import PoolStatistics
from ._types import WorkerReadyData
from ._worker import BaseWorker

#: Workers in a row, at one place of a pool, that may go without having been of use.
MAX_FAILURES = 5
#: Seconds that such a worker has to stay, if it is given no job, to have been of use.
STEADY = 30.0
#: Seconds until the second one is made; about twice as many for each further one.
PAUSE = 0.1

#: Hooks that run where a job is done.
_MEMBERS_HOOKS = frozenset(("on_job_request", "on_job_cancelled"))


class WorkerPool(BaseWorker):
    """Several workers behind one name: the first that is free takes the job.

    Ask it by its name, like any worker. Each member does one job at a time, so at
    most ``size`` run at once; further jobs wait, in order of arrival, and cost no
    Trio task. A job that is cancelled or whose time is up while it waits is
    answered at once, and no handler is called. A job that could only wait for
    its own ancestors, or they for it, fails at once.

    Members are children of the pool, with lives of their own. In their handlers
    ``self`` is the member and ``message.target`` the pool; what they send comes
    from the pool. Asking a member by its own name is an error. `on_job_request`,
    `on_job_cancelled` and `on_job_update_requested` are the members' hooks.

    A member that goes is replaced, and only the job that it did is LOST if it
    crashed. A place where `MAX_FAILURES` workers in a row have gone without having
    been of use makes the pool crash, so that its jobs are LOST and nobody waits
    for ever. So does a factory that raises. The pool ends when its jobs have,
    those that wait included; its members have stopped before it has.

    Args:
      name: Unique on the bus.
      factory: Makes a member: a worker that nobody has added, and no pool. Called
        ``size`` times at once, and in a Trio task of the pool whenever a member
        has gone. Workers without a name of their own are called ``name[0]``,
        ``name[1]``, ...; no number comes twice.
      size: How many members it has, >= 1.
      active: Whether it is activated when it starts. Its members decide for
        themselves.

    Raises:
      TypeError, ValueError: An argument is wrong, or what the factory returns.
      DuplicateWorkerError: The factory returned two workers of one name, or one twice.
      StoppedError: The factory returned a worker that was added elsewhere.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Refuse handlers that would never be called."""
        super().__init_subclass__(**kwargs)
        idle = [*cls._job_handlers, *sorted(cls._overridden_hooks & _MEMBERS_HOOKS)]
        if idle:
            raise TypeError(
                f"{cls.__name__} is a pool, and its members do its jobs: give {idle} to the "
                "workers that the factory makes"
            )

    def __init__(
        self, name: str, factory: Callable[[], BaseWorker], *, size: int, active: bool = True
    ) -> None:
        check_name(name, "a pool name")
        check_count(size, "the size of a pool")
        _check_factory(factory)
        super().__init__(name, active=active)
        self._factory = factory
        self._size = size
        self._member_numbers = itertools.count()
        self._members: dict[str, MemberResponder] = {}
        self._replaced = 0
        self._first: list[BaseWorker] = []
        for _ in range(size):
            worker = self._make_member()
            if worker.name in self._names():
                raise DuplicateWorkerError(worker.name, f"pool {name!r}")
            self._first.append(worker)

    @property
    def size(self) -> int:
        """How many members it has when it is complete."""
        return self._size

    def statistics(self) -> PoolStatistics:
        """Return a snapshot."""
        common = attrs.asdict(super().statistics(), recurse=False)
        desk = self._engine.responder
        return PoolStatistics(
            **common,
            size=self._size,
            busy_members=desk.busy_members if isinstance(desk, Dispatcher) else 0,
            free_members=desk.free_members if isinstance(desk, Dispatcher) else 0,
            replaced_members=self._replaced,
        )

    async def start(self) -> None:
        """Run the members, and announce the pool as ready; see `BaseWorker.start`."""
        await self._run_members()
        await super().start()

    async def on_job_update_requested(self, message: BusJobUpdateRequestMessage) -> None:
        """Pass the question on to the member that does the job. One that waits has no progress."""
        member = self._desk.member_doing(message.job_id)
        if member is None:
            await trio.lowlevel.checkpoint()
        else:
            await member.hooks.wait_room()
            member.hooks.post_message(message)

    def add_event_handler(self, event: str, handler: EventHandler) -> None:
        """Call ``handler`` as `event_handler` says.

        Raises:
          ValueError: There is no such event, or it is one of the members alone.
        """
        if event in _MEMBERS_HOOKS:
            raise ValueError(
                f"pool {self._name!r} does no job itself: add a handler of {event!r} to its "
                "members, in the factory"
            )
        super().add_event_handler(event, handler)

    # Members

    @property
    def _desk(self) -> Dispatcher:
        desk = self._responder()
        assert isinstance(desk, Dispatcher)
        return desk

    def _make_responder(self, **parts: Any) -> Dispatcher:
        return Dispatcher(parts["name"], parts["bus"], parts["nursery"], self._size)

    def _names(self) -> tuple[str, ...]:
        return (self._name, *(worker.name for worker in self._first))

    @disable_ki_protection
    def _call_factory(self) -> object:
        return self._factory()

    def _make_member(self) -> BaseWorker:
        worker = self._call_factory()
        if not isinstance(worker, BaseWorker) or isinstance(worker, WorkerPool):
            raise TypeError(
                f"the factory of pool {self._name!r} must return a BaseWorker that is no pool, "
                f"not {worker!r}"
            )
        worker._life.check_new()
        if not worker._has_own_name:
            worker._be_called(f"{self._name}[{next(self._member_numbers)}]")
        return worker

    @enable_ki_protection
    async def _run_members(self) -> None:
        first = self._first
        await self._hire(*first)
        self._first = []
        for worker in first:
            self.nursery.start_soon(self._keep_place, worker, name=f"keeper of {worker.name}")
        self.nursery.start_soon(self._desk.watch_deadlines)

    @enable_ki_protection
    async def _hire(self, *workers: BaseWorker) -> None:
        """Run ``workers`` as members: they get jobs as soon as they are ready.

        A bus that can't be reached is no reason to lose the pool's jobs: it waits.
        """
        while True:
            try:
                async with self._claiming(workers):
                    self._add_nowait(workers)
                    for worker in workers:
                        worker._engine.make_responder = self._make_member_responder
                        self.registry.watch(worker.name, self._member_ready)
            except BusDisconnected:
                await trio.sleep(PAUSE)
            else:
                return

    def _make_member_responder(
        self, *, name: str, worker: BaseWorker, **parts: Any
    ) -> MemberResponder:
        life = worker._life
        member = self._members[name] = MemberResponder(
            name=self._name,
            member_name=name,
            pool=self._desk,
            worker=worker,
            is_leaving=lambda: life.ending or life.stop_requested,
            **parts,
        )
        return member

    def _member_ready(self, data: WorkerReadyData) -> None:
        self.registry.unwatch(data.worker_name, self._member_ready)
        self._desk.welcome(self._members[data.worker_name])

    @enable_ki_protection
    async def _keep_place(self, worker: BaseWorker) -> None:
        """Keep one place of the pool taken: when its worker has gone, make another.

        Raises:
          PoolFailedError: That was of no use too often.
        """
        failures = 0
        while True:
            hired_at = trio.current_time()
            await self._outlive(worker)
            was_of_use = self._forget_member(worker) or trio.current_time() >= hired_at + STEADY
            failures = 0 if was_of_use else failures + 1
            if failures >= MAX_FAILURES:
                raise PoolFailedError(self._name, failures)
            await trio.sleep(PAUSE * (2**failures - 1))
            if self._needs_nobody:
                return
            worker = self._make_member()
            await self._hire(worker)
            self._replaced += 1

    async def _outlive(self, worker: BaseWorker) -> None:
        """Wait until ``worker`` has gone. Cancelled, send it away, and wait all the same."""
        try:
            await worker.wait()
        except trio.Cancelled:
            # A pool that was stopped has closed before; for any other reason it is lost.
            self._engine.close(JobStatus.LOST, "crashed")
            worker._attached.cancel("was stopped with its pool")
            with trio.CancelScope(shield=True):
                await worker.wait()
            raise

    def _forget_member(self, worker: BaseWorker) -> bool:
        """Forget a worker that has gone; return whether it was ever given a job."""
        self.registry.unwatch(worker.name, self._member_ready)
        member = self._members.pop(worker.name, None)
        if member is None:
            return False
        self._desk.departed(member)
        return member.has_worked

    @property
    def _needs_nobody(self) -> bool:
        """Whether a member that has gone needn't be replaced."""
        desk = self._desk
        return desk.closed is not None or (self._life.ending and not desk.job_count)


def _check_factory(factory: object) -> None:
    if not callable(factory) or is_async(factory):
        raise TypeError(f"the factory of a pool must be a plain function, not {factory!r}")
