"""Who is said to have gone, and whether all is read that they have sent. Pure: no reading."""

import math

import attrs


@attrs.define(eq=False)
class Departures:
    """Incarnations that have gone, as notes say, until all is read that they have sent before.

    Times are in ms of the server's clock: each entry has one, of whatever stream.

    Attributes:
      noted_to: Before which time all notes have been read; infinite if all there are.
    """

    noted_to: float = math.inf
    _noted_at: dict[str, int] = attrs.field(factory=dict)
    _confirmed: set[str] = attrs.field(factory=set)

    def note(self, incarnation: str, at: int) -> None:
        """Note that an incarnation is said to have gone; anyone may have said so.

        The first time counts: nothing has come from it after that.
        """
        self._noted_at[incarnation] = min(at, self._noted_at.get(incarnation, at))

    @property
    def unconfirmed(self) -> list[str]:
        """Those of whom the server is to be asked whether they have."""
        return [incarnation for incarnation in self._noted_at if incarnation not in self._confirmed]

    def confirm(self, incarnation: str) -> None:
        """Note that the server says so, too."""
        self._confirmed.add(incarnation)

    def dismiss(self, incarnation: str) -> None:
        """Forget what was said: it isn't so."""
        self._noted_at.pop(incarnation, None)

    def take_finished(self, read_to: float) -> list[str]:
        """Return, once, those that have sent nothing after the time up to which all is read."""
        finished = [who for who, at in self._noted_at.items() if at <= read_to]
        for incarnation in finished:
            del self._noted_at[incarnation]
            self._confirmed.discard(incarnation)
        return finished

    def clear(self) -> None:
        """Forget all of them: they have gone for another incarnation than ours is now."""
        self._noted_at.clear()
        self._confirmed.clear()
