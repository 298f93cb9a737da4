"""What a case is."""

from collections.abc import Iterable, Mapping, Sequence

import attrs

OURS, FLOOR = "ours", "floor"

#: Units, and how many of them are in a second or a byte.
UNITS = {"us": 1e6, "ms": 1e3, "kB": 1e-3}

#: Seconds that a measurement should take, where a case doesn't say how much to do.
SECONDS = 0.25


@attrs.frozen
class Quantity:
    """One of the numbers that a case gives.

    Attributes:
      unit: One of `UNITS`.
      what: What tells it from the case's other numbers; empty if it is the only one.
      compared: Whether a ratio to others says anything. That of two numbers
        which are about 0 doesn't.
    """

    unit: str = attrs.field(validator=attrs.validators.in_(UNITS))
    what: str = ""
    compared: bool = True


@attrs.frozen
class Point:
    """One size of a case.

    Attributes:
      size: What to call it; has the arguments and ``count`` in braces.
      arguments: Given to the functions that measure.
      quick: Smaller ones, for a run that only shows that all works.
      peers: Peers that do it; None for those of the case.
      rounds: The most rounds that it is worth; None for all.
    """

    size: str
    arguments: Mapping[str, int] = {}
    quick: Mapping[str, int] = {}
    peers: tuple[str, ...] | None = None
    rounds: int | None = None


@attrs.frozen
class Case:
    """One thing that is measured, in one or several sizes.

    Attributes:
      name: For the command line.
      what: For a person.
      function: Of each side, the function that measures it.
      quantities: What it returns.
      points: The sizes.
      peers: Those that can do it, by their names on PyPI.
      few: How many times in a quick run and in a warm-up.
      most: How many times at most; if ``fixed``, exactly.
      fixed: Whether the number of times is part of the case; if not, as many
        times as fit the seconds that a measurement is to take.
      per: The argument that says how many things are done each time.
      alone: Whether each measurement needs a process that has done nothing
        before, as those of memory do.
      seconds: About how long to measure, unless ``fixed``.
      timeout: Seconds after which a side is given up.
      family: The package of its functions, if they are not with the others.
    """

    name: str
    what: str
    function: str
    quantities: tuple[Quantity, ...]
    points: tuple[Point, ...]
    peers: tuple[str, ...] = ()
    few: int = 1
    most: int = 1
    fixed: bool = False
    per: str | None = None
    alone: bool = False
    seconds: float = SECONDS
    timeout: float = 300.0
    family: str = ""

    def size(self, point: Point) -> str:
        """Return what to call ``point``."""
        return point.size.format(count=self.most, **point.arguments)

    def quickened(self) -> "Case":
        """Return the case with its smallest sizes, which only show that it works."""
        points = (
            attrs.evolve(point, arguments={**point.arguments, **point.quick})
            for point in self.points
        )
        return attrs.evolve(self, points=tuple(points), most=self.few, fixed=True)

    def sides(self, point: Point, chosen: Iterable[str]) -> tuple[str, ...]:
        """Return who does it at ``point``: the library, the floor, and those of ``chosen``."""
        peers = self.peers if point.peers is None else point.peers
        return (OURS, FLOOR, *(peer for peer in chosen if peer in peers))

    def module(self, side: str) -> str:
        """Return the module in which ``side`` has the case's function."""
        peers = "" if side in (OURS, FLOOR) else "peers"
        parts = ("benchmarks", self.family, peers, side.replace("-", "_"))
        return ".".join(filter(None, parts))


class UnknownCaseError(ValueError):
    """There is no case of that name."""


def select(cases: Sequence[Case], names: Iterable[str]) -> tuple[Case, ...]:
    """Return the cases whose names are given or begin with one of ``names``; all for none.

    Raises:
      UnknownCaseError: A name fits no case.
    """
    wanted = tuple(names)
    for name in wanted:
        if not any(case.name.startswith(name) for case in cases):
            known = ", ".join(case.name for case in cases)
            raise UnknownCaseError(f"no case is called {name!r}; there are: {known}")
    return tuple(case for case in cases if not wanted or case.name.startswith(wanted))
