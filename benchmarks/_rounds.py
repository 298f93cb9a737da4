"""Measures in interleaved rounds: each side once, then all again."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import attrs

from ._cases import Case, Point
from ._children import Children, Failure
from ._results import Results
from ._serve import Request


@attrs.frozen
class Step:
    """One side doing one case once.

    Attributes:
      number: The round, from 0.
      case: What is done.
      point: At which size.
      side: By whom.
    """

    number: int
    case: Case
    point: Point
    side: str


def plan(cases: Sequence[Case], peers: Sequence[str], rounds: int) -> Iterator[Step]:
    """Yield the steps of all rounds.

    The sides of a case follow one another, so that the ratio between them is
    of one moment; every other round they come in the reverse order.
    """
    for number in range(rounds):
        for case in cases:
            for point in case.points:
                if point.rounds is None or number < point.rounds:
                    sides = case.sides(point, peers)
                    for side in sides if number % 2 == 0 else reversed(sides):
                        yield Step(number, case, point, side)


def make_request(step: Step) -> Request:
    """Return what the side of a step is to be asked."""
    case, point = step.case, step.point
    return Request(
        case.function,
        dict(point.arguments),
        case.few,
        case.most,
        None if case.fixed else case.seconds,
        1 if case.per is None else point.arguments[case.per],
    )


async def measure(
    steps: Sequence[Step],
    children: Children,
    results: Results,
    missing: Mapping[str, str],
    begin: Callable[[Step], None],
) -> None:
    """Take all steps and add what comes of them to ``results``.

    Args:
      steps: What to do, in this order.
      children: Who does it.
      results: Has what was measured at any moment, also when this is cancelled.
      missing: Modules of sides that can't be asked, with the reason.
      begin: Called before each step.
    """
    for step in steps:
        begin(step)
        case, point, side = step.case, step.point, step.side
        if results.gave_up(case, point, side):
            continue
        module = case.module(side)
        if module in missing:
            results.add(case, point, side, step.number, Failure(missing[module]))
            continue
        answer = await children.measure(
            module, make_request(step), timeout=case.timeout, alone=case.alone
        )
        results.add(case, point, side, step.number, answer)
