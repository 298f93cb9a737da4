"""What a researcher is asked, and what it finds."""

import attrs


def check_text(text: str) -> None:
    """Raise `ValueError`, saying what to do, unless ``text`` can be searched for."""
    if not text.strip():
        raise ValueError("the query is empty: give the text to search for")
    if len(text.splitlines()) > 1 or "\0" in text:
        raise ValueError("the query must be one line of text: search for a part of one line")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("the query is not valid Unicode: check the terminal's encoding") from None


def _check_text(_query: object, _attribute: object, text: str) -> None:
    check_text(text)


@attrs.frozen
class ResearchQuery:
    """The payload of a ``research`` job.

    Attributes:
      text: Searched for as it stands, in any case; one line, not blank.
      paths: Files and directories for those researchers that read files; not empty.

    Raises:
      ValueError: An attribute is out of range.
    """

    text: str = attrs.field(validator=_check_text)
    paths: tuple[str, ...] = attrs.field(default=(".",), validator=attrs.validators.min_len(1))


@attrs.frozen
class Finding:
    """One place that matches; each is one chunk of the job's stream.

    All text is fit for a terminal: it holds no control characters.

    Attributes:
      where: ``path:line``, ``module.qualname:line``, or a distribution's name and version.
      excerpt: The part of the best matching line that holds the match.
      score: At least 1; higher is better. Comparable within one researcher only.
      matches: How often the query occurs in this file, docstring or distribution, at least 1.
    """

    where: str
    excerpt: str
    score: float
    matches: int
