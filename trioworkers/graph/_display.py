"""How a run stands, shown while it goes on: ``run(progress=True)``."""

import os
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import trio

from ..errors import MissingExtraError
from ._statistics import GraphStatistics, TaskWorkerStatistics

if TYPE_CHECKING:
    from rich.table import Table

#: Seconds between two looks, on a terminal and where lines are written.
LIVE_SECONDS = 0.1
LINE_SECONDS = 10.0

#: What is shown of each worker: the heading, the count, the style if there is any.
COLUMNS = (
    ("queued", "queued", ""),
    ("active", "running", "cyan"),
    ("done", "done", "green"),
    ("failed", "failed", "bold red"),
    ("cached", "cached", ""),
    ("held", "held", ""),
)
#: What is shown only if there is any.
RARE_COLUMNS = (("to retry", "retrying", "yellow"), ("aborted", "aborted", "yellow"))

#: What goes wrong with a screen that is gone; no reason to stop.
_GONE = (OSError, ValueError)


class Display(ABC):
    """Shows how a run stands, on standard error, if something has changed.

    Args:
      name: The graph's.
      seconds: Between two looks.
    """

    def __init__(self, name: str, seconds: float) -> None:
        self.name = name
        self.seconds = seconds
        self._look: Callable[[], GraphStatistics] = GraphStatistics
        self._began = 0.0
        self._shown: GraphStatistics | None = None

    def start(self, look: Callable[[], GraphStatistics]) -> None:
        """Begin to show what ``look`` returns."""
        self._look = look
        self._began = trio.current_time()
        with suppress(*_GONE):
            self.begin()

    async def keep(self) -> None:
        """Show it again and again, until cancelled."""
        while True:
            await trio.sleep(self.seconds)
            self.refresh()

    def refresh(self) -> None:
        """Show it if it has changed."""
        now = self._look()
        if now != self._shown:
            self._shown = now
            with suppress(*_GONE):
                self.show(now, trio.current_time() - self._began)

    def close(self) -> None:
        """Show how it stands at the end, and leave that."""
        with suppress(*_GONE):
            self.end(self._look(), trio.current_time() - self._began)

    @abstractmethod
    def begin(self) -> None:
        """Prepare the screen."""

    @abstractmethod
    def show(self, now: GraphStatistics, seconds: float) -> None:
        """Show how it stands."""

    @abstractmethod
    def end(self, now: GraphStatistics, seconds: float) -> None:
        """Show how it has ended."""

    def print(self, text: str) -> None:
        """Print without disturbing what is shown. From any thread."""
        print(text)  # noqa: T201 - what it is for

    @contextmanager
    def pause(self) -> Iterator[None]:
        """Leave the screen to somebody else meanwhile."""
        yield


class Lines(Display):
    """Writes lines now and then, and at the end: for files and other programs."""

    def __init__(self, name: str) -> None:
        super().__init__(name, LINE_SECONDS)

    def begin(self) -> None:
        """See `Display`."""

    def show(self, now: GraphStatistics, seconds: float) -> None:
        """See `Display`."""
        workers = "; ".join(
            f"{name} {_in_words(worker)}" for name, worker in now.workers.items() if _any(worker)
        )
        print(f"{self.name}, {seconds:.0f} s: {workers or 'nothing yet'}", file=sys.stderr)  # noqa: T201

    def end(self, now: GraphStatistics, seconds: float) -> None:
        """See `Display`."""
        self.show(now, seconds)


def _any(worker: TaskWorkerStatistics) -> bool:
    return worker != TaskWorkerStatistics()


def _in_words(worker: TaskWorkerStatistics) -> str:
    counts = [(getattr(worker, field), heading) for heading, field, _ in (*COLUMNS, *RARE_COLUMNS)]
    return ", ".join(f"{count:,} {heading}" for count, heading in counts if count)


class Live(Display):
    """Draws a table on the terminal, over and over at the same place."""

    def __init__(self, name: str) -> None:
        super().__init__(name, LIVE_SECONDS)
        from rich.console import Console
        from rich.live import Live as RichLive

        self._console = Console(stderr=True, highlight=False)
        # If both go to the screen, what others print must go above the table.
        self._is_shared = sys.stdout.isatty()
        self._live = RichLive(
            console=self._console,
            auto_refresh=False,  # which would be a thread
            redirect_stdout=self._is_shared,
        )
        self._pauses = 0
        self._lock = threading.RLock()

    def begin(self) -> None:
        """See `Display`."""
        self._live.start()

    def show(self, now: GraphStatistics, seconds: float) -> None:
        """See `Display`."""
        with self._lock:
            if not self._pauses:
                self._live.update(self._table(now, seconds), refresh=True)

    def end(self, now: GraphStatistics, seconds: float) -> None:
        """See `Display`."""
        try:
            self.show(now, seconds)
        finally:
            self._live.stop()

    def print(self, text: str) -> None:
        """See `Display`."""
        from rich.text import Text

        with self._lock:
            if self._pauses or not self._is_shared:
                super().print(text)
            else:
                self._console.print(Text(text), soft_wrap=True)

    @contextmanager
    def pause(self) -> Iterator[None]:
        """See `Display`."""
        self._pauses += 1
        if self._pauses == 1:
            with suppress(*_GONE):
                self._live.stop()
        try:
            yield
        finally:
            self._pauses -= 1
            if not self._pauses:
                with suppress(*_GONE):
                    self._live.start(refresh=True)

    def _table(self, now: GraphStatistics, seconds: float) -> "Table":
        from rich import box
        from rich.table import Table
        from rich.text import Text

        rare = [column for column in RARE_COLUMNS if self._total(now, column[1])]
        columns = [*COLUMNS, *rare]
        title = Text(f"{self.name}, {seconds:.1f} s", style="bold")
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=title, title_justify="left")
        table.add_column("worker", no_wrap=True, overflow="ellipsis")
        for heading, _, _ in columns:
            table.add_column(heading, justify="right", no_wrap=True)

        def row(name: str, counts: list[Any], style: str = "") -> None:
            cells = [
                Text(f"{count:,}" if count else "·", style=column[2] if count else "dim")
                for count, column in zip(counts, columns, strict=True)
            ]
            table.add_row(Text(name, style=style), *cells)  # no markup, whatever it looks like

        for name, worker in now.workers.items():
            row(name, [getattr(worker, field) for _, field, _ in columns])
        if len(now.workers) > 1:
            table.add_section()
            row("all", [self._total(now, field) for _, field, _ in columns], "bold")
        return table

    @staticmethod
    def _total(now: GraphStatistics, field: str) -> int:
        return sum(getattr(worker, field) for worker in now.workers.values())


def open_display(name: str) -> Display:
    """Return what fits standard error: a table on a terminal, lines elsewhere.

    Raises:
      MissingExtraError: rich is not installed.
    """
    try:
        import rich  # noqa: F401
    except ImportError:
        raise MissingExtraError("showing the progress of a graph", "cli") from None
    is_terminal = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    return Live(name) if is_terminal else Lines(name)
