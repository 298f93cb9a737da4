"""Prints the oldest versions that pyproject.toml allows, as constraints for pip.

    python .ci/oldest.py > oldest.txt

Each direct dependency, of the library and of its extras, is held at its lower
bound. So is what comes by the extra of another package, such as orjson by
``cattrs[orjson]``, at the bound of that package's oldest version, which pip is
asked for. All else is as new as it gets.
"""

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

#: Such as ``cattrs[orjson]>=26.2`` or ``coredis>=6.9,<7``: name, extras, lower bound.
REQUIREMENT = re.compile(r"([\w.-]+)\s*(?:\[([\w,. -]+)\])?\s*>=\s*([\w.]+)")


def declared(project: Path) -> Iterator[str]:
    """Yield the requirements of a pyproject.toml, but for the project's own extras."""
    tables = tomllib.loads(project.read_text(encoding="utf-8"))
    own = tables["project"]["name"]
    extras = tables["project"]["optional-dependencies"].values()
    for group in (tables["build-system"]["requires"], tables["project"]["dependencies"], *extras):
        yield from (text for text in group if not text.startswith(f"{own}["))


def required_by(name: str, version: str, extra: str) -> Iterator[str]:
    """Yield what ``name[extra]`` of one version requires for that extra."""
    options = ["--dry-run", "--ignore-installed", "--no-deps", "--quiet", "--report", "-"]
    report = subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, f"{name}=={version}"],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    (found,) = json.loads(report.stdout)["install"]
    for text in found["metadata"].get("requires_dist", ()):
        requirement, _, marker = text.partition(";")
        if re.search(rf"\bextra *== *['\"]{re.escape(extra)}['\"]", marker):
            yield requirement


def oldest(requirements: Iterable[str]) -> dict[str, str]:
    """Return the lower bound of each requirement, by name.

    Raises:
      SystemExit: One has no lower bound, or there are two for one name.
    """
    bounds: dict[str, str] = {}
    for text in requirements:
        found = REQUIREMENT.match(text)
        if found is None:
            raise SystemExit(f"{text!r} has no lower bound")
        name, extras, version = found.groups()
        if bounds.setdefault(name, version) != version:
            raise SystemExit(f"{name} has two lower bounds: {bounds[name]} and {version}")
        for extra in (extras or "").replace(" ", "").split(","):
            if extra:
                further = (r for r in required_by(name, version, extra) if ">=" in r)
                bounds |= oldest(further)
    return bounds


if __name__ == "__main__":
    for name, version in sorted(oldest(declared(ROOT / "pyproject.toml")).items()):
        print(f"{name}=={version}")
