"""What users know must hold in a simulated run: invariants, and a model to compare with."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

import attrs

from ..bus import BusMessage

#: Called with what the scenario gets, a `WorkerRunner` or a `SimulatedNetwork`:
#: after the book-keeping of each delivery, before any Trio task that it woke goes
#: on, and at the end of the run. It must neither wait nor send. It raises
#: `AssertionError` if what it looks at is wrong::
#:
#:     def nobody_is_overdrawn(runner: WorkerRunner) -> None:
#:         account = runner.get_worker("account")
#:         assert account is None or account.balance >= 0, account.balance
Invariant = Callable[[Any], object]


class ReferenceModel(Protocol):
    """A simpler thing that says what the real one may do, one message after the other.

    Its methods raise `AssertionError` when the real thing has done what the
    model cannot do. They must neither wait nor send. Each run has a model of its own.

    Example::

        class Counting:
            "Each answer is one more than the one before."

            def __init__(self) -> None:
                self.count = 0

            def delivered(self, message: BusMessage) -> None:
                if isinstance(message, BusJobResponseMessage) and message.source == "counter":
                    self.count += 1
                    assert message.response == {"count": self.count}, message

            def ended(self) -> None:
                assert self.count == 3, f"{self.count} answers"
    """

    def delivered(self, message: BusMessage) -> None:
        """Take note of a message that was delivered to its target, or to all that want it."""

    def ended(self) -> None:
        """Take note that the run has ended: nothing is under way."""


@attrs.define(eq=False)
class Checks:
    """The invariants and the model of one run.

    Attributes:
      subject: What the scenario gets.
      invariants: Called with it.
      model: Told what happens, or None.
    """

    subject: object
    invariants: tuple[Invariant, ...] = ()
    model: ReferenceModel | None = None

    def after(self, message: BusMessage) -> Iterator[str]:
        """Check that all is well after a delivery; yield what is not."""
        if self.model is not None:
            yield from _complaints("the model", lambda model: model.delivered(message), self.model)
        yield from self._invariants()

    def at_end(self) -> Iterator[str]:
        """Check that all is well at the end; yield what is not."""
        if self.model is not None:
            yield from _complaints("the model", lambda model: model.ended(), self.model)
        yield from self._invariants()

    def _invariants(self) -> Iterator[str]:
        for invariant in self.invariants:
            name = getattr(invariant, "__name__", repr(invariant))
            yield from _complaints(f"invariant {name!r}", invariant, self.subject)


def _complaints(who: str, check: Callable[[Any], object], subject: object) -> Iterable[str]:
    """Return what ``check`` raises, as text: it runs in the midst of a delivery."""
    try:
        check(subject)
    except Exception as error:  # noqa: BLE001 - told by the run, with its timeline
        kind = "" if isinstance(error, AssertionError) else f"{type(error).__name__}: "
        return [f"{who}: {kind}{error}" if str(error) else f"{who}: {kind}it does not hold"]
    return []
