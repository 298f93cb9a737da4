"""The table of a run: for a terminal, or as Markdown."""

from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ._cases import FLOOR, OURS
from ._results import Cell, Results, Row, Spread

COLUMNS = (
    "case",
    "size",
    "unit",
    "ours",
    "floor",
    "ours / floor",
    "peer",
    "peer's",
    "peer's / ours",
)


def number(value: float) -> str:
    """Return ``value`` with three digits or more."""
    digits = 2 if abs(value) < 9.995 else 1 if abs(value) < 99.95 else 0
    return f"{value:,.{digits}f}"


def with_quartiles(spread: Spread | None) -> str:
    """Return the median and, if there is one, the spread around it."""
    if spread is None:
        return ""
    low, median, high = map(number, (spread.low, spread.median, spread.high))
    return median if low == high else f"{median} ({low}..{high})"


def _reading(cell: Cell) -> str:
    return with_quartiles(cell.spread) or ("failed" if cell.failure else "")


def table_lines(rows: Sequence[Row]) -> Iterator[tuple[str, ...]]:
    """Yield what the table says: a line for each row, and one for each further peer."""
    for row in rows:
        what = f"{row.case.what}: {row.quantity.what}" if row.quantity.what else row.case.what
        head = (
            what,
            row.size,
            row.quantity.unit,
            _reading(row.cells[OURS]),
            _reading(row.cells[FLOOR]),
            with_quartiles(row.ratio(OURS, FLOOR)),
        )
        peers = [
            (peer, _reading(row.cells[peer]), with_quartiles(row.ratio(peer, OURS)))
            for peer in row.peers
        ]
        first, *others = peers or [("", "", "")]
        yield (*head, *first)
        for other in others:
            yield ("",) * len(head) + other


def print_results(results: Results, console: Console) -> None:
    """Print what was measured on what, the table, and what failed.

    On a terminal the table has colours and fits the width; elsewhere it is Markdown.
    """

    def say(line: str, style: str = "") -> None:
        console.print(Text(line, style=style), soft_wrap=True)

    say(", ".join(f"{name} {value}" for name, value in results.about.items()))
    stopped = "; stopped early" if results.interrupted else ""
    quick = "; quick: this shows that it runs, and nothing else" if results.quick else ""
    say(f"medians and quartiles; rounds: {results.rounds}{stopped}{quick}")
    say("")
    if console.is_terminal:
        console.print(_rich_table(results))
    else:
        say("| " + " | ".join(COLUMNS) + " |")
        say("|---" * len(COLUMNS) + "|")
        for line in table_lines(results.rows):
            say("| " + " | ".join(line) + " |")
    for failure in failure_lines(results):
        say("")
        say(failure, "red")


def _rich_table(results: Results) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in COLUMNS:
        table.add_column(column, justify="left" if column in COLUMNS[:3] else "right")
    case = ""
    for line in table_lines(results.rows):
        if line[0] == case:
            line = ("", *line[1:])
        elif line[0]:
            case = line[0]
            if table.rows:
                table.add_section()
        table.add_row(*map(Text, line))
    return table


def failure_lines(results: Results) -> list[str]:
    """Return a line for each side and reason, with the cases that it touches."""
    touched: dict[str, dict[str, None]] = {}
    for row in results.rows:
        for side, cell in row.cells.items():
            if cell.failure is not None:
                cases = touched.setdefault(f"{side}: {cell.failure}", {})
                cases[row.case.name] = None
    return [f"{what} (in: {', '.join(cases)})" for what, cases in touched.items()]
