"""The bus: its life, sending, and delivering by name. It knows nothing of jobs."""

import itertools
import secrets
import sys
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

import attrs
import trio
from trio.lowlevel import enable_ki_protection

from ..errors import (
    DuplicateWorkerError,
    LaneFull,
    NotAttachedError,
    StoppedError,
    UnknownWorkerError,
)
from ._ki import call_interruptible
from ._lanes import Lanes, LaneStatistics
from ._lifecycle_messages import BusFailedMessage
from ._messages import BusLocalMessage, BusMessage
from ._nursery import BackgroundNursery
from ._router import Router, Subscription
from ._subscriber import BusSubscriber

_runner_numbers = itertools.count()


@attrs.frozen
class BusStatistics:
    """A snapshot of a bus.

    Attributes:
      subscribers: Names that messages can be sent to.
      observers: Subscribers that see every message.
      unpublished: Messages that wait for the transport.
      lanes: Per name, lanes that are not empty.
      delivered: Messages delivered so far.
      missed: Messages dropped so far, since their target had gone.
      unobserved: Messages that observers missed so far, by being slow.
      errors: Exceptions so far of subscribers whose lanes the bus runs.
    """

    subscribers: int
    observers: int
    unpublished: int
    lanes: dict[str, LaneStatistics]
    delivered: int
    missed: int
    unobserved: int
    errors: int


