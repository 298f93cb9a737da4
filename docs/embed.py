"""Puts the files of docs/examples into the pages that show them.

    python docs/embed.py            # rewrite README.md and docs/*.md
    python docs/embed.py --check    # only say which pages are out of date

A page says ``<!-- example: NAME -->`` on a line of its own; the fenced block
after that line is the file ``docs/examples/NAME.py``, word for word.
"""

import argparse
import re
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
PAGES = (DOCS.parent / "README.md", *sorted(DOCS.glob("*.md")))

_PLACE = re.compile(r"(?m)^<!-- example: (\w+) -->\n\n```python\n.*?^```$", re.DOTALL)


def embed(page: str) -> str:
    """Return the text of a page with every example as its file has it.

    Raises:
      FileNotFoundError: The page names an example that isn't there.
    """

    def block(place: re.Match[str]) -> str:
        name = place[1]
        code = (DOCS / "examples" / f"{name}.py").read_text(encoding="utf-8")
        return f"<!-- example: {name} -->\n\n```python\n{code}```"

    return _PLACE.sub(block, page)


def shown(page: str) -> list[str]:
    """Return the names of the examples that a page shows, in order."""
    return [place[1] for place in _PLACE.finditer(page)]


def main() -> int:
    """Rewrite the pages, or check them; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing")
    check = parser.parse_args().check
    stale = []
    for path in PAGES:
        text = path.read_text(encoding="utf-8")
        if embed(text) != text:
            stale.append(path)
            if not check:
                path.write_text(embed(text), encoding="utf-8")
    for path in stale:
        print(path.relative_to(DOCS.parent), "is out of date" if check else "rewritten")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
