"""What workers tell each other besides jobs, and who has heard it."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

import attrs
import trio

from ...bus import BusDataMessage, BusMessage, wire_tag
from ...errors import BusDisconnected, StoppedError, UnknownWorkerError
from .._scripted import ScriptedWorker
from ..streams import StreamNetwork
from ..streams._bus import StreamBus


@wire_tag("trioworkers.testing.note")
@attrs.define
class Note(BusDataMessage):
    """A message of a user.

    Attributes:
      stream: Which `Telling` it belongs to.
      life: Which life of a runner has sent it.
      number: How many were sent before, of that telling.
    """

    stream: int
    life: str
    number: int


@attrs.frozen
class Telling:
    """Somebody sends notes to somebody, one after the other.

    Attributes:
      number: Which telling it is.
      at: Seconds until it begins.
      runner: Whose bus sends them.
      source: The worker in whose name they are sent.
      target: To whom; None is everybody.
      count: How many.
      pause: Seconds between two.
    """

    number: int
    at: float
    runner: str
    source: str
    target: str | None
    count: int
    pause: float


@attrs.define(eq=False)
class Heard:
    """What was sent, and what was heard, in one run.

    Attributes:
      sent: The numbers that `send` has returned for, by telling and sending life.
      heard: The numbers that have come, by telling, sending life, hearing life and worker.
    """

    sent: dict[tuple[int, str], list[int]] = attrs.field(factory=lambda: defaultdict(list))
    heard: dict[tuple[int, str, str, str], list[int]] = attrs.field(
        factory=lambda: defaultdict(list)
    )

    async def tell(self, network: StreamNetwork, telling: Telling) -> None:
        """Send what is to be told, as long as the runner lives."""
        await trio.sleep(telling.at)
        bus = network[telling.runner].bus
        assert isinstance(bus, StreamBus)
        for number in range(telling.count):
            if telling.source not in bus.names:
                break  # it has left, or never was there
            try:
                await bus.send(
                    Note(
                        telling.number,
                        bus.life_name,
                        number,
                        source=telling.source,
                        target=telling.target,
                    )
                )
            except StoppedError:
                break
            except (UnknownWorkerError, BusDisconnected):
                pass  # it is told, so it may be lost
            else:
                self.sent[telling.number, bus.life_name].append(number)
            await trio.sleep(telling.pause)

    def check(
        self, network: StreamNetwork, tellings: Iterable[Telling], reliable: Mapping[str, str]
    ) -> None:
        """See that all came in order, once; and to whom it had to come, all of it.

        Args:
          network: Who was there.
          tellings: What was to be told.
          reliable: Workers that were there all the time, and the life of their runner.
        """
        for (number, _, life, worker), numbers in self.heard.items():
            where = f"notes {number} at {worker!r} in life {life}"
            assert len(set(numbers)) == len(numbers), f"P5: {where} came twice: {numbers}"
            assert numbers == sorted(numbers), f"P5: {where} came out of order: {numbers}"
        by_number = {telling.number: telling for telling in tellings}
        for (number, sender), numbers in self.sent.items():
            target = by_number[number].target or ""
            hearing = reliable.get(target)
            if hearing is None or frozenset((sender, hearing)) in network.parted:
                continue
            lost = set(numbers) - set(self.heard[number, sender, hearing, target])
            assert not lost, f"P5: notes {number}, {sorted(lost)}, to {target!r} were lost silently"


class Listener(ScriptedWorker):
    """A scripted worker that notes what it is told.

    Args:
      name: As in `BaseWorker`.
      heard: Where it notes it.
      takes: Seconds that it needs for each note.
    """

    def __init__(self, name: str, heard: Heard, takes: float) -> None:
        super().__init__(name)
        self._heard = heard
        self._takes = takes

    async def on_bus_message(self, message: BusMessage) -> None:
        """Note what it is told."""
        if isinstance(message, Note):
            bus = self.bus
            assert isinstance(bus, StreamBus)
            if bus.is_heard:
                key = message.stream, message.life, bus.life_name, self.name
                self._heard.heard[key].append(message.number)
            await trio.sleep(self._takes)
