"""Medians, spreads and ratios; the order of the steps; what the table says."""

import io

import pytest
from rich.console import Console

from benchmarks._cases import Case, Point, Quantity, UnknownCaseError, select
from benchmarks._catalogue import CASES, PEERS
from benchmarks._children import ROOT, Failure
from benchmarks._results import Spread, make_results
from benchmarks._rounds import make_request, plan
from benchmarks._table import number, print_results

SMALL = Point("{size} things", {"size": 10}, {"size": 2})
LARGE = Point("{size:,} things", {"size": 1000}, {"size": 3}, peers=(), rounds=1)
CASE = Case(
    "case",
    "doing it",
    "do",
    (Quantity("us"),),
    (SMALL, LARGE),
    ("peer",),
    few=5,
    most=50,
    per="size",
)


def results_of(*readings, case=CASE, point=SMALL):
    results = make_results([case], ["peer"], {"Python": "3"}, 3)
    for number_, side, seconds in readings:
        answer = seconds if isinstance(seconds, Failure) else (seconds,)
        results.add(case, point, side, number_, answer)
    return results


def test_a_spread_is_the_median_between_quartiles() -> None:
    """One value has none around it."""
    assert Spread.of([1.0, 2.0, 3.0, 4.0, 5.0]) == Spread(2.0, 3.0, 4.0)
    assert Spread.of([4.0]) == Spread(4.0, 4.0, 4.0)


def test_ratios_are_within_rounds() -> None:
    """A round in which one of the two gave nothing doesn't count."""
    results = results_of(
        (0, "ours", 2e-6),
        (1, "ours", 30e-6),
        (0, "floor", 1e-6),
        (1, "floor", 10e-6),
        (2, "floor", 1.0),
    )
    row = results.rows[0]
    assert row.cells["ours"].spread == Spread(9.0, 16.0, 23.0)
    assert row.ratio("ours", "floor") == Spread(2.25, 2.5, 2.75)
    assert row.ratio("peer", "ours") is None


def test_sides_take_turns_in_alternating_order() -> None:
    """All sides of a size follow one another; a size can be worth fewer rounds."""
    steps = [(s.number, s.point is LARGE, s.side) for s in plan([CASE], ["peer"], 2)]
    assert steps == [
        (0, False, "ours"),
        (0, False, "floor"),
        (0, False, "peer"),
        (0, True, "ours"),
        (0, True, "floor"),
        (1, False, "peer"),
        (1, False, "floor"),
        (1, False, "ours"),
    ]


def test_quick_cases_are_small_and_say_so() -> None:
    """The sizes that are shown are those that are measured."""
    quick = CASE.quickened()
    assert [quick.size(point) for point in quick.points] == ["2 things", "3 things"]
    request = make_request(next(iter(plan([quick], [], 1))))
    assert (request.arguments, request.most, request.seconds) == ({"size": 2}, 5, None)


def test_cases_are_chosen_by_the_beginning_of_their_names() -> None:
    """A name that fits none is an error that names them all."""
    assert [case.name for case in select(CASES, ["idle", "hook"])] == ["hook", "idle-memory"]
    assert select(CASES, []) == CASES
    with pytest.raises(UnknownCaseError, match="no case is called 'nosuch'; there are: round-trip"):
        select(CASES, ["nosuch"])


def test_each_peer_does_something_and_is_known() -> None:
    """No case names a peer that can't be asked for."""
    named = {
        peer
        for case in CASES
        for peers in (case.peers, *(point.peers or () for point in case.points))
        for peer in peers
    }
    assert named == set(PEERS)


def test_each_side_is_a_module_that_there_is() -> None:
    """With the case's function, as far as can be seen without the other libraries."""
    for case in CASES:
        for point in case.points:
            for side in case.sides(point, PEERS):
                path = ROOT.joinpath(*case.module(side).split("."))
                assert path.with_suffix(".py").exists() or (path / "__init__.py").exists()


def test_the_table_is_markdown_and_names_what_failed() -> None:
    """A failed peer leaves the other figures alone."""
    results = results_of((0, "ours", 2e-6), (0, "floor", 1e-6), (0, "peer", Failure("no luck")))
    output = io.StringIO()
    print_results(results, Console(file=output, width=40))
    assert (
        "| doing it | 10 things | us | 2.00 | 1.00 | 2.00 | peer | failed |  |" in output.getvalue()
    )
    assert "peer: no luck (in: case)" in output.getvalue()
    assert results.failed


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.004, "0.00"), (9.994, "9.99"), (9.996, "10.0"), (99.96, "100"), (12345.6, "12,346")],
)
def test_numbers_have_three_digits_or_more(value, text) -> None:
    """As many as say something."""
    assert number(value) == text
