"""One direction between two simulated runners: what passes, when, and how often."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Literal

import attrs

from ._faults import Delay, Disconnect, Drop, Duplicate, LinkFault, Reorder

Delivery = Literal["once", "at-least-once", "at-most-once"]
DELIVERIES: tuple[Delivery, ...] = ("once", "at-least-once", "at-most-once")

#: Seconds after which a lost message is sent again.
RESEND = 0.25


def _check_delivery(_: object, __: object, value: str) -> None:
    if value not in DELIVERIES:
        raise ValueError(f"delivery must be one of {', '.join(DELIVERIES)}, not {value!r}")


@attrs.frozen
class Link:
    """What a bus promises between two runners.

    Attributes:
      delivery: ``"once"``: what is lost is sent again, and what comes twice is
        dropped the second time, by its id; so a good network bus works.
        ``"at-least-once"``: the second one is delivered, too.
        ``"at-most-once"``: what is lost stays lost. The receiver sees the gap
        within the lease, and both sides take each other for gone and come back,
        so that what was under way ends as LOST.
      latency: Seconds that each message takes, >= 0.
      lease: Seconds, > 0, of silence after which a runner is taken for gone.
    """

    delivery: Delivery = attrs.field(default="once", validator=_check_delivery)
    latency: float = attrs.field(default=0.0, validator=attrs.validators.ge(0))
    lease: float = attrs.field(default=10.0, validator=attrs.validators.gt(0))


@attrs.frozen
class Passage:
    """One way that a message takes.

    Attributes:
      delay: Seconds that it takes.
      alone: Whether it leaves its channel, so that others may overtake it.
      through: Whether it has passed, although the link is shut from now on.
    """

    delay: float
    alone: bool = False
    through: bool = False


@attrs.define(eq=False)
class Direction:
    """From one runner to another; each message takes no passage, one, or two.

    Attributes:
      source: The runner that sends.
      target: The runner that it is sent to.
      link: What it promises.
      sent: Messages so far.
      obstacles: What keeps it shut now.
      gap: Whether something is lost that the receiver has not noticed yet.
      faults: What will happen to which message.
    """

    source: str
    target: str
    link: Link
    faults: dict[int, list[LinkFault]] = attrs.field(factory=lambda: defaultdict(list))
    sent: int = 0
    obstacles: set[object] = attrs.field(factory=set)
    gap: bool = False

    @property
    def is_open(self) -> bool:
        """Whether anything arrives now."""
        return not self.obstacles

    def plan(self, faults: Iterable[LinkFault]) -> None:
        """Let ``faults`` happen, those that are of this direction; count from now on."""
        self.sent = 0
        for fault in faults:
            if (fault.source, fault.target) == (self.source, self.target):
                self.faults[fault.nth].append(fault)

    def send(self) -> tuple[list[Passage], list[LinkFault]]:
        """Count a message; return how it travels, and the faults that hit it."""
        self.sent += 1
        faults = self.faults.pop(self.sent, []) if self.faults else []
        passages = [Passage(self.link.latency)]
        at_most_once = self.link.delivery == "at-most-once"
        if at_most_once and not self.is_open:
            self.gap = True
            passages = []
        for fault in faults:
            passages = _passages_after(fault, passages, at_most_once=at_most_once)
            if not passages:
                self.gap = True
        return passages, faults


def _passages_after(
    fault: LinkFault, passages: list[Passage], *, at_most_once: bool
) -> list[Passage]:
    """Return how a message travels that ``fault`` has hit."""
    match fault:
        case Delay(seconds=seconds):
            return [attrs.evolve(p, delay=p.delay + seconds) for p in passages]
        case Reorder():
            return [attrs.evolve(p, alone=True) for p in passages]
        case Drop():
            if at_most_once:
                return []
            return [attrs.evolve(p, delay=p.delay + RESEND) for p in passages]
        case Duplicate():
            return passages if at_most_once else [*passages, *passages[:1]]
        case Disconnect(seconds=seconds):
            if at_most_once:
                return []
            again = [Passage(p.delay + seconds + RESEND, alone=True) for p in passages[:1]]
            return [*(attrs.evolve(p, through=True) for p in passages), *again]
        case _:
            raise TypeError(f"unknown fault {fault!r}")
