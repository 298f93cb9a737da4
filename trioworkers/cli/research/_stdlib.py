"""The researcher that reads the docstrings of Python's standard library."""

import ast
import os
import re
import sysconfig
from collections.abc import Callable, Iterator

import attrs
import trio

from trioworkers import JobError

from ._query import Finding, ResearchQuery
from ._ranking import Needle, best_match
from ._researcher import PLAIN, Manner, Researcher, Search, Step
from ._text import printable
from ._walk import SKIPPED_DIRECTORIES, Candidate, SkippedFileError, read_text, walk_files

# Tests, data and applications: no part of the library that a program would import.
_NOT_LIBRARY = SKIPPED_DIRECTORIES | {
    "dist-packages", "test", "tests", "idle_test", "idlelib", "lib2to3", "turtledemo",
    "ensurepip", "pydoc_data", "lib-dynload", "__phello__",
}  # fmt: skip

_MAX_SOURCE_BYTES = 4 << 20

_OPENING_QUOTES = re.compile(r"""[rRuU]?(\"{3}|'{3}|"|')""")

_Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@attrs.frozen
class Docstring:
    """A docstring as it stands in the source.

    Attributes:
      qualname: Dotted, from the module on.
      line: Its first line, from 1.
      text: What is between the quotes, escapes as written.
    """

    qualname: str
    line: int
    text: str

    @property
    def summary(self) -> int:
        """The index in `text` of its first line that says something."""
        lines = self.text.split("\n")
        return next((index for index, line in enumerate(lines) if line.strip(" \\")), 0)


class StdlibResearcher(Researcher):
    """Searches the docstrings of the standard library; one finding for each docstring.

    The source is parsed, never imported. A docstring is searched as it stands in
    the source, so a line found is a line of that file.

    Args:
      name: The worker's name.
      root: The directory of the library; None for that of the running Python.
      limiter, manner: As for `Researcher`.
    """

    def __init__(
        self,
        name: str = "stdlib",
        *,
        root: str | None = None,
        limiter: trio.CapacityLimiter | None = None,
        manner: Manner = PLAIN,
    ) -> None:
        super().__init__(name, limiter=limiter, manner=manner)
        self._root = sysconfig.get_paths()["stdlib"] if root is None else root

    def open_search(self, query: ResearchQuery, checkpoint: Callable[[], None]) -> Search:
        """List the modules; see `Researcher.open_search`."""
        walk = walk_files([self._root], checkpoint=checkpoint, skipped_directories=_NOT_LIBRARY)
        modules = [candidate for candidate in walk if candidate.path.endswith(".py")]
        if not modules:
            raise JobError(f"the standard library's source is not in {self._root!r}")
        return Search(len(modules), self._steps(Needle.from_text(query.text), modules))

    def _steps(self, needle: Needle, modules: list[Candidate]) -> Iterator[Step]:
        for candidate in modules:
            try:
                source = read_text(candidate, max_bytes=_MAX_SOURCE_BYTES)
                yield Step(_search_source(needle, self._module_name(candidate.path), source))
            except SkippedFileError as error:
                yield Step(skipped=str(error))
            except SyntaxError:
                yield Step(skipped="unparsable")

    def _module_name(self, path: str) -> str:
        parts = os.path.relpath(path, self._root).removesuffix(".py").split(os.sep)
        if parts[-1] == "__init__" and len(parts) > 1:
            del parts[-1]
        return ".".join(parts)


def _search_source(needle: Needle, module: str, source: str) -> tuple[Finding, ...]:
    # To parse is a hundred times slower than to look, so look first.
    if not needle.is_in(source):
        return ()
    found = (_search_docstring(needle, each) for each in iter_docstrings(module, source))
    return tuple(finding for finding in found if finding is not None)


def _search_docstring(needle: Needle, docstring: Docstring) -> Finding | None:
    def is_summary(index: int, _line: str) -> bool:
        return index == docstring.summary

    match = best_match(needle, docstring.text, title=docstring.qualname, is_heading=is_summary)
    if match is None:
        return None
    where = printable(f"{docstring.qualname}:{docstring.line + match.line}")
    return Finding(where, match.excerpt, match.score, match.matches)


def iter_docstrings(module: str, source: str) -> Iterator[Docstring]:
    """Yield the docstrings of ``module``, its classes and functions, outermost first.

    Functions in functions are named as Python does, with ``<locals>``.

    Raises:
      SyntaxError: ``source`` is not Python.
    """
    # The parser ends lines at these only, unlike `str.splitlines`.
    source = source.replace("\r\n", "\n").replace("\r", "\n")
    lines = source.split("\n")
    pending: list[tuple[str, ast.Module | _Definition]] = [(module, ast.parse(source))]
    while pending:
        qualname, node = pending.pop()
        if (literal := _docstring_literal(node)) is not None:
            yield Docstring(qualname, literal.lineno, _text_of(literal, lines))
        is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        prefix = f"{qualname}.<locals>." if is_function else f"{qualname}."
        inner = [(prefix + child.name, child) for child in _definitions_in(node)]
        pending.extend(reversed(inner))


def _docstring_literal(node: ast.Module | _Definition) -> ast.Constant | None:
    match node.body[:1]:
        case [ast.Expr(value=ast.Constant(value=str()) as literal)]:
            return literal
    return None


def _definitions_in(node: ast.AST) -> Iterator[_Definition]:
    """Yield the classes and functions of ``node``'s own scope, in order."""
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                yield child
            case ast.stmt() | ast.excepthandler() | ast.match_case():
                yield from _definitions_in(child)  # as in `if sys.platform == ...`


def _text_of(literal: ast.Constant, lines: list[str]) -> str:
    """Return the source of ``literal`` without the quotes around it."""
    # Columns count bytes. An end is always known for parsed source.
    first, last = literal.lineno - 1, (literal.end_lineno or literal.lineno) - 1
    text = [line.encode() for line in lines[first : last + 1]]
    text[-1] = text[-1][: literal.end_col_offset]
    text[0] = text[0][literal.col_offset :]
    joined = b"\n".join(text).decode()
    opening = _OPENING_QUOTES.match(joined)
    return joined[opening.end() :].removesuffix(opening[1]) if opening else joined
