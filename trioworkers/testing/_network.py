"""Several runners, each on a simulated bus of its own, with links that fail between them."""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence

import trio
import trio.testing
from trio.lowlevel import ParkingLot

from ..bus import BusMessage, BusWorkerDepartedMessage, BusWorkerRegistryMessage
from ._bus import SimulatedBus
from ._contact import Contact, Pair
from ._decisions import Decisions
from ._everywhere import MakeWorkers
from ._faults import Disconnect, Fault, LinkFault, check_faults
from ._hosts import RunnerNetwork
from ._inbox import InFlight
from ._links import Direction, Link
from ._monitor import Monitor
from ._node import Node, NodeBus
from ._timeline import Timeline
from ._trouble import let_happen, make_trouble


class SimulatedNetwork(RunnerNetwork[NodeBus]):
    """Runners in one process that meet only through links.

    Each runner has a bus, a registry and workers of its own. Runners that don't
    hear each other for the lease take each other for gone: jobs between them are
    LOST, and handlers have been cancelled a little before. Once they hear each
    other again they find each other anew. That is what a network bus is to do.

    Scenarios get one from `simulate`, running; ``network["name"]`` is a runner.

    Args:
      runners: By each runner's name, what makes its workers, also after a crash.
      decisions: Who decides on deliveries.
      timeline: Where all is noted.
      monitor: Who watches.
      link: What all links promise.
      faults: What goes wrong by itself, once the runners are up.

    Raises:
      ValueError: A fault is about a runner that there isn't.
    """

    def __init__(
        self,
        runners: Mapping[str, MakeWorkers],
        decisions: Decisions,
        timeline: Timeline,
        monitor: Monitor,
        *,
        link: Link,
        faults: Iterable[Fault] = (),
    ) -> None:
        super().__init__(runners, timeline, monitor)
        self._faults = tuple(faults)
        check_faults(self._faults, runners)
        self._decisions = decisions
        self._link = link
        monitor.delay = link.latency
        self._contact = Contact(
            runners, link, on_fading=self._fade, on_parted=self._part, on_met=self._meet
        )
        self._connected = ParkingLot()
        self._numbers = itertools.count(1)
        self._troubles = trio.CancelScope()

    # Running

    async def _begin(self) -> None:
        self._contact.nursery = self._nursery

    async def _ready(self) -> None:
        for direction in self._contact.directions.values():
            direction.plan(fault for fault in self._faults if isinstance(fault, LinkFault))
        timed = [fault for fault in self._faults if not isinstance(fault, LinkFault)]
        self._nursery.start_soon(
            make_trouble, let_happen, self, timed, self._troubles, self._nursery
        )

    async def _start(self, node: Node[NodeBus]) -> None:
        node.begin(
            NodeBus(
                node.name,
                next(node.lives),
                self,
                self._decisions,
                self._timeline,
                self._monitor,
                drops_copies=self._link.delivery == "once",
            )
        )
        await self._nursery.start(node.run)

    async def _wait_quiet(self) -> None:
        while True:
            await trio.testing.wait_all_tasks_blocked()
            slow = [node.bus for node in self._up() if node.bus.has_ready]
            if slow:  # one that takes its time for each delivery
                await slow[0].wait_room()
                continue
            due = min((node.bus.next_due for node in self._up()), default=math.inf)
            if due == math.inf:
                return
            await trio.sleep_until(due)

    # What can happen to runners

    def _vanish(self, node: Node[NodeBus]) -> None:
        self._contact.obstruct(self._contact.around(node.name), node)

    def _return(self, node: Node[NodeBus]) -> None:
        name = node.name
        for other in self._nodes:
            if other != name:
                self._contact.part(name, other)
        self._contact.rejoin(name)
        self._free(self._contact.around(name), node)

    async def pause(self, name: str, seconds: float) -> None:
        """Let a runner hear and say nothing for ``seconds``; return after that."""
        node, obstacle = self._node(name), object()
        bus, around = node.bus, self._contact.around(name)
        self._note("paused", name)
        bus.paused = True
        self._contact.obstruct(around, obstacle)
        try:
            await trio.sleep(seconds)
        finally:
            bus.paused = False
            self._note("resumed", name)
            self._free(around, obstacle)

    async def slow(self, name: str, seconds: float, per_message: float) -> None:
        """Let each delivery to a runner take ``per_message`` s, for ``seconds``; then return."""
        bus = self._node(name).bus
        self._note("slow", name)
        bus.slowness = per_message
        try:
            await trio.sleep(seconds)
        finally:
            bus.slowness = 0.0

    # What can happen to links

    def cut(self, source: str, target: str) -> None:
        """Let nothing pass from ``source`` to ``target``, until `restore`."""
        self._note("cut", f"{source} -> {target}")
        self._contact.obstruct([self._direction(source, target)], "cut")

    def restore(self, source: str, target: str) -> None:
        """Undo a `cut`."""
        self._note("restored", f"{source} -> {target}")
        self._free([self._direction(source, target)], "cut")

    def heal(self) -> None:
        """End all faults but crashes; no more come."""
        self._troubles.cancel()
        for node in self._up():
            node.bus.paused, node.bus.slowness = False, 0.0
        for direction in self._contact.directions.values():
            direction.faults.clear()
            for obstacle in [o for o in direction.obstacles if not isinstance(o, Node)]:
                self._free([direction], obstacle)
        late = [node.bus.inbox.last_due for node in self._up()]
        self._monitor.healed_at = max(trio.current_time(), *late, 0.0)

    async def _disconnect(self, direction: Direction, fault: Disconnect) -> None:
        await trio.sleep(fault.seconds)
        self._free(self._contact.both_ways(direction), fault)

    def _free(self, directions: Iterable[Direction], obstacle: object) -> None:
        directions = tuple(directions)
        self._contact.free(directions, obstacle)
        self._connected.unpark_all()
        for direction in directions:
            self._nodes[direction.target].bus.wake()

    # Who takes whom for gone

    def _fade(self, pair: Pair) -> None:
        for name, other in (pair, pair[::-1]):
            if self._nodes[name].is_up:
                self._nodes[name].bus.cancel_served(other)

    def _part(self, pair: Pair) -> None:
        for name, other in (pair, pair[::-1]):
            node = self._nodes[name]
            node.bus.forget(self._contact.directions[other, name])
            self._monitor.departed(other)
            if node.is_up:
                self._note("lost", f"{other} -> {name}")
                node.bus.on_message_received(BusWorkerDepartedMessage(other, source=other))

    def _meet(self, pair: Pair) -> None:
        for name, other in (pair, pair[::-1]):
            if self._nodes[name].is_up and self._nodes[other].is_up:
                self._note("found", f"{other} -> {name}")
                hello = BusWorkerRegistryMessage(other, (), source=other)
                self._nodes[name].bus.on_message_received(hello)

    # For the buses: see `Carrier`

    def hosts(self, source: SimulatedBus, name: str) -> bool:
        """Whether a runner that ``source`` is in touch with has a worker of that name."""
        return any(name in node.names for node in self._in_touch(source))

    def destinations(self, source: SimulatedBus, message: BusMessage) -> Sequence[SimulatedBus]:
        """Return the buses that ``message`` goes to."""
        target = message.target
        if target is None:
            return [source, *(node.bus for node in self._in_touch(source))]
        if target in source.names:
            return [source]
        return [node.bus for node in self._in_touch(source) if target in node.names][:1]

    def carry(self, source: SimulatedBus, destination: SimulatedBus, message: BusMessage) -> None:
        """Put ``message`` under way to another bus, by its link."""
        assert isinstance(source, NodeBus)
        assert isinstance(destination, NodeBus)
        if not source.is_heard:
            source.bounce(message)
            return
        direction = self._contact.directions[source.runner_name, destination.runner_name]
        passages, faults = direction.send()
        for fault in faults:
            self._suffer(source, direction, fault, message)
        if not passages:
            self._monitor.dropped(message)
            self._contact.look_at(direction)
        copy_of = self.next_number() if len(passages) > 1 else None
        if copy_of is not None and self._link.delivery == "at-least-once":
            self._monitor.duplicated(message)
        for passage in passages:
            number = self.next_number()
            channel = source.channel(destination, message)
            if passage.alone:
                self._monitor.reordered(message)
                channel = (*channel, number)
            due = trio.current_time() + passage.delay if passage.delay else -math.inf
            item = InFlight(number, message, direction, due, copy_of, passage.through)
            destination.arrive(channel, item)

    def _suffer(
        self, source: NodeBus, direction: Direction, fault: LinkFault, message: BusMessage
    ) -> None:
        kind = type(fault).__name__.lower()
        self._timeline.exercised[f"fault: {kind}"] += 1
        source.note(kind, message)
        if isinstance(fault, Disconnect):
            self._contact.obstruct(self._contact.both_ways(direction), fault)
            self._nursery.start_soon(self._disconnect, direction, fault)

    async def wait_connected(self, source: SimulatedBus, destination: SimulatedBus) -> None:
        """Wait until something can be published; a checkpoint only if it waits."""
        assert isinstance(source, NodeBus)
        assert isinstance(destination, NodeBus)
        direction = self._contact.directions[source.runner_name, destination.runner_name]
        while source.is_heard and any(isinstance(o, Disconnect) for o in direction.obstacles):
            await self._connected.park()

    def next_number(self) -> int:
        """Return how many messages were sent before."""
        return next(self._numbers)

    # Small things

    def _direction(self, source: str, target: str) -> Direction:
        return self._contact.directions[self._node(source).name, self._node(target).name]

    def _in_touch(self, source: SimulatedBus) -> list[Node[NodeBus]]:
        assert isinstance(source, NodeBus)
        name = source.runner_name
        return [
            node
            for other, node in self._nodes.items()
            if other != name and hasattr(node, "bus") and not self._contact.are_apart(name, other)
        ]
