"""The bus over Redis or Valkey: puts the parts together. See `RedisBus`."""

import math
import ssl
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import attrs
import trio
from trio.lowlevel import enable_ki_protection

from ...errors import (
    BusDeniedError,
    DuplicateWorkerError,
    MissingExtraError,
    UnknownWorkerError,
)
from .._bus import WorkerBus
from .._codec import MessageCodec
from .._job_messages import CREDIT_WINDOW
from .._lifecycle_messages import (
    BusRejoinedMessage,
    BusRunnerFadingMessage,
    BusWorkerDepartedMessage,
)
from .._messages import BusLocalMessage, BusMessage
from ._about import RedisPeer, read_about
from ._lease import Lease
from ._link import Link
from ._membership import Membership
from ._outbox import Outbox
from ._peers import Item, Peer
from ._quarantine import RefusedEntry
from ._reader import Reader
from ._receiver import Receiver
from ._sender import Sender
from ._statistics import RedisBusStatistics
from ._store import SESSION_ERRORS, Server, Session, StoreDeniedError
from ._windows import SendWindows
from ._writer import Writer

#: The part of the lease at whose end nothing is done for others any more.
MARGIN = 0.2
#: Seconds that leaving takes at most: to send what waits, and to say goodbye.
FLUSH_SECONDS, GOODBYE_SECONDS = 2.0, 1.0


