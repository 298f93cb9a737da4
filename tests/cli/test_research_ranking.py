"""Ranking and excerpts: pure, so mostly properties."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trioworkers.cli.research import Finding, ResearchQuery, TopFindings, printable
from trioworkers.cli.research._ranking import Needle, best_match, rank_key
from trioworkers.cli.research._text import EXCERPT_WIDTH, excerpt

# Letters that fold to something longer, or depending on the place, among plain ones.
awkward = st.text(alphabet="abABßİ\u03a3\u03c3\u03c2_ ()\t\x1b\ud800é", max_size=30)
needles = awkward.filter(lambda text: text.strip())
lines = awkward.filter(lambda text: "\n" not in text)
findings = st.builds(
    Finding,
    where=st.sampled_from(["a:1", "a:2", "b:1"]),
    excerpt=st.sampled_from(["x", "y"]),
    score=st.integers(1, 5).map(float),
    matches=st.just(1),
)


def no_heading(_index: int, _line: str) -> bool:
    return False


def match(query, text, *, title="", is_heading=no_heading):
    return best_match(Needle.from_text(query), text, title=title, is_heading=is_heading)


@given(needles, awkward, awkward)
@example("\u03c3", "\u0391", "\u03a3")  # a sigma that ends a word is another letter
@example("s", "", "ß")
def test_a_line_that_holds_the_query_matches_in_any_case(query, before, after):
    """What stands around a match can't hide it, whatever Unicode does with case."""
    needle = Needle.from_text(query)
    for variant in (query.strip(), query.strip().casefold()):
        assert needle.is_in(before + variant + after)
        assert needle.score(before + variant + after) >= 1


@given(needles, st.lists(lines, max_size=5))
def test_best_match_is_none_exactly_if_no_line_matches(query, texts):
    """And the best line is one that matches."""
    needle = Needle.from_text(query)
    found = match(query, "\n".join(texts))
    matching = [index for index, line in enumerate(texts) if needle.is_in(line)]
    if found is None:
        assert not matching
    else:
        assert found.line in matching
        assert found.score >= 1
        assert found.matches >= len(matching)


@given(needles, st.lists(lines, max_size=5), lines)
def test_more_text_never_lowers_the_score(query, texts, extra):
    """Another line can only add a better one, or another match."""
    before, after = match(query, "\n".join(texts)), match(query, "\n".join([*texts, extra]))
    if before is not None:
        assert after is not None
        assert after.score >= before.score


@given(st.text("xX", min_size=1, max_size=5), lines, lines)
def test_an_excerpt_holds_the_match(query, before, after):
    """Whole, and cut to the width."""
    found = match(query, before + query + after)
    assert found is not None
    assert query.casefold() in found.excerpt.casefold()


@given(st.text(max_size=400), st.data())
def test_an_excerpt_is_short_and_printable(line, data):
    """Whatever the line holds."""
    start = data.draw(st.integers(0, len(line)))
    length = data.draw(st.integers(0, len(line) - start))
    shown = excerpt(line, start, length)
    assert len(shown) <= EXCERPT_WIDTH
    assert shown.isprintable()
    assert printable(shown) == shown
    shown.encode()


def test_an_excerpt_of_a_long_line_shows_the_middle_of_it():
    """With a mark at each end that was cut."""
    line = "x" * 500 + "needle" + "y" * 500
    shown = excerpt(line, 500, 6)
    assert len(shown) == EXCERPT_WIDTH
    assert shown.startswith("…x")
    assert shown.endswith("y…")
    assert "needle" in shown


def test_an_excerpt_of_a_long_match_begins_with_it():
    """There is no room for more."""
    line = "x" * 10 + "first" + "y" * 300
    assert excerpt(line, 10, 305).startswith("…firsty")


def test_an_excerpt_is_in_the_right_place_when_folding_lengthens_the_line():
    """``ß`` matches ``ss``, so places in the folded line are others."""
    assert "needle" in match("needle", "ß" * 300 + "needle" + "x" * 300).excerpt
    assert match("ass", "x" * 300 + "aß" + "x" * 300).excerpt.count("aß") == 1


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ("a Trio task", "a trio task"),
        ("a trio task", "a triology"),
        ("a Triology", "a triology"),
    ],
)
def test_exact_case_and_whole_words_come_first(better, worse):
    """As a reader would expect."""
    needle = Needle.from_text("Trio")
    assert needle.score(better) > needle.score(worse)


def test_whole_word_asks_for_a_boundary_only_beside_letters():
    """A query that ends in punctuation is whole wherever it stands."""
    assert Needle.from_text("(x").score("f(x)") == Needle.from_text("(x").score("f (x)")
    assert Needle.from_text("_x").score("a_x") < Needle.from_text("_x").score("a _x")


def test_headings_titles_and_repetition_add_points():
    """Each on top of the other."""
    plain = match("trio", "about trio")
    repeated = match("trio", "about trio\nand trio")
    heading = match("trio", "about trio", is_heading=lambda index, line: index == 0)
    part, word = match("trio", "trio", title="triology"), match("trio", "trio", title="a.trio")
    assert plain.score < repeated.score < heading.score
    assert plain.score < part.score < word.score
    assert (plain.matches, repeated.matches) == (1, 2)


def test_a_query_of_two_lines_is_in_no_line():
    """`ResearchQuery` refuses it; ranking does not crash on it."""
    assert match("a\nb", "a\nb") is None


def test_the_first_of_equal_lines_is_shown():
    """Better ones win wherever they are."""
    assert match("trio", "x\na trio\ntrio b").line == 1
    assert match("trio", "x\na triology\ntrio b").line == 2


@given(st.lists(findings), st.integers(1, 4))
def test_top_findings_are_the_first_of_all_sorted(all_findings, limit):
    """However they arrive."""
    top = TopFindings(limit)
    for finding in all_findings:
        top.add([finding])
    together = TopFindings(limit)
    together.add(reversed(all_findings))
    assert top.ranked() == together.ranked() == tuple(sorted(all_findings, key=rank_key)[:limit])


def test_printable_keeps_text_and_replaces_the_rest():
    """An escape sequence never reaches the terminal."""
    assert printable("naïve …") == "naïve …"
    assert printable("a\tb\x1b[31mc\udcff") == "a b?[31mc?"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is empty"),
        (" \t", "is empty"),
        ("a\nb", "one line"),
        ("a\x00b", "one line"),
        ("\udcff", "not valid Unicode"),
    ],
)
def test_a_query_that_cannot_be_searched_for_is_refused(text, reason):
    """With a reason."""
    with pytest.raises(ValueError, match=reason):
        ResearchQuery(text)


def test_a_query_needs_a_path():
    """There is a default; nothing at all is a mistake."""
    assert ResearchQuery("x").paths == (".",)
    with pytest.raises(ValueError, match="paths"):
        ResearchQuery("x", ())
