"""How fast a client's messages are read."""

import attrs


@attrs.define(eq=False)
class Pacer:
    """A bucket of tokens: each message takes one.

    Args:
      per_second: Tokens that come back in a second, > 0.
      burst: Tokens in a full bucket, >= 1.
    """

    per_second: float
    burst: float
    _tokens: float = attrs.field(init=False)
    _at: float = attrs.field(init=False, default=0.0)

    def __attrs_post_init__(self) -> None:
        self._tokens = self.burst

    def take(self, now: float) -> float:
        """Take a token; return the seconds to wait before the message may be handled.

        Args:
          now: Seconds on a clock that doesn't go back.
        """
        self._tokens = min(self.burst, self._tokens + (now - self._at) * self.per_second)
        self._at = now
        self._tokens -= 1
        return max(0.0, -self._tokens / self.per_second)