class RedisBus(WorkerBus):
    """A `WorkerBus` over many processes and machines, by a Redis or Valkey server.

    Each process gives its `WorkerRunner` a bus of its own, with the same server and
    namespace::

        bus = RedisBus("redis://localhost")
        async with WorkerRunner(name="searchers", bus=bus) as runner:
            ...

    What stays in the process is delivered as by a `MemoryChannelBus`; all else goes
    through streams of the server, in order, each message once. Names are unique over
    all processes. A process of which nothing is heard for ``lease`` seconds is taken for
    gone: jobs between it and others end as LOST within a second more, and it stops by
    itself what others have asked of it. While the server is away, messages wait; jobs go
    on if it is back in time. What each promise needs of the server is in docs/deployment.md.

    Whoever can write to the server has full control over all workers: protect it.

    Args:
      server: ``redis://[[user:]password@]host[:port][/database]``, or ``rediss://`` for
        TLS, or ``unix:///path``. Several addresses are tried in turn, for a failover.
      namespace: Begins the names of all keys; buses of different ones never meet.
      lease: Seconds of silence, >= 0.1, after which a process is taken for gone.
      send_timeout: Seconds that `send` and requests wait for the server.
      connect_timeout: Seconds that entering waits for the server.
      command_timeout: Seconds after which a server that doesn't answer is given up.
      max_unread: Entries that wait for one process, >= 128, before those wait that send.
      window: Messages that wait for room, >= 2, which one process may have under way to
        one target of another one.
      ssl_context: For ``rediss://``; by default the system's, with all checks.
      codec: Turns messages into bytes.
      incarnation: As in `WorkerBus`. Another one for each process and each start: what
        comes from the second one of a name is taken for a repetition, and dropped.
      lane_capacity, clock: As in `WorkerBus`.

    Raises:
      ValueError, TypeError: An argument is wrong; no error shows a password.
      MissingExtraError: Packages that it needs are not installed.
    """

    def __init__(
        self,
        server: str | Sequence[str] | Server,
        *,
        namespace: str = "trioworkers",
        lease: float = 10.0,
        send_timeout: float = 5.0,
        connect_timeout: float = 10.0,
        command_timeout: float = 2.0,
        max_unread: int = 1024,
        window: int = CREDIT_WINDOW,
        ssl_context: ssl.SSLContext | None = None,
        codec: MessageCodec | None = None,
        incarnation: str | None = None,
        lane_capacity: int = 1024,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(incarnation=incarnation, lane_capacity=lane_capacity, clock=clock)
        _check_at_least(lease, 0.1, "lease")
        _check_at_least(send_timeout, 0, "send_timeout")
        _check_at_least(connect_timeout, 0, "connect_timeout")
        _check_at_least(command_timeout, 0.01, "command_timeout")
        _check_at_least(max_unread, 128, "max_unread")
        _check_at_least(window, 2, "window")
        if isinstance(server, str | Sequence):
            server = _make_server(
                server,
                namespace,
                connect_timeout=min(connect_timeout, command_timeout),
                command_timeout=command_timeout,
                ssl_context=ssl_context,
            )
        self._server = server
        self._connect_timeout = connect_timeout
        self._codec = MessageCodec() if codec is None else codec
        self._to_send = Outbox()
        self._lease = Lease(float(lease), lease * MARGIN)
        name = self._prefix.rstrip("-")
        self._link = Link(
            name,
            self._server,
            send_timeout=send_timeout,
            on_change=lambda: self._writer.link_changed(),
        )
        self._membership = membership = Membership(
            name,
            self._lease,
            self._link,
            on_joined=self._joined,
            on_resumed=self._resumed,
            on_lost=self._lost,
            on_met=lambda peer: self._sender.met(peer),
            on_parted=self._parted,
            on_fading=self._fading,
        )
        self._writer = Writer(
            self._link,
            membership,
            self._to_send,
            limit=max_unread,
            on_undeliverable=self._give_back,
        )
        self._windows = SendWindows(window)
        self._sender = Sender(
            self._link,
            membership,
            self._to_send,
            self._writer,
            self._windows,
            self._codec,
        )
        self._receiver = Receiver(
            self,
            self._router,
            membership,
            self._windows,
            self._codec,
            self._sender.tell,
            portion=window // 2,
        )
        self._reader = Reader(
            self._link,
            membership,
            self._to_send,
            self._writer,
            self._codec,
            self._receiver.receive,
        )

    def __repr__(self) -> str:
        return (
            f"<RedisBus {self._membership.incarnation} {self._link.state} {self._server.address}>"
        )

    # Life

    async def start(self) -> None:
        """Connect, take a lease, and claim the names of all subscribers.

        Raises:
          BusDisconnected: The server can't be reached.
          BusDeniedError: It refuses us.
          DuplicateWorkerError: Another process has one of the names.
        """
        self._membership.names.update(self.claimed_names)
        failures: list[Exception] = []
        with trio.move_on_after(self._connect_timeout) as scope:
            self.nursery.start_soon(self._run_link, failures, scope)
            await self._link.wait_connected()
        if failures:
            raise failures[0]
        if scope.cancelled_caught:
            raise attrs.evolve(self._link.error(), waited=self._connect_timeout)
        for run in (
            self._writer.run,
            self._writer.give_up_late,
            self._reader.run,
            self._membership.keep,
            self._membership.watch,
            self._membership.part_from_suspects,
        ):
            self.nursery.start_soon(run)

    async def stop(self) -> None:
        """Send what waits, and say goodbye; without the server, don't."""
        session = self._link.session
        if session is not None:
            with trio.move_on_after(FLUSH_SECONDS):
                await self._writer.wait_idle()
            with trio.move_on_after(GOODBYE_SECONDS):
                await _say_goodbye(self._membership, session)
        self._link.stop()

    async def wait_connected(self) -> None:
        """Wait until messages can be sent. Always a checkpoint.

        Raises:
          BusDisconnected: The bus has ended.
        """
        await self._link.wait_connected()

    async def _run_link(self, failures: list[Exception], opening: trio.CancelScope) -> None:
        try:
            await self._link.run(self._membership.welcome)
        except StoreDeniedError as error:
            remedy = "check address, user, password, rights and the server's version"
            failures.append(BusDeniedError(self._server.address, str(error), remedy))
            opening.cancel()
        except DuplicateWorkerError as error:
            if self._link.connections:
                raise
            failures.append(error)
            opening.cancel()

    # Names

    async def claim(self, *names: str) -> None:
        """See `WorkerBus.claim`; waits for the server."""
        await self._membership.claim(names)
        self._disown(names)

    @enable_ki_protection
    def _disown(self, names: Sequence[str]) -> None:
        """Take leave of workers that had names which are ours now; the news may be on its way."""
        owners = self._membership.peers.owners
        for name in names:
            peer = owners.pop(name, None)
            for runner in sorted(peer.runners) if peer is not None else ():
                self.on_message_received(BusWorkerDepartedMessage(runner, source=name))

    def release_nowait(self, *names: str) -> None:
        """See `WorkerBus.release_nowait`."""
        self._membership.release(names)
        for name in names:
            self._receiver.debts.pay(name)
        self._writer.wake()

    def new_runner_name(self) -> str:
        """See `WorkerBus.new_runner_name`."""
        return f"{super().new_runner_name()}@{self._prefix.rstrip('-')}"

    # Sending

    @enable_ki_protection
    def post(self, message: BusMessage) -> None:
        """See `WorkerBus.post`.

        Raises:
          CodecError: It is for another process, and can't be encoded.
        """
        target = message.target
        if target in self._router.targets or isinstance(message, BusLocalMessage):
            self.on_message_received(message)
        elif self._ended:
            self._bounce(message)
        elif target is not None:
            self._sender.post(message, target)
        else:
            self.on_message_received(message)
            self._sender.post_to_all(message)

    async def publish(self, message: BusMessage) -> None:
        """See `WorkerBus.publish`: return when the message is in the stream of its target.

        Raises:
          BusDisconnected: The server was not there for ``send_timeout`` seconds.
          CodecError: It is for another process, and can't be encoded.
        """
        target = message.target
        if target in self._router.targets:
            await self.deliver(message)
        elif target is not None:
            await self._sender.send(message, target)
        else:
            await self.deliver(message)
            await self._sender.send_to_all(message)

    async def _publish_in_order(self, message: BusMessage) -> None:
        # Lanes keep the order, and what waits for one must not hold up the others.
        await self.publish(message)

    @enable_ki_protection
    def _give_back(self, item: Item, why: str) -> None:
        """Tell the source of what can't be delivered any more."""
        if item.receipt is not None:
            if self._lease.is_held:  # so it is the other one that has gone
                error: Exception = UnknownWorkerError(item.message.target or "", self.names)
            else:
                error = self._link.error()
            item.receipt.settle(error)
        elif item.message.target is not None:
            self._bounce(item.message, why)

    @enable_ki_protection
    def _fail(self) -> None:
        super()._fail()
        self._link.stop()
        self._membership.lose("the bus has crashed")
        self._lost("the bus has crashed")

    # What happens to the membership

    @enable_ki_protection
    def _joined(self, first: bool) -> None:
        self._writer.restart()
        if not first:
            self.on_message_received(BusRejoinedMessage(source=""))

    @enable_ki_protection
    def _resumed(self) -> None:
        self._writer.restart()
        for peer in self._membership.peers:
            for outgoing in peer.lanes:
                self._to_send.has_room(outgoing)
        self._writer.wake()

    @enable_ki_protection
    def _lost(self, why: str) -> None:
        for item in self._to_send.broadcasts:
            if item.receipt is not None:
                item.receipt.settle(self._link.error())
        self._to_send.broadcasts.clear()
        for item in self._to_send.take_unresolved():
            self._give_back(item, why)

    @enable_ki_protection
    def _parted(self, peer: Peer, why: str) -> None:
        for item in list(self._to_send.close(peer)):
            self._give_back(item, why)
        self._windows.forget(peer)
        self._receiver.debts.forget(peer)
        self._fading(peer)
        for runner in sorted(peer.runners):
            self.on_message_received(BusWorkerDepartedMessage(runner, source=runner))

    @enable_ki_protection
    def _fading(self, peer: Peer) -> None:
        names = tuple(sorted(peer.names))
        for runner in sorted(peer.runners) or [""]:
            fading = BusRunnerFadingMessage(runner, names=names, source="")
            self.on_message_received(fading)
            names = ()

    # How it stands

    async def peers(self) -> tuple[RedisPeer, ...]:
        """Ask the server which other processes have a lease. Always a checkpoint.

        Raises:
          BusDisconnected: The server was not there for ``send_timeout`` seconds.
        """
        await trio.lowlevel.checkpoint()
        with self._link.patience():
            told = await self._link.ask(lambda session: session.peers())
        told.pop(self._membership.incarnation, None)
        known = self._membership.peers
        return tuple(
            read_about(name, about, peer.runners if (peer := known.get(name)) else ())
            for name, about in sorted(told.items())
        )

    @property
    def refused_entries(self) -> tuple[RefusedEntry, ...]:
        """The last entries that were refused, with the reason."""
        return tuple(self._reader.quarantine.entries)

    def statistics(self) -> RedisBusStatistics:
        """Return a snapshot."""
        common = attrs.asdict(super().statistics(), recurse=False)
        link, membership, reader = self._link, self._membership, self._reader
        lanes = [outgoing for peer in membership.peers for outgoing in peer.lanes]
        queues = [*(outgoing.queue for outgoing in lanes), *self._to_send.unresolved.values()]
        common["unpublished"] += sum(map(len, queues))
        return RedisBusStatistics(
            **common,
            state=str(link.state),
            reason=link.reason,
            state_seconds=trio.current_time() - link.since if link.since > -math.inf else 0.0,
            address=self._server.address,
            connections=link.connections,
            incarnation=membership.incarnation,
            lease_left=self._lease.left,
            leases_lost=membership.lost,
            peers=len(membership.peers),
            full_peers=sum(1 for outgoing in lanes if outgoing.is_full),
            sent=self._writer.entries,
            received=reader.entries,
            duplicates=reader.duplicates,
            late=reader.late,
            refused=dict(reader.quarantine.counts),
        )


def _make_server(
    addresses: str | Sequence[str],
    namespace: str,
    *,
    connect_timeout: float,
    command_timeout: float,
    ssl_context: ssl.SSLContext | None,
) -> Server:
    try:
        from ._server import RedisServer
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "coredis":
            raise
        raise MissingExtraError("RedisBus", "redis") from None

    return RedisServer(
        addresses,
        namespace,
        connect_timeout=connect_timeout,
        command_timeout=command_timeout,
        ssl_context=ssl_context,
    )


async def _say_goodbye(membership: Membership, session: Session) -> None:
    with suppress(*SESSION_ERRORS):
        await membership.leave(session)


def _check_at_least(value: object, least: float, what: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{what} must be a number, not {value!r}")
    if not least <= value < math.inf:
        raise ValueError(f"{what} must be >= {least} and finite, not {value!r}")
