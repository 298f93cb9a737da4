"""The researcher that reads what installed packages say of themselves."""

import re
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import Distribution, distributions

import trio

from ._query import Finding, ResearchQuery
from ._ranking import Needle, best_match
from ._researcher import PLAIN, Manner, Researcher, Search, Step
from ._text import printable

_HEADING = re.compile(r"(Name|Summary|Keywords):|#+\s")
_NAME = re.compile(r"^Name:[ \t]*(\S+)", re.MULTILINE)
_VERSION = re.compile(r"^Version:[ \t]*(\S+)", re.MULTILINE)


class PackagesResearcher(Researcher):
    """Searches the metadata and long descriptions of installed distributions.

    One finding for each distribution. Of two with one name, the one that an
    import would take. Skipped and counted: those without readable metadata.

    Args:
      name: The worker's name.
      path: Directories to look in; None for ``sys.path``.
      limiter, manner: As for `Researcher`.
    """

    def __init__(
        self,
        name: str = "packages",
        *,
        path: Sequence[str] | None = None,
        limiter: trio.CapacityLimiter | None = None,
        manner: Manner = PLAIN,
    ) -> None:
        super().__init__(name, limiter=limiter, manner=manner)
        self._path = None if path is None else list(path)

    def open_search(self, query: ResearchQuery, checkpoint: Callable[[], None]) -> Search:
        """List the distributions; see `Researcher.open_search`."""
        checkpoint()
        found = list(distributions() if self._path is None else distributions(path=self._path))
        return Search(len(found), _steps(Needle.from_text(query.text), found))


def _steps(needle: Needle, found: list[Distribution]) -> Iterator[Step]:
    seen: set[str] = set()
    for distribution in found:
        text = _metadata_text(distribution)
        if text is None or (name := _NAME.search(text)) is None:
            yield Step(skipped="unreadable")
            continue
        normalized = re.sub(r"[-_.]+", "-", name[1]).lower()
        if normalized in seen:
            yield Step(skipped="shadowed")
            continue
        seen.add(normalized)
        yield Step(_search_metadata(needle, name[1], text))


def _metadata_text(distribution: Distribution) -> str | None:
    """Return the metadata as written; None if there is none to read."""
    try:
        # Wheels; source distributions; an .egg-info that is a file itself.
        names = ("METADATA", "PKG-INFO", "")
        return next((text for name in names if (text := distribution.read_text(name))), None)
    except (OSError, ValueError):  # ValueError: not UTF-8
        return None


def _search_metadata(needle: Needle, name: str, text: str) -> tuple[Finding, ...]:
    match = best_match(needle, text, title=name, is_heading=_is_heading)
    if match is None:
        return ()
    version = _VERSION.search(text)
    where = printable(f"{name} {version[1] if version else '(no version)'}")
    return (Finding(where, match.excerpt, match.score, match.matches),)


def _is_heading(_index: int, line: str) -> bool:
    return _HEADING.match(line) is not None
