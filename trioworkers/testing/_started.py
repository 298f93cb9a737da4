"""What a state machine has started in its Trio run."""

from typing import Generic, TypeVar

import attrs
import trio

T = TypeVar("T")


@attrs.define(eq=False)
class Started(Generic[T]):
    """What a machine has started in its run, and what has become of it.

    Attributes:
      name: What messages call it.
      scope: What it runs in.
      is_done: Whether it has returned, raised or been cancelled.
      error: What it has raised, other than cancellation, or None.
      results: What it has returned, if it has: a list of one.
    """

    name: str
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    is_done: bool = False
    error: BaseException | None = None
    results: list[T] = attrs.field(factory=list)

    def cancel(self) -> None:
        """Cancel it. It ends when the run goes on."""
        self.scope.cancel()

    @property
    def result(self) -> T:
        """What it has returned.

        Raises:
          RuntimeError: It has not returned, or was cancelled.
          BaseException: What it has raised.
        """
        if self.error is not None:
            raise self.error
        if not self.results:
            what = "was cancelled" if self.is_done else "has not returned yet"
            raise RuntimeError(f"{self.name} {what}: it has no result")
        return self.results[0]
