"""Instructions that have grown are an error; an interpreter built otherwise is none."""

import json

from benchmarks.instructions import COMPARED, KEPT, SUBJECTS, expected, grown

KEPT_FIGURES = {"job": 200.0, "job-floor": 100.0, "member": 60.0, "member-floor": 100.0}


def test_more_than_a_tenth_is_too_much() -> None:
    """The line names what has grown, by how much, and what to do."""
    assert grown(KEPT_FIGURES | {"job": 219.0}, KEPT_FIGURES) == []
    (line,) = grown(KEPT_FIGURES | {"job": 222.0}, KEPT_FIGURES)
    assert line.startswith("job round trip: 222 instructions are 11.0% more than the 200 kept")
    assert "--keep" in line


def test_the_floor_shows_how_the_interpreter_was_built() -> None:
    """If hand-written Trio takes half as much again, so may the library."""
    slower = {name: figure * 1.5 for name, figure in KEPT_FIGURES.items()}
    assert expected(slower, KEPT_FIGURES) == {"job": 300.0, "member": 90.0}
    assert grown(slower, KEPT_FIGURES) == []


def test_without_a_kept_figure_nothing_is_compared() -> None:
    """As for a version of Python that nobody has counted on."""
    assert grown(KEPT_FIGURES, {}) == []


def test_kept_figures_have_their_floors() -> None:
    """For each version of Python that is there."""
    assert set(COMPARED) < set(SUBJECTS)
    for figures in json.loads(KEPT.read_text("utf-8")).values():
        assert set(figures) == set(SUBJECTS)
