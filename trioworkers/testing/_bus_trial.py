"""One clause of a bus's contract that is being checked, with its bus."""

from typing import Any

import attrs

from ..bus import BusMessage, WorkerBus
from ._conformance import Trial
from ._probes import ProbeNote, ProbeSubscriber


@attrs.define(eq=False)
class BusTrial(Trial):
    """A `Trial` of a bus.

    Attributes:
      bus: A fresh one, which does not run yet.
      most_queued: Messages for a stuck target after which a sender must wait.
    """

    bus: WorkerBus = attrs.field(kw_only=True)
    most_queued: int = attrs.field(kw_only=True)

    def probe(self, name: str, *interests: type[BusMessage], **options: Any) -> ProbeSubscriber:
        """Return a subscriber that wants ``interests``, by default all probes."""
        if interests:
            options["interests"] = interests
        return ProbeSubscriber(f"probe-{name}", self.changed, **options)

    async def wait_heard(self, probe: ProbeSubscriber, count: int) -> None:
        """Wait until a subscriber has heard ``count`` probes."""
        await self.wait_until(
            lambda: len(probe.heard) >= count,
            lambda: f"{probe.name!r} had {len(probe.heard)} of {count} messages",
        )

    async def expect_numbers(self, probe: ProbeSubscriber, expected: list[int], when: str) -> None:
        """Wait for exactly these numbers, in any order, and for no more."""
        await self.wait_heard(probe, len(expected))
        await self.wait_steady(lambda: len(probe.delivered))
        got = sorted(probe.numbers())
        self.expect(got == sorted(expected), f"{when}, {probe.name!r} got the numbers {got}.")


@attrs.define(eq=False)
class Flood:
    """A sender that sends to one target, as fast as it may, until an error or its bound.

    Attributes:
      trial: Whose bus it uses.
      target: The name to send to.
      source: Who sends.
      sent: How many messages have been sent.
      ended: Whether it has stopped.
    """

    trial: BusTrial
    target: str
    source: str = "flood"
    sent: int = 0
    ended: bool = False

    async def run(self) -> None:
        """Send until `BusTrial.most_queued` messages are sent; leave the error to the caller."""
        trial = self.trial
        try:
            while self.sent < trial.most_queued:
                await trial.bus.send(ProbeNote(self.sent, source=self.source, target=self.target))
                self.sent += 1
                trial.changed.unpark_all()
        finally:
            self.ended = True
            trial.changed.unpark_all()

    async def hold(self) -> int:
        """Wait until the sender has to wait; return how many it has sent by then."""
        sent = await self.trial.wait_steady(lambda: self.sent)
        self.trial.expect(
            not self.ended, f"Its sender never waited, for {sent} messages to a stuck target."
        )
        return sent
