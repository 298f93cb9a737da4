"""What is to be seen while a run goes on. On standard error, so that tables can be piped."""

from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from ._rounds import Step


class Display(Protocol):
    """Shows steps between enter and exit."""

    def __enter__(self) -> Self:
        """Begin."""
        ...

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave the screen as it should stay."""
        ...

    def begin(self, step: Step) -> None:
        """Show that ``step`` begins."""
        ...

    def tell(self, line: str) -> None:
        """Show a line that stays."""
        ...


class Bar:
    """A bar that is erased in the end.

    Args:
      console: Where to draw it.
      steps: How many will begin.
    """

    def __init__(self, console: Console, steps: int) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._task = self._progress.add_task("starting", total=steps)
        self._begun = False

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._progress.stop()

    def begin(self, step: Step) -> None:
        """See `Display`."""
        case = f"{step.case.name}, {step.case.size(step.point)}"
        self._progress.update(
            self._task,
            advance=1 if self._begun else 0,
            description=f"round {step.number + 1}: {case}: {step.side}",
        )
        self._begun = True

    def tell(self, line: str) -> None:
        """See `Display`."""
        self._progress.console.print(line, markup=False, soft_wrap=True)


class Lines:
    """A line for each round and case, for output that is no terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        return None

    def begin(self, step: Step) -> None:
        """See `Display`."""
        line = f"round {step.number + 1}: {step.case.name}"
        if line != self._last:
            self._last = line
            self.tell(line)

    def tell(self, line: str) -> None:
        """See `Display`."""
        self._console.print(line, markup=False, soft_wrap=True)