class WorkerBus(ABC):
    """Carries messages between named subscribers.

    A subclass brings a transport: it implements `publish`, overrides `start`
    and `stop` to manage connections, and calls `on_message_received` for what
    arrives. Use it with ``async with bus:`` or ``nursery.start(bus.run)``; a
    `WorkerRunner` does so by itself. What is sent before is kept.

    Promises: messages of one sender to one target and lane arrive in the order
    sent; a targeted message costs nothing to anyone else.

    Args:
      incarnation: Begins every job id made on this bus; random by default.
      lane_capacity: Messages, >= 1, that wait for a slow subscriber before
        their senders wait.
      clock: Gives the wall time as Unix seconds.
    """

    def __init__(
        self,
        *,
        incarnation: str | None = None,
        lane_capacity: int = 1024,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if lane_capacity < 1:
            raise ValueError(f"lane_capacity must be an integer >= 1, not {lane_capacity!r}")
        self.clock = clock
        self.lane_capacity = lane_capacity
        self._prefix = f"{incarnation or secrets.token_hex(4)}-"
        self._counter = itertools.count(1)
        self._router = Router(lane_capacity)
        self._background = BackgroundNursery()
        self._nursery: trio.Nursery | None = None
        self._entered = False
        self._running = False
        self._ended = False
        self._failed = False
        self._adding: set[str] = set()
        self._delivering = False
        #: What to deliver next, and whether also into lanes that are full.
        self._nested: deque[tuple[BusMessage, bool]] = deque()
        self._outbox: deque[BusMessage] = deque()
        self._publishing = trio.Lock()
        self._writer_wake = trio.Event()

    # Life

    async def start(self) -> None:
        """Hook: connect to the transport. Called once, when the bus begins to run."""

    async def stop(self) -> None:
        """Hook: disconnect. Called once when the bus ends, shielded for at most 5 s."""

    @property
    def is_running(self) -> bool:
        """Whether the bus is between enter and exit."""
        return self._running

    @property
    def nursery(self) -> trio.Nursery:
        """Where a transport runs its Trio tasks, from `start` on. Cancelled after `stop`.

        Not before, even if the bus is cancelled from outside: those that use it
        end first.

        Raises:
          NotAttachedError: A RuntimeError: the bus does not run.
        """
        if self._nursery is None:
            raise NotAttachedError("the bus does not run", "use `async with bus:` or `run`")
        return self._nursery

    @enable_ki_protection
    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run the bus until cancelled. Start it with ``nursery.start(bus.run)``."""
        async with self:
            task_status.started()
            await trio.sleep_forever()

    @enable_ki_protection
    async def __aenter__(self) -> Self:
        if self._entered:
            raise StoppedError("the bus was run before", "a bus runs once: make a new one")
        self._entered = True
        background = await self._background.__aenter__()
        try:
            opened = trio.Event()
            background.start_soon(self._host_transport, opened)
            with trio.CancelScope(shield=True):  # one step; after it there is what to cancel
                await opened.wait()
            await call_interruptible(self.start)
        except BaseException:
            if self._nursery is not None:
                self._nursery.cancel_scope.cancel()
                self._nursery = None
            await self._background.__aexit__(*sys.exc_info())
            raise
        self._running = True
        self.nursery.start_soon(self._write_outbox)
        for subscription in self._router:
            self._run_lanes(subscription)
        return self

    @enable_ki_protection
    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        nursery = self.nursery
        self._running = False
        self._ended = True
        try:
            with trio.move_on_after(5, shield=True):
                await call_interruptible(self.stop)
        finally:
            nursery.cancel_scope.cancel()
            try:
                swallowed = await self._background.__aexit__(exc_type, exc, traceback)
            finally:
                self._nursery = None
        return swallowed and exc is not None

    @enable_ki_protection
    async def _host_transport(self, opened: trio.Event) -> None:
        """Keep the bus's Trio tasks going while those that it serves are being cancelled.

        Blocks that are left wait, deaf to cancellation, for what it still has to carry.
        """
        with trio.CancelScope(shield=True):
            async with trio.open_nursery() as self._nursery:
                opened.set()
                try:
                    await trio.sleep_forever()
                finally:
                    if self._running:
                        self._fail()

    @enable_ki_protection
    def _fail(self) -> None:
        """Carry nothing any more: a Trio task of the transport has crashed.

        All who wait for runners elsewhere are released, before the blocks that they are
        in are cancelled. What goes to a name that is here still arrives.
        """
        self._running = False
        self._ended = self._failed = True
        outbox, self._outbox = self._outbox, deque()
        for message in outbox:
            self._post_here(message)
        self.on_message_received(BusFailedMessage(source=""))

    def _post_here(self, message: BusMessage) -> None:
        try:
            self.on_message_received(message)
        except UnknownWorkerError:
            self._bounce(message)
        except LaneFull:
            self._router.missed += 1

    @property
    def has_failed(self) -> bool:
        """Whether the transport has crashed. What is posted then goes no further than here."""
        return self._failed

    # Who is there

    @property
    def names(self) -> tuple[str, ...]:
        """The names that messages can be sent to."""
        return self._router.names

    @property
    def claimed_names(self) -> tuple[str, ...]:
        """The `names`, and those that are being claimed or added now."""
        return (*self._router.names, *(n for n in self._adding if n not in self._router.targets))

    def new_runner_name(self) -> str:
        """Return a name that no other runner of the bus has, in whatever process."""
        return f"runner#{next(_runner_numbers)}"

    @property
    def _claims(self) -> bool:
        """Whether names are claimed and given back now: while it starts and runs."""
        return self._nursery is not None and not self._ended

    async def claim(self, *names: str) -> None:
        """Hook: make sure that nobody has these names, in whatever process, and nobody gets them.

        All or none. Called, by `claiming`, before they are subscribed on a bus that runs
        or starts. What is subscribed earlier is for `start` to claim. If it raises,
        `release_nowait` is called, too.

        Raises:
          DuplicateWorkerError: Somebody has one of them.
        """

    def release_nowait(self, *names: str) -> None:
        """Hook: give names up that were claimed, or may have been. Must not raise.

        A `claim` of the same names may follow at once, and comes after it.
        """

    @asynccontextmanager
    async def claiming(self, *names: str) -> AsyncIterator[None]:
        """Have ``names`` claimed for a block that subscribes them, by `subscribe_nowait`.

        Those that are not subscribed at its end, for whatever reason, are given back.
        A checkpoint only if `claim` is one.

        Raises:
          DuplicateWorkerError: Somebody has one of them, or is about to.
        """
        router = self._router
        for name in names:
            router.check_free(name)
            if name in self._adding:
                raise DuplicateWorkerError(name, "the bus")
        self._adding.update(names)
        claims = self._claims
        try:
            if claims:
                await self.claim(*names)
            yield
        finally:
            self._adding.difference_update(names)
            unused = [name for name in names if name not in router.targets]
            if claims and unused:
                self.release_nowait(*unused)

    @enable_ki_protection
    async def subscribe(
        self, subscriber: BusSubscriber, *, lanes: Lanes | None = None, observe: bool = False
    ) -> None:
        """Deliver messages to ``subscriber`` from now on.

        Doing it again for the same object changes nothing, but for its
        `BusSubscriber.interests`, which are read again.

        Args:
          subscriber: Who wants messages.
          lanes: Where its hooks run, if not in lanes that the bus runs.
          observe: Whether it sees every message and isn't a target itself. An
            observer slows nobody: what finds its lane full is dropped for it
            and counted.

        Raises:
          DuplicateWorkerError: Another subscriber has that name.
        """
        await trio.lowlevel.checkpoint()
        _check_subscriber(subscriber)
        if observe or subscriber in self._router:
            self.subscribe_nowait(subscriber, lanes=lanes, observe=observe)
        else:
            async with self.claiming(subscriber.name):
                self.subscribe_nowait(subscriber, lanes=lanes)

    @enable_ki_protection
    def subscribe_nowait(
        self, subscriber: BusSubscriber, *, lanes: Lanes | None = None, observe: bool = False
    ) -> None:
        """Do what `subscribe` does, without a checkpoint; in `claiming` if the bus runs."""
        _check_subscriber(subscriber)
        self._run_lanes(self._router.subscribe(subscriber, lanes, observe=observe))

    async def unsubscribe(self, subscriber: BusSubscriber) -> None:
        """Deliver nothing more to ``subscriber``, and cancel its hooks.

        Returns when lanes that the bus runs have ended; called from one of
        them, it is cancelled with it. Unknown subscribers are ignored.
        """
        subscription = self.unsubscribe_nowait(subscriber)
        await trio.lowlevel.checkpoint()
        if subscription is not None and subscription.run is not None:
            await subscription.run.wait()

    @enable_ki_protection
    def unsubscribe_nowait(self, subscriber: BusSubscriber) -> Subscription | None:
        """Do what `unsubscribe` does, without waiting for the hooks to end."""
        was_claimed = subscriber.name in self._router.targets and self._claims
        found = self._router.unsubscribe(subscriber)
        if found is not None:
            if found.run is not None:
                found.run.cancel()
            if was_claimed:
                self.release_nowait(subscriber.name)
            subscriber.on_unsubscribed()
        return found

    # Sending

    @enable_ki_protection
    async def send(self, message: BusMessage) -> None:
        """Send ``message``; return when it has been handed on.

        Waits while the lane of a local target is full. Always a checkpoint.

        Raises:
          TypeError: It is not a `BusMessage`.
          StoppedError: The bus has ended.
          UnknownWorkerError: Nobody has the name it is targeted to.
          LaneFull: The lane is full, and the sender is one of its hooks.
        """
        if not isinstance(message, BusMessage):
            raise TypeError(f"expected a BusMessage, not {message!r}")
        await trio.lowlevel.checkpoint()
        if self._ended:
            raise StoppedError("the bus has ended", "send while it runs")
        if isinstance(message, BusLocalMessage):
            await self.deliver(message)
        else:
            await self._publish_in_order(message)

    @enable_ki_protection
    def post(self, message: BusMessage) -> None:
        """Send a message of the job protocol: in order with `send`, never waiting.

        Its number is bounded by jobs in flight and by credit. What can't be
        handed on at once waits for the transport.
        """
        if isinstance(message, BusLocalMessage):
            self.on_message_received(message)
        elif self._failed:
            self._post_here(message)
        else:
            self._outbox.append(message)
            self._writer_wake.set()

    @abstractmethod
    async def publish(self, message: BusMessage) -> None:
        """Put ``message`` on the transport. Called for one message at a time, in order."""

    async def _publish_in_order(self, message: BusMessage) -> None:
        async with self._publishing:
            await self._flush()
            await self.publish(message)

    # Delivering

    @enable_ki_protection
    def on_message_received(self, message: BusMessage) -> None:
        """Deliver ``message`` to the local subscribers that it is for.

        Book-keeping is done before it returns, without recursion: what
        book-keeping sends is delivered after it, still before the return.

        Raises:
          UnknownWorkerError: Nobody here has the name it is targeted to.
          LaneFull: A `trio.WouldBlock`: some lanes had no room for it. Those
            named did not get it, all others did.
        """
        if self._delivering:
            self._nested.append((message, False))
            return
        self._delivering = True
        router = self._router
        try:
            # The common case first, without a further call.
            subscription = router.targets.get(message.target)  # type: ignore[arg-type]
            if (
                subscription is None
                or router.observers
                or not router.hand_over(subscription, message)
            ):
                router.deliver(message)
        finally:
            if self._nested:
                self._deliver_nested()
            self._delivering = False

    @enable_ki_protection
    def accept(self, message: BusMessage) -> None:
        """Do what `on_message_received` does, but put it into lanes that are full, too.

        For transports that read from a network, and bound by other means how much a
        sender may have under way; see `lane_is_full` and `wait_lane_room`.

        Raises:
          UnknownWorkerError: Nobody here has the name it is targeted to.
          LaneFull: A subscriber that does not run yet keeps no more.
        """
        if self._delivering:
            self._nested.append((message, True))
            return
        self._delivering = True
        try:
            self._router.deliver(message, force=True)
        finally:
            self._deliver_nested()
            self._delivering = False

    def _deliver_nested(self) -> None:
        """Deliver what was sent by book-keeping."""
        while self._nested:
            message, force = self._nested.popleft()
            try:
                self._router.deliver(message, force=force)
            except (UnknownWorkerError, LaneFull):
                self._router.missed += 1

    def lane_is_full(self, name: str, *, system: bool) -> bool:
        """Whether that lane of ``name`` is full now; False if nobody here has that name."""
        subscription = self._router.targets.get(name)
        return subscription is not None and subscription.lanes.full(system=system)

    async def wait_lane_room(self, name: str, *, system: bool) -> None:
        """Wait until that lane of ``name`` isn't full, or its subscriber has left.

        For those who only look; `deliver` waits for itself. Always a checkpoint.
        """
        subscription = self._router.targets.get(name)
        if subscription is None:
            await trio.lowlevel.checkpoint()
        else:
            await subscription.lanes.wait_room(system=system, puts=False)

    @enable_ki_protection
    async def deliver(self, message: BusMessage) -> None:
        """Do what `on_message_received` does, but wait where a lane is full.

        For transports that read from a network. A checkpoint only if it waits.

        Raises:
          UnknownWorkerError: Nobody here has the name it is targeted to.
          LaneFull: The lane is full, and the caller is one of its hooks.
        """
        try:
            self.on_message_received(message)
            return
        except LaneFull as error:
            late = error.names
        router = self._router
        for name in late:
            subscription = router.targets.get(name)
            while subscription is not None and not router.hand_over(subscription, message):
                if subscription.lanes.hosts_current_task():
                    raise LaneFull((name,))
                await subscription.lanes.wait_room(system=message.is_system)
                if self._ended:
                    raise StoppedError("the bus has ended", "send while it runs")
                subscription = router.targets.get(name)
            if subscription is None and message.target is not None:
                router.miss(name, message)
        router.observe(message)

    def made_job_id(self, job_id: str) -> bool:
        """Whether `new_job_id` of this bus made it, rather than that of another runner's."""
        return job_id.startswith(self._prefix)

    def new_job_id(self) -> str:
        """Return a job id that no other bus incarnation makes."""
        return self._prefix + str(next(self._counter))

    def statistics(self) -> BusStatistics:
        """Return a snapshot."""
        router = self._router
        return BusStatistics(
            subscribers=len(router.targets),
            observers=len(router.observers),
            unpublished=len(self._outbox),
            lanes=router.lane_statistics(),
            delivered=router.delivered,
            missed=router.missed,
            unobserved=router.unobserved,
            errors=router.errors,
        )

    # Behind the scenes

    def _run_lanes(self, subscription: Subscription) -> None:
        """Run lanes that belong to the bus: now, or when it begins to run."""
        if subscription.run is not None and self._running:
            subscription.run.start(self.nursery)

    @enable_ki_protection
    async def _write_outbox(self) -> None:
        while True:
            await self._writer_wake.wait()
            self._writer_wake = trio.Event()
            async with self._publishing:
                await self._flush()

    def _bounce(self, message: BusMessage, why: str | None = None) -> None:
        """Count a message that can't be delivered any more, and tell its source."""
        self._router.missed += 1
        reply = message.bounce(why)
        if reply is not None:
            self.on_message_received(reply)

    async def _flush(self) -> None:
        while self._outbox:
            message = self._outbox.popleft()
            try:
                await self.publish(message)
            except UnknownWorkerError:
                self._bounce(message)
            except Exception:
                raise
            except BaseException:
                # Cancelled, maybe as the sender of something else: not lost.
                self._outbox.appendleft(message)
                raise


def _check_subscriber(subscriber: object) -> None:
    if not isinstance(subscriber, BusSubscriber):
        raise TypeError(f"expected a BusSubscriber, not {subscriber!r}")
