"""What came of a run: readings by row and side, medians, spreads, ratios. Pure."""

import statistics
from collections.abc import Iterable, Sequence
from typing import Any

import attrs

from ._cases import FLOOR, OURS, UNITS, Case, Point, Quantity
from ._children import Failure, Reading


@attrs.frozen
class Spread:
    """A median, and the quartiles around it."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Return the spread of at least one value; one alone has none."""
        if len(values) == 1:
            return cls(values[0], values[0], values[0])
        return cls(*statistics.quantiles(values, n=4, method="inclusive"))


@attrs.define(eq=False)
class Cell:
    """What one side has given for one row.

    Attributes:
      readings: Numbers in the row's unit, by round.
      failure: Why there is none, or no more.
    """

    readings: dict[int, float] = attrs.field(factory=dict)
    failure: str | None = None

    @property
    def spread(self) -> Spread | None:
        """The spread of the readings, if there are any."""
        return Spread.of(list(self.readings.values())) if self.readings else None


@attrs.define(eq=False)
class Row:
    """One quantity of one case at one size, for all sides.

    Attributes:
      cells: By side, in the order in which they are shown.
    """

    case: Case
    point: Point
    quantity: Quantity
    cells: dict[str, Cell]

    @property
    def size(self) -> str:
        """What to call the size."""
        return self.case.size(self.point)

    def ratio(self, side: str, to: str) -> Spread | None:
        """Return how many times ``to`` a side has taken, within the same rounds."""
        if not self.quantity.compared or side not in self.cells or to not in self.cells:
            return None
        above, below = self.cells[side].readings, self.cells[to].readings
        ratios = [above[number] / below[number] for number in above if below.get(number)]
        return Spread.of(ratios) if ratios else None

    @property
    def peers(self) -> tuple[str, ...]:
        """The sides that are neither the library nor the floor."""
        return tuple(side for side in self.cells if side not in (OURS, FLOOR))


@attrs.define(eq=False)
class Results:
    """All rows of a run, also of one that was stopped.

    Attributes:
      rows: In the order of the cases.
      about: What was measured, and on what.
      rounds: How many were asked for.
      quick: Whether the sizes are too small for the figures to say anything.
      interrupted: Whether somebody stopped it before its end.
    """

    rows: list[Row]
    about: dict[str, str]
    rounds: int
    quick: bool = False
    interrupted: bool = False

    def add(
        self, case: Case, point: Point, side: str, number: int, answer: Reading | Failure
    ) -> None:
        """Note what a side answered in round ``number``."""
        for index, row in enumerate(self.rows_of(case, point)):
            cell = row.cells[side]
            if isinstance(answer, Failure):
                cell.failure = answer.reason
            else:
                cell.readings[number] = answer[index] * UNITS[row.quantity.unit]

    def rows_of(self, case: Case, point: Point) -> list[Row]:
        """Return a row for each quantity."""
        return [row for row in self.rows if row.case is case and row.point is point]

    def gave_up(self, case: Case, point: Point, side: str) -> bool:
        """Whether it makes no sense to ask that side again."""
        return any(row.cells[side].failure is not None for row in self.rows_of(case, point))

    @property
    def failed(self) -> bool:
        """Whether something could not be measured."""
        return any(cell.failure for row in self.rows for cell in row.cells.values())

    def as_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {
            "about": self.about,
            "rounds": self.rounds,
            "quick": self.quick,
            "interrupted": self.interrupted,
            "rows": [_row_as_json(row) for row in self.rows],
        }


def _row_as_json(row: Row) -> dict[str, Any]:
    return {
        "case": row.case.name,
        "what": row.case.what,
        "size": row.size,
        "quantity": row.quantity.what,
        "unit": row.quantity.unit,
        "sides": {
            side: {
                "readings": list(cell.readings.values()),
                "spread": attrs.asdict(cell.spread) if cell.spread else None,
                "failure": cell.failure,
            }
            for side, cell in row.cells.items()
        },
        "ratios": {
            f"{side}/{to}": attrs.asdict(ratio)
            for side, to in [(OURS, FLOOR), *((peer, OURS) for peer in row.peers)]
            if (ratio := row.ratio(side, to)) is not None
        },
    }


def make_results(
    cases: Iterable[Case],
    peers: Sequence[str],
    about: dict[str, str],
    rounds: int,
    *,
    quick: bool = False,
) -> Results:
    """Return results without readings: a row for each number that is to come."""
    rows = [
        Row(case, point, quantity, {side: Cell() for side in case.sides(point, peers)})
        for case in cases
        for point in case.points
        for quantity in case.quantities
    ]
    return Results(rows, about, rounds, quick)
