"""The wait of one sender until its message has been handed on."""

import attrs
import trio


@attrs.define(eq=False)
class Receipt:
    """Tells a sender what has come of its message.

    Attributes:
      is_done: Whether that is known.
      error: Why it was not handed on; None if it was.
    """

    is_done: bool = False
    error: Exception | None = None
    _event: trio.Event = attrs.field(factory=trio.Event)

    def settle(self, error: Exception | None = None) -> None:
        """Tell the sender; only the first time counts."""
        if not self.is_done:
            self.is_done = True
            self.error = error
            self._event.set()

    async def wait(self) -> None:
        """Wait until it is known what has come of the message; raise the error, if there is one."""
        await self._event.wait()
        if self.error is not None:
            raise self.error
