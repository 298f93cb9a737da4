"""What other buses send to this one: delivered, answered, and paid for."""

from collections.abc import Callable, Sequence
from typing import Any

from ...errors import CodecError, LaneFull, UnknownWorkerError
from .._bus import WorkerBus
from .._codec import MessageCodec
from .._job_messages import BusJobCancelMessage, BusJobRequestMessage, BusJobResponseMessage
from .._lifecycle_messages import BusWorkerDepartedMessage, BusWorkerRegistryMessage
from .._messages import BusMessage
from .._router import Router
from ._membership import Membership
from ._messages import FROM_RUNNERS, BusRoomMessage, BusUndeliverableMessage
from ._peers import Peer
from ._windows import Debts, Key, SendWindows


class Receiver:
    """Delivers messages of other buses, which have been checked.

    Args:
      bus: Where they are delivered.
      router: Its router.
      membership: Who the others are.
      windows: What may be sent to them.
      codec: Encodes answers.
      tell: Tells another bus something.
      portion: Messages that are paid for at once.

    Attributes:
      debts: What is owed to other buses.
    """

    def __init__(
        self,
        bus: WorkerBus,
        router: Router,
        membership: Membership,
        windows: SendWindows,
        codec: MessageCodec,
        tell: Callable[[Peer, BusMessage], None],
        *,
        portion: int,
    ) -> None:
        self.debts = Debts(portion, tell)
        self._bus = bus
        self._router = router
        self._membership = membership
        self._windows = windows
        self._codec = codec
        self._tell = tell
        #: What is owed when a lane has room again, by name and lane.
        self._stalled: dict[tuple[str, bool], list[Key]] = {}

    def receive(self, peer: Peer, message: BusMessage, problem: str | None) -> None:
        """Take a message that has come from ``peer``, which may send it.

        Args:
          peer: Who has sent it.
          message: It.
          problem: Why it only stands in for one that can't be read; None if it doesn't.
        """
        if problem is not None:
            self._receive_stand_in(peer, message, problem)
            return
        for_bus = _FOR_BUS.get(type(message))
        if for_bus is not None:
            for_bus(self, peer, message)
            return
        owners = self._membership.peers.owners
        if message.source not in owners:
            owners[message.source] = peer
        if type(message) in FROM_RUNNERS:
            peer.runners.add(message.runner)  # type: ignore[attr-defined]
        if type(message) is BusWorkerRegistryMessage:
            # Who asks them then loses them with this peer, not with the one after it.
            for worker in message.workers:
                owners.setdefault(worker.name, peer)
        full = self._router.full_lanes(message) if message.waits_for_room else ()
        try:
            self._bus.accept(message)
        except (UnknownWorkerError, LaneFull):
            self._return(peer, message)
        if message.waits_for_room:
            self._owe(peer, message, full)
        if type(message) is BusWorkerDepartedMessage:
            self._forget_name(peer, message.source)

    def _receive_stand_in(self, peer: Peer, message: BusMessage, problem: str) -> None:
        """End a job of which a message can't be read."""
        if isinstance(message, BusJobRequestMessage):
            self._return(peer, message, problem)
        elif isinstance(message, BusJobResponseMessage):
            self._bus.on_message_received(message)
            stop = BusJobCancelMessage(
                message.job_id,
                "what it sent can't be read",
                source=message.target or "",
                target=message.source,
            )
            self._bus.post(stop)

    def _return(self, peer: Peer, message: BusMessage, why: str | None = None) -> None:
        """Tell the other bus that nobody here could take ``message``."""
        self._router.missed += 1
        answer = message.bounce(why)
        encoded = None if answer is None else self._codec.encode(answer).decode()
        self._tell(peer, BusUndeliverableMessage(message.target or "", encoded, source=""))

    def _owe(self, peer: Peer, message: BusMessage, full: Sequence[str]) -> None:
        """Let the other bus send one more: now, or when a lane that is full has room."""
        key = peer, message.target, message.is_system
        if not full:
            self.debts.add(key)
            if message.target is not None and message.target not in self._router.targets:
                self.debts.pay(message.target)  # it has left, and was paid for then
            return
        lane = full[0], message.is_system
        if lane in self._stalled:
            self._stalled[lane].append(key)
        else:
            self._stalled[lane] = [key]
            self._bus.nursery.start_soon(self._pay_later, *lane)

    async def _pay_later(self, name: str, system: bool) -> None:
        await self._bus.wait_lane_room(name, system=system)
        for key in self._stalled.pop((name, system)):
            if self._membership.peers.get(key[0].incarnation) is key[0]:
                self.debts.add(key)

    def _receive_room(self, peer: Peer, message: BusRoomMessage) -> None:
        self._windows.give_back((peer, message.name, message.system), message.count)

    def _receive_undeliverable(self, peer: Peer, message: BusUndeliverableMessage) -> None:
        name = message.name
        if self._membership.peers.owners.get(name, peer) is not peer or name in self._bus.names:
            return  # somebody else has the name by now
        self._forget_name(peer, name)
        if message.answer is None:
            return
        try:
            answer = self._codec.decode(message.answer.encode())
        except CodecError:
            return
        if isinstance(answer, BusJobResponseMessage) and answer.source == name:
            self._router.missed += 1
            self._bus.on_message_received(answer)

    def _forget_name(self, peer: Peer, name: str) -> None:
        owners = self._membership.peers.owners
        if owners.get(name) is peer:
            del owners[name]
        self._windows.forget(peer, name)


#: What two buses tell each other, and what is done with it.
_FOR_BUS: dict[type[BusMessage], Callable[[Receiver, Peer, Any], None]] = {
    BusRoomMessage: Receiver._receive_room,
    BusUndeliverableMessage: Receiver._receive_undeliverable,
}
