"""How well a line matches, and which findings come first. Pure."""

import bisect
import math
import re
from collections.abc import Callable, Iterable

import attrs

from ._query import Finding
from ._text import excerpt

# Points a match gets on top of one for being there. A name that holds the query
# as a word says more than any line; a whole word more than a part of one.
TITLE_WORD_POINTS = 5.0
TITLE_POINTS = 2.0
WHOLE_WORD_POINTS = 3.0
EXACT_CASE_POINTS = 2.0
HEADING_POINTS = 2.0
# Repetition counts by its logarithm, and no more than this: a log file that
# says a word ten thousand times isn't about it.
MAX_REPEAT_POINTS = 3.0


@attrs.frozen
class Needle:
    """A query made ready for many comparisons.

    Letters match in any case, by Unicode case folding, which works a character
    at a time: what matches in a line matches in every text that holds the line.
    """

    text: str
    folded: str
    whole_word: re.Pattern[str]

    @classmethod
    def from_text(cls, text: str) -> "Needle":
        """Return the needle for ``text``; space around it is no part of the query."""
        text = text.strip()
        folded = text.casefold()
        # A boundary only where the query ends in a word character: "(x" is a
        # whole word in "f(x)".
        before = r"(?<!\w)" if re.match(r"\w", folded) else ""
        after = r"(?!\w)" if re.search(r"\w\Z", folded) else ""
        return cls(text, folded, re.compile(before + re.escape(folded) + after))

    def is_in(self, text: str) -> bool:
        """Return whether ``text`` holds the query, in any case."""
        return self.folded in text.casefold()

    def count_in(self, text: str) -> int:
        """Return how often ``text`` holds the query, overlaps not counted."""
        return text.casefold().count(self.folded)

    def score(self, line: str) -> float:
        """Return the points of ``line`` alone, at least 1; 0 if it doesn't match."""
        folded = line.casefold()
        if self.folded not in folded:
            return 0.0
        points = 1.0
        if self.text in line:
            points += EXACT_CASE_POINTS
        if self.whole_word.search(folded):
            points += WHOLE_WORD_POINTS
        return points

    def span_in(self, line: str) -> tuple[int, int]:
        """Return start and length of the first match in ``line``, which must hold one.

        Folding can lengthen a text (``ß`` becomes ``ss``), so a place in the
        folded line is not yet one in the line.
        """
        folded = line.casefold()
        start = folded.index(self.folded)
        if len(folded) == len(line):
            return start, len(self.folded)
        origins = [index for index, letter in enumerate(line) for _ in letter.casefold()]
        first, last = origins[start], origins[start + len(self.folded) - 1]
        return first, last - first + 1


@attrs.frozen
class Match:
    """The best line of a text: its index from 0, an excerpt of it, and what it is worth."""

    line: int
    excerpt: str
    score: float
    matches: int


def best_match(
    needle: Needle, text: str, *, title: str, is_heading: Callable[[int, str], bool]
) -> Match | None:
    """Return the best match in ``text``, or None if no line of it holds the query.

    Args:
      needle: What to look for.
      text: Such as a file or a docstring. Lines end with a line feed, as editors count.
      title: The text's name. It earns points if it holds the query, but is no
        match by itself.
      is_heading: Told a line's index and the line, says if it is a heading.

    Of equally good lines, the first.
    """
    if not needle.is_in(text):  # mostly it isn't: say so fast
        return None
    lines = text.split("\n")
    best, best_score, matches = -1, 0.0, 0
    for index, line in enumerate(lines):
        if not (points := needle.score(line)):
            continue
        matches += needle.count_in(line)
        if is_heading(index, line):
            points += HEADING_POINTS
        if points > best_score:
            best, best_score = index, points
    if best < 0:
        return None
    score = best_score + _title_points(needle, title) + min(MAX_REPEAT_POINTS, math.log2(matches))
    shown = excerpt(lines[best], *needle.span_in(lines[best]))
    return Match(best, shown, round(score, 2), matches)


def _title_points(needle: Needle, title: str) -> float:
    if not needle.is_in(title):
        return 0.0
    return TITLE_WORD_POINTS if needle.whole_word.search(title.casefold()) else TITLE_POINTS


def rank_key(finding: Finding) -> tuple[float, str, str]:
    """Return what findings are sorted by: best first, then by place."""
    return (-finding.score, finding.where, finding.excerpt)


@attrs.define(eq=False)
class TopFindings:
    """The best ``limit`` of the findings added, however many there were.

    Attributes:
      limit: At least 1.
    """

    limit: int = attrs.field(validator=attrs.validators.ge(1))
    _best: list[Finding] = attrs.field(factory=list, init=False)

    def add(self, findings: Iterable[Finding]) -> None:
        """Take ``findings`` into account, in any order."""
        for finding in findings:
            bisect.insort(self._best, finding, key=rank_key)
            del self._best[self.limit :]

    def ranked(self) -> tuple[Finding, ...]:
        """Return the best findings, best first."""
        return tuple(self._best)
